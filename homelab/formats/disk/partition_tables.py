"""Partition tables: a GPT's partitions, and where the last partition of a disk ends. Pure.

Source: UEFI specification, 5.2 and 5.3. In what counts as a table it follows Linux (block/partitions/efi.c, msdos.c).
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from homelab.formats.fat.volume import Read

SECTOR = 512
SIGNATURE = b"EFI PART"
# An MBR's entry for the GPT behind it.
PROTECTIVE = 0xEE
UNUSED = 0
# In sectors, 8 TiB: no image reaches so far, and every system can seek to it.
FURTHEST = 1 << 34


class NoGpt(ValueError):
    """There is no sound GPT; the text is a clause about the disk."""


@dataclass(frozen=True)
class Gpt:
    """`partitions` are {number: (offset, bytes)}, `kinds` their types as on disk; behind byte `end` none may lie."""

    end: int
    partitions: dict[int, tuple[int, int]]
    kinds: dict[int, bytes] = field(default_factory=dict)


def read_gpt(read: Read, place: int = SECTOR) -> Gpt:
    """The GPT whose header lies at `place`; NoGpt when it is damaged or there is none."""
    header = read(place, SECTOR)
    if header[:8] != SIGNATURE:
        raise NoGpt("it has no GPT")
    size, checksum = struct.unpack_from("<II", header, 12)
    last, table, count, width, table_sum = struct.unpack_from("<Q16xQIII", header, 48)
    if not 92 <= size <= SECTOR or zlib.crc32(header[:16] + bytes(4) + header[20:size]) != checksum:
        raise NoGpt("the head of its GPT is damaged")
    if width < 128 or not 0 < count * width <= 1 << 20 or table > FURTHEST:
        raise NoGpt("its GPT is of an unknown shape")
    raw = read(table * SECTOR, count * width)
    if zlib.crc32(raw) != table_sum:
        raise NoGpt("the table of its GPT is damaged")
    found, kinds = {}, {}
    for index in range(count):
        first, end = struct.unpack_from("<QQ", raw, index * width + 32)
        if any(raw[index * width : index * width + 16]) and end >= first:
            found[index + 1] = (first * SECTOR, (end - first + 1) * SECTOR)
            kinds[index + 1] = raw[index * width : index * width + 16]
    return Gpt((last + 1) * SECTOR, found, kinds)


def end_of(read: Read, size: int) -> int:
    """The byte behind the last partition of a disk image of `size` bytes, 0 without any; NoGpt when that is damaged.

    A GPT counts where the MBR has its entry, or there is no MBR; its head also tells how far partitions may reach.
    """
    first = read(0, SECTOR)
    entries = list(_mbr(first))
    ends = [(start + count) * SECTOR for kind, start, count in entries if kind not in (UNUSED, PROTECTIVE)]
    if first[510:] != b"\x55\xaa" or any(kind == PROTECTIVE for kind, _, _ in entries):
        gpt = either_gpt(read, size)
        ends += [gpt.end, *(start + length for start, length in gpt.partitions.values())]
    return max(ends, default=0)


def _mbr(first: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (type, first sector, sectors); none of a boot sector whose code stands where the entries would be."""
    rows = [first[446 + 16 * number : 462 + 16 * number] for number in range(4)]
    if first[510:] == b"\x55\xaa" and all(row[0] in (0, 0x80) for row in rows):
        for row in rows:
            yield row[4], *struct.unpack("<II", row[8:])


def either_gpt(read: Read, size: int) -> Gpt:
    """The GPT, or the copy of it in the last sector; NoGpt when both are damaged or there is none."""
    try:
        return read_gpt(read)
    except NoGpt as error:
        try:
            return read_gpt(read, size - SECTOR)
        except NoGpt:
            raise error from None
