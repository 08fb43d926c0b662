"""Who is on a network: asked on the loopback, whose every connection is counted."""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from homelab.formats.vsphere_product import Product, product_of
from homelab.ports.net import around
from homelab.ports.net.around import AT_ONCE, Around, look_around
from homelab.ports.net.own_networks import OwnNetwork, networks_of
from homelab.rehearsal.nas import face as nas_face
from homelab.rehearsal.nas.nas import Nas

NETWORK = IPv4Network("127.77.0.0/28")
SEEN: list[tuple[str, int]] = []
LISTENING = threading.Event()
MOST_THREADS = [0]


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and LISTENING.is_set():
        SEEN.append(arguments[1])
        MOST_THREADS[0] = max(MOST_THREADS[0], threading.active_count())


sys.addaudithook(_hook)


@pytest.fixture
def connections() -> Iterator[list[tuple[str, int]]]:
    """Every address and port that is connected to from here on."""
    SEEN.clear()
    MOST_THREADS[0] = 0
    LISTENING.set()
    yield SEEN
    LISTENING.clear()


def test_nobody_outside_of_the_network_is_asked(connections: list[tuple[str, int]]) -> None:
    look_around(NETWORK)
    assert connections
    assert {IPv4Address(address) for address, _ in connections} == set(NETWORK.hosts())


def test_a_bounded_number_is_asked_at_once(connections: list[tuple[str, int]]) -> None:
    threads = threading.active_count()
    look_around(IPv4Network("127.77.0.0/23"))
    assert len({address for address, _ in connections}) == 510
    assert MOST_THREADS[0] <= threads + AT_ONCE


def test_a_large_network_is_not_looked_at(connections: list[tuple[str, int]]) -> None:
    assert look_around(IPv4Network("127.0.0.0/8")) == Around(IPv4Network("127.0.0.0/8"))
    assert not connections


def test_who_answers_and_says_nothing_of_use_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mute at 443 and at the port mapper: each costs its own deadline, and counts as an address in use."""
    monkeypatch.setattr(around, "ANSWER_SECONDS", 0.3)
    with ExitStack() as held:
        listening = [held.enter_context(socket.create_server(("127.77.0.3", 0))) for _ in range(2)]
        ports = [one.getsockname()[1] for one in listening]
        monkeypatch.setattr(around, "PORTS", ports)
        monkeypatch.setattr(around, "API_PORT", ports[0])
        monkeypatch.setattr(around, "RPCBIND_PORT", ports[1])
        found = look_around(NETWORK)
    assert (found.products, found.nfs) == ((), ())
    assert IPv4Address("127.77.0.3") in found.used


def test_an_nfs_server_tells_its_exports() -> None:
    face = nas_face.NasFace(Nas({"127.77.0.5"}, {"/volume1/homelab", "/volume1/other"}), "127.77.0.5")
    try:
        face.start()
    except OSError as error:
        pytest.skip(f"the port of rpcbind cannot be had here: {error}")
    try:
        found = look_around(NETWORK)
    finally:
        face.stop()
    [(address, exports)] = found.nfs
    assert address == IPv4Address("127.77.0.5")
    assert sorted(map(str, exports or ())) == ["/volume1/homelab", "/volume1/other"]


# Products' own words: govmomi, simulator/esx/service_content.go and simulator/vpx/service_content.go.
ABOUT = "<returnval><rootFolder>x</rootFolder><about><name>n</name><fullName>{}</fullName><apiType>{}</apiType></about>"


@pytest.mark.parametrize(
    ("answer", "product"),
    [
        (
            ABOUT.format("VMware ESXi 6.5.0 build-5969303", "HostAgent"),
            Product("VMware ESXi 6.5.0 build-5969303", is_host=True),
        ),
        (
            ABOUT.format("VMware vCenter Server 6.5.0 build-5973321", "VirtualCenter"),
            Product("VMware vCenter Server 6.5.0 build-5973321", is_host=False),
        ),
        ("<html><body>about us</body></html>", None),
        (ABOUT.format("somebody", "else"), None),
        (ABOUT[:90], None),
        ("", None),
    ],
)
def test_a_product_says_what_it_is(answer: str, product: Product | None) -> None:
    assert product_of(answer.encode()) == product


# The kernel's own form: Documentation/networking and net/ipv4/fib_trie.c, fib_route_seq_show.
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0002A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
"""


@pytest.mark.skipif(sys.byteorder != "little", reason="the kernel writes in the machine's byte order")
def test_the_network_with_a_way_out_is_the_first() -> None:
    assert networks_of(ROUTES) == [
        OwnNetwork(IPv4Network("192.168.2.0/24"), IPv4Address("192.168.2.1")),
        OwnNetwork(IPv4Network("172.17.0.0/16"), None),
    ]
    assert networks_of("") == []
