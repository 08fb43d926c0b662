"""Makes sticks for tests: FAT volumes, an installer's image, and the layout of an installed ESXi 6.x.

Sectors and kinds of partitions are those of a 6.x stick, written sparsely; nothing of homelab.formats is used.
"""

import os
import struct
import uuid
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

Partition = tuple[uuid.UUID, int, int]
SECTOR = 512
GIB = 1 << 30
ESP, BASIC, DIAGNOSTIC = (
    uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),
    uuid.UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"),
    uuid.UUID("9d275380-40ad-11db-bf97-000c2911d1b8"),
)
# number: (kind, first sector, last sector)
PARTITIONS = {
    1: (ESP, 64, 8191),
    5: (BASIC, 8224, 520191),
    6: (BASIC, 520224, 1032191),
    7: (DIAGNOSTIC, 1032224, 1257471),
    8: (BASIC, 1257504, 1843199),
}
# The same with small boot banks, for what has to be copied.
SMALL = {1: (ESP, 64, 8191), 5: (BASIC, 8224, 48191), 6: (BASIC, 48224, 88191), 8: (BASIC, 88224, 98303)}
SMALL_SIZE = 50 << 20


def boot_cfg(build: str = "6.7.0-1.28.10302608", *, updated: int = 1, state: int = 0, options: str = "") -> bytes:
    """A boot.cfg of an installed host; as long as a real one, so that it takes several sectors."""
    modules = " --- ".join(f"module{number:02}.v00" for number in range(150))
    lines = {
        "bootstate": str(state),
        "title": "Loading VMware ESXi",
        "timeout": "5",
        "prefix": "",
        "kernel": "b.b00",
        "kernelopt": options,
        "modules": modules,
        "build": build,
        "updated": str(updated),
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items()).encode()


def short_name(name: str) -> bytes:
    stem, _, extension = name.upper().partition(".")
    return stem.encode().ljust(8) + extension.encode().ljust(3)


