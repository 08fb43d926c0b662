"""Writes small qcow2 images for tests, sound ones and ones with a feature or a fault that a reader must name."""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

COPIED, COMPRESSED, ZERO = 1 << 63, 1 << 62, 1


@dataclass(frozen=True)
class Plain:
    """A cluster as it is."""

    data: bytes


@dataclass(frozen=True)
class Packed:
    """A cluster compressed by deflate."""

    data: bytes


@dataclass(frozen=True)
class Zero:
    """A cluster marked as zeros; `data` lie below the mark and must not be seen."""

    data: bytes


def qcow2(
    size: int,
    clusters: Mapping[int, Plain | Packed | Zero],
    *,
    version: int = 3,
    cluster_bits: int = 9,
    backing: int = 0,
    encryption: int = 0,
    features: int = 0,
    compression: int = 0,
    l1_entries: int | None = None,
) -> bytes:
    """Return an image of `size` bytes; `clusters` by their number on the disk. Reference counts are left out."""
    cluster = 1 << cluster_bits
    per_table = cluster // 8
    tables = -(-size // (cluster * per_table))
    file = bytearray(_padded(cluster, bytes(cluster)) + _padded(cluster, bytes(tables * 8)))
    l1 = [0] * tables
    for index in range(tables):
        entries = [0] * per_table
        mine = {number: content for number, content in clusters.items() if number // per_table == index}
        for number, content in mine.items():
            entries[number % per_table] = _append(file, cluster_bits, content)
        if mine:
            file.extend(bytes(-len(file) % cluster))
            l1[index] = len(file) | COPIED
            file.extend(struct.pack(f">{per_table}Q", *entries))
    struct.pack_into(f">{tables}Q", file, cluster, *l1)
    entries_told = tables if l1_entries is None else l1_entries
    header = struct.pack(
        ">4sIQIIQIIQ", b"QFI\xfb", version, backing, 0, cluster_bits, size, encryption, entries_told, cluster
    )
    file[: len(header)] = header
    struct.pack_into(">QQQIIB", file, 72, features, 0, 0, 4, 112, compression)
    return bytes(file)


def disk(size: int, clusters: Mapping[int, Plain | Packed | Zero], cluster_bits: int = 9) -> bytes:
    """Return the bytes that such an image stands for."""
    cluster = 1 << cluster_bits
    raw = bytearray(-(-size // cluster) * cluster)
    for number, content in clusters.items():
        if not isinstance(content, Zero):
            raw[number * cluster : (number + 1) * cluster] = content.data
    return bytes(raw[:size])


def _append(file: bytearray, cluster_bits: int, content: Plain | Packed | Zero) -> int:
    cluster = 1 << cluster_bits
    if isinstance(content, Packed):
        return _append_packed(file, cluster_bits, content.data)
    file.extend(bytes(-len(file) % cluster))
    offset = len(file)
    file.extend(content.data)
    return offset | COPIED | (ZERO if isinstance(content, Zero) else 0)


def _append_packed(file: bytearray, cluster_bits: int, data: bytes) -> int:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -12)
    packed = deflate.compress(data) + deflate.flush()
    offset, bits = len(file), 62 - (cluster_bits - 8)
    sectors = (offset + len(packed) - 1) // 512 - offset // 512
    file.extend(packed)
    return COMPRESSED | sectors << bits | offset


def _padded(cluster: int, data: bytes) -> bytes:
    return data + bytes(-len(data) % cluster)
