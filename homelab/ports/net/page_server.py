"""A small web server that only shows: GET, on one address, for browsers that were sent to that very address.

A page of somebody else's that a browser has open must not read it: a foreign Host header is refused (DNS rebinding),
and no answer may be used by another origin.
"""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from homelab.errors import UsageError

# How long a browser may take to say what it wants, and how many may ask at once.
SECONDS = 10
AT_ONCE = 32
OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
MISDIRECTED, NOT_ALLOWED, NOT_FOUND, NOT_IMPLEMENTED = 421, 405, 404, 501


class Reply(Protocol):
    """What is answered: a media type, a text, and a Content-Security-Policy."""

    @property
    def kind(self) -> str:
        """Its media type."""

    @property
    def text(self) -> str:
        """All of it."""

    @property
    def policy(self) -> str:
        """What a browser may do with it."""


Answer = Callable[[str, Mapping[str, str]], Reply | None]


def is_own(host: str, address: str, port: int) -> bool:
    """Whether a Host header names this server: the address that was asked, or this machine, with the port. Pure."""
    names = {*OWN_NAMES, in_url(address)}
    return host.lower() in {f"{name}:{port}" for name in names} | (names if port == 80 else set())


def in_url(address: str) -> str:
    """An address as it stands in URLs; one of IPv4 that IPv6 carries is itself."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return f"[{found}]" if isinstance(found, IPv6Address) and mapped is None else str(mapped or found)


@contextmanager
def serving(address: str, port: int, answer: Answer) -> Iterator[str]:
    """Serve until the context ends; the URL. Raises UsageError when nothing can be served there."""
    try:
        server = _Server(address, port, answer)
    except OSError as error:
        raise UsageError(
            f"no page can be served there: {error.strerror or error}",
            where=f"--serve {address}:{port}",
            advice="Name an address of this machine and a free port: --serve ADDRESS:PORT",
        ) from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield f"http://{in_url(address)}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: str, port: int, answer: Answer) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.answer = answer
        self._places = threading.BoundedSemaphore(AT_ONCE)
        super().__init__((address, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = SECONDS

    def do_GET(self) -> None:
        """Answer, with the body."""
        self._reply(with_body=True)

    def do_HEAD(self) -> None:
        """Answer, without it."""
        self._reply(with_body=False)

    def _reply(self, *, with_body: bool) -> None:
        asked_of = str(self.connection.getsockname()[0])
        port = int(self.server.server_address[1])
        target = urlsplit(self.path)
        # One Host, and none in the request line, which would count before it (RFC 9112, 3.2.2).
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or target.netloc or not is_own(hosts[0].strip(), asked_of, port):
            self.send_error(MISDIRECTED, f"this is http://{in_url(asked_of)}:{port}/, and nothing else")
            return
        reply = self.server.answer(target.path, dict(parse_qsl(target.query)))
        if reply is None:
            self.send_error(NOT_FOUND, "nothing is there")
        else:
            self._send(200, reply.kind, reply.text, {"Content-Security-Policy": reply.policy}, with_body=with_body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """A line of text; any other method than GET and HEAD is not allowed."""
        allowed = code == NOT_IMPLEMENTED
        text = "this page only shows: GET and HEAD\n" if allowed else f"{message or code}\n"
        more = {"Allow": "GET, HEAD"} if allowed else {}
        self._send(NOT_ALLOWED if allowed else code, "text/plain; charset=utf-8", text, more, with_body=True)

    def _send(self, code: int, kind: str, text: str, more: Mapping[str, str], *, with_body: bool) -> None:
        body = text.encode(errors="replace")
        self.send_response(code)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body and self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """What is told of this program."""
        return "homelab"

    def log_message(self, format: str, *args: Any) -> None:
        """Who looks is nobody's business."""
