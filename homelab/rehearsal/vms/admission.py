"""Whether a host has what a VM needs to start. Memory may be promised twice unless it is reserved."""

from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.refusals import FewResources, PowerOnRefused
from homelab.rehearsal.state.vm import Vm
from homelab.rehearsal.state.vm_settings import megabytes_reserved

MIB = 1 << 20


def check_start(state: HostState, vm: Vm) -> None:
    """FewResources, or PowerOnRefused for settings that do not go together.

    VMware's KB 2002779 has the sentence about memory that must be reserved; the one about cores is assumed.
    """
    cores = int(vm.settings.get("numCoresPerSocket", 1))
    if vm.cpus % cores:
        raise _refused(f"Number of virtual CPUs ({vm.cpus}) is not a multiple of the cores per socket ({cores}).")
    reserved = megabytes_reserved(vm.settings, vm.memory_mib)
    if vm.settings.get("latencySensitivity.level") == "high" and reserved < vm.memory_mib:
        raise _refused(
            f"Invalid memory setting: memory reservation (sched.mem.min) should be equal to memsize({vm.memory_mib})."
        )
    others = [one for one in state.registered_vms.values() if one.powered_on and one is not vm]
    left = state.model.memory_mib - sum(megabytes_reserved(one.settings, one.memory_mib) for one in others)
    if reserved > left:
        text = "The host does not have sufficient memory resources to satisfy the reservation."
        raise FewResources(text, requested=reserved * MIB, unreserved=left * MIB)


def _refused(text: str) -> PowerOnRefused:
    return PowerOnRefused(text, reason=text)
