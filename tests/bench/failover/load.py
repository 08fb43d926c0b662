"""Clients of the API: new TLS connections at a steady rate, watchers shaped like client-go, one silent watch.

A program: it runs until SIGTERM, waits for the requests that are under way, and writes what it saw to a file as JSON:
{"requests": [[sent, ended, why it failed or "", server]], "watches": [[time of an event, ...]],
"silent": [[began, ended, why]]}; times are of the monotonic clock, which all of this machine share.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import signal
import ssl
import time
from pathlib import Path
from typing import Any

from tests.bench.failover.certificates import SERVICE

# The kubelet's client for leases and leader election's renewals give up after ten seconds.
REQUEST_SECONDS = 10.0
# client-go: HTTP/2 ReadIdleTimeout, then a ping, PingTimeout, then the connection is given up.
SILENCE_SECONDS, PING_SECONDS = 30.0, 15.0
PING = b"\r\n"
# client-go: net/http's handshake timeout; the reflector's first and longest pause after an error.
CONNECT_SECONDS = 10.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.8, 30.0


class Clients:
    """All clients of one run, and what they saw."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.address, self.port = arguments.address, arguments.port
        self.paths, self.token = arguments, arguments.token.read_text()
        self.context = ssl.create_default_context(cafile=arguments.ca_file)
        self.seen: dict[str, list[Any]] = {"requests": [], "watches": [], "silent": []}

    async def connect(self, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection with this request sent."""
        reader, writer = await asyncio.open_connection(
            self.address, self.port, ssl=self.context, server_hostname=SERVICE, ssl_shutdown_timeout=1
        )
        headers = f"Host: {SERVICE}\r\nAuthorization: Bearer {self.token}\r\nConnection: close\r\n"
        writer.write(f"GET {path} HTTP/1.1\r\n{headers}\r\n".encode())
        return reader, writer

    async def ask(self) -> str:
        """The name of the server that answered a request, where it says so; OSError, TimeoutError or EOFError."""
        writer = None
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                reader, writer = await self.connect(self.paths.request)
                status = int((await reader.readline() or b"- 0").split()[1])
                body = (await reader.read()).partition(b"\r\n\r\n")[2]
        finally:
            if writer:
                writer.close()
        if status != 200:
            raise EOFError(str(status) if status else "closed without an answer")
        return str(json.loads(body).get("server", ""))

    async def request(self) -> None:
        """One request, noted."""
        row: list[Any] = [time.monotonic(), None, "under way", ""]
        self.seen["requests"].append(row)
        try:
            row[3] = await self.ask()
            row[2] = ""
        except (OSError, EOFError, TimeoutError, ValueError, IndexError) as error:
            row[2] = str(error) or type(error).__name__
        row[1] = time.monotonic()

    async def watch(self) -> None:
        """One watcher, for ever: its events are noted; it dials anew at once when a watch ends, later after errors."""
        events: list[float] = []
        self.seen["watches"].append(events)
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            before = len(events)
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                await self.one_watch(events)
            pause = 0.0 if len(events) > before else min(max(FIRST_PAUSE_SECONDS, pause * 2), LONGEST_PAUSE_SECONDS)

    async def one_watch(self, events: list[float]) -> None:
        """Until it ends or is silent for too long."""
        writer = None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await self.connect(self.paths.watch)
                head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.partition(b"\r\n")[0]:
                raise ConnectionError(head.decode(errors="replace").partition("\r\n")[0])
            while line := await patiently(reader, writer):
                if line.startswith(b"{"):
                    events.append(time.monotonic())
        finally:
            if writer:
                writer.transport.abort()

    async def silent_watch(self) -> None:
        """A watch on which nothing happens, and how long it lives."""
        while True:
            row: list[Any] = [time.monotonic(), None, ""]
            writer = None
            try:
                reader, writer = await self.connect(self.paths.silent)
                await reader.readuntil(b"\r\n\r\n")
                row[0] = time.monotonic()
                self.seen["silent"].append(row)
                await reader.read()
                row[2] = "ended"
            except (OSError, asyncio.IncompleteReadError) as error:
                row[2] = str(error) or type(error).__name__
            finally:
                if writer:
                    writer.transport.abort()
            row[1] = time.monotonic()
            await asyncio.sleep(FIRST_PAUSE_SECONDS)


async def patiently(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The next line; TimeoutError after a silence with a ping in it, which keeps balancers from closing sooner."""
    line = asyncio.ensure_future(reader.readline())
    try:
        done, _ = await asyncio.wait([line], timeout=SILENCE_SECONDS)
        if not done:
            writer.write(PING)
        return await asyncio.wait_for(line, PING_SECONDS)
    finally:
        line.cancel()


async def steadily(clients: Clients, rate: float, stop: asyncio.Event) -> None:
    """Requests at a rate that does not wait for answers, each at a moment of its own within its slot.

    Evenly spaced ones keep step with a balancer's checks, or never meet them: 25 a second are 40 ms, two checks of
    HAProxy's. Then one is connecting whenever a server is taken for down, or none ever is.
    """
    under_way: set[asyncio.Task[None]] = set()
    began, moments = time.monotonic(), random.Random(rate)
    for slot in itertools.count():
        due = began + (slot + moments.random()) / rate
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.0, due - time.monotonic()))
        if stop.is_set():
            break
        task = asyncio.create_task(clients.request())
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    if under_way:
        await asyncio.wait(under_way, timeout=REQUEST_SECONDS + 1)


async def main() -> None:
    """Run until SIGTERM, then write what was seen."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("ca_file")
    parser.add_argument("token", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("request")
    parser.add_argument("watch")
    parser.add_argument("silent")
    parser.add_argument("--rate", type=float, default=25.0)
    parser.add_argument("--watchers", type=int, default=12)
    arguments = parser.parse_args()
    clients, stop = Clients(arguments), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    watching = [clients.watch() for _ in range(arguments.watchers)] + [clients.silent_watch()]
    tasks = [asyncio.create_task(each) for each in watching]
    await steadily(clients, arguments.rate, stop)
    unfinished = arguments.output.with_suffix(".part")
    unfinished.write_text(json.dumps(clients.seen))
    unfinished.rename(arguments.output)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
