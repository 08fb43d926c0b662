"""Bob Jenkins' hash lookup8 for 64-bit machines: how ESXi names an NFSv3 volume's directory."""

MASK = (1 << 64) - 1


def lookup8(key: bytes, level: int) -> int:
    """The hash of `key`, seeded with `level`."""
    a = b = level
    c = 0x9E3779B97F4A7C13
    length, rest = len(key), key
    while len(rest) >= 24:
        a, b, c = _mix(
            *(
                (value + int.from_bytes(rest[start : start + 8], "little")) & MASK
                for value, start in ((a, 0), (b, 8), (c, 16))
            )
        )
        rest = rest[24:]
    # The lowest byte of c is kept for the length.
    a += int.from_bytes(rest[:8], "little")
    b += int.from_bytes(rest[8:16], "little")
    c += length + (int.from_bytes(rest[16:], "little") << 8)
    return _mix(a & MASK, b & MASK, c & MASK)[2]


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for first, second, third in ((43, 9, 8), (38, 23, 5), (35, 49, 11), (12, 18, 22)):
        a = ((a - b - c) & MASK) ^ (c >> first)
        b = ((b - c - a) & MASK) ^ ((a << second) & MASK)
        c = ((c - a - b) & MASK) ^ (b >> third)
    return a, b, c
