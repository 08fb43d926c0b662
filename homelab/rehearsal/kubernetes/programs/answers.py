"""What the API server answers to one request."""

import json
import select
import ssl
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

from . import access, pki
from .store import EXCHANGE, MEMBERS

if TYPE_CHECKING:
    from .apiserver import ApiServer

LISTS = {access.NODES: "Node"}
WATCH_LOOK_SECONDS = 0.5
# Laid down by the rehearsal to have /readyz say no; a real API server does when its etcd is away.
UNREADY = Path("/run/kube-apiserver-unready")


def status(code: int, reason: str, message: str) -> dict[str, Any]:
    """The object that an API server says no with."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


def is_gone(connection: ssl.SSLSocket) -> bool:
    """Whether the other side has closed a connection on which it has nothing more to say."""
    if not select.select([connection], [], [], 0)[0]:
        return False
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except ssl.SSLWantReadError:
        return False
    finally:
        connection.setblocking(True)


class Answers(BaseHTTPRequestHandler):
    """One connection's requests, one after another."""

    protocol_version = "HTTP/1.1"
    server_version = "kube-apiserver-standin"
    sys_version = ""
    timeout = 600.0
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Reads."""
        self._answer()

    def do_PUT(self) -> None:
        """Writes an object."""
        self._answer()

    def do_POST(self) -> None:
        """Exchanges entries with another member."""
        self._answer()

    def do_DELETE(self) -> None:
        """Deletes an object."""
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: a balancer asks every second."""

    @property
    def _api(self) -> "ApiServer":
        return cast("ApiServer", self.server)

    def _answer(self) -> None:
        with self._api.lock:
            self._api.active += 1
        try:
            self._route()
        finally:
            with self._api.lock:
                self._api.active -= 1

    def _route(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        url = urlsplit(self.path)
        caller = self._caller()
        if caller is None or (caller == access.Caller() and not self._api.answers_anybody):
            return self._send(401, status(401, "Unauthorized", "Unauthorized"))
        if not access.allowed(caller, self.command, url.path):
            message = f'User "{caller.user}" cannot {self.command.lower()} path "{url.path}"'
            return self._send(403, status(403, "Forbidden", message))
        if self.command != "GET":
            return self._write(url.path, body)
        if url.path.split("/")[1] in ("readyz", "livez", "healthz"):
            return self._health(url.path)
        if url.path == "/version":
            return self._send(200, self._version())
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        if query.get("watch") in ("1", "true") and url.path in LISTS:
            return self._watch(url.path, query)
        return self._read(url.path)

    def _caller(self) -> access.Caller | None:
        certificate: dict[str, Any] = cast(ssl.SSLSocket, self.connection).getpeercert() or {}
        proxies = self._api.front_proxy
        proxied = certificate.get("issuer") in proxies.authority
        if proxied:
            groups = self.headers.get_all(proxies.groups) or []
            named = access.by_front_proxy(certificate, proxies.names, self.headers.get(proxies.user, ""), groups)
            if named is not None:
                return named
        elif certificate:
            return access.by_certificate(certificate)
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            # A certificate that is not the cluster's is an error to kube-apiserver, and who errs is not nobody: 401.
            return None if proxied else access.Caller()
        secret = self._api.store.get(f"{access.TOKENS}{token.partition('.')[0]}")
        if secret is None:
            # It may have been made at another member a moment ago.
            self._api.members.exchange()
            secret = self._api.store.get(f"{access.TOKENS}{token.partition('.')[0]}")
        return access.by_token(token, secret)

    def _health(self, path: str) -> None:
        name = path.split("/")[1]
        if name != "livez" and UNREADY.exists():
            return self._send(500, f"[+]ping ok\n[-]etcd failed: reason withheld\n{name} check failed\n")
        if name == "livez" or not self._api.draining:
            return self._send(200, "ok")
        return self._send(500, f"[+]ping ok\n[-]shutdown failed: reason withheld\n{name} check failed\n")

    def _version(self) -> dict[str, str]:
        major, minor = self._api.version.removeprefix("v").split(".")[:2]
        made = {"gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "compiler": "python"}
        return {"major": major, "minor": minor, "gitVersion": self._api.version, **made, "platform": "linux/any"}

    def _read(self, path: str) -> None:
        store = self._api.store
        if path in LISTS:
            meta = {"resourceVersion": str(store.revision)}
            items = list(store.below(f"{path}/").values())
            return self._send(200, {"kind": f"{LISTS[path]}List", "apiVersion": "v1", "metadata": meta, "items": items})
        if path == MEMBERS:
            return self._send(200, json.dumps([name.removeprefix(MEMBERS) for name in store.below(MEMBERS)]))
        value = store.get(path)
        if value is None or access.expired(value):
            kind, name = (["", *path.split("/")])[-2:]
            return self._send(404, status(404, "NotFound", f'{kind} "{name}" not found'))
        return self._send(200, value)

    def _write(self, path: str, body: Any) -> None:
        store = self._api.store
        if path == EXCHANGE:
            store.merge(body)
            return self._send(200, store.entries())
        if path.startswith(access.IDENTITIES):
            return self._send(200, pki.kubelet_identity(path.removeprefix(access.IDENTITIES)))
        store.put(path, None if self.command == "DELETE" else body)
        self._api.members.exchange()
        return self._send(200, body or {"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def _watch(self, path: str, query: dict[str, str]) -> None:
        store = self._api.store
        end = time.monotonic() + float(query.get("timeoutSeconds") or 3600)
        seen = store.below(f"{path}/") if query.get("resourceVersion", "0") not in ("", "0") else {}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            revision, now = store.revision, store.below(f"{path}/")
            for name in {**seen, **now}:
                if seen.get(name) != now.get(name):
                    kind = "DELETED" if name not in now else "MODIFIED" if name in seen else "ADDED"
                    self._chunk(json.dumps({"type": kind, "object": now.get(name, seen.get(name))}) + "\n")
            seen = now
            store.wait(revision, WATCH_LOOK_SECONDS)
            if self._api.ending or time.monotonic() >= end or is_gone(cast(ssl.SSLSocket, self.connection)):
                break
        self.close_connection = True
        self._chunk("")

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _send(self, code: int, answer: Any) -> None:
        data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self._api.ending:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
