"""Creating and changing VMs from a VirtualMachineConfigSpec. Call with the host's lock held."""

import copy
import shutil
import uuid as uuids
from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap import hardware_versions, vm_devices, vm_extra, vm_kept
from homelab.rehearsal.soap.taken import not_simulated
from homelab.rehearsal.soap.vm_config import config_of
from homelab.rehearsal.soap.vm_disk_acts import DiskActs
from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.state.guest_names import is_too_new
from homelab.rehearsal.state.vm import Vm
from homelab.rehearsal.storage.paths import join, split
from homelab.rehearsal.vms.states import must_be

GUESTS = frozenset(vim.vm.GuestOsDescriptor.GuestOsIdentifier.values)
AT_BIRTH = frozenset({"files.vmPathName", "version"})


def check(host: Host, spec: Any) -> None:
    """What can be told of a new VM before anything is made: InvalidArgument, DuplicateName, a datastore's faults."""
    if not spec.files or not spec.files.vmPathName:
        raise _wrong("files.vmPathName")
    host.datastores.path_of(spec.files.vmPathName)
    host.vms.check_new(Vm("", spec.name or "", "", spec.files.vmPathName))


def create(host: Host, spec: Any) -> Vm:
    """A new VM; when a disk cannot be had, nothing stays."""
    check(host, spec)
    vm = Vm(host.vms.next_moid(), spec.name or "", "", spec.files.vmPathName)
    vm.hardware_version = hardware_versions.chosen(host, spec.version)
    vm.vmx_path = _own_folder(host, vm)
    vm.datastore = split(vm.vmx_path)[0]
    folder = host.datastores.path_of(vm.folder)
    fresh, acts = not folder.exists(), DiskActs(host)
    try:
        host.datastores.volumes.check_space(folder, label=vm.vmx_path)
        folder.mkdir(parents=True, exist_ok=True)
        _apply(host, vm, spec, vm_kept.CARRIED_OUT | AT_BIRTH, acts)
        made = host.vms.create(vm)
    except Exception:
        acts.take_back()
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    acts.keep()
    return made


def reconfigure(host: Host, vm: Vm, spec: Any) -> None:
    """Change a VM; when one part is refused, nothing changes."""
    if spec.changeVersion and spec.changeVersion != vm.change_version:
        raise fault("ConcurrentAccess", "The object has been modified since it was read.")
    before, acts = copy.deepcopy(vm), DiskActs(host)
    try:
        if spec.name and spec.name != vm.name:
            host.vms.check_new(Vm("", spec.name, vm.datastore, vm.vmx_path))
            vm.name = spec.name
        _apply(host, vm, spec, vm_kept.CARRIED_OUT, acts)
        host.vms.update(vm)
    except Exception:
        vars(vm).update(vars(before))
        acts.take_back()
        raise
    acts.keep()
    if spec.extraConfig and vm.powered_on:
        host.vm_power.machines.tell(vm.machine_name, vm.guestinfo)


def _apply(host: Host, vm: Vm, spec: Any, carried_out: frozenset[str], acts: DiskActs) -> None:
    vm_kept.take(vm, spec, config_of(host, vm), carried_out)
    _identify(host, vm, spec)
    _size(vm, spec)
    if spec.firmware and spec.firmware != vm.firmware:
        if spec.firmware not in ("bios", "efi"):
            raise _wrong("firmware")
        must_be(vm, on=False, wanted="poweredOff")
        vm.firmware = spec.firmware
    if spec.annotation is not None:
        vm.annotation = spec.annotation
    vm_extra.take(vm, spec.extraConfig)
    vm_kept.secure_boot_needs_efi(vm)
    vm_devices.change(host, vm, spec.deviceChange, acts)


def _identify(host: Host, vm: Vm, spec: Any) -> None:
    """The VM's ids, and what its guest is."""
    cold = {"uuid": vm.uuid, "guestId": vm.guest_id}
    if any(getattr(spec, name) not in (None, now) for name, now in cold.items()):
        must_be(vm, on=False, wanted="poweredOff")
    if spec.guestId and spec.guestId != vm.guest_id:
        if spec.guestId not in GUESTS or is_too_new(spec.guestId, host.version):
            raise _wrong("guestId")
        vm.guest_id = spec.guestId
    vm.uuid = _uuid("uuid", spec.uuid) or vm.uuid
    vm.instance_uuid = _uuid("instanceUuid", spec.instanceUuid) or vm.instance_uuid


def _size(vm: Vm, spec: Any) -> None:
    """CPUs and memory: as many as the VM's hardware can have, whatever the host has; that matters when it starts."""
    cpus, memory = spec.numCPUs or vm.cpus, spec.memoryMB if spec.memoryMB is not None else vm.memory_mib
    most_cpus, most_memory = hardware_versions.most(vm.hardware_version)
    if not 1 <= cpus <= most_cpus:
        raise _wrong("numCPUs")
    if not 4 <= memory <= most_memory or memory % 4:
        raise _wrong("memoryMB")
    if vm.powered_on and cpus != vm.cpus and not (cpus > vm.cpus and vm.settings.get("cpuHotAddEnabled")):
        raise fault("CpuHotPlugNotSupported", "CPU hot plug is not supported for this virtual machine.")
    if (
        vm.powered_on
        and memory != vm.memory_mib
        and not (memory > vm.memory_mib and vm.settings.get("memoryHotAddEnabled"))
    ):
        raise fault("MemoryHotPlugNotSupported", "Memory hot plug is not supported for this virtual machine.")
    if vm.powered_on and (cpus, memory) != (vm.cpus, vm.memory_mib):
        raise not_simulated("Adding CPUs or memory to a VM that runs")
    vm.cpus, vm.memory_mib = cpus, int(memory)


def _own_folder(host: Host, vm: Vm) -> str:
    """`[NAS]` alone: the folder takes the VM's name, and a number when that folder is there already."""
    store, path = split(vm.vmx_path)
    if path.endswith(".vmx"):
        return vm.vmx_path
    folder, number = path.rstrip("/") or vm.name, 0
    while host.datastores.path_of(join(store, folder)).exists() and not path:
        number += 1
        folder = f"{vm.name}_{number}"
    return join(store, f"{folder}/{vm.name}.vmx")


def _uuid(name: str, wanted: str | None) -> str | None:
    """A UUID as it is told afterwards; a client may choose it (VirtualMachineConfigSpec.instanceUuid)."""
    try:
        return str(uuids.UUID(wanted)) if wanted else None
    except ValueError:
        raise _wrong(name) from None


_wrong = vm_kept.wrong
