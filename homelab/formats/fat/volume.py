"""Finds, reads and safely replaces a file on a FAT16 or FAT32 volume. Pure: it is handed a function that reads.

What is to be written comes back as batches of (offset, bytes): whoever writes them puts each batch on the medium before
the next. Whenever that is cut off, the file is the old one or the new one, whole.
Source: Microsoft's FAT specification 1.03. Files are found by their short names; ESXi's boot files have 8.3 names.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from homelab.formats.fat.names import FatError

Read = Callable[[int, int], bytes]
"""(offset, size) -> bytes; fewer at the end of the medium."""
Write = tuple[int, bytes]
Batches = list[list[Write]]

ENTRY = 32
LONG_NAME, LABEL, FOLDER = 0x0F, 0x08, 0x10
DELETED, NO_MORE = 0xE5, 0x00
# Below and from these numbers of clusters a volume is FAT12, FAT16, FAT32, whatever it says.
FAT16_LEAST, FAT32_LEAST = 4085, 65525
LARGEST_TABLE = 64 << 20


@dataclass(frozen=True)
class Entry:
    """A file or a folder: `place` is the offset of its directory entry, `size` in bytes."""

    place: int
    first: int
    size: int
    is_folder: bool


@dataclass(frozen=True)
class Volume:
    """Where things are on the medium; offsets and sizes in bytes. `wide` is FAT32."""

    read: Read = field(repr=False)
    wide: bool
    cluster: int
    tables: tuple[int, ...]
    table: bytes = field(repr=False)
    root: tuple[int, int]
    data: int
    clusters: int

    # --- reading

    def next(self, number: int) -> int:
        """What the table says of a cluster."""
        width = 4 if self.wide else 2
        (value,) = struct.unpack_from("<I" if self.wide else "<H", self.table, number * width)
        return int(value) & (0x0FFF_FFFF if self.wide else 0xFFFF)

    @property
    def end(self) -> int:
        """The mark of a last cluster."""
        return 0x0FFF_FFFF if self.wide else 0xFFFF

    def chain(self, first: int) -> list[int]:
        """The clusters of a file, in order; FatError when they lead nowhere."""
        found: list[int] = []
        number = first
        while number < self.end - 7:
            if not 2 <= number < self.clusters + 2 or len(found) > self.clusters:
                raise FatError("the table of clusters is broken")
            found.append(number)
            number = self.next(number)
        return found

    def offset(self, number: int) -> int:
        """Where a cluster lies on the medium."""
        return self.data + (number - 2) * self.cluster

    def find(self, *path: str) -> Entry | None:
        """The file or folder of that path, in 8.3 names of any case; None when it is not there."""
        place = self.root
        entry = None
        for name in path:
            if entry is not None and not entry.is_folder:
                return None
            entry = next((each for each in self._entries(*place) if each[0] == name.upper()), (None, None))[1]
            if entry is None:
                return None
            place = (entry.first, 0)
        return entry

    def names(self) -> tuple[str, ...]:
        """The 8.3 names of all that lies in the root folder."""
        return tuple(name for name, _ in self._entries(*self.root))

    def content(self, entry: Entry) -> bytes:
        """The bytes of a file."""
        chain = self.chain(entry.first) if entry.first else []
        if len(chain) * self.cluster < entry.size:
            raise FatError("a file is longer than its clusters")
        return b"".join(self.read(self.offset(number), self.cluster) for number in chain)[: entry.size]

    def _entries(self, first: int, fixed: int) -> Iterator[tuple[str, Entry]]:
        """Names and entries of a folder; `fixed` is the size of FAT16's root, which lies at the offset `first`."""
        runs = [(first, fixed)] if fixed else [(self.offset(each), self.cluster) for each in self.chain(first)]
        for start, size in runs:
            raw = self.read(start, size)
            for at in range(0, len(raw) - ENTRY + 1, ENTRY):
                if raw[at] == NO_MORE:
                    return
                if raw[at] != DELETED and not raw[at + 11] & LABEL:
                    yield _entry(raw[at : at + ENTRY], start + at, wide=self.wide)

    # --- replacing a file

    def replaced(self, entry: Entry, content: bytes) -> Batches:
        """The writes that give a file another content, in its own clusters; its name and times stay.

        The content goes to free clusters first, the directory entry is switched to them by one sector, then the file's
        own clusters are written, the entry is switched back, and the borrowed clusters get back what they held.
        """
        own = self.chain(entry.first) if entry.first else []
        need = max(1, -(-len(content) // self.cluster))
        more = max(0, need - len(own))
        free = self._free(need + more)
        borrowed, own_now = free[:need], [*own, *free[need:]][:need]
        were = [(self.offset(number), self.read(self.offset(number), self.cluster)) for number in borrowed]
        own_table = self._links(own_now) | dict.fromkeys(own[need:], 0)
        # Beyond the end only what the old content leaves behind is wiped.
        wiped = content.ljust(min(entry.size, need * self.cluster), b"\0")
        return [
            [*self._pieces(borrowed, content), *self._marks(self._links(borrowed))],
            [self._switch(entry, borrowed[0], len(content))],
            [*self._pieces(own_now, wiped), *self._marks(own_table)],
            [self._switch(entry, own_now[0], len(content))],
            [*self._marks(dict.fromkeys(borrowed, 0)), *were],
        ]

    def _free(self, count: int) -> list[int]:
        found = [number for number in range(2, self.clusters + 2) if not self.next(number)][:count]
        if len(found) < count:
            raise FatError("the volume is full")
        return found

    def _links(self, chain: Sequence[int]) -> dict[int, int]:
        return dict(pairwise(chain)) | {chain[-1]: self.end}

    def _marks(self, links: dict[int, int]) -> list[Write]:
        width = 4 if self.wide else 2
        return [
            (table + number * width, value.to_bytes(width, "little"))
            for table in self.tables
            for number, value in sorted(links.items())
        ]

    def _pieces(self, chain: Sequence[int], content: bytes) -> list[Write]:
        size = self.cluster
        return [(self.offset(each), content[at * size : (at + 1) * size]) for at, each in enumerate(chain)]

    def _switch(self, entry: Entry, first: int, size: int) -> Write:
        raw = bytearray(self.read(entry.place, ENTRY))
        if self.wide:
            struct.pack_into("<H", raw, 20, first >> 16)
        struct.pack_into("<HI", raw, 26, first & 0xFFFF, size)
        return entry.place, bytes(raw)


def _entry(raw: bytes, place: int, *, wide: bool) -> tuple[str, Entry]:
    stem, extension = raw[:8].decode("latin-1").rstrip(), raw[8:11].decode("latin-1").rstrip()
    high, low, size = *struct.unpack_from("<H", raw, 20), *struct.unpack_from("<HI", raw, 26)
    name = f"{stem}.{extension}" if extension else stem
    return name.upper(), Entry(place, (high << 16 if wide else 0) | low, size, bool(raw[11] & FOLDER))


def open_volume(read: Read, start: int, size: int) -> Volume:
    """The volume in these bytes of the medium; FatError when it is no sound FAT16 or FAT32 in 512-byte sectors."""
    boot = read(start, 512)
    if len(boot) < 512 or boot[510:] != b"\x55\xaa":
        raise FatError("it has no FAT volume")
    sector, per_cluster, reserved, tables, root_entries, small = struct.unpack_from("<HBHBHH", boot, 11)
    short, large, long = *struct.unpack_from("<H", boot, 22), *struct.unpack_from("<II", boot, 32)
    sectors, table_size = small or large, (short or long) * sector
    root_sectors = -(-root_entries * ENTRY // 512)
    data = reserved + tables * (table_size // 512) + root_sectors
    if sector != 512 or not per_cluster or per_cluster & per_cluster - 1 or not tables or not reserved:
        raise FatError("it has no FAT volume with sectors of 512 bytes")
    clusters = (sectors - data) // per_cluster
    if sectors * 512 > size or clusters < FAT16_LEAST:
        raise FatError("its FAT volume is neither FAT16 nor FAT32, or reaches beyond its partition")
    wide = clusters >= FAT32_LEAST
    if not (clusters + 2) * (4 if wide else 2) <= table_size <= LARGEST_TABLE or wide == bool(root_entries):
        raise FatError("the head of its FAT volume contradicts itself")
    first_table = start + reserved * 512
    root_at = first_table + tables * table_size
    (root_cluster,) = struct.unpack_from("<I", boot, 44)
    return Volume(
        read=read,
        wide=wide,
        cluster=per_cluster * 512,
        tables=tuple(first_table + number * table_size for number in range(tables)),
        table=read(first_table, table_size),
        root=(root_cluster, 0) if wide else (root_at, root_entries * ENTRY),
        data=start + data * 512,
        clusters=clusters,
    )
