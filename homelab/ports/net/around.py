"""Who is on a network: ESXi hosts, NFS servers, and which addresses nobody has. Asked by TCP, without any login.

Only addresses of the network that was named are asked, a bounded number at once, each question with its own deadline.
"""

import http.client
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from typing import TypeVar

from homelab.formats.nfs.export import Export
from homelab.formats.vsphere_product import QUESTION, Product, product_of
from homelab.ports.net.exchange import MIB, Exchange, any_certificate, connection
from homelab.ports.net.nfs import RPCBIND_PORT, exports_at
from homelab.ports.net.own_networks import neighbours

# More addresses than that are not asked: a /22 has as many.
MOST_ADDRESSES = 1022
AT_ONCE = 128
SECONDS = 1.0
ANSWER_SECONDS = 5.0
API_PORT = 443
PORTS = (API_PORT, RPCBIND_PORT, 22, 80)
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Around:
    """Who was met on a network, in the order of addresses. `exports` of an NFS server is None where it tells none.

    `used`: addresses where somebody answered in any way. `looked`: whether anybody was asked at all.
    """

    network: IPv4Network
    looked: bool = False
    products: tuple[tuple[IPv4Address, Product], ...] = ()
    nfs: tuple[tuple[IPv4Address, tuple[Export, ...] | None], ...] = ()
    used: frozenset[IPv4Address] = frozenset()

    @property
    def hosts(self) -> tuple[tuple[IPv4Address, Product], ...]:
        """The ESXi hosts, without a vCenter."""
        return tuple((address, product) for address, product in self.products if product.is_host)


def can_be_looked_at(network: IPv4Network) -> bool:
    """Whether a network is small enough to ask every address of it."""
    return network.num_addresses - 2 <= MOST_ADDRESSES


def look_around(network: IPv4Network) -> Around:
    """Ask every address of a network; a network that is too large is not looked at."""
    if not can_be_looked_at(network):
        return Around(network)
    left, open_at = list(network.hosts()), {}
    used: set[IPv4Address] = set()
    for port in PORTS:
        states = dict(zip(left, _each(left, partial(_state, port)), strict=True))
        open_at[port] = [address for address, state in states.items() if state == "open"]
        used |= {address for address, state in states.items() if state}
        at_home = neighbours()
        used |= {address for address in left if at_home.get(address)}
        # Where ARP was asked for and nobody answered, nobody is: that saves a second for each further port.
        left = [address for address in left if at_home.get(address, True)]
    products = zip(open_at[API_PORT], _each(open_at[API_PORT], _product), strict=True)
    servers = zip(open_at[RPCBIND_PORT], _each(open_at[RPCBIND_PORT], _exports), strict=True)
    return Around(
        network=network,
        looked=True,
        products=tuple((address, product) for address, product in products if product),
        nfs=tuple((address, exports) for address, (is_nfs, exports) in servers if is_nfs),
        used=frozenset(used),
    )


def _each(addresses: Sequence[IPv4Address], ask: Callable[[IPv4Address], Answer]) -> list[Answer]:
    """Ask for each of them, a bounded number at once; who is interrupted does not wait for the rest."""
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        return list(pool.map(ask, addresses))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _state(port: int, address: IPv4Address) -> str:
    """`open`, `closed` (somebody refused, so somebody is there), or empty for silence."""
    try:
        with socket.create_connection((str(address), port), timeout=SECONDS):
            return "open"
    except ConnectionRefusedError:
        return "closed"
    except OSError:
        return ""


def _product(address: IPv4Address) -> Product | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = Exchange
    any_certificate(context)
    try:
        asked = connection(str(address), API_PORT, context, ANSWER_SECONDS, MIB)
        try:
            asked.request("POST", "/sdk", QUESTION, {"Content-Type": "text/xml", "SOAPAction": "urn:vim25/5.5"})
            return product_of(asked.getresponse().read())
        finally:
            asked.close()
    except (OSError, http.client.HTTPException, ValueError):
        return None


def _exports(address: IPv4Address) -> tuple[bool, tuple[Export, ...] | None]:
    return exports_at(str(address), timeout=ANSWER_SECONDS)
