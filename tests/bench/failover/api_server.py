"""A stand-in shaped like kube-apiserver, as far as a balancer and its clients can tell. A program of its own.

TLS; /readyz, /livez, /healthz, /version, objects, and two watches: one with an event each second, one that is silent.
SIGTERM ends it as kube-apiserver with --shutdown-delay-duration=10s and a grace period for watches: /readyz fails, it
goes on serving for ten seconds, then takes no new connections, ends its watches in order and exits. SIGUSR1 makes
everything answer 500, as when etcd is gone; SIGUSR2 makes it well again.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import ssl
import sys
from dataclasses import dataclass, field

SHUTDOWN_DELAY_SECONDS = 10.0
WATCH_GRACE_SECONDS = 2.0
EVENT_SECONDS = 1.0
BACKLOG = 4096  # Go's, where net.core.somaxconn is Linux's own
HEAD_SECONDS = 10.0
IDLE_SECONDS = 90.0  # k8s.io/apiserver, secure_serving.go
LISTENING = "listening\n"
SHUTTING_DOWN = "[+]ping ok\n[+]etcd ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n"
NO_ETCD = "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n"


@dataclass
class ApiServer:
    """Its name, how it is, the watches that it serves, and the connections on which nobody asks for now."""

    name: str
    shutting_down: bool = False
    unready: bool = False
    watches: list[asyncio.Event] = field(default_factory=list)
    idle: set[asyncio.StreamWriter] = field(default_factory=set)

    def answer(self, path: str) -> tuple[int, str]:
        """Status and body of a path that is no watch."""
        if path == "/livez":
            return 200, "ok"
        if self.unready:
            return 500, NO_ETCD
        if path in ("/readyz", "/healthz"):
            return (500, SHUTTING_DOWN) if self.shutting_down and path == "/readyz" else (200, "ok")
        return 200, json.dumps({"server": self.name, "gitVersion": "v1.36.3"})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: requests and answers, until either side has had enough; those of balancers are used again."""
        seconds = HEAD_SECONDS
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            while await self.one(await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), seconds), writer):
                self.idle.add(writer)
                seconds = IDLE_SECONDS
        self.idle.discard(writer)
        writer.close()

    async def one(self, head: bytes, writer: asyncio.StreamWriter) -> bool:
        """One request; whether another one may follow on this connection."""
        self.idle.discard(writer)
        path = head.split(b" ", 2)[1].decode()
        if path.startswith("/watch"):
            await self.watch(writer, silent=path == "/watch/silent")
            return False
        status, body = self.answer(path)
        last = b"\r\nconnection: close\r\n" in head.lower()
        writer.write(
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Internal Server Error'}\r\n"
            f"Content-Length: {len(body)}\r\n{'Connection: close' if last else 'Audit-ID: 1'}\r\n\r\n{body}".encode()
        )
        await writer.drain()
        return not last

    async def watch(self, writer: asyncio.StreamWriter, silent: bool) -> None:
        """An event a second, in chunks, until it is ended in order or the client goes."""
        ended = asyncio.Event()
        self.watches.append(ended)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        try:
            while not ended.is_set() and not writer.is_closing():
                if not silent:
                    event = json.dumps({"type": "MODIFIED", "server": self.name}) + "\n"
                    writer.write(f"{len(event):x}\r\n{event}\r\n".encode())
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), EVENT_SECONDS)
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        finally:
            self.watches.remove(ended)

    async def shut_down(self, listening: asyncio.Server, done: asyncio.Event) -> None:
        """What kube-apiserver does after SIGTERM."""
        self.shutting_down = True
        await asyncio.sleep(SHUTDOWN_DELAY_SECONDS)
        listening.close()
        for connection in list(self.idle):
            connection.close()
        watches = list(self.watches)
        for ended in watches:
            ended.set()
            await asyncio.sleep(WATCH_GRACE_SECONDS / len(watches))
        done.set()


async def main() -> None:
    """Serve until it is told to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("certificate")
    parser.add_argument("client_cas")
    # kube-apiserver opens its port while it reads its configuration, and serves it seconds later.
    parser.add_argument("--asleep", type=float, default=0.0, metavar="SECONDS")
    arguments = parser.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.certificate)
    # As kube-apiserver: clients may show a certificate, and none that it does not know.
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(arguments.client_cas)
    server, done, loop = ApiServer(arguments.name), asyncio.Event(), asyncio.get_running_loop()
    port = socket.create_server((arguments.address, arguments.port), backlog=BACKLOG)
    await asyncio.sleep(arguments.asleep)
    listening = await asyncio.start_server(
        server.serve, sock=port, ssl=context, backlog=BACKLOG, ssl_shutdown_timeout=1
    )
    ending: list[asyncio.Task[None]] = []
    loop.add_signal_handler(
        signal.SIGTERM, lambda: ending.append(asyncio.create_task(server.shut_down(listening, done)))
    )
    loop.add_signal_handler(signal.SIGUSR1, setattr, server, "unready", True)
    loop.add_signal_handler(signal.SIGUSR2, setattr, server, "unready", False)
    sys.stdout.write(LISTENING)
    sys.stdout.flush()
    await done.wait()


if __name__ == "__main__":
    asyncio.run(main())
