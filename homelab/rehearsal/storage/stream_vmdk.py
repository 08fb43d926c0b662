"""Reads a streamOptimized VMDK as it arrives: a header, compressed grains, markers. Pure.

Numbers are little-endian, places and sizes are in sectors of 512 bytes. Source: VMware's Virtual Disk Format 5.0.
A stream whose grain directory is told to come last (`AT_END`) ends with a marker of its own; others (qemu-img's)
just end.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SECTOR = 512
HEADER = struct.Struct("<4sIIQQQQIQQQB4sH")
MARKER = struct.Struct("<QI")
COMPRESSED, MARKERS = 1 << 16, 1 << 17
DEFLATE = 1
AT_END = (1 << 64) - 1
END_OF_STREAM, TABLE, DIRECTORY, FOOTER = range(4)
# Deflate makes nothing twice as long as it was.
LONGEST_GRAIN = 2


class BadStream(Exception):
    """What comes is no streamOptimized VMDK, or not all of one."""


@dataclass(frozen=True)
class Header:
    """What the first sector tells: sizes in bytes; `ends` says whether the stream tells its own end."""

    capacity: int
    grain: int
    overhead: int
    ends: bool


class StreamVmdk:
    """One stream. `read` gives up to so many bytes, none at the end; `header` is read at once."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self.header = _header(self._exactly(SECTOR))
        self._exactly(self.header.overhead - SECTOR)

    def grains(self) -> Iterator[tuple[int, bytes]]:
        """Place in bytes and content of every grain, in the stream's order; BadStream when one cannot be read."""
        while True:
            first = self._up_to(SECTOR)
            if not first and not self.header.ends:
                return
            if len(first) < SECTOR:
                raise BadStream("the stream ends early")
            value, size = MARKER.unpack_from(first)
            if size:
                yield self._grain(first, value, size)
            elif self._is_last(first, value):
                return

    def _grain(self, first: bytes, sector: int, size: int) -> tuple[int, bytes]:
        header = self.header
        place = sector * SECTOR
        if size > LONGEST_GRAIN * header.grain or place % header.grain or place >= header.capacity:
            raise BadStream(f"a grain of {size} bytes at sector {sector}")
        packed = first[MARKER.size :][:size]
        rest = size - len(packed)
        packed += self._exactly(rest + -rest % SECTOR)[:rest]
        try:
            unpacker = zlib.decompressobj()
            content = unpacker.decompress(packed, header.grain + 1)
        except zlib.error as error:
            raise BadStream(f"the grain at sector {sector} cannot be unpacked: {error}") from None
        wanted = min(header.grain, header.capacity - place)
        if not unpacker.eof or len(content) not in (wanted, header.grain):
            raise BadStream(f"the grain at sector {sector} holds {len(content)} bytes")
        return place, content[:wanted]

    def _is_last(self, marker: bytes, sectors: int) -> bool:
        kind = int.from_bytes(marker[12:16], "little")
        if kind > FOOTER or sectors * SECTOR > self.header.capacity + (1 << 20):
            raise BadStream(f"a marker of kind {kind}")
        if kind != END_OF_STREAM:
            self._exactly(sectors * SECTOR)
        return kind == END_OF_STREAM

    def _exactly(self, size: int) -> bytes:
        data = self._up_to(size)
        if len(data) < size:
            raise BadStream("the stream ends early")
        return data

    def _up_to(self, size: int) -> bytes:
        pieces = []
        while size and (piece := self._read(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def _header(sector: bytes) -> Header:
    magic, version, flags, capacity, grain, _, _, _, _, directory, overhead, _, _, packing = HEADER.unpack_from(sector)
    if magic != b"KDMV" or version not in (1, 2, 3):
        raise BadStream("not a sparse VMDK")
    if not flags & COMPRESSED or not flags & MARKERS or packing != DEFLATE:
        raise BadStream("not a streamOptimized VMDK")
    if grain < 8 or grain & (grain - 1) or grain > 2048 or not 1 <= overhead <= 1 << 16:
        raise BadStream(f"grains of {grain} sectors after {overhead}")
    return Header(capacity * SECTOR, grain * SECTOR, overhead * SECTOR, ends=directory == AT_END)
