"""Reads a FAT32 stick, and says what is broken in it. Pure: it is handed a function that reads bytes at an offset.

Only what a stick of ours, or one that another system has mounted since, can be: an MBR and one FAT32 partition.
"""

import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from homelab.formats.fat.names import LAST, checksum, short_text
from homelab.formats.fat.volume import Read

SECTOR = 512
FAT32_TYPES = (0x0B, 0x0C, 0xEF)
ENTRY = 32
END = 0x0FFF_FFF8
MASK = 0x0FFF_FFFF
FOLDER, LABEL, LONG = 0x10, 0x08, 0x0F
DELETED, NO_MORE = 0xE5, 0x00
# More than any stick of ours has: a broken table must not be read for ever.
MOST_FILES = 100_000
LARGEST_TABLE = 64 << 20
CHUNK = 1 << 20


class NoFat32(ValueError):
    """There is no FAT32 to read; the text is a sentence about it."""


@dataclass(frozen=True)
class Found:
    """A file: `runs` are (offset, bytes) in the image, in order, together `size`."""

    size: int
    runs: tuple[tuple[int, int], ...] = field(repr=False)


@dataclass(frozen=True)
class Volume:
    """Where things are on the medium; offsets in bytes."""

    start: int
    sectors: int
    reserved: int
    tables: int
    table_sectors: int
    cluster: int
    root: int
    information: int
    backup: int

    @property
    def data(self) -> int:
        """The offset of cluster 2."""
        return self.table(self.tables)

    @property
    def clusters(self) -> int:
        """How many clusters there are, counted as drivers count."""
        return (self.sectors - self.reserved - self.tables * self.table_sectors) * SECTOR // self.cluster

    def table(self, number: int) -> int:
        """The offset of an allocation table."""
        return self.start + (self.reserved + number * self.table_sectors) * SECTOR


