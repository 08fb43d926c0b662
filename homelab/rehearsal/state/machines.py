"""What a simulated host knows of the machines behind its VMs: a description, and what is done to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class GuestSpec:
    """One VM as it is powered on.

    `disk` is the folder beside the VMDK that holds the guest's writes (upper/, work/), `root_id` names the cached
    root below it, `layers` are folders with writes between the two, the topmost first; `mac` is the first NIC's, `seed`
    the ISO image in the CD-ROM drive if there is one, `plugged` whether that NIC is plugged in. Memory in MiB.
    `guestinfo` is what the VM's configuration says to the guest, by its keys.
    """

    name: str
    disk: Path
    root_id: str
    mac: str
    seed: Path | None
    cpus: int
    memory_mib: int
    layers: tuple[Path, ...] = ()
    plugged: bool = True
    guestinfo: Mapping[str, str] = field(default_factory=dict, repr=False)


class Machines(Protocol):
    """The real machines behind the VMs. Names are the VMs'; every method may be called from any thread."""

    def power_on(self, spec: GuestSpec) -> None:
        """Switch a machine on; returns at once."""
        ...

    def power_off(self, name: str) -> None:
        """Pull the plug; the disk stays."""
        ...

    def shut_down(self, name: str) -> None:
        """Ask the machine to leave in its own way; returns at once."""
        ...

    def plug(self, name: str, *, connected: bool) -> None:
        """Pull or put back the cable of a machine's first NIC."""
        ...

    def tell(self, name: str, guestinfo: Mapping[str, str]) -> None:
        """Another configuration of its VM, while the machine runs."""
        ...

    def reboot(self, name: str) -> None:
        """Ask the machine to start anew in its own way; returns at once."""
        ...

    def freeze(self, name: str, *, frozen: bool) -> bool:
        """Stop a machine in its tracks, or let it go on; whether that can be done here."""
        ...

    def is_running(self, name: str) -> bool:
        """Whether the machine runs; one that left by itself does not."""
        ...


class NoMachines:
    """Machines where no guests can run: they only remember whether they are on."""

    def __init__(self) -> None:
        self._on: set[str] = set()

    def power_on(self, spec: GuestSpec) -> None:
        """Remember that it is on."""
        self._on.add(spec.name)

    def power_off(self, name: str) -> None:
        """Remember that it is off."""
        self._on.discard(name)

    def shut_down(self, name: str) -> None:
        """Remember that it is off."""
        self._on.discard(name)

    def plug(self, name: str, *, connected: bool) -> None:
        """There is no cable."""

    def tell(self, name: str, guestinfo: Mapping[str, str]) -> None:
        """There is nobody to tell."""

    def reboot(self, name: str) -> None:
        """It stays on."""

    def freeze(self, name: str, *, frozen: bool) -> bool:
        """It does nothing either way."""
        return True

    def is_running(self, name: str) -> bool:
        """Whether it was left on."""
        return name in self._on
