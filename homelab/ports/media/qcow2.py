"""A reader of QEMU's qcow2 images, versions 2 and 3 (docs/interop/qcow2.txt in QEMU's sources).

It hands out the parts of the disk that hold data, in order; what it leaves out is zero. Memory stays below a few MiB
whatever the image's size. Encrypted images, images with a backing or an external data file, zstd and subclusters are
refused by name.
"""

import struct
import sys
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = b"QFI\xfb"
SECTOR = 512
# Clusters that lie side by side are read in one piece of at most this many bytes.
CHUNK = 1 << 20
# QEMU's own limit (QCOW_MAX_L1_SIZE in block/qcow2.h). It is read in pieces of so many entries.
L1_LIMIT = 32 << 20
L1_PIECE = 1 << 16

COMPRESSED = 1 << 62
OFFSET_MASK = 0x00FFFFFFFFFFFE00
READS_AS_ZERO = 1

# Bits of `incompatible_features`. Dirty (0) only means that reference counts may lag, which no reader looks at.
DIRTY, CORRUPT, EXTERNAL_DATA, COMPRESSION, SUBCLUSTERS = (1 << bit for bit in range(5))
DEFLATE, ZSTD = 0, 1


class Qcow2Error(Exception):
    """The image cannot be read. Its text is a clause: what is wrong with the image, with no name and no full stop."""


class Unsupported(Qcow2Error):
    """The image is sound, but uses a feature that this reader leaves out; `qemu-img convert` takes it away."""


class ByHand(Unsupported):
    """As Unsupported, and QEMU's tool needs to be told more than this file: a person has to convert it."""


