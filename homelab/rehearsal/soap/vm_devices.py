"""Changing a VM's devices by vSphere's specifications."""

from typing import Any

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap import vm_device_tables, vm_nics
from homelab.rehearsal.soap.boot_order import in_words
from homelab.rehearsal.soap.device_faults import bad, bad_operation
from homelab.rehearsal.soap.taken import not_simulated, said
from homelab.rehearsal.soap.vm_disk_acts import DiskActs
from homelab.rehearsal.soap.vm_shown import KIB, KINDS, devices
from homelab.rehearsal.soap.wire import fault, is_fault
from homelab.rehearsal.state.places import IDE, SATA, SCSI, key_of
from homelab.rehearsal.state.refusals import FileNotFound
from homelab.rehearsal.state.vm import Vm, VmCdRom, VmDisk, VmNic
from homelab.rehearsal.storage.deltas import ancestors
from homelab.rehearsal.storage.disk_files import is_thin
from homelab.rehearsal.storage.paths import join, split
from homelab.rehearsal.vms.states import must_be

# Modes of a disk; those that throw away what was written are not simulated.
MODES = ("persistent", "independent_persistent")


def change(host: Host, vm: Vm, changes: Any, acts: DiskActs) -> None:
    """Carry out the device changes of a ConfigSpec, in order; a fault names the change by its index.

    What is done to disks besides is kept or taken back by whoever has `acts`.
    """
    new_keys: dict[int, int] = {}
    for index, item in enumerate(changes or ()):
        try:
            if item.operation == "add":
                vm_device_tables.check(item, None)
                _add(host, vm, item, new_keys, acts)
            else:
                _edit_or_remove(host, vm, item, acts)
        except Exception as error:
            raise _of_change(error, index) from None


def _of_change(error: Any, index: int) -> Any:
    """A fault that says which change it is about."""
    if is_fault(error) and hasattr(error, "deviceIndex"):
        error.deviceIndex = index
        error.msg = (error.msg or "").replace("device '0'", f"device '{index}'")
    return error


def _add(host: Host, vm: Vm, item: Any, new_keys: dict[int, int], acts: DiskActs) -> None:
    device = item.device
    if isinstance(device, KINDS.VirtualSCSIController | KINDS.VirtualSATAController):
        _add_controller(vm, device, new_keys)
    elif isinstance(device, KINDS.VirtualIDEController):
        # Every VM has two; a client that asks for one means that (community.vmware's vmware_guest).
        if device.busNumber not in (0, 1):
            raise bad("InvalidDeviceSpec", "busNumber")
        new_keys[device.key] = IDE + device.busNumber
    elif isinstance(device, KINDS.VirtualDisk):
        _add_disk(host, vm, item, new_keys, acts)
    elif isinstance(device, KINDS.VirtualEthernetCard):
        vm_nics.add(host, vm, device)
    elif isinstance(device, KINDS.VirtualCdrom):
        controller = _controller_of(vm, device, new_keys)
        unit = _unit(vm, device, controller)
        drive = VmCdRom(key_of(controller, unit), None, unit=unit, controller=controller)
        _fill_cdrom(host, vm, drive, device)
        vm.cdroms.append(drive)
    else:
        raise fault("NotSupported", f"{type(device)._wsdlName} is not part of the rehearsal")


def _edit_or_remove(host: Host, vm: Vm, item: Any, acts: DiskActs) -> None:
    shown = next((one for one in devices(host, vm) if one.key == item.device.key), None)
    if shown is None or not isinstance(item.device, type(shown)):
        raise bad("InvalidDeviceSpec", "key")
    key = item.device.key
    found = next((one for of in (vm.disks, vm.nics, vm.cdroms) for one in of if one.key == key), None)
    if item.operation == "remove":
        _remove(vm, item, found, acts)
        return
    vm_device_tables.check(item, shown)
    if item.fileOperation:
        raise bad("InvalidDeviceSpec", "fileOperation")
    if isinstance(found, VmCdRom):
        _fill_cdrom(host, vm, found, item.device)
    elif isinstance(found, VmNic):
        vm_nics.edit(host, vm, found, item.device, acts)
    elif isinstance(found, VmDisk):
        _edit_disk(vm, found, item.device, acts)


