"""One simulated host put together: its state, its two faces, and its place in the network."""

import threading
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from homelab.lab import EsxiHost, Lab
from homelab.rehearsal.guests.network import Loopback, Network
from homelab.rehearsal.host.host import Host
from homelab.rehearsal.host.network import installed, leased
from homelab.rehearsal.shell.server import ShellFace
from homelab.rehearsal.soap.face import SoapFace
from homelab.rehearsal.state.disks import lay_foreign
from homelab.rehearsal.state.hardware import MODELS
from homelab.rehearsal.state.machines import Machines
from homelab.rehearsal.state.parts import Timing
from homelab.rehearsal.state.settings import NetworkSettings
from homelab.rehearsal.storage.volumes import Volumes

SHELL = "TSM-SSH"


@dataclass(frozen=True)
class Lan:
    """What a host knows of the network when it was installed."""

    network: IPv4Network
    gateway: IPv4Address
    nameservers: tuple[IPv4Address, ...]
    domain: str

    @classmethod
    def of_lab(cls, lab: Lab) -> "Lan":
        """The LAN of an inventory."""
        return cls(lab.network, lab.gateway, lab.nameservers, lab.domain)

    def seen_by(self, wanted: EsxiHost, address: str) -> NetworkSettings:
        """How a host is configured: by a DHCP server, or with its own address and name."""
        dns = [str(server) for server in self.nameservers]
        if address != str(wanted.address):
            return leased(address, self.network, str(self.gateway), dns)
        return installed(wanted.short_name, address, self.network, str(self.gateway), dns, self.domain)


class ServedHost:
    """A host that can be met on its address: both faces follow what the host's state says."""

    def __init__(
        self,
        wanted: EsxiHost,
        network: Network | Loopback,
        volumes: Volumes,
        machines: Machines,
        timing: Timing,
        lan: Lan | None = None,
    ) -> None:
        self.wanted = wanted
        self.network = network
        first = _first_address(wanted, network)
        self._address = IPv4Address(first)
        self.host = Host(
            wanted.name,
            first,
            MODELS[wanted.rehearsal_model],
            wanted.user,
            wanted.password.get_secret_value(),
            volumes=volumes.seen_by(wanted.name),
            machines=machines,
            timing=timing,
            network=lan.seen_by(wanted, first) if lan else None,
        )
        self._fill_disks()
        self.api = SoapFace(self.host, port=wanted.api_port)
        self.shell = ShellFace(self.host, first, wanted.ssh_port)
        self._api_up = self._there = False
        self._over = threading.Event()
        self.host.power.on_down = self._down
        self.host.power.on_up = self._up
        self.host.network.on_move = self._move

    def start(self) -> None:
        """Be there, as a host that has just been installed."""
        self._up()
        threading.Thread(target=self._follow, name=f"{self.host.name} faces", daemon=True).start()

    def clone_stick_of(self, other: "ServedHost") -> None:
        """Boot from a copy of another host's stick: the same installation's id, certificate and SSH host key."""
        self.host.stick_uuid = other.host.stick_uuid
        self.api.use_certificate(other.api.pair)
        self.shell.host_key = other.shell.host_key

    def wire(self) -> dict[str, int]:
        """How many calls, transfers and commands arrived so far, as the toolkit's record counts them."""
        files = sum(count for label, count in self.shell.calls.items() if label.startswith("sftp "))
        arrived = {"soap": self.api.calls, "http": self.api.transfers, "ssh": self.shell.calls}
        return {kind: counts.total() - (files if kind == "ssh" else 0) for kind, counts in arrived.items()}

    def stop(self) -> None:
        """Be gone."""
        self._over.set()
        self.host.power.stop()
        self._down()

    def _up(self) -> None:
        # A power cut may have undone a move.
        self._address = IPv4Address(self.host.settings.network.address)
        self.api.address = self.shell.address = self.host.settings.network.address
        self.network.add_address(self._address)
        self._there = True
        self._adjust()

    def _move(self) -> None:
        """The host answers at its new address, and no longer at the old one: what is under way there is cut off."""
        with self.host.lock:
            # First the address: on a network of its own nobody hears even the end of a connection, as on a LAN.
            if self.host.power.reachable:
                self.network.remove_address(self._address)
                self.shell.stop()
                if self._api_up:
                    self.api.close()
                self._api_up = False
                self._up()

    def _down(self) -> None:
        with self.host.lock:
            self._there = False
            self.shell.stop()
            if self._api_up:
                self.api.stop()
                self._api_up = False
        self.network.remove_address(self._address)

    def _follow(self) -> None:
        """Open and close the faces as services start and stop; hostd comes a while after the network."""
        while not self._over.is_set():
            with self.host.changed:
                self.host.changed.wait(0.1)
            self._adjust()

    def _adjust(self) -> None:
        with self.host.lock:
            # A boot is over a moment before its address is there.
            if self._over.is_set() or not self.host.power.reachable or not self._there:
                return
            if self.host.power.api_ready and not self._api_up:
                self.api.start()
                self._api_up = True
            ssh = self.host.services[SHELL].running
            if ssh and not self.shell.listening:
                self.shell.start()
            elif not ssh and self.shell.listening:
                self.shell.stop()

    def _fill_disks(self) -> None:
        """What the inventory wants to be on the host's first disk."""
        disk = next(iter(self.host.disks.values()))
        if self.wanted.rehearsal_disk == "vmfs":
            self.host.datastores.leave_vmfs(disk)
        elif self.wanted.rehearsal_disk == "foreign":
            lay_foreign(disk)


def _first_address(wanted: EsxiHost, network: Network | Loopback) -> str:
    """Where a host is first met; on the loopback hosts are told apart by ports, and there is no other address."""
    elsewhere = wanted.dhcp_address
    if elsewhere and (isinstance(network, Network) or elsewhere.is_loopback):
        return str(elsewhere)
    return str(wanted.address)
