"""The body of an HTTP request, told by its length or sent in chunks (Go's clients send calls in chunks)."""

from __future__ import annotations

from email.message import Message
from io import BufferedIOBase

LINE = 1024


class BadBody(Exception):
    """The body is not told properly, or is longer than allowed."""


class Body:
    """Reads what a client sends; `whole` says whether all of it came. BadBody when its size cannot be understood."""

    def __init__(self, source: BufferedIOBase, headers: Message) -> None:
        self._source = source
        self._chunked = (headers.get("Transfer-Encoding") or "").lower() == "chunked"
        length = headers.get("Content-Length") or ""
        if not self._chunked and not length.isdigit():
            raise BadBody("neither a length nor chunks")
        self._left = 0 if self._chunked else int(length)
        self._ended = False
        self._first = True

    @property
    def whole(self) -> bool:
        """Whether the end was reached."""
        return self._ended if self._chunked else self._left == 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end, or when the client went away."""
        if self._chunked and self._left == 0 and not self._ended:
            self._next_chunk()
        piece = self._source.read(min(size, self._left)) if self._left else b""
        self._left -= len(piece)
        return piece

    def read_all(self, limit: int) -> bytes:
        """Everything; BadBody when it is more than `limit`."""
        if self._left > limit:
            raise BadBody("too long")
        pieces, total = [], 0
        while piece := self.read(limit + 1):
            pieces.append(piece)
            total += len(piece)
            if total > limit:
                raise BadBody("too long")
        return b"".join(pieces)

    def _next_chunk(self) -> None:
        if not self._first:
            self._source.readline(LINE)
        self._first = False
        line = self._source.readline(LINE)
        if not line:
            return
        try:
            self._left = int(line.partition(b";")[0], 16)
        except ValueError:
            raise BadBody("a chunk without a length") from None
        if self._left < 0:
            raise BadBody("a chunk of negative length")
        if self._left == 0:
            self._ended = True
            # Trailers, up to the empty line.
            while self._source.readline(LINE).strip():
                pass
