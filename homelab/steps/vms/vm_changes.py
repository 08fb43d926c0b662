"""What the step `vm` changes: each change carries all that it writes."""

from dataclasses import dataclass

from homelab.engine.step import Asking, Change, Words
from homelab.formats.guest.cloud_init import FirstBoot
from homelab.lab import Seed
from homelab.ports.vsphere.autostart import Autostart
from homelab.steps.vms.vm_folder import Making


@dataclass(frozen=True)
class Hardware:
    """What a VM is made of, sizes in MiB and GiB."""

    cpus: int
    memory_mib: int
    disk_gib: int
    network: str
    mac: str


def started_by(host: str, autostart: Autostart | None) -> str:
    """That the host will start the VM, as the end of a sentence; empty when nothing is set."""
    if autostart is None:
        return ""
    switch = " (its autostart is switched on)" if autostart.enable else ""
    return f"; {host} starts it after a power cut{switch}"


@dataclass(frozen=True)
class CreateVm(Change):
    """Create one VM on one host from the image.

    `image` is the datastore path of the disk that its own is copied from, or that a linked one's sits on;
    `image_sha256` is the content of the image. `boot` is what the seed says; with no authorized keys in it, it gets the
    key of our own. `leftovers` are files of a half-made VM, which go first. `autostart` is how it starts with its host,
    None where that is not ours to say; `why` says what put it there. `seed` is how the guest is told.
    """

    host: str
    making: Making
    image: str
    image_sha256: str
    hardware: Hardware
    boot: FirstBoot
    leftovers: tuple[str, ...] = ()
    autostart: Autostart | None = None
    why: str = ""
    seed: Seed = "nocloud"

    def _words(self) -> Words:
        return Words(
            sentence=self._sentence,
            reason=f"no host has a VM {self.target} of this lab; on {self.host}: {self.why}",
            undo=f"homelab vm destroy {self.target}",
            before=f"half-made by an earlier run: {', '.join(self.leftovers)}" if self.leftovers else "absent",
        )

    @property
    def _sentence(self) -> str:
        first = f"remove the half-made VM {self.target} and " if self.leftovers else ""
        disk = f"linked to a base of {self.hardware.disk_gib} GiB" if self.making.linked else "a thin copy of the image"
        made = f"create the VM {self.target} on {self.host}, its disk {disk} on {self.making.datastore}"
        seed = ", its seed in its configuration" if self.seed == "guestinfo" else ""
        return f"{first}{made}{seed}{started_by(self.host, self.autostart)}"


@dataclass(frozen=True)
class PowerOnVm(Change):
    """Switch the VM of a .vmx on."""

    host: str
    path: str

    def _words(self) -> Words:
        return Words(
            sentence=f"switch the VM {self.target} on",
            reason=f"{self.target} is off",
            undo=f"shut {self.target} down",
            before="off",
            after="on",
        )


@dataclass(frozen=True)
class ReconfigureVm(Change):
    """Change the VM of a .vmx, each field where it is set; `disk` is a path and its new size in GiB.

    `network` is the MAC of a NIC and its new port group, `was` tells how it differs. CPUs, memory and disk are changed
    only of a VM that is off.
    """

    host: str
    path: str
    cpus: int | None = None
    memory_mib: int | None = None
    network: tuple[str, str] | None = None
    disk: tuple[str, int] | None = None
    was: tuple[str, ...] = ()

    def _words(self) -> Words:
        return Words(
            sentence=f"change the VM {self.target}: {'; '.join(self.was)}",
            reason="the inventory says otherwise",
            undo="change the inventory back and run again; a disk stays as large as it became",
            before="otherwise",
            after="as the inventory says",
        )


@dataclass(frozen=True)
class ShutDownVm(Change):
    """Have the guest of the VM of a .vmx shut itself down; after so many seconds its plug is pulled.

    At once, where the guest has no VMware Tools and cannot be asked over SSH either.
    """

    disruptive = True

    host: str
    path: str
    seconds: float

    @property
    def harms(self) -> frozenset[str]:
        """Nobody's disk: who is on that host is enough to know."""
        return frozenset({self.host})

    def _words(self) -> Words:
        return Words(
            sentence=f"shut the VM {self.target} down on {self.host}, and switch it off if its guest cannot be asked, "
            f"or takes longer than {self.seconds:g} s",
            reason=f"{self.target} is on",
            undo=f"switch {self.target} on",
            before="on",
            after="off",
        )


@dataclass(frozen=True)
class DestroyVm(Change):
    """Destroy a VM of ours that is off: unregister it, if it is `registered`, and delete its own files one by one.

    Those are told by vm_files.own_files; `strangers` are what else was seen in its folder, and stay. `address` is what
    its host key is forgotten for. With `autostart` it is among the VMs that start with the host.
    """

    disruptive = True

    host: str
    making: Making
    registered: bool
    strangers: tuple[str, ...]
    address: str
    autostart: bool = False

    def _words(self) -> Words:
        left = f"; not ours and left there: {', '.join(self.strangers)}" if self.strangers else ""
        return Words(
            sentence=f"destroy the VM {self.target} on {self.host}: delete its files in {self.making.place}{left}",
            reason=f"{self.target} is not wanted any more"
            if self.registered
            else "an earlier run destroyed half of it",
            undo="none: its disk is gone; homelab vm create makes a new one from the image",
            before=f"{'registered' if self.registered else 'not registered'}, its files in {self.making.place}",
            after="absent",
            loses=f"the disk of {self.target} and all that was ever written to it",
        )

    @property
    def asking(self) -> Asking:
        """A VM is destroyed only when its name was typed; a script says --yes."""
        return Asking(
            lines=(f"{self.words.sentence}.", f"Gone for good: {self.words.loses}."),
            loss=f"the VM {self.target} would be destroyed",
            advice="Read the plan, then run again with --yes",
            place=self.making.place,
            must_name=self.target,
            other_name=self.making.vm,
        )


@dataclass(frozen=True)
class RemoveNote(Change):
    """Delete the note that an interrupted run left beside the finished VM."""

    host: str
    making: Making
    path: str

    def _words(self) -> Words:
        return Words(
            sentence=f"delete the note [{self.making.datastore}] {self.path} beside the finished VM {self.target}",
            reason=f"an interrupted run left it there, and {self.target} is made",
            undo="not needed: it says nothing but who made the VM",
            before="present",
            after="deleted",
        )
