"""Writes a streamOptimized VMDK of a disk's data: header, compressed grains, their tables, the footer.

Source: VMware's Virtual Disk Format 5.0. Numbers are little-endian, places and sizes are in sectors of 512 bytes.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from homelab.rehearsal.storage.stream_vmdk import (
    AT_END,
    COMPRESSED,
    DEFLATE,
    DIRECTORY,
    END_OF_STREAM,
    FOOTER,
    HEADER,
    MARKER,
    MARKERS,
    SECTOR,
    TABLE,
)

GRAIN = 1 << 16
ENTRIES = 512
OVERHEAD = 128
NEW_LINES_KEPT = 1
TEXT = """# Disk DescriptorFile
version=1
CID={cid:08x}
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RDONLY {sectors} SPARSE "{name}"

# The Disk Data Base
#DDB

ddb.adapterType = "lsilogic"
ddb.virtualHWVersion = "4"
"""


def stream(data: BinaryIO, capacity: int, name: str) -> Iterator[tuple[bytes, int]]:
    """The pieces of the stream, each with the bytes of the disk that it holds; grains of zeros are left out."""
    sectors = capacity // SECTOR
    text = TEXT.format(cid=zlib.crc32(name.encode()), sectors=sectors, name=name)
    yield _header(sectors, AT_END) + text.encode().ljust((OVERHEAD - 1) * SECTOR, b"\0"), 0
    place = OVERHEAD
    tables: dict[int, list[int]] = {}
    for number, grain in _grains(data, capacity):
        packed = zlib.compress(grain)
        piece = _padded(MARKER.pack(number * GRAIN // SECTOR, len(packed)) + packed)
        tables.setdefault(number // ENTRIES, [0] * ENTRIES)[number % ENTRIES] = place
        yield piece, len(grain)
        place += len(piece) // SECTOR
    directory = [0] * -(-capacity // (ENTRIES * GRAIN))
    for number, table in tables.items():
        directory[number] = place + 1
        piece = _marker(4, TABLE) + struct.pack(f"<{ENTRIES}I", *table)
        yield piece, 0
        place += len(piece) // SECTOR
    packed = _padded(struct.pack(f"<{len(directory)}I", *directory))
    yield _marker(len(packed) // SECTOR, DIRECTORY) + packed, 0
    yield _marker(1, FOOTER) + _header(sectors, place + 1) + _marker(0, END_OF_STREAM), 0


def _grains(data: BinaryIO, capacity: int) -> Iterator[tuple[int, bytes]]:
    """Number and content of every grain that is not zero; holes are not even read."""
    place = 0
    while place < capacity:
        try:
            place = os.lseek(data.fileno(), place, os.SEEK_DATA) // GRAIN * GRAIN
        except OSError:
            return
        grain = os.pread(data.fileno(), min(GRAIN, capacity - place), place)
        if grain.strip(b"\0"):
            yield place // GRAIN, grain.ljust(GRAIN, b"\0")
        place += GRAIN


def _header(sectors: int, directory: int) -> bytes:
    flags = NEW_LINES_KEPT | COMPRESSED | MARKERS
    sizes = (sectors, GRAIN // SECTOR, 1, OVERHEAD - 1, ENTRIES, 0, directory, OVERHEAD)
    return HEADER.pack(b"KDMV", 3, flags, *sizes, 0, b"\n \r\n", DEFLATE).ljust(SECTOR, b"\0")


def _marker(sectors: int, kind: int) -> bytes:
    return struct.pack("<QII", sectors, 0, kind).ljust(SECTOR, b"\0")


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % SECTOR)
