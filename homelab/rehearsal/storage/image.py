"""The small image that a rehearsal's VMs are copied from: a real qcow2 whose first sector names a cached guest root."""

import hashlib
import struct
from pathlib import Path

from homelab.rehearsal.storage.deltas import ancestors

MARK = b"homelab rehearsal root "
SECTOR = 512
CLUSTER = 1 << 16
MIB = 1 << 20
COPIED = 1 << 63

# The clusters of the file, one purpose each.
HEADER, REFCOUNT_TABLE, REFCOUNT_BLOCK, L1_TABLE, L2_TABLE, DATA, CLUSTERS = range(7)


def make_image(folder: Path, root_id: str, size_mib: int = 8) -> tuple[Path, str]:
    """Write a qcow2 (version 3, 64 KiB clusters) of `size_mib` MiB into `folder`; return its path and SHA-256.

    Its first sector begins with MARK, the root's id and a line feed, all else is zero; the same arguments give the same
    bytes. At most 512 MiB, which one L2 table maps. ValueError when the root's id does not fit a sector.
    """
    first_sector = MARK + root_id.encode() + b"\n"
    if len(first_sector) > SECTOR or not 1 <= size_mib <= 512:
        raise ValueError(f"no image of {size_mib} MiB for a root id of {len(root_id)} letters")
    image = bytearray(CLUSTERS * CLUSTER)
    _put(image, HEADER, _header(size_mib * MIB))
    _put(image, REFCOUNT_TABLE, struct.pack(">Q", REFCOUNT_BLOCK * CLUSTER))
    _put(image, REFCOUNT_BLOCK, struct.pack(f">{CLUSTERS}H", *[1] * CLUSTERS))
    _put(image, L1_TABLE, struct.pack(">Q", L2_TABLE * CLUSTER | COPIED))
    _put(image, L2_TABLE, struct.pack(">Q", DATA * CLUSTER | COPIED))
    _put(image, DATA, first_sector)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "image.qcow2"
    path.write_bytes(image)
    return path, hashlib.sha256(image).hexdigest()


def read_root_id(descriptor: Path) -> str | None:
    """The root that a rehearsal image's first sector names, or None for any other disk."""
    descriptor = [descriptor, *ancestors(descriptor)][-1]
    flat = descriptor.with_name(f"{descriptor.stem}-flat.vmdk")
    if not flat.is_file():
        return None
    with flat.open("rb") as file:
        sector = file.read(512)
    if not sector.startswith(MARK):
        return None
    return sector[len(MARK) :].partition(b"\n")[0].decode("ascii", "replace")


def _header(size: int) -> bytes:
    # docs/interop/qcow2.txt of QEMU, "Header": 104 bytes, the compression byte and padding, then no extensions.
    return struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        b"QFI\xfb",
        3,
        0,
        0,
        CLUSTER.bit_length() - 1,
        size,
        0,
        1,
        L1_TABLE * CLUSTER,
        REFCOUNT_TABLE * CLUSTER,
        1,
        0,
        0,
        0,
        0,
        0,
        4,
        112,
    )


def _put(image: bytearray, cluster: int, content: bytes) -> None:
    image[cluster * CLUSTER : cluster * CLUSTER + len(content)] = content
