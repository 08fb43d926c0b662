"""Writers of disk images in the shapes that other programs give them; nothing of homelab.ports is used."""

import io
import struct
import tarfile

from tests.helpers.stick_tools import BASIC, put_gpt

SECTOR, GRAIN = 512, 65536
OVF = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References>{files}</References>
  <DiskSection><Info>Virtual disk information</Info>{disks}</DiskSection>
</Envelope>
"""


def bootable(content: bytes, size: int) -> bytes:
    """A raw disk of `size` bytes with the mark of a partition table, and this content after its first sector."""
    head = bytes(510) + b"\x55\xaa"
    return (head + content).ljust(size, b"\0")


def with_mbr(disk: bytes, kind: int, first: int, sectors: int, active: int = 0) -> bytes:
    """The disk with a table of one partition; numbers in sectors."""
    row = struct.pack("<B3sB3sII", active, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", first, sectors)
    return disk[:446] + row + bytes(48) + b"\x55\xaa" + disk[512:]


def with_gpt(disk: bytes, parts: tuple[tuple[int, int], ...]) -> bytes:
    """The disk with a GPT and its copy; `parts` are (first, last) sectors."""
    file = io.BytesIO(disk)
    put_gpt(file, len(disk), {number: (BASIC, *part) for number, part in enumerate(parts, 1)})
    return file.getvalue()


def vhd(kind: int) -> bytes:
    """The beginning of a VHD as qemu-img writes it, of this type: 2 fixed, 3 dynamic, 4 differencing."""
    recorded = bytes.fromhex(
        "636f6e656374697800000002000100000000000000000200329fdd2771656d75000500035769326b"
        "0000000000602800000000000060280000b50411000000"
    )
    return (recorded + bytes([kind])).ljust(SECTOR, b"\0") + b"cxsparse" + bytes(4096)


def sparse_vmdk(
    content: bytes, *, kind: str = "monolithicSparse", parent: str = "ffffffff", descriptor: tuple[int, int] = (1, 20)
) -> bytes:
    """A monolithicSparse VMDK (Virtual Disk Format 5.0): header, descriptor, directory, tables, grains.

    Without a `kind` it is a piece of a split disk: room for a descriptor, and none in it, as qemu-img writes it; the
    place of the `descriptor` and its size in sectors are both 0 as VMware writes it.
    """
    sectors, grain = len(content) // SECTOR, GRAIN // SECTOR
    grains = [content[at : at + GRAIN].ljust(GRAIN, b"\0") for at in range(0, len(content), GRAIN)]
    tables = -(-len(grains) // 512)
    directory, first_table = 21, 22
    first_grain = first_table + 4 * tables
    text = f'# Disk DescriptorFile\nversion=1\nCID=1\nparentCID={parent}\ncreateType="{kind}"\n'.encode()
    text = text if kind else b""
    fields = (b"KDMV", 1, 3, sectors, grain, *descriptor, 512, 0, directory, first_grain, 0, b"\n \r\n", 0)
    header = struct.pack("<4sIIQQQQIQQQB4sH", *fields)
    entries, data = [], b""
    for one in grains:
        entries.append((first_grain + len(data) // SECTOR) if one.strip(b"\0") else 0)
        data += one if one.strip(b"\0") else b""
    entries += [0] * (512 * tables - len(entries))
    places = [first_table + 4 * number for number in range(tables)]
    return (
        header.ljust(SECTOR, b"\0")
        + text.ljust(20 * SECTOR, b"\0")
        + struct.pack(f"<{tables}I", *places).ljust(SECTOR, b"\0")
        + struct.pack(f"<{512 * tables}I", *entries)
        + data
    )


def ova(disks: dict[str, bytes], *, more: dict[str, bytes] | None = None, href: str = "", ovf: str = "") -> bytes:
    """An OVA with these disks; `href` is what the description calls the first one instead of its name."""
    names = list(disks)
    files = "".join(
        f'<File ovf:id="file{n}" ovf:href="{href if href and not n else name}"/>' for n, name in enumerate(names)
    )
    rows = "".join(f'<Disk ovf:diskId="vmdisk{n}" ovf:fileRef="file{n}" ovf:capacity="1"/>' for n in range(len(names)))
    members = {"vm.ovf": (ovf or OVF.format(files=files, disks=rows)).encode(), **(more or {}), **disks}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
