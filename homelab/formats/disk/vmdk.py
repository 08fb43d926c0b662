"""The text half of a flat VMDK: the descriptor that ESXi reads beside `NAME-flat.vmdk`. Pure."""

import re

SECTOR = 512
GIB = 1 << 30
EXTENT = re.compile(r'^RW[ \t]+(\d+)[ \t]+\w+[ \t]+"([^"/]+)"', re.MULTILINE)

# ESXi writes this content id into a disk that nobody has opened for writing yet.
FRESH = 0xFFFFFFFE

# The disk's own hardware version must not exceed the VM's; 8 is read by every ESXi since 5.0.
HARDWARE_VERSION = 8

TEMPLATE = """\
# Disk DescriptorFile
version=1
encoding="UTF-8"
CID={cid:08x}
parentCID=ffffffff
isNativeSnapshot="no"
createType="vmfs"

# Extent description
RW {sectors} VMFS "{name}-flat.vmdk"

# The Disk Data Base
#DDB

ddb.adapterType = "lsilogic"
ddb.geometry.cylinders = "{cylinders}"
ddb.geometry.heads = "{heads}"
ddb.geometry.sectors = "{track}"
ddb.thinProvisioned = "1"
ddb.virtualHWVersion = "{hardware}"
"""


def descriptor(name: str, size_bytes: int, cid: int = FRESH) -> str:
    """Return the descriptor of a thin VMFS disk whose bytes lie in `NAME-flat.vmdk` in the same folder.

    `size_bytes` is the flat file's size, a multiple of 512. The adapter reads lsilogic for pvscsi disks too, as ESXi
    writes it. ddb.uuid and ddb.longContentID are left out: ESXi adds them, and every copy gets its own.
    ValueError when the name would break the quoting or the size is no number of sectors.
    """
    if size_bytes <= 0 or size_bytes % SECTOR:
        raise ValueError(f"a disk of {size_bytes} bytes is no whole number of {SECTOR}-byte sectors")
    if not name or any(character in name for character in '"/\r\n'):
        raise ValueError(f"{name!r} cannot stand in a descriptor")
    cylinders, heads, track = geometry(size_bytes // SECTOR)
    return TEMPLATE.format(
        cid=cid,
        sectors=size_bytes // SECTOR,
        name=name,
        cylinders=cylinders,
        heads=heads,
        track=track,
        hardware=HARDWARE_VERSION,
    )


def extents(text: str) -> dict[str, int]:
    """The files with a disk's data that a descriptor names, and the size in bytes that each of them has."""
    return {name: int(sectors) * SECTOR for sectors, name in EXTENT.findall(text)}


def capacity(text: bytes | None) -> int:
    """The size in bytes of the disk that a descriptor tells of; 0 where it tells nothing."""
    return sum(extents((text or b"").decode(errors="replace")).values())


def geometry(sectors: int) -> tuple[int, int, int]:
    """Return cylinders, heads and sectors a track as ESXi counts them: 64 x 32 below 1 GiB, else 255 x 63."""
    heads, track = (64, 32) if sectors * SECTOR < GIB else (255, 63)
    return max(1, sectors // (heads * track)), heads, track
