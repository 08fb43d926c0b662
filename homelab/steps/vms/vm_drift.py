"""How a VM that exists differs from the inventory, and what is done about it. Pure.

ESXi plugs a running VM into another network; CPUs, memory and disk are changed while it is off. No VM is switched off
for that: control planes would go off together. It is done the next time that somebody has it off.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab.lab import Vm
from homelab.ports.vsphere import VmLook
from homelab.steps.vms.vm_changes import ReconfigureVm

GIB = 1 << 30


@dataclass(frozen=True)
class Drift:
    """One thing that is not as the inventory says, both values as people read them."""

    what: str
    now: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.what} is {self.now}, wanted is {self.wanted}"


def drift_of(vm: Vm, found: VmLook) -> tuple[Drift, ...]:
    """CPUs, memory, disk and network; what a host did not tell does not differ."""
    disk = found.disks[0].size if found.disks else 0
    pairs = (
        ("CPUs", found.cpus, vm.cpus, ""),
        ("memory", found.memory_mib, vm.memory_mib, " MiB"),
        ("disk", disk / GIB, vm.disk_gib, " GiB"),
    )
    sizes = tuple(
        Drift(what, f"{now:g}{unit}", f"{wanted}{unit}") for what, now, wanted, unit in pairs if now and now != wanted
    )
    plugged = [name for name in found.networks if name]
    if not plugged or plugged[0] == vm.network:
        return sizes
    return (*sizes, Drift("network", plugged[0], vm.network))


def reconfigured(vm: Vm, host: str, found: VmLook) -> Sequence[ReconfigureVm]:
    """What can be changed just now."""
    left = {drift.what: drift for drift in drift_of(vm, found) if drift in _possible(vm, found)}
    if not left:
        return []
    disk = found.disks[0].path if "disk" in left else ""
    return [
        ReconfigureVm(
            vm.name,
            host,
            found.path,
            cpus=vm.cpus if "CPUs" in left else None,
            memory_mib=vm.memory_mib if "memory" in left else None,
            network=vm.network if "network" in left else None,
            disk=(disk, vm.disk_gib) if disk else None,
            was=tuple(map(str, left.values())),
        )
    ]


def left_as_it_is(vm: Vm, found: VmLook) -> list[str]:
    """What differs and is not changed just now, with what does it."""
    said = []
    for drift in drift_of(vm, found):
        if drift in _possible(vm, found):
            continue
        if drift.what == "disk" and _shrinks(vm, found):
            said.append(f"{drift}: a disk never becomes smaller; homelab vm rebuild {vm.name} makes a new one")
        else:
            said.append(
                f"{drift}: changed while it is off, as by homelab down -l {vm.name} and homelab up -l {vm.name}"
            )
    return said


def _possible(vm: Vm, found: VmLook) -> list[Drift]:
    differs = drift_of(vm, found)
    if found.powered_on:
        return [drift for drift in differs if drift.what == "network"]
    return [drift for drift in differs if drift.what != "disk" or not _shrinks(vm, found)]


def _shrinks(vm: Vm, found: VmLook) -> bool:
    return found.disks[0].size > vm.disk_gib * GIB
