"""Names on FAT: long ones (VFAT), their 8.3 aliases, and what cannot be a name at all. Pure.

Source: Microsoft's FAT specification 1.03 and its rules for short names.
"""

from collections.abc import Iterable
from dataclasses import dataclass

FORBIDDEN = set('"*/:<>?\\|')
SHORT = set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'()-@^_`{}~")
LONGEST = 255
UNITS = 13
LAST = 0x40
# What macOS and Windows lay on every stick that they mount; the installer never looks at it.
LITTER = {".TRASHES", ".FSEVENTSD", ".SPOTLIGHT-V100", ".TEMPORARYITEMS", "SYSTEM VOLUME INFORMATION", "$RECYCLE.BIN"}


class FatError(ValueError):
    """What FAT cannot hold, or a volume that cannot be used; the text is a clause that says why."""


@dataclass(frozen=True)
class Alias:
    """`short` is the 11 bytes of the directory entry; `long` tells whether the name needs entries of its own."""

    short: bytes
    long: bool


def folded(name: str) -> str:
    """Return the name as FAT compares it: without regard to case, letter by letter."""
    return "".join(upper if len(upper := letter.upper()) == 1 else letter for letter in name)


def is_litter(path: tuple[str, ...]) -> bool:
    """Tell whether a system that mounted the stick made this file or folder by itself."""
    return folded(path[0]) in LITTER or path[-1].startswith("._") or folded(path[-1]) == ".DS_STORE"


def aliases(names: Iterable[str]) -> dict[str, Alias]:
    """Return an alias for every name of one folder; FatError for what the folder cannot hold.

    A name that is 8.3 in capitals is its own alias. The others get one, with `~N` where it would clash or lose letters.
    """
    names = list(names)
    seen: dict[str, str] = {}
    for name in names:
        _check(name)
        other = seen.setdefault(folded(name), name)
        if other is not name:
            raise FatError(f"{other} and {name} are the same name on FAT, which does not tell capitals from small")
    plain = {name: short for name in names if (short := _as_short(name))}
    taken = set(plain.values())
    found = {name: Alias(short, False) for name, short in plain.items()}
    numbers: dict[bytes, int] = {}
    for name in names:
        if name not in found:
            short = _free(name, taken, numbers)
            taken.add(short)
            found[name] = Alias(short, True)
    return found


def _check(name: str) -> None:
    if not name or name in (".", "..") or name != name.rstrip(" .") or name != name.lstrip(" "):
        raise FatError(f"{name!r} cannot be a name on FAT: it is empty, or has a blank or a dot at an end")
    wrong = [letter for letter in name if letter in FORBIDDEN or ord(letter) < 32 or 0xD800 <= ord(letter) <= 0xDFFF]
    if wrong:
        raise FatError(f"{name!r} cannot be a name on FAT: it holds {wrong[0]!r}")
    if len(name.encode("utf-16-le")) // 2 > LONGEST:
        raise FatError(f"{name[:40]}... cannot be a name on FAT: it is longer than {LONGEST} characters")


def _as_short(name: str) -> bytes | None:
    """The name as 11 bytes, if it is exactly 8.3 in capitals."""
    stem, _, extension = name.partition(".")
    fits = 0 < len(stem) <= 8 and len(extension) <= 3 and set(stem + extension) <= SHORT and not name.endswith(".")
    return _padded(stem, extension) if fits else None


def _free(name: str, taken: set[bytes], numbers: dict[bytes, int]) -> bytes:
    stem, extension, lossy = _basis(name)
    plain = _padded(stem[:8], extension)
    if not lossy and plain not in taken:
        return plain
    number = numbers.get(plain, 0)
    while True:
        number += 1
        tail = f"~{number}"
        short = _padded(stem[: 8 - len(tail)] + tail, extension)
        if short not in taken:
            numbers[plain] = number
            return short


def _basis(name: str) -> tuple[str, str, bool]:
    """Capital letters of the short alphabet: stem, extension, and whether something of the name was lost."""
    head, dot, tail = folded(name).lstrip(".").rpartition(".")
    stem, extension = (head, tail) if dot else (tail, "")
    cleaned = [part.replace(" ", "").replace(".", "") for part in (stem, extension)]
    letters = ["".join(letter if letter in SHORT else "_" for letter in part) for part in cleaned]
    lossy = f"{letters[0]}.{letters[1]}".rstrip(".") != folded(name) or len(letters[0]) > 8 or len(letters[1]) > 3
    return letters[0] or "_", letters[1][:3], lossy


def _padded(stem: str, extension: str) -> bytes:
    return f"{stem:<8}{extension:<3}".encode("ascii")


def checksum(short: bytes) -> int:
    """Return the sum that ties long entries to their alias."""
    total = 0
    for byte in short:
        total = ((total >> 1) + (total << 7) + byte) & 0xFF
    return total


def long_count(name: str) -> int:
    """Return how many directory entries a long name takes besides its alias."""
    return -(-len(name.encode("utf-16-le")) // (2 * UNITS))


def long_entries(name: str, short: bytes) -> bytes:
    """Return the directory entries of a long name, in the order in which they stand on the disk: last part first."""
    raw = name.encode("utf-16-le")
    count = long_count(name)
    if len(raw) < count * 2 * UNITS:
        raw = (raw + b"\0\0").ljust(count * 2 * UNITS, b"\xff")
    entries = []
    for number in range(1, count + 1):
        part = raw[(number - 1) * 2 * UNITS : number * 2 * UNITS]
        order = number | (LAST if number == count else 0)
        head = bytes([order]) + part[:10] + b"\x0f\0" + bytes([checksum(short)])
        entries.append(head + part[10:22] + b"\0\0" + part[22:])
    return b"".join(reversed(entries))


def short_text(short: bytes) -> str:
    """Return the 11 bytes as people write them, `STEM.EXT`."""
    stem, extension = (part.decode("latin-1").rstrip(" ") for part in (short[:8], short[8:11]))
    return f"{stem}.{extension}" if extension else stem
