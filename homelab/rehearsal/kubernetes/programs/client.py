"""A client of the API server: kubeconfigs, one request, and waiting for a condition."""

import base64
import http.client
import json
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import plain_yaml


class ApiError(Exception):
    """The API server did not answer, or said no: `status` is 0 or its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Api:
    """One way to an API server. `authority` unset trusts anybody; `identity` is a certificate and its key in PEM."""

    server: str
    authority: str | None
    identity: str | None = None
    token: str | None = None
    timeout: float = 5.0

    def request(self, method: str, path: str, body: Any = None) -> str:
        """The text of a 2xx answer; ApiError for everything else."""
        address = urlsplit(self.server)
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        payload = None if body is None else json.dumps(body).encode()
        try:
            connection = http.client.HTTPSConnection(
                address.hostname or "", address.port, timeout=self.timeout, context=self._context()
            )
            try:
                connection.request(method, path, payload, {"Content-Type": "application/json", **headers})
                answer = connection.getresponse()
                text = answer.read().decode()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(0, f"{method} {self.server}{path}: {error}") from error
        if not 200 <= answer.status < 300:
            raise ApiError(answer.status, _reason(text) or f"{method} {path}: {answer.status} {answer.reason}")
        return text

    def get(self, path: str) -> Any:
        """The object at a path."""
        return json.loads(self.request("GET", path))

    def put(self, path: str, value: Any) -> None:
        """Writes the object at a path."""
        self.request("PUT", path, value)

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.authority is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            context.load_verify_locations(cadata=self.authority)
        if self.identity:
            # load_cert_chain wants a file; this one never reaches a disk.
            with os.fdopen(os.memfd_create("identity"), "w+") as file:
                file.write(self.identity)
                file.flush()
                context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
        return context


def kubeconfig(cluster: str, user: str, server: str, authority: bytes, pair: tuple[bytes, bytes] | None) -> str:
    """The text of a kubeconfig; `pair` is the certificate and its key."""
    identity = (
        {}
        if pair is None
        else {
            "client-certificate-data": base64.b64encode(pair[0]).decode(),
            "client-key-data": base64.b64encode(pair[1]).decode(),
        }
    )
    entry = {"server": server, "certificate-authority-data": base64.b64encode(authority).decode()}
    context = f"{user}@{cluster}"
    return plain_yaml.dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": cluster, "cluster": entry}],
            "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
            "current-context": context,
            "users": [{"name": user, "user": identity}],
        }
    )


def from_kubeconfig(text: str, server: str | None = None, timeout: float = 5.0) -> Api:
    """The way to the API server that a kubeconfig describes; `server` takes the place of its own."""
    config = plain_yaml.load(text)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"] or {}
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    identity = None
    if user:
        parts = (user["client-certificate-data"], user["client-key-data"])
        identity = "".join(base64.b64decode(part).decode() for part in parts)
    return Api(server or cluster["server"], authority, identity, timeout=timeout)


def from_file(path: Path, server: str | None = None, timeout: float = 5.0) -> Api:
    """As from_kubeconfig(), of a file."""
    return from_kubeconfig(path.read_text(), server, timeout)


def wait_for(what: str, attempt: Callable[[], Any], seconds: float) -> Any:
    """Tries until the API server agrees, or the time is over; then ApiError with the last answer."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except ApiError as error:
            if time.monotonic() >= deadline:
                raise ApiError(error.status, f"{what}: timed out after {seconds:.0f} s: {error}") from error
        time.sleep(0.1)


def _reason(text: str) -> str:
    try:
        answer = json.loads(text)
    except ValueError:
        return text.strip()
    return str(answer.get("message", "")) if isinstance(answer, dict) else ""
