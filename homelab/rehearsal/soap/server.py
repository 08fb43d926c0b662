"""The HTTPS server of one host: /sdk, its list of versions, the datastore browser's /folder, imports and backups."""

from __future__ import annotations

import base64
import contextlib
import logging
import socket
import socketserver
import ssl
import threading
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from homelab.rehearsal.soap import downloads, folder, nfc, versions, wire
from homelab.rehearsal.soap.body import BadBody, Body
from homelab.rehearsal.soap.sessions import Caller, Session

if TYPE_CHECKING:
    from homelab.rehearsal.soap.face import SoapFace

log = logging.getLogger(__name__)

COOKIE = "vmware_soap_session"
HANDSHAKE_SECONDS = 10.0
MAX_REQUEST = 16 * 1024 * 1024


class Server(ThreadingHTTPServer):
    """A threaded server that can close every connection at once, as a host that goes down does."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, face: SoapFace, address: tuple[str, int], context: ssl.SSLContext) -> None:
        self.face = face
        self.context = context
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread: a mute client must not hold up the others."""
        request.settimeout(HANDSHAKE_SECONDS)
        try:
            with self.context.wrap_socket(request, server_side=True) as connection:
                connection.settimeout(None)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._open.add(connection)
                try:
                    Handler(connection, client_address, self)
                finally:
                    with self._lock:
                        self._open.discard(connection)
        except (ssl.SSLError, OSError):
            # The client went away, or would not trust us: its own affair.
            return

    def server_bind(self) -> None:
        """Bind without asking the name service who we are."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection's thread failed: that is the rehearsal's own mistake."""
        log.exception("%s: a connection failed", self.face.host.name)

    def close_all(self) -> None:
        """Close the listener and every connection."""
        self.shutdown()
        self.server_close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """One connection; it stays open from call to call."""

    protocol_version = "HTTP/1.1"
    server: Server

    @property
    def face(self) -> SoapFace:
        """The face that is served."""
        return self.server.face

    def parse_request(self) -> bool:
        """A request came in; a fault may keep it from being answered."""
        if not super().parse_request():
            return False
        if self.face.host.harm.answers(self.connection):
            return True
        self.close_connection = True
        return False

    def do_GET(self) -> None:
        """Versions, files and backups."""
        self._route()

    def do_HEAD(self) -> None:
        """Like GET, without the content."""
        self._route()

    def do_PUT(self) -> None:
        """A file onto a datastore."""
        self._route()

    def do_DELETE(self) -> None:
        """A file off a datastore."""
        self._route()

    def do_POST(self) -> None:
        """A call, or a disk of an import."""
        if urlsplit(self.path).path.startswith("/nfc/"):
            self._route()
            return
        try:
            request = Body(self.rfile, self.headers)
            body = request.read_all(MAX_REQUEST)
        except BadBody:
            request, body = None, b""
        if request is None or not body:
            self.close_connection = True
            self.answer(400)
            return
        if not request.whole:
            self.close_connection = True
            return
        if not self.face.host.power.api_ready:
            self.answer(503, b"503 Service Unavailable", "text/plain")
        elif urlsplit(self.path).path.rstrip("/") != "/sdk":
            self.answer(404)
        else:
            self._call(body)

    def answer(
        self, status: int, body: bytes = b"", kind: str = "text/html", headers: dict[str, str] | None = None
    ) -> None:
        """Answer with a whole body; without one for HEAD."""
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def session(self) -> Session | None:
        """The live session of the request's cookie."""
        cookies: SimpleCookie = SimpleCookie()
        with contextlib.suppress(CookieError):
            cookies.load(self.headers.get("Cookie", ""))
        morsel = cookies.get(COOKIE)
        return self.face.sessions.find(morsel.value) if morsel else None

    def authorized(self) -> bool:
        """Whether a session's cookie or HTTP's basic authentication lets the request pass."""
        if self.session():
            return True
        scheme, _, text = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            user, _, password = base64.b64decode(text, validate=True).decode().partition(":")
        except ValueError:
            return False
        return self.face.host.account.login(user, password)

    def version_string(self) -> str:
        """ESXi does not tell its server's name."""
        return ""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the record of a rehearsal is `SoapFace.calls`."""

    def _route(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == "/sdk/vimServiceVersions.xml" and self.command in ("GET", "HEAD"):
            self.answer(200, versions.document(self.face.api_version), "text/xml")
        elif not self.face.host.power.api_ready:
            self.close_connection = True
            self.answer(503, b"503 Service Unavailable", "text/plain")
        elif path == "/folder" or path.startswith("/folder/"):
            self.face.count_transfer(self.command)
            folder.serve(self, path.removeprefix("/folder").lstrip("/"))
        elif path.startswith("/nfc/"):
            self.face.count_transfer(self.command)
            nfc.serve(self, path.removeprefix("/nfc/"))
        elif path.startswith("/downloads/") and self.command in ("GET", "HEAD"):
            self.face.count_transfer(self.command)
            downloads.serve(self, path)
        else:
            self.close_connection = True
            self.answer(404)

    def _call(self, body: bytes) -> None:
        face = self.face
        caller = Caller(self.session(), str(self.client_address[0]), self.headers.get("User-Agent", ""))
        before = caller.session
        version = wire.version_of(self.headers.get("SOAPAction", ""), face.version)
        try:
            request = wire.RequestParser().parse(body)
            value = face.call(request, caller)
            status, text = 200, wire.render_answer(request, value, version)
        except Exception as error:
            status, text = 500, wire.render_fault(face.as_fault(error, None), version)
        headers = {"Cache-Control": "no-cache"}
        if caller.session and caller.session is not before:
            headers["Set-Cookie"] = f'{COOKIE}="{caller.session.cookie}"; Path=/; HttpOnly; Secure;'
        self.answer(status, text, "text/xml; charset=utf-8", headers)
