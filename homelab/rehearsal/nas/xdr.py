"""XDR (RFC 4506), as much as the NAS's face needs. Pure."""

import struct


class Malformed(ValueError):
    """The bytes are not what the call's type says."""


class Reader:
    """Takes values off the front of XDR data; Malformed when it ends too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def uint(self) -> int:
        """An unsigned 32-bit integer."""
        return int.from_bytes(self._take(4))

    def opaque(self, most: int) -> bytes:
        """Bytes of a length that goes before them, at most `most`."""
        length = self.uint()
        if length > most:
            raise Malformed(f"{length} bytes where at most {most} may stand")
        value = self._take(length)
        self._take(-length % 4)
        return value

    def text(self, most: int) -> str:
        """A string; what is no UTF-8 is replaced."""
        return self.opaque(most).decode("utf-8", "replace")

    def rest(self) -> bytes:
        """What is left."""
        return self._data[self._at :]

    def _take(self, count: int) -> bytes:
        value = self._data[self._at : self._at + count]
        if len(value) < count:
            raise Malformed("the data ends too early")
        self._at += count
        return value


def uint(*values: int) -> bytes:
    """Unsigned 32-bit integers."""
    return struct.pack(f">{len(values)}I", *values)


def opaque(value: bytes) -> bytes:
    """Bytes with their length before them, filled up to a multiple of four."""
    return uint(len(value)) + value + bytes(-len(value) % 4)


def text(value: str) -> bytes:
    """A string."""
    return opaque(value.encode())


def chain(items: list[bytes]) -> bytes:
    """A linked list, as the old protocols have it: a 1 before each item, a 0 at the end."""
    return b"".join(uint(1) + item for item in items) + uint(0)
