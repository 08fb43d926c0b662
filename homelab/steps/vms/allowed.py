"""What the licence of a host allows its VMs. Pure."""

from dataclasses import dataclass

from homelab.errors import Refused
from homelab.lab import Vm
from homelab.ports.vsphere import HostLook


@dataclass(frozen=True)
class Allowed:
    """Whether the API writes, and the most CPUs of one VM; None is without limit. `licence` is what it is called."""

    licence: str = ""
    api_writes: bool = True
    cpus: int | None = None

    @classmethod
    def at(cls, look: HostLook) -> "Allowed":
        """What a look at the host tells."""
        return cls(look.licence, look.api_writes, look.most_cpus)

    def too_many(self, vm: Vm) -> str:
        """Why a VM cannot have the CPUs that the inventory wants; empty when it can."""
        if self.cpus is None or vm.cpus <= self.cpus:
            return ""
        return f"{vm.name} wants {vm.cpus} CPUs, and {self.licence} allows a VM {self.cpus}"


def check_linked(vm: Vm, host: str, allowed: Allowed) -> None:
    """Refused when the disk of a VM is to be linked where the API only reads: the shell has no command for it."""
    if vm.clone == "linked" and not allowed.api_writes:
        raise Refused(
            f"the disk of {vm.name} cannot be linked on {host}: the API only reads ({allowed.licence})",
            where=host,
            advice=f"Write vm_clone: thin for {vm.name}, or assign another licence",
        )


def check_cpus(vm: Vm, host: str, allowed: Allowed) -> None:
    """Refused when the licence does not allow a VM so many CPUs: it would be made, and never come on."""
    if why := allowed.too_many(vm):
        raise Refused(
            why,
            where=host,
            advice=f"Set vm_cpus of {vm.name} to {allowed.cpus} or fewer, or assign another licence",
        )
