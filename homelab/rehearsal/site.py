"""One simulated host put together: its state, its two faces, and its place in the network."""

import threading

from homelab.lab import EsxiHost
from homelab.rehearsal.hardware import MODELS
from homelab.rehearsal.host import Host, Timing
from homelab.rehearsal.machines import Machines
from homelab.rehearsal.network import Loopback, Network
from homelab.rehearsal.shell.server import ShellFace
from homelab.rehearsal.soap.face import SoapFace
from homelab.rehearsal.storage import Volumes

SHELL = "TSM-SSH"


class Site:
    """A host that can be met on its address: both faces follow what the host's state says."""

    def __init__(
        self, wanted: EsxiHost, network: Network | Loopback, volumes: Volumes, machines: Machines, timing: Timing
    ) -> None:
        self.wanted = wanted
        self.network = network
        self.host = Host(
            wanted.name,
            str(wanted.address),
            MODELS[wanted.rehearsal_model],
            wanted.user,
            wanted.password.get_secret_value(),
            volumes=volumes.seen_by(wanted.name),
            machines=machines,
            timing=timing,
        )
        self.api = SoapFace(self.host, port=wanted.api_port)
        self.shell = ShellFace(self.host, str(wanted.address), wanted.ssh_port)
        self._api_up = False
        self._over = threading.Event()
        self.host.on_down = self._down
        self.host.on_up = self._up

    def start(self) -> None:
        """Be there, as a host that has just been installed."""
        self._up()
        threading.Thread(target=self._follow, name=f"{self.host.name} faces", daemon=True).start()

    def wire(self) -> dict[str, int]:
        """How many calls, transfers and commands arrived so far, as the toolkit's record counts them."""
        arrived = {"soap": self.api.calls, "http": self.api.transfers, "ssh": self.shell.calls}
        return {kind: counts.total() for kind, counts in arrived.items()}

    def stop(self) -> None:
        """Be gone."""
        self._over.set()
        self.host.stop()
        self._down()

    def _up(self) -> None:
        self.network.add_address(self.wanted.address)
        self._adjust()

    def _down(self) -> None:
        with self.host.lock:
            self.shell.stop()
            if self._api_up:
                self.api.stop()
                self._api_up = False
        self.network.remove_address(self.wanted.address)

    def _follow(self) -> None:
        """Open and close the faces as services start and stop; hostd comes a while after the network."""
        while not self._over.is_set():
            with self.host.changed:
                self.host.changed.wait(0.1)
            self._adjust()

    def _adjust(self) -> None:
        with self.host.lock:
            if self._over.is_set() or not self.host.reachable:
                return
            if self.host.api_ready and not self._api_up:
                self.api.start()
                self._api_up = True
            ssh = self.host.services[SHELL].running
            if ssh and not self.shell.listening:
                self.shell.start()
            elif not ssh and self.shell.listening:
                self.shell.stop()
