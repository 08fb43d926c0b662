"""How a VM that exists differs from the inventory, and what is done about it. Pure.

ESXi plugs a running VM into another network; CPUs, memory and disk are changed while it is off. No VM is switched off
for that: control planes would go off together. It is done the next time that somebody has it off.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from homelab.lab import Vm
from homelab.ports.vsphere import VmLook
from homelab.ports.vsphere.vm_look import LAB, VmDisk, VmNic
from homelab.steps.vms.bases import is_base
from homelab.steps.vms.sitters import Sitters
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


def drift_of(vm: Vm, found: VmLook, mac: str) -> tuple[Drift, ...]:
    """CPUs, memory, disk and its kind, the network of the NIC with the MAC; what was not told does not differ."""
    disk = found.disks[0].size if found.disks else 0
    pairs = (
        ("CPUs", found.cpus, vm.cpus, ""),
        ("memory", found.memory_mib, vm.memory_mib, " MiB"),
        ("disk", disk / GIB, vm.disk_gib, " GiB"),
    )
    sizes = tuple(
        Drift(what, f"{now:g}{unit}", f"{wanted}{unit}") for what, now, wanted, unit in pairs if now and now != wanted
    )
    if found.disks and (now := kind_of(found)) != vm.clone:
        sizes = (*sizes, Drift("clone", now, vm.clone))
    nic = own_nic(found, mac)
    if nic is None or nic.network in ("", vm.network):
        return sizes
    return (*sizes, Drift("network", nic.network, vm.network))


def own_nic(found: VmLook, mac: str) -> VmNic | None:
    """The NIC that we gave it: by its MAC, or the only one; None when that cannot be told."""
    ours = [nic for nic in found.nics if nic.mac.lower() == mac.lower()] or found.nics
    return ours[0] if len(ours) == 1 else None


def kind_of(found: VmLook) -> Literal["thin", "linked"]:
    """Whether a VM's disk sits on a base."""
    lab, datastore = found.marks.get(LAB, ""), found.path.removeprefix("[").partition("]")[0]
    return "linked" if any(is_base(lab, datastore, file) for file in found.files) else "thin"


def own_disk(vm: Vm, found: VmLook) -> VmDisk | None:
    """The disk that we gave it, when it has no other, and that sits on none; then nothing else grows with it."""
    path = f"{found.path.rpartition('/')[0]}/{vm.short_name}.vmdk"
    if [file for file in found.files if file.endswith(".vmdk")] != [path]:
        return None
    return next((disk for disk in found.disks if disk.path == path), None)


def grows(vm: Vm, found: VmLook) -> bool:
    """Whether the inventory wants its disk larger, and it is the one that we gave it."""
    disk = own_disk(vm, found)
    return disk is not None and 0 < disk.size < vm.disk_gib * GIB


def reconfigured(vm: Vm, host: str, found: VmLook, mac: str, sitters: Sitters | None) -> Sequence[ReconfigureVm]:
    """What can be changed just now; a disk only while it is known that nobody sits on it."""
    left = {drift.what: drift for drift in _possible(vm, found, mac, sitters)}
    if not left:
        return []
    disk, nic = own_disk(vm, found), own_nic(found, mac)
    return [
        ReconfigureVm(
            vm.name,
            host,
            found.path,
            cpus=vm.cpus if "CPUs" in left else None,
            memory_mib=vm.memory_mib if "memory" in left else None,
            network=(nic.mac, vm.network) if nic and "network" in left else None,
            disk=(disk.path, vm.disk_gib) if disk and "disk" in left else None,
            was=tuple(map(str, left.values())),
        )
    ]


def left_as_it_is(vm: Vm, found: VmLook, mac: str, sitters: Sitters | None) -> list[str]:
    """What differs and is not changed just now, with what does it."""
    possible = _possible(vm, found, mac, sitters)
    return [_why(vm, found, drift, sitters) for drift in drift_of(vm, found, mac) if drift not in possible]


def _why(vm: Vm, found: VmLook, drift: Drift, sitters: Sitters | None) -> str:
    if drift.what == "disk" and found.disks[0].size > vm.disk_gib * GIB:
        return f"{drift}: a disk never becomes smaller; homelab vm rebuild {vm.name} makes a new one"
    if drift.what == "clone":
        return f"{drift}: a disk stays what it is; homelab vm rebuild {vm.name} makes a new one"
    if drift.what == "disk" and kind_of(found) == "linked":
        return f"{drift}: a linked disk never grows; homelab vm rebuild {vm.name} makes a new one"
    if drift.what == "disk" and own_disk(vm, found) is None:
        return f"{drift}: it has snapshots, or disks that we did not write, and is not changed"
    if found.powered_on:
        return f"{drift}: changed while it is off, as by homelab down -l {vm.name} and homelab up -l {vm.name}"
    if sitters and sitters.users:
        return f"{drift}: the disks of {', '.join(sitters.users)} sit on it, so it is not changed"
    return f"{drift}: not changed until {sitters.doubt if sitters else 'it is known who sits on it'}"


def _possible(vm: Vm, found: VmLook, mac: str, sitters: Sitters | None) -> list[Drift]:
    differs = drift_of(vm, found, mac)
    if found.powered_on:
        return [drift for drift in differs if drift.what == "network"]
    may_grow = grows(vm, found) and sitters is not None and sitters.nobody
    return [drift for drift in differs if drift.what != "clone" and (drift.what != "disk" or may_grow)]
