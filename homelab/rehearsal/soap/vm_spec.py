"""Creating and changing VMs from a VirtualMachineConfigSpec. Call with the host's lock held."""

import copy
import shutil
import uuid as uuids
from typing import Any

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap import vm_devices
from homelab.rehearsal.state.refusals import InvalidArgument, InvalidPowerState
from homelab.rehearsal.state.vm import Vm
from homelab.rehearsal.storage.paths import join, split


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
    if spec.guestId:
        vm.guest_id = spec.guestId
    if spec.version:
        vm.hardware_version = spec.version
    vm.firmware = spec.firmware or "bios"
    vm.uuid = spec.uuid or vm.uuid
    vm.instance_uuid = _uuid(spec.instanceUuid) or vm.instance_uuid
    vm.vmx_path = _own_folder(host, vm)
    folder = host.datastores.path_of(split_folder(vm.vmx_path))
    fresh = not folder.exists()
    try:
        host.datastores.volumes.check_space(folder, label=vm.vmx_path)
        folder.mkdir(parents=True, exist_ok=True)
        _apply(host, vm, spec)
        return host.vms.create(vm)
    except Exception:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def reconfigure(host: Host, vm: Vm, spec: Any) -> None:
    """Change a VM; when one part is refused, nothing changes."""
    cold = {"numCPUs": vm.cpus, "memoryMB": vm.memory_mib, "uuid": vm.uuid, "guestId": vm.guest_id}
    for name, now in cold.items():
        wanted = getattr(spec, name)
        if vm.powered_on and wanted is not None and wanted != now:
            raise InvalidPowerState(
                "The attempted operation cannot be performed in the current state (Powered on).",
                requestedState="poweredOff",
                existingState="poweredOn",
            )
    before = copy.deepcopy(vm)
    try:
        if spec.name and spec.name != vm.name:
            host.vms.check_new(Vm("", spec.name, vm.datastore, vm.vmx_path))
            vm.name = spec.name
        vm.uuid, vm.guest_id = spec.uuid or vm.uuid, spec.guestId or vm.guest_id
        vm.instance_uuid = _uuid(spec.instanceUuid) or vm.instance_uuid
        _apply(host, vm, spec)
        host.vms.update(vm)
    except Exception:
        vars(vm).update(vars(before))
        raise


def split_folder(vmx_path: str) -> str:
    """The folder of a .vmx, as a datastore path."""
    store, path = split(vmx_path)
    return join(store, path.rpartition("/")[0])


def _apply(host: Host, vm: Vm, spec: Any) -> None:
    if spec.numCPUs is not None:
        if not 1 <= spec.numCPUs <= host.model.threads:
            raise _wrong("spec.numCPUs")
        vm.cpus = spec.numCPUs
    if spec.memoryMB is not None:
        if spec.memoryMB < 4 or spec.memoryMB % 4:
            raise _wrong("spec.memoryMB")
        vm.memory_mib = spec.memoryMB
    if spec.annotation is not None:
        vm.annotation = spec.annotation
    for option in spec.extraConfig or ():
        if option.value in ("", None):
            vm.extra_config.pop(option.key, None)
        else:
            vm.extra_config[option.key] = str(option.value)
    vm_devices.change(host, vm, spec.deviceChange)


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


def _uuid(wanted: str | None) -> str | None:
    """An instance UUID as it is told afterwards; a client may choose it (VirtualMachineConfigSpec.instanceUuid)."""
    try:
        return str(uuids.UUID(wanted)) if wanted else None
    except ValueError:
        raise _wrong("spec.instanceUuid") from None


def _wrong(name: str) -> InvalidArgument:
    return InvalidArgument(f"A specified parameter was not correct: {name}", invalidProperty=name)