def _remove(vm: Vm, item: Any, found: Any, acts: DiskActs) -> None:
    if found is None:
        _remove_controller(vm, item.device)
        return
    if isinstance(found, VmDisk) or (isinstance(found, VmCdRom) and found.controller < SCSI):
        must_be(vm, on=False, wanted="poweredOff")
    if isinstance(found, VmDisk) and item.fileOperation == "destroy" and vm.snapshots:
        raise bad_operation("remove")
    next(of for of in (vm.disks, vm.nics, vm.cdroms) if found in of).remove(found)
    if isinstance(found, VmDisk) and item.fileOperation == "destroy":
        acts.doom(found.path)


def _add_controller(vm: Vm, device: Any, new_keys: dict[int, int]) -> None:
    base = SCSI if isinstance(device, KINDS.VirtualSCSIController) else SATA
    key = base + device.busNumber
    if key in vm.controllers or not 0 <= device.busNumber < 4:
        raise bad("InvalidDeviceSpec", "busNumber")
    vm.controllers[key] = type(device)._wsdlName
    new_keys[device.key] = key


def _remove_controller(vm: Vm, device: Any) -> None:
    """Take a controller away; one that drives hang on, and one that every VM has, stays."""
    hanging = any(one.controller == device.key for one in vm.drives)
    if hanging or device.key not in vm.controllers:
        raise bad_operation("remove")
    must_be(vm, on=False, wanted="poweredOff")
    del vm.controllers[device.key]


def _add_disk(host: Host, vm: Vm, item: Any, new_keys: dict[int, int], acts: DiskActs) -> None:
    device = item.device
    controller = _controller_of(vm, device, new_keys)
    unit = _unit(vm, device, controller)
    path = _disk_path(host, vm, device, acts)
    mode = getattr(device.backing, "diskMode", None) or "persistent"
    if mode not in MODES:
        raise not_simulated("VirtualDisk.backing.diskMode", mode)
    if item.fileOperation == "create":
        capacity, thin = _make_disk(host, device, path, acts)
    elif item.fileOperation:
        raise bad("InvalidDeviceSpec", "fileOperation")
    else:
        capacity, thin = _attach(host, device, path, acts)
    parents = host.datastores.parents_of(path)
    disk = VmDisk(key_of(controller, unit), path, capacity, unit, thin, controller, parents, mode)
    disk.eager = bool(getattr(device.backing, "eagerlyScrub", False)) and not thin
    _take_io(disk, device)
    vm.disks.append(disk)


def _make_disk(host: Host, device: Any, path: str, acts: DiskActs) -> tuple[int, bool]:
    """The size of a new disk, and whether it is thin."""
    if acts.is_doomed(path):
        raise not_simulated("A new disk under the name of one that goes with the same change")
    thin, parent = bool(getattr(device.backing, "thinProvisioned", False)), getattr(device.backing, "parent", None)
    if parent is not None:
        capacity = _make_child(host, device, path, parent.fileName)
    else:
        capacity = device.capacityInBytes or (device.capacityInKB or 0) * KIB
        if capacity <= 0:
            raise bad("InvalidDeviceSpec", "capacityInKB")
        host.datastores.volumes.create_disk(host.datastores.path_of(path), capacity, thin=thin, label=path)
    acts.made(path)
    return capacity, thin


