"""What the step `vm` changes: each change carries all that it writes."""

from dataclasses import dataclass

from homelab.engine.step import Change, Words
from homelab.formats.guest.cloud_init import FirstBoot
from homelab.steps.vms.vm_folder import Making


@dataclass(frozen=True)
class Hardware:
    """What a VM is made of, sizes in MiB and GiB."""

    cpus: int
    memory_mib: int
    disk_gib: int
    network: str
    mac: str


@dataclass(frozen=True)
class CreateVm(Change):
    """Create one VM on one host from the image.

    `image` is the datastore path of the image's descriptor, `image_sha256` its content. `boot` is what the seed says;
    with no authorized keys in it, it gets the key of our own. `leftovers` are files of a half-made VM, which go first.
    """

    host: str
    making: Making
    image: str
    image_sha256: str
    hardware: Hardware
    boot: FirstBoot
    leftovers: tuple[str, ...] = ()

    def _words(self) -> Words:
        return Words(
            sentence=self._sentence,
            reason=f"no host has a VM {self.target} of this lab",
            undo=f"switch {self.target} off and delete it from disk on {self.host}",
            before=f"half-made by an earlier run: {', '.join(self.leftovers)}" if self.leftovers else "absent",
        )

    @property
    def _sentence(self) -> str:
        first = f"remove the half-made VM {self.target} and " if self.leftovers else ""
        made = f"create the VM {self.target} on {self.host}, its disk a thin copy of the image on "
        return f"{first}{made}{self.making.datastore}"


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
