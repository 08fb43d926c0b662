"""A small TLS server of our own that answers as it is told: whatever stands at 443 where an ESXi host is expected."""

import contextlib
import re
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from homelab.rehearsal.soap.certificate import self_signed

ADDRESS = "127.0.0.1"
Answer = Callable[[socket.socket], None]


def http(body: bytes, status: str = "200 OK", kind: str = "text/html", more: str = "") -> bytes:
    """A whole HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def request(connection: socket.socket) -> None:
    """Read a whole request: closing with something unread would reset the connection."""
    data = b""
    while b"\r\n\r\n" not in data and (piece := connection.recv(65536)):
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    while length and len(body) < int(length[1]) and (piece := connection.recv(65536)):
        body += piece


def says(answer: bytes) -> Answer:
    """Read a request, answer, and close."""

    def serve(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(answer)

    return serve


def greets(answer: bytes) -> Answer:
    """Speak first, and then hear out whatever comes."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(answer)
        while connection.recv(65536):
            pass

    return serve


def trickles(piece: bytes, pause: float = 0.05, first: bytes = b"") -> Answer:
    """Send a piece now and then, for ever: no single read is ever late."""

    def serve(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(first)
        while True:
            connection.sendall(piece)
            threading.Event().wait(pause)

    return serve


def certificate() -> bytes:
    """The server's certificate as PEM; made once."""
    return _PAIR[0]


_PAIR = self_signed("brix3", ADDRESS)


@contextmanager
def serving(answer: Answer, *, tls: bool = True, pair: tuple[bytes, bytes] | None = None) -> Iterator[int]:
    """Serve on a port of the loopback, with this certificate and key (PEM), else the one that all share."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"".join(pair or _PAIR))
        file.flush()
        context.load_cert_chain(Path(file.name))
    with socket.create_server((ADDRESS, 0)) as listener:

        def one(plain: socket.socket) -> None:
            with contextlib.suppress(OSError), plain:
                if not tls:
                    answer(plain)
                    return
                with context.wrap_socket(plain, server_side=True) as connection:
                    answer(connection)

        def accept() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(plain,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        # Closing alone would leave it listening for as long as somebody waits in accept.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
