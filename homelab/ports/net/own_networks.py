"""The networks that this machine is on, as Linux tells them; elsewhere none is known."""

import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

ROUTES, NEIGHBOURS = Path("/proc/net/route"), Path("/proc/net/arp")
COMPLETE = 0x2  # ATF_COM (linux/if_arp.h)


@dataclass(frozen=True)
class OwnNetwork:
    """A network that a cable or radio of this machine leads to; `gateway` where the way out of it is there."""

    network: IPv4Network
    gateway: IPv4Address | None


def own_networks() -> list[OwnNetwork]:
    """The networks, those with a way out first."""
    return networks_of(_text(ROUTES))


def networks_of(routes: str) -> list[OwnNetwork]:
    """The same from the text of /proc/net/route, whose addresses are hexadecimal in this machine's byte order."""
    direct, gateways = [], []
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8:
            continue
        target, gateway, mask = (_address(fields[index]) for index in (1, 2, 7))
        if int(gateway):
            gateways.append(gateway)
        elif int(mask):
            direct.append(IPv4Network(f"{target}/{mask}", strict=False))
    found = [OwnNetwork(net, next((one for one in gateways if one in net), None)) for net in dict.fromkeys(direct)]
    return sorted(found, key=lambda one: one.gateway is None)


def neighbours() -> dict[IPv4Address, bool]:
    """Whether somebody answered ARP, for each address that was asked a moment ago."""
    found = {}
    for line in _text(NEIGHBOURS).splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 4:
            found[IPv4Address(fields[0])] = bool(int(fields[2], 16) & COMPLETE)
    return found


def _address(text: str) -> IPv4Address:
    return IPv4Address(socket.inet_ntoa(struct.pack("=L", int(text, 16))))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
