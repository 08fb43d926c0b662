"""The name of an NFSv3 volume under /vmfs/volumes, as ESXi makes it (esxi-recordings, part NFS). Pure."""

_MASK = (1 << 64) - 1
# Bob Jenkins' lookup8: its arbitrary start, and the shifts of its mixing.
_GOLDEN = 0x9E3779B97F4A7C13
_SHIFTS = ((43, 9, 8), (38, 23, 5), (35, 49, 11), (12, 18, 22))
_SEED = 42


def volume_directory(server: str, share: str) -> str:
    """The hash of the very strings of a mount: lookup8 of the share, seeded by lookup8 of the server, seeded 42."""
    value = _lookup8(share.encode(), _lookup8(server.encode(), _SEED))
    return f"{value & 0xFFFFFFFF:08x}-{value >> 32:08x}"


def _lookup8(key: bytes, level: int) -> int:
    a, b, c = level, level, _GOLDEN
    whole = len(key) - len(key) % 24
    for start in range(0, whole, 24):
        a, b, c = _mix(*(value + _word(key, start + 8 * n, 8) for n, value in enumerate((a, b, c))))
    # The lowest byte of c is kept for the length.
    rest = len(key) + (_word(key, whole + 16, 7) << 8)
    return _mix(a + _word(key, whole, 8), b + _word(key, whole + 8, 8), c + rest)[2]


def _word(key: bytes, start: int, length: int) -> int:
    return int.from_bytes(key[start : start + length], "little")


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    a, b, c = a & _MASK, b & _MASK, c & _MASK
    for first, second, third in _SHIFTS:
        a = ((a - b - c) & _MASK) ^ (c >> first)
        b = ((b - c - a) & _MASK) ^ ((a << second) & _MASK)
        c = ((c - a - b) & _MASK) ^ (b >> third)
    return a, b, c
