"""What can be proposed for a question, from what was found on the network and from the answers so far. Pure."""

from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Any

from homelab.inventory.answers import GROUPS, Values, addresses, named
from homelab.ports.net.around import Around
from homelab.ports.net.own_networks import OwnNetwork

# Where a proposal begins, counted from the network's own address; that a person can remember them is all.
COUNTS = {"control_plane": 3, "load_balancers": 2}
FROM = {"control_plane": 21, "load_balancers": 31, "api_vip": 100}


def proposed(key: str, values: Values, around: Around | None, own: Sequence[OwnNetwork]) -> Any:
    """What is likely meant; None where only a person knows."""
    if key == "lab_network":
        return str(own[0].network) if own else None
    network = network_of(values.get("lab_network"))
    if network is None:
        return None
    if key == "lab_gateway":
        return _gateway(network, own)
    if key == "lab_nameservers":
        return [values["lab_gateway"]] if "lab_gateway" in values else None
    if around is None or not around.looked:
        return None
    if key == "esxi":
        return named("esxi", [str(address) for address, _ in around.hosts])
    if key == "nfs":
        told = sorted(around.nfs, key=lambda one: not one[1])
        return named("nfs", [str(address) for address, _ in told[:1]])
    if key == "nfs_export":
        return _export(values, around)
    return _free(key, values, around)


def network_of(value: Any) -> IPv4Network | None:
    """The network that a value names; None for what is none."""
    try:
        return IPv4Network(value)
    except (AddressValueError, NetmaskValueError, ValueError):
        return None


def _gateway(network: IPv4Network, own: Sequence[OwnNetwork]) -> str | None:
    known = next((one.gateway for one in own if one.gateway and one.gateway in network), None)
    return str(known or next(network.hosts(), "")) or None


def _export(values: Values, around: Around) -> str | None:
    servers = {str(address): exports for address, exports in around.nfs}
    for address in (values.get("nfs") or {}).values():
        if exports := servers.get(address):
            return exports[0].path
    return None


def _free(key: str, values: Values, around: Around) -> Any:
    """Addresses where nobody answered, and that nobody was given yet."""
    if key not in FROM:
        return None
    taken = addresses(values) | {str(address) for address in around.used}
    hosts = [str(address) for address in around.network.hosts()]
    first = FROM[key] - 1
    free = [address for address in (*hosts[first:], *hosts[:first]) if address not in taken]
    count = COUNTS.get(key, 1)
    if len(free) < count:
        return None
    return named(key, free[:count]) if key in GROUPS else free[0]


def doubts(values: Values, around: Around | None) -> list[str]:
    """What was seen on the network that does not fit the answers."""
    if around is None or not around.looked:
        return []
    found = [
        f"{name} ({address}): no ESXi host answered there"
        for name, address in (values.get("esxi") or {}).items()
        if _inside(address, around) and address not in {str(one) for one, _ in around.hosts}
    ]
    new = [("api_vip", values.get("api_vip"))]
    new += [pair for group in COUNTS for pair in (values.get(group) or {}).items()]
    used = {str(address) for address in around.used}
    return found + [f"{name} ({address}): somebody answers at this address already" for name, address in new
                    if address in used]  # fmt: skip


def _inside(address: str, around: Around) -> bool:
    try:
        return IPv4Address(address) in around.network
    except AddressValueError:
        return False
