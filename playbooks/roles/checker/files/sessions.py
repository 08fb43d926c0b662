"""The sessions that a dead server leaves behind. Their clients are asked where they are, and end them by the answer.

A client that only waits, as a watch does, sends nothing that a rule could reject. So it gets an empty segment in the
server's name with a number that cannot be right; every TCP answers that with an acknowledgement (RFC 9293, 3.10.7.4),
and the rules of the kernel reset that one with the right numbers. CTDB of Samba calls it a tickle.
"""

import os
import random
import socket
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from asking import internet_checksum
from balancer.nftables import MARK

Endpoint = tuple[str, int]
SO_MARK = 36
ESTABLISHED = 3
# linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h
CONNTRACK_GET, DUMP, DONE, ERROR = 1 << 8 | 1, 0x301, 3, 2
ORIGINAL, REPLY, PROTOCOL_INFO = 1, 2, 4


@dataclass(frozen=True)
class Session:
    """Who waits, whom it believes to talk to, and the server that it is in truth."""

    client: Endpoint
    front: Endpoint
    server: Endpoint


def of_this_machine(table: Path = Path("/proc/net/tcp")) -> Iterator[Session]:
    """The sessions of this machine's own processes, such as nginx, with anybody."""
    for line in table.read_text(encoding="ascii").splitlines()[1:]:
        _slot, local, remote, state = line.split()[:4]
        if state == "01":
            yield Session(_endpoint(local), _endpoint(remote), _endpoint(remote))


def _endpoint(words: str) -> Endpoint:
    """An address of /proc/net/tcp, which is in the machine's own order."""
    address, _colon, port = words.partition(":")
    return socket.inet_ntoa(struct.pack("=I", int(address, 16))), int(port, 16)


def of_the_kernel() -> Iterator[Session]:
    """The TCP sessions that the kernel passes on, by its table of connections (netlink, for /proc need not have it)."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as kernel:
        kernel.settimeout(1.0)
        kernel.send(struct.pack("=IHHIIBBH", 20, CONNTRACK_GET, DUMP, 1, 0, socket.AF_INET, 0, 0))
        while True:
            data = kernel.recv(1 << 17)
            while len(data) >= 16:
                size, kind = struct.unpack_from("=IH", data)
                if kind == ERROR:
                    code = -struct.unpack_from("=i", data, 16)[0]
                    raise OSError(code, os.strerror(code))
                if kind == DONE:
                    return
                yield from _session(_attributes(data[20:size]))
                data = data[(size + 3) & ~3 :]


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= 4:
        size, kind = struct.unpack_from("=HH", data)
        if size < 4:
            break
        found[kind & 0x3FFF] = data[4:size]
        data = data[(size + 3) & ~3 :]
    return found


def _session(entry: dict[int, bytes]) -> Iterator[Session]:
    tcp = _attributes(_attributes(entry.get(PROTOCOL_INFO, b"")).get(1, b""))
    if tcp.get(1) == bytes([ESTABLISHED]):
        client, front = _tuple(entry[ORIGINAL])
        server, _port = _tuple(entry[REPLY])
        yield Session(client, front, server)


def _tuple(data: bytes) -> tuple[Endpoint, Endpoint]:
    """Source and destination of one direction."""
    parts = _attributes(data)
    addresses, ports = _attributes(parts[1]), _attributes(parts[2])
    source, destination = (
        (socket.inet_ntoa(addresses[number]), int.from_bytes(ports[number + 1], "big")) for number in (1, 2)
    )
    return source, destination


def left_by(sessions: Iterator[Session], dead: Collection[Endpoint], dead_hosts: Collection[str]) -> list[Session]:
    """The sessions with a server that is dead."""
    return [one for one in sessions if one.server in dead or one.server[0] in dead_hosts]


def ask_clients(sessions: Collection[Session]) -> None:
    """Sends each client one question. Needs CAP_NET_RAW, and CAP_NET_ADMIN for the mark."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as wire:
        wire.setsockopt(socket.SOL_SOCKET, SO_MARK, MARK)
        for session in sessions:
            wire.sendto(question(session.front, session.client, random.getrandbits(32)), (session.client[0], 0))


def question(source: Endpoint, destination: Endpoint, number: int) -> bytes:
    """The bytes of an empty acknowledgement from `source`; the kernel adds the checksum of IP."""
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
    segment = struct.pack("!HHIIBBHHH", source[1], destination[1], number, 0, 5 << 4, 0x10, 1024, 0, 0)
    whole = addresses + struct.pack("!HH", socket.IPPROTO_TCP, len(segment)) + segment
    segment = segment[:16] + struct.pack("!H", internet_checksum(whole)) + segment[18:]
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, socket.IPPROTO_TCP, 0) + addresses + segment
