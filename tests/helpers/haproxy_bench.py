"""HAProxy on loopback with a configuration of ours, and small back ends that say what they were asked."""

import base64
import hashlib
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin")
HERE = "127.0.0.1"
SECONDS = 20.0


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind((HERE, 0))
        return int(found.getsockname()[1])


class Asked(BaseHTTPRequestHandler):
    """Answers every request with what it was, as JSON; echoes whatever follows an upgrade."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Tells, or upgrades."""
        if self.headers.get("Upgrade"):
            self._upgrade()
            return
        name = cast(BackEnd, self.server).name
        shown = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
        peer = [pair for part in (shown or {}).get("subject", ()) for pair in part]
        said = {"name": name, "path": self.path, "headers": self.headers.items(), "peer": peer}
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _upgrade(self) -> None:
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", str(self.headers["Upgrade"]))
        # RFC 6455, 4.2.2: HAProxy looks whether a WebSocket's key is answered.
        key = f"{self.headers.get('Sec-WebSocket-Key')}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()
        self.send_header(
            "Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key, usedforsecurity=False).digest()).decode()
        )
        self.end_headers()
        self.wfile.flush()
        while piece := self.connection.recv(65536):
            self.connection.sendall(piece)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


class BackEnd(ThreadingHTTPServer):
    """One back end with its name."""

    daemon_threads = True

    def __init__(self, name: str, handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None) -> None:
        self.name = name
        self.context = context
        super().__init__((HERE, 0), handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shakes hands in the connection's own thread."""
        if self.context is None:
            super().finish_request(request, client_address)
            return
        with self.context.wrap_socket(request, server_side=True) as connection:
            super().finish_request(connection, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A check that leaves early is no error."""


@contextmanager
def back_end(
    name: str, handler: type[BaseHTTPRequestHandler] = Asked, context: ssl.SSLContext | None = None
) -> Iterator[BackEnd]:
    """A back end on a free port of loopback, over TLS where there is a context."""
    server = BackEnd(name, handler, context)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def on_this_machine(text: str, folder: Path) -> str:
    """The configuration without what only a balancer of its own has: a user, a root folder, a socket below /run."""
    for line in (
        "    user haproxy\n",
        "    group haproxy\n",
        "    chroot /var/lib/haproxy\n",
        "    log /dev/log local0\n",
    ):
        assert line in text
        text = text.replace(line, "")
    return text.replace("/run/haproxy/admin.sock", str(folder / "admin.sock"))


@contextmanager
def running(text: str, folder: Path, ready: Callable[[], bool]) -> Iterator[None]:
    """HAProxy with this configuration, once `ready` says so."""
    assert HAPROXY is not None
    file = folder / "haproxy.cfg"
    file.write_text(on_this_machine(text, folder), encoding="utf-8")
    said = (folder / "haproxy.log").open("w+", encoding="utf-8")
    child = subprocess.Popen([HAPROXY, "-db", "-f", str(file)], stdout=said, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + SECONDS
        while not ready():
            assert child.poll() is None and time.monotonic() < deadline, (folder / "haproxy.log").read_text()
            threading.Event().wait(0.05)
        yield
    finally:
        child.kill()
        child.wait()
        said.close()


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex((HERE, port)) == 0


def ask(port: int, path: str, headers: list[tuple[str, str]] | None = None) -> tuple[int, bytes]:
    """One request over HTTP, its headers as they are; the status and the body."""
    with closing(HTTPConnection(HERE, port, timeout=SECONDS)) as connection:
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers or [("Host", "example.com")]:
            connection.putheader(name, value)
        connection.endheaders()
        answer: HTTPResponse = connection.getresponse()
        return answer.status, answer.read()


def told(port: int, path: str, headers: list[tuple[str, str]] | None = None) -> dict[str, Any]:
    """What the back end was asked: its name, the path, the headers as pairs."""
    status, body = ask(port, path, headers)
    assert status == 200, body
    read = json.loads(body)
    assert isinstance(read, dict)
    return read


def values(asked: dict[str, Any], name: str) -> list[str]:
    """All values of a header that the back end got."""
    return [value for one, value in asked["headers"] if one.lower() == name.lower()]
