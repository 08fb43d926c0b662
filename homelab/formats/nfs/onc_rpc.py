"""ONC RPC version 2 (RFC 5531) as a client speaks it, and as much XDR (RFC 4506) as NFS's helpers need. Pure."""

import struct
from collections.abc import Iterator

CALL, REPLY = 0, 1
RPC_VERSION = 2
AUTH_NONE, AUTH_SYS = 0, 1
ACCEPTED, DENIED = 0, 1
AUTH_ERROR = 1
LAST_FRAGMENT = 0x80000000
MOST_OPAQUE = 1 << 16
REFUSALS = {
    1: "it does not serve this program",
    2: "it does not serve this version of the program",
    3: "it does not know this procedure",
    4: "it could not read the arguments",
    5: "it failed inside",
}


class Malformed(ValueError):
    """The bytes are no reply, or not what the call's type says."""


class CallRefused(Exception):
    """The server answered and did not carry the call out; the text says why."""


class Reader:
    """Takes values off the front of XDR data; Malformed when it ends too early."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    def uint(self) -> int:
        """An unsigned 32-bit integer."""
        return int.from_bytes(self._take(4), "big")

    def opaque(self) -> bytes:
        """Bytes of a length that goes before them."""
        length = self.uint()
        if length > MOST_OPAQUE:
            raise Malformed(f"a field of {length} bytes")
        value = bytes(self._take(length))
        self._take(-length % 4)
        return value

    def text(self) -> str:
        """A string; what is no UTF-8 is kept as Python keeps such names."""
        return self.opaque().decode("utf-8", "surrogateescape")

    def chain(self) -> Iterator[None]:
        """A linked list: one turn for each item, which the caller reads."""
        while self.uint():
            yield

    def _take(self, count: int) -> memoryview:
        if len(self._data) < count:
            raise Malformed("the answer ends too early")
        value, self._data = self._data[:count], self._data[count:]
        return value


def uint(*values: int) -> bytes:
    """Unsigned 32-bit integers."""
    return struct.pack(f">{len(values)}I", *values)


def opaque(value: bytes) -> bytes:
    """Bytes with their length before them, filled up to a multiple of four."""
    return uint(len(value)) + value + bytes(-len(value) % 4)


def text(value: str) -> bytes:
    """A string."""
    return opaque(value.encode("utf-8", "surrogateescape"))


def call(xid: int, program: int, version: int, procedure: int, arguments: bytes = b"") -> bytes:
    """One call as one record. NULL (procedure 0) goes without credentials, any other as root of this machine."""
    # ESXi calls as root too; without credentials some servers refuse.
    known = uint(AUTH_SYS) + opaque(uint(0) + text("homelab") + uint(0, 0, 0))
    credentials = known if procedure else uint(AUTH_NONE) + opaque(b"")
    head = uint(xid, CALL, RPC_VERSION, program, version, procedure)
    message = head + credentials + uint(AUTH_NONE) + opaque(b"") + arguments
    return uint(LAST_FRAGMENT | len(message)) + message


def result(message: bytes, xid: int) -> Reader:
    """The result inside a reply to the call `xid`. Raises Malformed, CallRefused."""
    reader = Reader(message)
    if (reader.uint(), reader.uint()) != (xid, REPLY):
        raise Malformed("no reply to this call")
    if reader.uint() == DENIED:
        if reader.uint() == AUTH_ERROR:
            raise CallRefused(f"it refuses this caller (status {reader.uint()})")
        raise CallRefused("it speaks another version of RPC")
    reader.uint()
    reader.opaque()
    if status := reader.uint():
        raise CallRefused(REFUSALS.get(status, f"it refuses (status {status})"))
    return reader