class Fat32:
    """A stick that was read: `files` by path, `folders`, and `problems`, a sentence each.

    `stamps` are the times of making and of the last write, as they stand in the entries of files and folders.
    """

    def __init__(self, read: Read, size: int | None = None) -> None:
        self._read = read
        self.problems: list[str] = []
        self.files: dict[tuple[str, ...], Found] = {}
        self.folders: list[tuple[str, ...]] = []
        self.stamps: dict[tuple[str, ...], bytes] = {}
        self.label = ""
        start, sectors = self._partition()
        self.volume = self._boot_sector(start)
        if self.volume.sectors > sectors:
            self._wrong("the file system is larger than its partition")
        if size is not None and start + self.volume.sectors * SECTOR > size:
            self._wrong(f"the medium ends after {size} bytes, before its partition does: it is cut off")
        self._table = self._tables()
        self._owner = bytearray(self.volume.clusters + 2)
        self._walk()
        self._count()

    def content(self, path: tuple[str, ...]) -> Iterator[bytes]:
        """The bytes of a file, in pieces of up to 1 MiB; it ends early where the medium does."""
        for offset, size in self.files[path].runs:
            for step in range(0, size, CHUNK):
                yield self._read(offset + step, min(CHUNK, size - step))

    def _wrong(self, sentence: str) -> None:
        self.problems.append(sentence)

    def _partition(self) -> tuple[int, int]:
        mbr = self._read(0, SECTOR)
        if len(mbr) < SECTOR or mbr[510:] != b"\x55\xaa":
            raise NoFat32("it has no partition table (the first sector does not end with 55 AA)")
        entries = [mbr[446 + 16 * number : 462 + 16 * number] for number in range(4)]
        used = [entry for entry in entries if entry[4]]
        if not used:
            raise NoFat32("its partition table has no partition")
        if len(used) > 1:
            self._wrong(f"the partition table has {len(used)} partitions, not one")
        if used[0][4] not in FAT32_TYPES:
            raise NoFat32(f"its first partition has type {used[0][4]:02X}, not 0C")
        start, sectors = struct.unpack("<II", used[0][8:])
        return start * SECTOR, sectors

    def _boot_sector(self, start: int) -> Volume:
        boot = self._read(start, SECTOR)
        if len(boot) < SECTOR or boot[510:] != b"\x55\xaa":
            raise NoFat32("its partition has no boot sector")
        size, per_cluster, reserved, tables, entries = struct.unpack_from("<HBHBH", boot, 11)
        small_table, sectors = struct.unpack_from("<H8xI", boot, 22)[0], struct.unpack_from("<I", boot, 32)[0]
        table_sectors, _, _, root, information, backup = struct.unpack_from("<IHHIHH", boot, 36)
        if size != SECTOR or per_cluster not in (1, 2, 4, 8, 16, 32, 64, 128) or entries or small_table:
            raise NoFat32("its partition holds no FAT32 file system")
        if not tables or reserved + tables * table_sectors >= sectors:
            raise NoFat32("the boot sector of its file system is broken")
        if table_sectors * SECTOR > LARGEST_TABLE:
            raise NoFat32("its file system is larger than that of any stick")
        cluster = per_cluster * SECTOR
        volume = Volume(start, sectors, reserved, tables, table_sectors, cluster, root, information, backup)
        if (volume.clusters + 2) * 4 > table_sectors * SECTOR:
            raise NoFat32("the boot sector of its file system is broken: the allocation table is too small")
        if backup and self._read(start + backup * SECTOR, SECTOR) != boot:
            self._wrong("the backup of the boot sector differs from the boot sector")
        return volume

    def _tables(self) -> "array[int]":
        size = self.volume.table_sectors * SECTOR
        first = self._read(self.volume.table(0), size)
        if len(first) < size:
            raise NoFat32("the medium ends inside the allocation table: it is cut off")
        if any(self._read(self.volume.table(number), size) != first for number in range(1, self.volume.tables)):
            self._wrong("the two allocation tables differ")
        table = array("I", first)
        if sys.byteorder == "big":
            table.byteswap()
        return table

    def _chain(self, first: int, name: str) -> list[int]:
        """The clusters of a file or folder, until the end or the first that is wrong; each is marked as used."""
        chain: list[int] = []
        cluster = first
        while 2 <= cluster < self.volume.clusters + 2:
            if self._owner[cluster]:
                self._wrong(f"{name}: cluster {cluster} is used twice")
                return chain
            self._owner[cluster] = 1
            chain.append(cluster)
            cluster = self._table[cluster] & MASK
        if cluster < END:
            self._wrong(f"{name}: its chain of clusters leads to {cluster}, which is none")
        return chain

    def _runs(self, chain: list[int]) -> list[tuple[int, int]]:
        runs: list[tuple[int, int]] = []
        for cluster in chain:
            offset = self.volume.data + (cluster - 2) * self.volume.cluster
            if runs and runs[-1][0] + runs[-1][1] == offset:
                runs[-1] = (runs[-1][0], runs[-1][1] + self.volume.cluster)
            else:
                runs.append((offset, self.volume.cluster))
        return runs

    def _walk(self) -> None:
        left: list[tuple[tuple[str, ...], int]] = [((), self.volume.root)]
        while left:
            path, first = left.pop()
            if path:
                self.folders.append(path)
            runs = self._runs(self._chain(first, "/" + "/".join(path)))
            content = b"".join(self._read(offset, size) for offset, size in runs)
            for name, entry in self._entries(content, path):
                below = (*path, name)
                high, low, size = struct.unpack("<H4xHI", entry[20:])
                cluster = (high << 16 | low) & MASK
                self.stamps[below] = entry[13:18] + entry[22:26]
                if below in self.files:
                    self._wrong(f"/{'/'.join(below)} is there twice")
                elif len(self.files) + len(self.folders) > MOST_FILES:
                    self._wrong(f"there are more than {MOST_FILES} files")
                    return
                elif entry[11] & FOLDER:
                    left.append((below, cluster))
                else:
                    self.files[below] = self._file(below, cluster, size)

    def _file(self, path: tuple[str, ...], first: int, size: int) -> Found:
        name = "/" + "/".join(path)
        if not first and not size:
            return Found(0, ())
        chain = self._chain(first, name)
        if len(chain) != -(-size // self.volume.cluster):
            self._wrong(f"{name}: its {size} bytes do not fit its {len(chain)} clusters")
        runs, rest = [], size
        for offset, length in self._runs(chain):
            runs.append((offset, min(length, rest)))
            rest -= runs[-1][1]
        return Found(size, tuple(runs))

    def _entries(self, content: bytes, path: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
        """Yield (name, its 32 bytes) of a folder, but `.`, `..`, the label and deleted ones."""
        long: list[bytes] = []
        for start in range(0, len(content) - ENTRY + 1, ENTRY):
            entry = content[start : start + ENTRY]
            if entry[0] == NO_MORE:
                return
            if entry[0] == DELETED:
                long = []
            elif entry[11] & 0x3F == LONG:
                long = [entry, *([] if entry[0] & LAST else long)]
            elif entry[11] & LABEL:
                self.label = self.label or entry[:11].decode("latin-1").rstrip()
                long = []
            else:
                name = self._name(entry, long, path)
                long = []
                if name not in (".", ".."):
                    yield name, entry

    def _name(self, entry: bytes, long: list[bytes], path: tuple[str, ...]) -> str:
        short = entry[:11]
        if not long:
            # Windows keeps small letters of a name that is 8.3 otherwise in two bits.
            stem, extension = (short[:8].lower() if entry[12] & 8 else short[:8]), short[8:]
            return short_text(stem + (extension.lower() if entry[12] & 16 else extension))
        orders = [one[0] & ~LAST for one in long]
        if orders != list(range(1, len(long) + 1)) or any(one[13] != checksum(short) for one in long):
            self._wrong(f"/{'/'.join((*path, short_text(short)))}: its long name is broken")
            return short_text(short)
        text = b"".join(one[1:11] + one[14:26] + one[28:32] for one in long).decode("utf-16-le", "replace")
        return text.split("\0")[0].rstrip("\uffff")

    def _count(self) -> None:
        """Clusters that belong to nobody, and the count of free ones."""
        clusters = range(2, self.volume.clusters + 2)
        used = sum(1 for cluster in clusters if self._table[cluster] & MASK)
        lost = sum(1 for cluster in clusters if self._table[cluster] & MASK and not self._owner[cluster])
        if lost:
            self._wrong(f"{lost} clusters are in use and belong to no file")
        info = self._read(self.volume.start + self.volume.information * SECTOR, SECTOR)
        if len(info) < SECTOR or (info[:4], info[484:488]) != (b"RRaA", b"rrAa"):
            self._wrong("the sector with the count of free clusters (FSInfo) is broken")
            return
        (free,) = struct.unpack_from("<I", info, 488)
        if free not in (0xFFFF_FFFF, self.volume.clusters - used):
            self._wrong(f"FSInfo counts {free} free clusters; there are {self.volume.clusters - used}")
