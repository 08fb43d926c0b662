"""The lab's own process, the first one in its namespaces: what lives in it dies with it.

It reads one JSON object from standard input (`Order`), writes the line `ready` when everything answers, and stays
until SIGTERM or SIGINT.
"""

import json
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from homelab.lab import Lab
from homelab.rehearsal.guests import Guests
from homelab.rehearsal.host import Timing
from homelab.rehearsal.machines import Machines, NoMachines
from homelab.rehearsal.network import Network
from homelab.rehearsal.site import Site
from homelab.rehearsal.storage import Nas, Volumes


@dataclass(frozen=True)
class Order:
    """What the lab is made from. `work` is an empty folder, `roots` the guests' roots, None for no guests."""

    lab: Lab
    work: Path
    roots: Path | None

    @classmethod
    def parse(cls, data: dict[str, Any]) -> "Order":
        """From JSON."""
        roots = data["roots"]
        return cls(Lab.model_validate(data["lab"]), Path(data["work"]), Path(roots) if roots else None)


def main() -> None:
    """Build the lab, say so, stay, take it down."""
    order = Order.parse(json.load(sys.stdin))
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    # Private to this mount namespace and in memory: nothing of it can be left behind.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700", "rehearsal", str(order.work)], check=True)
    network = Network(order.lab.network, order.lab.gateway)
    network.start()
    machines: Machines = Guests(order.work, network, order.roots) if order.roots else NoMachines()
    sites = _sites(order, network, machines)
    for site in sites:
        site.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    over.wait()
    for site in sites:
        site.stop()
    if isinstance(machines, Guests):
        machines.close()


def _sites(order: Order, network: Network, machines: Machines) -> list[Site]:
    lab = order.lab
    nas = Nas({server.server for server in lab.nfs}, {server.export.rstrip("/") for server in lab.nfs})
    for server in lab.nfs:
        network.add_address(IPv4Address(server.server))
    volumes = Volumes(order.work / "volumes", nas)
    return [Site(host, network, volumes, machines, Timing()) for host in lab.esxi]


if __name__ == "__main__":
    main()
