"""A small API server: health, version, objects by their path, watches; mutual TLS; a graceful end.

It speaks HTTP/1.1. Its health answers, its shut-down and its flags are those of kube-apiserver:
kubernetes.io/docs/reference/using-api/health-checks, .../command-line-tools-reference/kube-apiserver.
"""

import json
import re
import signal
import socketserver
import ssl
import sys
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from . import client
from .answers import Answers
from .pki import PKI
from .store import EXCHANGE, MEMBERS, Store

EXCHANGE_SECONDS = 5.0
HANDSHAKE_SECONDS = 10.0
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def parse_flags(arguments: list[str]) -> dict[str, str]:
    """`--name=value` by name."""
    return dict(argument.removeprefix("--").partition("=")[::2] for argument in arguments)


def seconds(duration: str) -> float:
    """A duration as Go writes it (`1m30s`) in seconds."""
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ms|h|m|s)", duration))


class Members:
    """The other API servers, and the exchange with them."""

    def __init__(self, store: Store, address: str, port: int) -> None:
        self.store = store
        self.own = f"{MEMBERS}{address}:{port}"
        self._news = threading.Event()
        store.put(self.own, {"server": f"https://{address}:{port}"})

    def exchange(self) -> None:
        """Sends every member what is known here, takes what is known there; who does not answer is passed over."""
        identity = "".join((PKI / f"apiserver-kubelet-client.{end}").read_text() for end in ("crt", "key"))
        authority = (PKI / "ca.crt").read_text()
        for path, member in self.store.below(MEMBERS).items():
            if path != self.own:
                try:
                    api = client.Api(member["server"], authority, identity, timeout=1.0)
                    answer = api.request("POST", EXCHANGE, self.store.entries())
                    self.store.merge(json.loads(answer))
                except client.ApiError:
                    continue

    def keep_up(self) -> None:
        """Exchanges every few seconds, for ever."""
        while True:
            self.exchange()
            time.sleep(EXCHANGE_SECONDS)


class FrontProxy:
    """The proxies that may say whom a request is by: the subjects of their authorities, their own names, the headers.

    As the flags --requestheader-* have it; headers and names as kubeadm sets them.
    """

    def __init__(self, flags: dict[str, str]) -> None:
        self.authority: list[Any] = []
        self.names = list(filter(None, flags.get("requestheader-allowed-names", "").split(",")))
        self.user = flags.get("requestheader-username-headers", "")
        self.groups = flags.get("requestheader-group-headers", "")
        if file := flags.get("requestheader-client-ca-file"):
            read = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            read.load_verify_locations(file)
            self.authority = [found["subject"] for found in read.get_ca_certs()]


class ApiServer(ThreadingHTTPServer):
    """The listener. `draining`: /readyz says no; `ending`: nothing new, and watches come to their end."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, flags: dict[str, str], version: str) -> None:
        self.version = version
        self.store = Store()
        # Of the flag anonymous-auth: whether those who show nothing are heard at all.
        self.answers_anybody = flags.get("anonymous-auth", "true") == "true"
        self.draining = self.ending = False
        self.active = 0
        self.lock = threading.Lock()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(flags["tls-cert-file"], flags["tls-private-key-file"])
        self.context.load_verify_locations(flags["client-ca-file"])
        self.context.verify_mode = ssl.CERT_OPTIONAL
        self.front_proxy = FrontProxy(flags)
        if self.front_proxy.authority:
            self.context.load_verify_locations(flags["requestheader-client-ca-file"])
        port = int(flags["secure-port"])
        self.members = Members(self.store, flags["advertise-address"], port)
        super().__init__((flags.get("bind-address", "0.0.0.0"), port), Answers)

    def server_bind(self) -> None:
        """Binds without http.server's look-up of the own name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shakes hands in the connection's own thread: a silent client holds up nobody else."""
        request.settimeout(HANDSHAKE_SECONDS)
        with self.context.wrap_socket(request, server_side=True) as connection:
            super().finish_request(connection, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves early is no error; anything else is told."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            sys.stderr.write(f"kube-apiserver: {client_address}: {error!r}\n")


def main(arguments: list[str], version: str) -> int:
    """Serves until SIGTERM, then ends gracefully: unready, a delay, no more listening, the last answers."""
    Path("/proc/self/comm").write_text("kube-apiserver")
    flags = parse_flags(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = ApiServer(flags, version)
    server.members.exchange()
    for work in (server.serve_forever, server.members.keep_up):
        threading.Thread(target=work, daemon=True).start()
    stop.wait()
    server.draining = True
    time.sleep(seconds(flags.get("shutdown-delay-duration", "0s")))
    server.shutdown()
    server.server_close()
    server.ending = True
    deadline = time.monotonic() + seconds(flags.get("shutdown-watch-termination-grace-period", "0s")) + 1
    while server.active and time.monotonic() < deadline:
        time.sleep(0.05)
    return 0
