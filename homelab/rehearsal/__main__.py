"""The lab's own process, the first one in its namespaces: what lives in it dies with it.

It reads one line of JSON from standard input (`Order`), writes the line `ready` when everything answers, and stays
until SIGTERM, SIGINT, or the end of standard input.
"""

import json
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from homelab.lab import Lab
from homelab.rehearsal.faults import control
from homelab.rehearsal.faults.acts import Stage
from homelab.rehearsal.faults.guests import GuestHarm
from homelab.rehearsal.faults.orders import Faults
from homelab.rehearsal.faults.table import Wish
from homelab.rehearsal.guests.guests import Guests
from homelab.rehearsal.guests.network import Loopback, Network
from homelab.rehearsal.host.host import Timing
from homelab.rehearsal.nas.face import NasFace
from homelab.rehearsal.site import Lan, Site
from homelab.rehearsal.storage.storage import Nas, Volumes
from homelab.rehearsal.vms.machines import Machines, NoMachines


@dataclass(frozen=True)
class Order:
    """What the lab is made from.

    `work` is an empty folder; `roots` are the guests' roots, None for no guests; `namespaces` says whether it has any;
    `control` is a listening socket that this process was given.
    """

    lab: Lab
    work: Path
    roots: Path | None
    namespaces: bool
    control: int
    faults: tuple[Wish, ...]

    @classmethod
    def parse(cls, data: dict[str, Any]) -> "Order":
        """From JSON."""
        roots = Path(data["roots"]) if data["roots"] else None
        faults = tuple(Wish(**wish) for wish in data["faults"])
        lab, work = Lab.model_validate(data["lab"]), Path(data["work"])
        return cls(lab, work, roots, data["namespaces"], data["control"], faults)


def main() -> None:
    """Build the lab, say so, stay, take it down."""
    line = sys.stdin.readline()
    if not line:
        return  # the caller ended before it knew what to order
    order = Order.parse(json.loads(line))
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    threading.Thread(target=_end_with_the_caller, args=(over,), daemon=True).start()
    network = _network(order)
    guests = Guests(order.work, network, order.roots) if order.roots and isinstance(network, Network) else None
    sites = _sites(order, network, guests or NoMachines())
    for site in sites:
        site.start()
    for face in _nas_faces(order, sites):
        face.start()
    faults = _faults(order, network, guests, sites)
    control.answer(socket.socket(fileno=order.control), faults)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    over.wait()
    wire = {site.wanted.name: site.wire() for site in sites}
    (order.work.parent / "wire.json").write_text(json.dumps(wire, indent=2) + "\n")
    for site in sites:
        site.stop()
    if guests:
        guests.close()


def _end_with_the_caller(over: threading.Event) -> None:
    """The caller holds the other end of standard input for as long as it lives."""
    sys.stdin.read()
    over.set()


def _network(order: Order) -> Network | Loopback:
    if not order.namespaces:
        return Loopback()
    # Private to this mount namespace and in memory: nothing of it can be left behind.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700,nr_inodes=0", "rehearsal", str(order.work)], check=True)
    network = Network(order.lab.network, order.lab.gateway)
    network.start()
    for server in order.lab.nfs:
        with suppress(ValueError):  # a NAS may be named, and nothing here resolves names
            network.add_address(IPv4Address(server.server))
    return network


def _sites(order: Order, network: Network | Loopback, machines: Machines) -> list[Site]:
    lab = order.lab
    nas = Nas({server.server for server in lab.nfs}, {server.export.rstrip("/") for server in lab.nfs})
    volumes = Volumes(order.work / "volumes", nas)
    lan = Lan.of_lab(lab)
    return [Site(host, network, volumes, machines, Timing(), lan) for host in lab.esxi]


def _faults(order: Order, network: Network | Loopback, guests: Guests | None, sites: list[Site]) -> Faults:
    """The lab's faults, those that were ordered from the start among them."""
    harm = GuestHarm(guests) if guests else None
    hosts = [site.host for site in sites]
    stage = Stage(order.lab, {site.wanted.name: site for site in sites}, hosts[0].volumes.nas, network, harm)
    faults = Faults(stage, order.work.parent / "logs")
    faults.order(order.faults)
    return faults


def _nas_faces(order: Order, sites: list[Site]) -> list[NasFace]:
    """The NAS at each of its addresses; on the loopback there is no place for its fixed ports."""
    if not order.namespaces or not sites:
        return []
    faces = {}
    for server in order.lab.nfs:
        with suppress(ValueError):  # as above: what is only named has no address here
            address = str(IPv4Address(server.server))
            faces[address] = NasFace(sites[0].host.volumes.nas, address, lambda: _mounts(sites))
    return list(faces.values())


def _mounts(sites: list[Site]) -> list[tuple[str, str]]:
    """Which host has mounted which export."""
    hosts = [site.host for site in sites]
    return [(host.address, mount.share) for host in hosts for mount in host.nas_mounts()]


if __name__ == "__main__":
    main()
