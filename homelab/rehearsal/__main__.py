"""The lab's own process, the first one in its namespaces: what lives in it dies with it.

It reads one line of JSON from standard input (`LabSpec`), writes the line `ready` when everything answers, and stays
until SIGTERM, SIGINT, or the end of standard input.
"""

import gc
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from homelab.lab import Lab
from homelab.rehearsal.faults import control
from homelab.rehearsal.faults.effects import SimulatedLab
from homelab.rehearsal.faults.guests import GuestHarm
from homelab.rehearsal.faults.schedule import Faults
from homelab.rehearsal.faults.table import FaultRequest
from homelab.rehearsal.guests.guests import Guests
from homelab.rehearsal.guests.network import Loopback, Network
from homelab.rehearsal.nas.face import NasFace
from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.served_host import Lan, ServedHost
from homelab.rehearsal.state.machines import Machines, NoMachines
from homelab.rehearsal.state.parts import Timing
from homelab.rehearsal.storage.volumes import Volumes


@dataclass(frozen=True)
class LabSpec:
    """What the lab is made from.

    `work` is an empty folder; `roots` are the guests' roots, None for no guests; `namespaces` says whether it has any;
    `control` is a listening socket that this process was given.
    """

    lab: Lab
    work: Path
    roots: Path | None
    namespaces: bool
    control: int
    faults: tuple[FaultRequest, ...]

    @classmethod
    def parse(cls, data: dict[str, Any]) -> "LabSpec":
        """From JSON."""
        roots = Path(data["roots"]) if data["roots"] else None
        faults = tuple(FaultRequest(**request) for request in data["faults"])
        lab, work = Lab.model_validate(data["lab"]), Path(data["work"])
        return cls(lab, work, roots, data["namespaces"], data["control"], faults)


def main() -> None:
    """Build the lab, say so, stay, take it down."""
    # What is loaded stays: a hundred thousand objects, which nobody has to search for garbage again and again.
    gc.freeze()
    gc.set_threshold(50_000)
    line = sys.stdin.readline()
    if not line:
        return  # the caller ended before it knew what it wanted
    spec = LabSpec.parse(json.loads(line))
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    threading.Thread(target=_end_with_the_caller, args=(over,), daemon=True).start()
    network = _network(spec)
    guests = Guests(spec.work, network, spec.roots) if spec.roots and isinstance(network, Network) else None
    nas = Nas({server.server for server in spec.lab.nfs}, {server.export.rstrip("/") for server in spec.lab.nfs})
    hosts = _served_hosts(spec, nas, network, guests or NoMachines())
    for served in hosts.values():
        served.start()
    for face in _nas_faces(spec, nas, hosts.values()):
        face.start()
    lab = SimulatedLab(spec.lab, hosts, nas, network, GuestHarm(guests) if guests else None)
    faults = Faults(lab, spec.work.parent / "logs")
    faults.schedule(spec.faults)
    control.answer(socket.socket(fileno=spec.control), faults)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    over.wait()
    wire = {name: served.wire() for name, served in hosts.items()}
    (spec.work.parent / "wire.json").write_text(json.dumps(wire, indent=2) + "\n")
    for served in hosts.values():
        served.stop()
    if guests:
        guests.close()


def _end_with_the_caller(over: threading.Event) -> None:
    """The caller holds the other end of standard input for as long as it lives."""
    sys.stdin.read()
    over.set()


def _network(spec: LabSpec) -> Network | Loopback:
    if not spec.namespaces:
        return Loopback()
    # Private to this mount namespace and in memory: nothing of it can be left behind.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700,nr_inodes=0", "rehearsal", str(spec.work)], check=True)
    network = Network(spec.lab.network, spec.lab.gateway)
    network.start()
    for server in spec.lab.nfs:
        with suppress(ValueError):  # a NAS may be named, and nothing here resolves names
            network.add_address(IPv4Address(server.server))
    return network


def _served_hosts(spec: LabSpec, nas: Nas, network: Network | Loopback, machines: Machines) -> dict[str, ServedHost]:
    volumes, lan = Volumes(spec.work / "volumes", nas), Lan.of_lab(spec.lab)
    return {host.name: ServedHost(host, network, volumes, machines, Timing(), lan) for host in spec.lab.esxi}


def _nas_faces(spec: LabSpec, nas: Nas, hosts: Iterable[ServedHost]) -> list[NasFace]:
    """The NAS at each of its addresses; on the loopback there is no place for its fixed ports."""
    if not spec.namespaces:
        return []
    faces = {}
    for server in spec.lab.nfs:
        with suppress(ValueError):  # as above: what is only named has no address here
            address = str(IPv4Address(server.server))
            faces[address] = NasFace(nas, address, lambda: _mounts(hosts))
    return list(faces.values())


def _mounts(served_hosts: Iterable[ServedHost]) -> list[tuple[str, str]]:
    """Which host has mounted which export."""
    hosts = [served.host for served in served_hosts]
    return [(host.settings.network.address, mount.share) for host in hosts for mount in host.datastores.nas_mounts()]


if __name__ == "__main__":
    main()
