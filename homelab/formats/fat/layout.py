"""The layout of a stick: an MBR and one FAT32 partition, files in one piece each. Pure: same input, same bytes.

The partition has type 0x0C (FAT32, LBA), as in VMware's own instructions for installer sticks. UEFI firmware starts
EFI/BOOT/BOOTX64.EFI from it as from an EFI system partition (0xEF) when the medium is removable, but macOS and Windows
hide 0xEF, and a person may want to look at KS.CFG. It is not marked active: nothing here starts on a BIOS.
Source: Microsoft's FAT specification 1.03; UEFI specification, 5.2.1 and 13.3.
"""

import struct
import sys
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from homelab.formats.fat.names import Alias, FatError, aliases, long_count, long_entries

Path = tuple[str, ...]

SECTOR = 512
CLUSTER_SECTORS = 8
CLUSTER = SECTOR * CLUSTER_SECTORS
# 1 MiB: the flash of sticks is written in blocks up to this size.
PARTITION_START = 2048
PARTITION_TYPE = 0x0C
RESERVED = 32
BACKUP = 6
# Below 65 525 clusters a volume is FAT16, whatever it says; some drivers count a little differently.
LEAST_CLUSTERS = 66_000
MOST_CLUSTERS = 0x0FFF_FFF5
LARGEST_FILE = (1 << 32) - 1
LARGEST_FOLDER = 1 << 21
END = 0x0FFF_FFFF
ROOT = 2
ENTRY = 32
FOLDER, FILE, LABEL = 0x10, 0x20, 0x08
# Times would make two images differ; this is the first day that FAT knows.
DATE = 1 << 5 | 1
# The times of making and of the last write as every entry of ours has them; systems set a day of reading by themselves.
STAMP = struct.pack("<BHHHH", 0, 0, DATE, 0, DATE)
# The mark of an image of ours, in the boot sector of its partition.
OEM = b"HOMELAB "
# INT 18h: the BIOS goes on with the next device; else halt.
BOOT_CODE = b"\xcd\x18\xf4\xeb\xfd"


@dataclass(frozen=True)
class Place:
    """Where a file's bytes go in the image. `offset` and `size` in bytes."""

    offset: int
    path: Path
    size: int


@dataclass(frozen=True)
class Layout:
    """An image of `size` bytes: `metadata` are (offset, bytes), in order; all else but `files` is zero."""

    size: int
    metadata: tuple[tuple[int, bytes], ...] = field(repr=False)
    files: tuple[Place, ...]


@dataclass
class _Folder:
    path: Path
    above: "_Folder | None" = None
    folders: dict[str, "_Folder"] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    first: int = 0
    entries: int = 0


