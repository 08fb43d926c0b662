"""Whether a host has what a VM needs to start. Memory may be promised twice unless it is reserved."""

from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.refusals import FewResources, InvalidState, PowerOnRefused
from homelab.rehearsal.state.vm import Vm
from homelab.rehearsal.state.vm_settings import megabytes_reserved
from homelab.rehearsal.vms.states import check_cpus

MIB = 1 << 20


def check_start(state: HostState, vm: Vm) -> None:
    """Whether a host lets a VM run, one that starts or one that wakes.

    InvalidState in maintenance mode, FewResources, or PowerOnRefused for settings that do not go together. VMware's
    KB 2002779 has the sentence about memory that must be reserved; the one about cores is assumed.
    """
    if state.in_maintenance:
        raise InvalidState("The operation is not allowed in the current state.")
    if state.harm.power_on_refused:
        raise _refused("Module 'MonitorLoop' power on failed.")
    check_cpus(state, vm)
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