def _attach(host: Host, device: Any, path: str, acts: DiskActs) -> tuple[int, bool]:
    """The size of a disk that is there, and whether it is thin; what a client wants to be otherwise is refused.

    Clients say unasked that a disk is thin (`CreateDisk` of govmomi's object/virtual_device_list.go).
    """
    if acts.is_doomed(path):
        raise FileNotFound(f"File {path} was not found", file=path)
    file = host.datastores.path_of(path)
    capacity, thin = host.datastores.volumes.capacity(file, label=path), is_thin(file)
    parents = [host.datastores.label_of(parent) for parent in ancestors(file)]
    asked = {
        "capacityInBytes": (0, capacity),
        "capacityInKB": (0, capacity // KIB),
        "backing.thinProvisioned": (True, thin),
        "backing.eagerlyScrub": (False,),
        "backing.parent.fileName": parents[:1],
    }
    for name, value, _ in said(device):
        if value not in asked.get(name, (value,)):
            raise not_simulated(f"Attaching a disk with VirtualDisk.{name}", value)
    return capacity, thin


def _disk_path(host: Host, vm: Vm, device: Any, acts: DiskActs) -> str:
    """Where a new disk lies: as it says, or under the VM's name, in its folder or on the datastore that it names."""
    path = device.backing.fileName if device.backing else ""
    if path and split(path)[1]:
        return str(path)
    suffix = f"_{len(vm.disks)}" if vm.disks else ""
    folder = vm.folder
    if path and split(path)[0] != vm.datastore:
        folder = join(split(path)[0], split(vm.folder)[1])
        acts.make_folder(host.datastores.path_of(folder))
    return f"{folder}/{vm.name}{suffix}.vmdk"


def _make_child(host: Host, device: Any, path: str, parent: str) -> int:
    """A child is as large as its parent: the size may be left out, and may be no other."""
    wanted = device.capacityInBytes or (device.capacityInKB or 0) * KIB
    file = host.datastores.path_of(parent)
    if not file.is_file():
        raise FileNotFound(f"File {parent} was not found", file=parent)
    capacity = host.datastores.volumes.capacity(file, label=parent)
    if wanted not in (0, capacity):
        raise bad("InvalidDeviceSpec", "capacityInKB")
    host.datastores.volumes.create_child(host.datastores.path_of(path), file, label=path, parent_label=parent)
    return capacity


def _edit_disk(vm: Vm, disk: VmDisk, device: Any, acts: DiskActs) -> None:
    """Grow a disk; as a real host says no to one that would shrink, and to one with a parent (snapshots, clones)."""
    same = device.capacityInKB in (None, 0, disk.capacity // KIB)
    sizes = {device.capacityInBytes or disk.capacity, disk.capacity if same else device.capacityInKB * KIB}
    wanted = max(sizes) if min(sizes) >= disk.capacity else min(sizes)
    if wanted < disk.capacity:
        raise bad_operation("edit")
    if wanted > disk.capacity and disk.parents:
        raise bad_operation("edit", " Disks with parents cannot be expanded.")
    if wanted > disk.capacity:
        acts.extend(vm, disk.path, wanted)
    _take_io(disk, device)


def _take_io(disk: VmDisk, device: Any) -> None:
    found = {path: in_words(value) for path, value, _ in said(device, vm_device_tables.IO)}
    disk.io_limit = int(found.get("storageIOAllocation.limit", disk.io_limit))
    told = [found[path] for path in ("shares", "storageIOAllocation.shares") if path in found]
    # A client that read both and changed one of them means that one.
    disk.io_shares = next((one for one in told if one != disk.io_shares), disk.io_shares)


def _fill_cdrom(host: Host, vm: Vm, drive: VmCdRom, device: Any) -> None:
    backing = device.backing
    if isinstance(backing, KINDS.VirtualCdrom.IsoBackingInfo):
        if not host.datastores.path_of(backing.fileName).is_file():
            raise FileNotFound(f"File {backing.fileName} was not found", file=backing.fileName)
        drive.iso = backing.fileName
    elif backing is not None:
        drive.iso, drive.device = None, backing.deviceName or ""
        drive.backing = type(backing)._wsdlName.removeprefix("VirtualCdrom").removesuffix("BackingInfo")
    vm_nics.connect(vm, drive, device)
    drive.connected = drive.connected and drive.iso is not None


def _controller_of(vm: Vm, device: Any, new_keys: dict[int, int]) -> int:
    key = new_keys.get(device.controllerKey, device.controllerKey)
    if key not in (*vm.controllers, IDE, IDE + 1):
        raise bad("MissingController", "controllerKey")
    return int(key)


def _unit(vm: Vm, device: Any, controller: int) -> int:
    taken, on_scsi = {item.unit for item in vm.drives if item.controller == controller}, SCSI <= controller < SATA
    if device.unitNumber is not None and device.unitNumber >= 0:
        used = device.unitNumber in taken or (device.unitNumber == 7 and on_scsi)
        if used or device.unitNumber >= _places(controller):
            raise bad("InvalidDeviceSpec", "unitNumber")
        return int(device.unitNumber)
    free = [unit for unit in range(_places(controller)) if unit not in taken and not (unit == 7 and on_scsi)]
    if not free:
        raise bad("InvalidDeviceSpec", "unitNumber")
    return free[0]


def _places(controller: int) -> int:
    return 2 if controller < SCSI else 16 if controller < SATA else 30
