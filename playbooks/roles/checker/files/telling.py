"""What the checker tells: its state as a document and as Prometheus' text, systemd, and whoever asks its port."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

from balancer.checker import Configuration
from judge import DOWN, DRAIN, UP

State = dict[str, Any]
IP_FREEBIND = 15
HANDED = "HOMELAB_CHECKER_LISTENS"
STATES = (UP, DRAIN, DOWN)


def tell_systemd(words: str) -> None:
    """Says it to systemd (sd_notify); without systemd to nobody."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.connect("\0" + address[1:] if address.startswith("@") else address)
            notify.send(words.encode())


def metrics(state: State, is_ready: bool) -> str:
    """The state in Prometheus' text format."""
    lines = ["# TYPE homelab_balancer_ready gauge", f"homelab_balancer_ready {int(is_ready)}"]
    lines += ["# TYPE homelab_server_state gauge"]
    for labels, server in _servers(state):
        lines += [f'homelab_server_state{{{labels},state="{name}"}} {int(server["state"] == name)}' for name in STATES]
    for name, key in (("checks", "asked"), ("check_failures", "failed")):
        lines.append(f"# TYPE homelab_server_{name}_total counter")
        lines += [f"homelab_server_{name}_total{{{labels}}} {server[key]}" for labels, server in _servers(state)]
    return "\n".join(lines) + "\n"


def _servers(state: State) -> Iterator[tuple[str, State]]:
    for pool, found in state["pools"].items():
        for name, server in found["servers"].items():
            yield f'pool="{pool}",server="{name}"', server


class Door:
    """The status port: /ready (for keepalived), /api_ready, /metrics, /state."""

    def __init__(self, configuration: Configuration, state: Callable[[], State], ready: Callable[[], Awaitable[str]]):
        self._configuration = configuration
        self._networks = [ip_network("127.0.0.0/8"), ip_network(configuration.network)]
        self._state = state
        self._problem = ready
        self._listeners: list[socket.socket] = []

    async def open(self) -> None:
        """Opens the port on every address, whether the machine has it yet or not, or goes on with what is open."""
        handed = [socket.socket(fileno=int(number)) for number in os.environ.pop(HANDED, "").split()]
        known = {listener.getsockname(): listener for listener in handed}
        for address in self._configuration.listen:
            place = (address, self._configuration.status_port)
            listener = known.pop(place, None) or _listener(place)
            self._listeners.append(listener)
            await asyncio.start_server(self._caller, sock=listener)
        for listener in known.values():
            listener.close()

    def hand_over(self) -> None:
        """Keeps the port open for the program that takes this process: who asks meanwhile waits, keepalived too."""
        for listener in self._listeners:
            os.set_inheritable(listener.fileno(), True)
        os.environ[HANDED] = " ".join(str(listener.fileno()) for listener in self._listeners)

    async def _caller(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            words = (await asyncio.wait_for(reader.readline(), 2)).split()
            status, body = "403 Forbidden", "not from your network\n"
            if any(ip_address(writer.get_extra_info("peername")[0]) in network for network in self._networks):
                status, body = await self._answer(words[1].decode("ascii") if len(words) > 1 else "")
            head = f"HTTP/1.0 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body.encode())}\r\n\r\n"
            writer.write((head + body).encode())
            await asyncio.wait_for(writer.drain(), 2)
        except (OSError, ValueError, asyncio.TimeoutError):  # noqa: UP041 - Python 3.9
            pass  # Who asks and goes away gets no answer.
        finally:
            writer.close()

    async def _answer(self, path: str) -> tuple[str, str]:
        # keepalived asks every kind of balancer by the same path.
        if path in ("/ready", "/haproxy_ready"):
            problem = await self._problem()
            return ("503 Service Unavailable", f"{problem}\n") if problem else ("200 OK", "ready\n")
        if path == "/api_ready":
            first = next(iter(self._state()["pools"].values()))
            is_up = any(server["state"] != DOWN for server in first["servers"].values())
            return ("200 OK", "ready\n") if is_up else ("503 Service Unavailable", "no API server is up\n")
        if path == "/metrics":
            return "200 OK", metrics(self._state(), not await self._problem())
        return "404 Not Found", "there are /ready, /api_ready and /metrics\n"


def _listener(place: tuple[str, int]) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
    listener.bind(place)
    return listener


async def nginx_problem(port: int) -> str:
    """Why nginx is not well, empty when it is: it answers `ready` on a port of loopback."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 0.5)
        try:
            answer = await asyncio.wait_for(reader.read(64), 0.5)
        finally:
            writer.transport.abort()
    except asyncio.TimeoutError:  # noqa: UP041 - Python 3.9
        return "nginx does not answer"
    except OSError as error:
        return f"nginx does not answer: {error.strerror or error}"
    return "" if answer.startswith(b"ready") else "somebody else answers on nginx's port"