def layout(files: Mapping[Path, int], label: str, volume_id: int) -> Layout:
    """Lay files out, PATH -> size in bytes; `label` up to 11 capitals, `volume_id` 32 bits.

    FatError when a name, or two of one folder, or a size cannot stand on FAT32.
    """
    root = _tree(files)
    folders = list(_walk(root))
    names = {folder.path: aliases([*folder.folders, *folder.files]) for folder in folders}
    for folder in folders:
        folder.entries = _entries(folder, names[folder.path])
    firsts: dict[Path, int] = {}
    starts = [ROOT]
    for folder in folders:
        folder.first = starts[-1]
        starts.append(folder.first + -(-folder.entries * ENTRY // CLUSTER))
    for path, size in files.items():
        if size > LARGEST_FILE:
            raise FatError(f"/{'/'.join(path)} has {size} bytes; a file on FAT32 has 4 GiB at most")
        if size:
            firsts[path] = starts[-1]
            starts.append(starts[-1] + -(-size // CLUSTER))
    geometry = _Geometry(max(starts[-1] - ROOT, LEAST_CLUSTERS))
    tables = _table(starts, geometry)
    metadata = [(0, _mbr(geometry, volume_id)), *_boot_sectors(geometry, label, volume_id, starts[-1])]
    metadata += [(geometry.table(number), tables) for number in (0, 1)]
    for folder in folders:
        text = _folder_bytes(folder, names[folder.path], firsts, label)
        metadata.append((geometry.offset(folder.first), text))
    places = (Place(geometry.offset(firsts[path]), path, size) for path, size in files.items() if size)
    return Layout(geometry.size, tuple(metadata), tuple(places))


@dataclass(frozen=True)
class _Geometry:
    """Sectors of the volume; data begins on a border of clusters."""

    clusters: int

    def __post_init__(self) -> None:
        if self.clusters > MOST_CLUSTERS:
            raise FatError("all files together are more than FAT32 can hold")

    @property
    def table_sectors(self) -> int:
        return -(-(self.clusters + ROOT) * 4 // SECTOR)

    @property
    def reserved(self) -> int:
        return RESERVED + -(RESERVED + 2 * self.table_sectors) % CLUSTER_SECTORS

    @property
    def sectors(self) -> int:
        return self.reserved + 2 * self.table_sectors + self.clusters * CLUSTER_SECTORS

    @property
    def size(self) -> int:
        return (PARTITION_START + self.sectors) * SECTOR

    def table(self, number: int) -> int:
        return (PARTITION_START + self.reserved + number * self.table_sectors) * SECTOR

    def offset(self, cluster: int) -> int:
        return self.table(2) + (cluster - ROOT) * CLUSTER


def _tree(files: Mapping[Path, int]) -> _Folder:
    root = _Folder(())
    for path, size in files.items():
        folder = root
        for name in path[:-1]:
            if name in folder.files:
                raise FatError(f"{'/'.join((*folder.path, name))} is a file and a folder")
            folder = folder.folders.setdefault(name, _Folder((*folder.path, name), folder))
        if path[-1] in folder.folders:
            raise FatError(f"{'/'.join(path)} is a file and a folder")
        folder.files[path[-1]] = size
    return root


def _entries(folder: _Folder, names: Mapping[str, Alias]) -> int:
    """How many directory entries of 32 bytes a folder has: the label or `.` and `..`, then its names."""
    count = 2 if folder.above else 1
    count += sum(1 + (long_count(name) if alias.long else 0) for name, alias in names.items())
    if count * ENTRY > LARGEST_FOLDER:
        raise FatError(f"/{'/'.join(folder.path)} has more files than a folder on FAT can hold")
    return count


def _walk(folder: _Folder) -> Iterator[_Folder]:
    yield folder
    for below in folder.folders.values():
        yield from _walk(below)


def _table(starts: list[int], geometry: _Geometry) -> bytes:
    """The allocation table: every chain is one run of clusters."""
    chain = array("I", [0x0FFF_FFF8, END])
    for first, after in pairwise(starts):
        chain.extend(range(first + 1, after))
        chain.append(END)
    if sys.byteorder == "big":
        chain.byteswap()
    return chain.tobytes().ljust(geometry.table_sectors * SECTOR, b"\0")


def _mbr(geometry: _Geometry, volume_id: int) -> bytes:
    # Where cylinders, heads and sectors cannot say it, FE FF FF stands: use the sector numbers.
    beyond = b"\xfe\xff\xff"
    entry = b"\0" + beyond + bytes([PARTITION_TYPE]) + beyond + struct.pack("<II", PARTITION_START, geometry.sectors)
    return BOOT_CODE.ljust(440, b"\0") + struct.pack("<IH", volume_id, 0) + entry.ljust(64, b"\0") + b"\x55\xaa"


def _boot_sectors(geometry: _Geometry, label: str, volume_id: int, next_free: int) -> Iterator[tuple[int, bytes]]:
    head = b"\xeb\x58\x90" + OEM
    head += struct.pack("<HBHBHHBH", SECTOR, CLUSTER_SECTORS, geometry.reserved, 2, 0, 0, 0xF8, 0)
    head += struct.pack("<HHII", 63, 255, PARTITION_START, geometry.sectors)
    more = struct.pack("<IHHIHH12xBBBI", geometry.table_sectors, 0, 0, ROOT, 1, BACKUP, 0x80, 0, 0x29, volume_id)
    boot = (head + more + _label(label) + b"FAT32   " + BOOT_CODE).ljust(510, b"\0") + b"\x55\xaa"
    used = next_free - ROOT
    free = geometry.clusters - used
    # FFFFFFFF: no hint where to look for a free cluster.
    hint = next_free if free else 0xFFFF_FFFF
    info = b"RRaA" + bytes(480) + b"rrAa" + struct.pack("<II12x", free, hint) + b"\0\0\x55\xaa"
    third = bytes(510) + b"\x55\xaa"
    for start in (0, BACKUP):
        yield (PARTITION_START + start) * SECTOR, boot + info + third


def _label(label: str) -> bytes:
    return label.encode("ascii")[:11].ljust(11)


def _entry(short: bytes, kind: int, first: int, size: int) -> bytes:
    return short + struct.pack("<BBBHHHHHHHI", kind, 0, 0, 0, DATE, DATE, first >> 16, 0, DATE, first & 0xFFFF, size)


def _folder_bytes(folder: _Folder, names: Mapping[str, Alias], firsts: Mapping[Path, int], label: str) -> bytes:
    if folder.above is None:
        parts = [_entry(_label(label), LABEL, 0, 0)]
    else:
        # The root is written as cluster 0 here, wherever it is.
        above = folder.above.first if folder.above.above else 0
        parts = [_entry(b".".ljust(11), FOLDER, folder.first, 0), _entry(b"..".ljust(11), FOLDER, above, 0)]
    for name, alias in names.items():
        if alias.long:
            parts.append(long_entries(name, alias.short))
        below = folder.folders.get(name)
        if below:
            parts.append(_entry(alias.short, FOLDER, below.first, 0))
        else:
            parts.append(_entry(alias.short, FILE, firsts.get((*folder.path, name), 0), folder.files[name]))
    return b"".join(parts)