def put_fat(
    file: BinaryIO,
    start: int,
    sectors: int,
    files: Mapping[str, bytes],
    *,
    wide: bool = False,
    per_cluster: int = 8,
    oem: bytes = b"MSDOS5.0",
) -> None:
    """Lay a FAT16 or FAT32 (`wide`) volume with these files (`/A/B.C`) at `start` bytes."""
    cluster, width = per_cluster * SECTOR, 4 if wide else 2
    reserved, root = (32, 0) if wide else (1, 512)
    table_sectors = -(-(sectors // per_cluster + 2) * width // SECTOR)
    data = start + (reserved + 2 * table_sectors + root * 32 // SECTOR) * SECTOR
    clusters = (sectors - (data - start) // SECTOR) // per_cluster
    assert (clusters >= 65525) == wide
    table: dict[int, int] = {0: 0x0FFFFFF8, 1: 0x0FFFFFFF}
    folders: dict[str, bytes] = {"": b""}
    firsts: dict[str, int] = {}
    nextup = 2

    def take(count: int) -> int:
        nonlocal nextup
        first = nextup
        for number in range(first, first + count):
            table[number] = number + 1 if number + 1 < first + count else 0x0FFFFFFF
        nextup += count
        return first

    if wide:
        firsts[""] = take(1)
    for folder in sorted(
        {"/".join(path.split("/")[:depth]) for path in files for depth in range(2, path.count("/") + 1)}
    ):
        firsts[folder] = take(1)
        dots = ((b".", firsts[folder]), (b"..", 0 if folder.count("/") == 1 else firsts[folder.rpartition("/")[0]]))
        folders[folder] = b"".join(_row(name.ljust(11), number, 0, 0x10) for name, number in dots)
        folders[folder.rpartition("/")[0]] += _row(short_name(folder.rpartition("/")[2]), firsts[folder], 0, 0x10)
    for path, content in files.items():
        first = take(-(-len(content) // cluster)) if content else 0
        above, _, name = path.rpartition("/")
        folders[above] += _row(short_name(name), first, len(content), 0x20)
        if content:
            file.seek(data + (first - 2) * cluster)
            file.write(content)
    for path, rows in folders.items():
        file.seek(data + (firsts[path] - 2) * cluster if path in firsts else data - root * 32)
        file.write(rows)
    raw = b"".join((value & ((1 << 8 * width) - 1)).to_bytes(width, "little") for _, value in sorted(table.items()))
    for copy in range(2):
        file.seek(start + (reserved + copy * table_sectors) * SECTOR)
        file.write(raw)
    head = struct.pack(
        "<3s8sHBHBHHBH",
        b"\xeb\x3c\x90",
        oem,
        SECTOR,
        per_cluster,
        reserved,
        2,
        root,
        0,
        0xF8,
        0 if wide else table_sectors,
    )
    head += struct.pack("<HHII", 63, 255, start // SECTOR, sectors)
    tail = struct.pack("<BBBI11s8s", 0x80, 0, 0x29, 0x1234, b"NO NAME    ", b"FAT32   " if wide else b"FAT16   ")
    extra = struct.pack("<IHHIHH12x", table_sectors, 0, 0, 2, 1, 6) if wide else b""
    boot = (head + extra + tail).ljust(510, b"\0") + b"\x55\xaa"
    places = {0: boot}
    if wide:
        info = b"RRaA".ljust(484, b"\0") + b"rrAa" + struct.pack("<II", clusters + 2 - nextup, nextup)
        places |= {1: info.ljust(510, b"\0") + b"\x55\xaa", 6: boot}
    for sector, content in places.items():
        file.seek(start + sector * SECTOR)
        file.write(content)


def _row(name: bytes, first: int, size: int, kind: int) -> bytes:
    row = struct.pack("<11sBBBHHHHHHHI", name, kind, 0, 0, 0, 0x21, 0x21, first >> 16, 0, 0x21, first & 0xFFFF, size)
    assert len(row) == 32
    return row


def put_gpt(file: BinaryIO, size: int, partitions: Mapping[int, Partition] = PARTITIONS) -> None:
    """Lay a protective MBR, a GPT and its copy on a disk of `size` bytes."""
    last = size // SECTOR - 1
    rows = bytearray(128 * 128)
    for number, (kind, first, end) in partitions.items():
        row = kind.bytes_le + uuid.UUID(int=number).bytes_le + struct.pack("<QQQ", first, end, 0)
        rows[(number - 1) * 128 : (number - 1) * 128 + len(row)] = row
    mbr = bytes(446) + struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff" * 3, 1, last) + bytes(48) + b"\x55\xaa"
    for place, other, table in ((1, last, 2), (last, 1, last - 32)):
        head = struct.pack(
            "<8sIIIIQQQQ16sQIII",
            b"EFI PART",
            0x10000,
            92,
            0,
            0,
            place,
            other,
            34,
            last - 33,
            uuid.UUID(int=99).bytes_le,
            table,
            128,
            128,
            zlib.crc32(rows),
        )
        head = head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]
        for sector, content in ((place, head), (table, bytes(rows))):
            file.seek(sector * SECTOR)
            file.write(content)
    file.seek(0)
    file.write(mbr)


def installed(
    path: Path,
    banks: Mapping[int, bytes | None],
    size: int = GIB,
    partitions: Mapping[int, Partition] = PARTITIONS,
) -> Path:
    """An installed stick: for each boot bank its boot.cfg, None for a bank without one."""
    with path.open("wb") as file:
        file.truncate(size)
        put_gpt(file, size, partitions)
        for number, text in banks.items():
            _, first, last = partitions[number]
            files = {"/B.B00": b"kernel" * 3000, "/S.V00": b"s" * 10_000}
            files |= {"/BOOT.CFG": text} if text is not None else {}
            put_fat(file, first * SECTOR, last - first + 1, files | {"/STATE.TGZ": b"state" * 2000})
    return path


def installer(path: Path, build: str = "6.7.0-8169922", *, size_mb: int = 48) -> Path:
    """An image as `homelab usb build` makes it: an MBR and one FAT32 partition of ours."""
    cfg = boot_cfg(build, options="runweasel ks=usb:/KS.CFG")
    sectors = size_mb * 2048
    with path.open("wb") as file:
        file.truncate((2048 + sectors) * SECTOR)
        file.write(bytes(446) + struct.pack("<B3sB3sII", 0, b"\0\2\0", 0x0C, b"\xff" * 3, 2048, sectors))
        file.seek(510)
        file.write(b"\x55\xaa")
        files = {"/BOOT.CFG": cfg, "/EFI/BOOT/BOOT.CFG": cfg, "/KS.CFG": b"vmaccepteula\n", "/K.B00": b"kernel" * 9000}
        put_fat(file, 2048 * SECTOR, sectors, files, wide=True, per_cluster=1, oem=b"HOMELAB ")
    return path


def digest(path: Path) -> dict[int, bytes]:
    """Every block that is not zero; holes are skipped."""
    found: dict[int, bytes] = {}
    with path.open("rb") as file:
        at, end = 0, path.stat().st_size
        while at < end:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) // 4096 * 4096
            except OSError:
                return found
            block = os.pread(file.fileno(), 4096, at)
            found |= {at: block} if any(block) else {}
            at += 4096
    return found