@dataclass(frozen=True)
class Header:
    """What the first bytes say. `size` is the disk's size in bytes, `l1_offset` a place in the file."""

    version: int
    size: int
    cluster_bits: int
    l1_entries: int
    l1_offset: int

    @property
    def cluster(self) -> int:
        """The bytes of one cluster."""
        return 1 << self.cluster_bits

    @property
    def table_reach(self) -> int:
        """The bytes of the disk that one L2 table maps."""
        return self.cluster * (self.cluster // 8)


def read_header(file: BinaryIO) -> Header:
    """Read and check the header; Unsupported names a feature, Qcow2Error any other fault."""
    file.seek(0)
    raw = file.read(105).ljust(105, b"\0")
    if raw[:4] != MAGIC:
        raise Qcow2Error("it does not begin as a qcow2 image does")
    version, backing = struct.unpack_from(">IQ", raw, 4)
    cluster_bits, size, encryption, l1_entries, l1_offset = struct.unpack_from(">IQIIQ", raw, 20)
    if version == 1:
        raise ByHand("it is of QEMU's first format (qcow version 1)")
    if version not in (2, 3):
        raise Unsupported(f"it is of qcow version {version}, and only 2 and 3 are read")
    if backing:
        raise ByHand("it has a backing file, so it is only a part of a disk")
    if encryption:
        raise ByHand("it is encrypted")
    if version == 3:
        _check_features(raw)
    header = Header(version, size, cluster_bits, l1_entries, l1_offset)
    _check_layout(header)
    return header


def _check_features(raw: bytes) -> None:
    (features,) = struct.unpack_from(">Q", raw, 72)
    (header_length,) = struct.unpack_from(">I", raw, 100)
    compression = raw[104] if header_length > 104 and features & COMPRESSION else DEFLATE
    if features & CORRUPT:
        raise Qcow2Error("it is marked as corrupt")
    if features & EXTERNAL_DATA:
        raise ByHand("its data lie in an external data file")
    if features & SUBCLUSTERS:
        raise Unsupported("it uses extended L2 entries (subclusters)")
    if compression != DEFLATE:
        raise Unsupported(f"it is compressed by {'zstd' if compression == ZSTD else f'method {compression}'}")
    if features & ~(DIRTY | COMPRESSION):
        raise Unsupported(f"it uses unknown features (bits {features:#x})")


def _check_layout(header: Header) -> None:
    if not 9 <= header.cluster_bits <= 21:
        raise Qcow2Error(f"its clusters of 2^{header.cluster_bits} bytes are out of range (2^9 to 2^21)")
    if header.size == 0:
        raise Qcow2Error("its disk is empty")
    if header.l1_offset % header.cluster or header.l1_offset > OFFSET_MASK or header.l1_entries * 8 > L1_LIMIT:
        raise Qcow2Error("its first table is out of place or too large")
    if header.l1_entries * header.table_reach < header.size:
        raise Qcow2Error("its first table is too short for its disk")


def extents(file: BinaryIO, header: Header) -> Iterator[tuple[int, bytes]]:
    """Yield (place on the disk in bytes, data) in rising order; data are at most 1 MiB, or one cluster.

    The last piece ends with the disk. Zero clusters and holes are left out. Qcow2Error when the file ends too early or
    a compressed cluster does not unpack.
    """
    file_size = file.seek(0, 2)
    for index, entry in enumerate(_l1(file, header)):
        l2_offset = entry & OFFSET_MASK
        start = index * header.table_reach
        if not l2_offset or start >= header.size:
            continue
        l2 = _table(file, l2_offset, header.cluster // 8)
        for place, data in _mapped(file, file_size, header, l2, start):
            yield place, data[: header.size - place]


def _l1(file: BinaryIO, header: Header) -> Iterator[int]:
    for first in range(0, header.l1_entries, L1_PIECE):
        yield from _table(file, header.l1_offset + 8 * first, min(L1_PIECE, header.l1_entries - first))


def _mapped(
    file: BinaryIO, file_size: int, header: Header, l2: "array[int]", start: int
) -> Iterator[tuple[int, bytes]]:
    """Yield what one L2 table maps; `start` is the place of its first cluster."""
    wanted = min(len(l2), -(-(header.size - start) // header.cluster))
    index = 0
    while index < wanted:
        place, entry, count = start + index * header.cluster, l2[index], 1
        if entry & COMPRESSED:
            yield place, _unpack(file, header, entry)
        elif offset := _data_offset(header, entry):
            most = max(1, CHUNK // header.cluster)
            while count < min(most, wanted - index) and (
                _data_offset(header, l2[index + count]) == offset + count * header.cluster
            ):
                count += 1
            yield place, _read(file, file_size, header, offset, count)
        index += count


def _data_offset(header: Header, entry: int) -> int:
    """Return where a plain cluster lies in the file, 0 when it holds none: a hole, zeros, or compressed."""
    if entry & COMPRESSED or (header.version == 3 and entry & READS_AS_ZERO):
        return 0
    return entry & OFFSET_MASK


def _read(file: BinaryIO, file_size: int, header: Header, offset: int, count: int) -> bytes:
    """Return `count` plain clusters that lie side by side; a file may end inside of its last one, zeros follow."""
    last = offset + (count - 1) * header.cluster
    if offset % header.cluster or last >= file_size:
        raise Qcow2Error(f"its cluster at byte {last} is out of place or beyond the end of the file")
    file.seek(offset)
    length = count * header.cluster
    return file.read(length).ljust(length, b"\0")


def _unpack(file: BinaryIO, header: Header, entry: int) -> bytes:
    """Return one compressed cluster: a raw deflate stream; its length is known in sectors only."""
    offset_bits = 62 - (header.cluster_bits - 8)
    offset = entry & ((1 << offset_bits) - 1)
    sectors = ((entry & (COMPRESSED - 1)) >> offset_bits) + 1
    file.seek(offset)
    packed = file.read(sectors * SECTOR - offset % SECTOR)
    try:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, header.cluster)
    except zlib.error as error:
        raise Qcow2Error(f"its compressed cluster at byte {offset} does not unpack ({error})") from None
    if len(data) != header.cluster:
        raise Qcow2Error(f"its compressed cluster at byte {offset} is too short")
    return data


def _table(file: BinaryIO, offset: int, entries: int) -> "array[int]":
    file.seek(offset)
    raw = file.read(entries * 8)
    if len(raw) != entries * 8:
        raise Qcow2Error(f"its table at byte {offset} reaches beyond the end of the file")
    table = array("Q", raw)
    if sys.byteorder == "little":
        table.byteswap()
    return table
