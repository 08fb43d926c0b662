"""A reader of VMware's sparse disks: monolithicSparse and streamOptimized (VMware's Virtual Disk Format 5.0).

As the reader of qcow2 it hands out what holds data, in order; what it leaves out is zero. Numbers are little-endian,
places and sizes are in sectors of 512 bytes. Child disks and disks in several files are refused by name.
"""

import re
import struct
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = b"KDMV"
DESCRIPTOR = b"# Disk DescriptorFile"
SECTOR = 512
HEADER = struct.Struct("<4sIIQQQQIQQQB4sH")
MARKER = struct.Struct("<QI")
COMPRESSED = 1 << 16
DEFLATE = 1
AT_END = (1 << 64) - 1
# A grain table entry for a grain of zeros.
ZEROED = 1
MOST_TABLES = 1 << 20
# In sectors, 8 TiB: no image reaches so far, and every system can seek to it.
FURTHEST = 1 << 34


class VmdkError(Exception):
    """The disk cannot be read. Its text is a clause: what is wrong with it, with no name and no full stop."""


class Piece(VmdkError):
    """The file is one of several that make a disk; their descriptor is another one."""


def is_one_flat_file(descriptor: str) -> bool:
    """Whether a descriptor names a single file that holds the disk as it is."""
    named = re.findall(r'^(?:RW|RDONLY|NOACCESS)\s+\d+\s+(\w+)\s+"', descriptor, re.MULTILINE)
    return len(named) == 1 and named[0] in ("FLAT", "VMFS")


@dataclass(frozen=True)
class Header:
    """What the first sector tells, or the footer where it refers to one. All in sectors but `entries`."""

    capacity: int
    grain: int
    entries: int
    directory: int
    compressed: bool

    @property
    def size(self) -> int:
        """The disk's size in bytes."""
        return self.capacity * SECTOR


def read_header(file: BinaryIO) -> Header:
    """Read and check the header, and the descriptor inside of the file. Raises VmdkError."""
    file.seek(0)
    head = file.read(SECTOR).ljust(SECTOR, b"\0")
    fields = HEADER.unpack_from(head)
    if fields[0] != MAGIC or fields[1] not in (1, 2, 3):
        raise VmdkError("it does not begin as a sparse VMDK does")
    _check_descriptor(file, fields[5], fields[6])
    if fields[9] == AT_END:
        fields = _footer(file)
    _, _, flags, capacity, grain, _, _, entries, _, directory, _, _, _, packing = fields
    if not capacity or not 8 <= grain <= 2048 or grain & (grain - 1) or not 1 <= entries <= 4096:
        raise VmdkError(f"its header says {capacity} sectors in grains of {grain}, {entries} to a table")
    if flags & COMPRESSED and packing != DEFLATE:
        raise VmdkError(f"it is compressed by method {packing}")
    if not directory or directory == AT_END:
        raise VmdkError("it has no grain directory")
    return Header(capacity, grain, entries, directory, bool(flags & COMPRESSED))


def _footer(file: BinaryIO) -> tuple[int | bytes, ...]:
    """The header at the end of a stream: before its last sector, the marker of the end."""
    end = file.seek(0, 2)
    file.seek(max(0, end - 2 * SECTOR))
    fields = HEADER.unpack_from(file.read(SECTOR).ljust(SECTOR, b"\0"))
    if fields[0] != MAGIC:
        raise VmdkError("it is cut: its end is not the footer that its beginning promises")
    return fields


def _check_descriptor(file: BinaryIO, offset: int, size: int) -> None:
    """A disk in one file has its descriptor inside. VMware's pieces of a split one have none, QEMU's room for it."""
    text = ""
    if 0 < offset < FURTHEST and 0 < size <= 1 << 12:
        file.seek(offset * SECTOR)
        text = file.read(size * SECTOR).partition(b"\0")[0].decode("latin-1")
    kind = re.search(r'^createType\s*=\s*"([^"]*)"', text, re.MULTILINE)
    parent = re.search(r"^parentCID\s*=\s*(\w+)", text, re.MULTILINE)
    if not kind:
        raise Piece("it has no descriptor inside, so it is one piece of a split disk")
    if parent and parent[1].lower() != "ffffffff":
        raise VmdkError("it is a child disk, which is only a part of one")
    if kind[1] not in ("monolithicSparse", "streamOptimized"):
        raise VmdkError(f"it is of the kind {kind[1]}, whose data lie in further files")


def extents(file: BinaryIO, header: Header) -> Iterator[tuple[int, bytes]]:
    """Yield (place on the disk in bytes, data), one grain each, in rising order. Raises VmdkError."""
    end = file.seek(0, 2)
    grains = -(-header.capacity // header.grain)
    tables = -(-grains // header.entries)
    if tables > MOST_TABLES:
        raise VmdkError(f"its directory has {tables} tables")
    for number, table_at in enumerate(_numbers(file, header.directory, tables)):
        if not table_at:
            continue
        first = number * header.entries
        for index, at in enumerate(_numbers(file, table_at, min(header.entries, grains - first))):
            if at > ZEROED:
                place = (first + index) * header.grain * SECTOR
                yield place, _grain(file, end, header, at, header.size - place)[: header.size - place]


def _numbers(file: BinaryIO, sector: int, count: int) -> "array[int]":
    file.seek(min(sector, FURTHEST) * SECTOR)
    data = file.read(4 * count)
    if len(data) < 4 * count:
        raise VmdkError(f"it is cut: a table at sector {sector} ends early")
    return array("I", struct.unpack(f"<{count}I", data))


def _grain(file: BinaryIO, end: int, header: Header, sector: int, left: int) -> bytes:
    """One grain, or the `left` bytes of the disk that are in its last one."""
    length = header.grain * SECTOR
    if sector * SECTOR >= end:
        raise VmdkError(f"it is cut: a grain should be at sector {sector}")
    file.seek(sector * SECTOR)
    if not header.compressed:
        return file.read(length).ljust(length, b"\0")
    _, size = MARKER.unpack(file.read(MARKER.size).ljust(MARKER.size, b"\0"))
    if not 0 < size <= 2 * length:
        raise VmdkError(f"the grain at sector {sector} has {size} bytes")
    unpacking = zlib.decompressobj()
    try:
        # One byte more than a grain has: without room for it the end of the stream, and its checksum, is not read.
        data = unpacking.decompress(file.read(size), length + 1)
    except zlib.error as error:
        raise VmdkError(f"the grain at sector {sector} does not unpack ({error})") from None
    if not unpacking.eof or not min(length, left) <= len(data) <= length:
        raise VmdkError(f"the grain at sector {sector} is cut: {len(data)} of {length} bytes")
    return data
