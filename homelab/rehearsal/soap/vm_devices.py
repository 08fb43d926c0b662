"""A VM's devices: from vSphere's specification into the host's state, and back."""

from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap.managed import ref
from homelab.rehearsal.soap.vm_fixed import fixed_devices, ide_controllers
from homelab.rehearsal.soap.vm_fixed import labelled as _labelled
from homelab.rehearsal.soap.wire import fault, is_fault
from homelab.rehearsal.state.refusals import FileNotFound
from homelab.rehearsal.state.vm import Vm, VmCdRom, VmDisk, VmNic
from homelab.rehearsal.storage.paths import split

NICS = ("Vmxnet3", "E1000", "E1000e")
KIB = 1024
# The key of the first controller of each kind.
IDE, SCSI, SATA = 200, 1000, 15000


def change(host: Host, vm: Vm, changes: Any) -> None:
    """Carry out the device changes of a ConfigSpec, in order; a fault names the change by its index."""
    new_keys: dict[int, int] = {}
    for index, item in enumerate(changes or ()):
        try:
            if item.operation == "add":
                _add(host, vm, item, new_keys)
            else:
                _edit_or_remove(host, vm, item)
        except Exception as error:
            if is_fault(error) and hasattr(error, "deviceIndex"):
                error.deviceIndex = index
            raise


def devices(host: Host, vm: Vm) -> list[Any]:
    """All devices of a VM, as config.hardware.device lists them."""
    drives: list[VmDisk | VmCdRom] = [*vm.disks, *vm.cdroms]
    return [
        *ide_controllers((one.key, one.controller) for one in drives if one.controller < SCSI),
        *fixed_devices(),
        *(_controller(key, kind) for key, kind in sorted(vm.controllers.items())),
        *(_disk(host, disk, index) for index, disk in enumerate(vm.disks)),
        *(_nic(vm, nic, index) for index, nic in enumerate(vm.nics)),
        *(_cdrom(host, vm, drive, index) for index, drive in enumerate(vm.cdroms)),
    ]


def _add(host: Host, vm: Vm, item: Any, new_keys: dict[int, int]) -> None:
    device = item.device
    kinds = vim.vm.device
    if isinstance(device, kinds.VirtualSCSIController | kinds.VirtualSATAController):
        base = 1000 if isinstance(device, kinds.VirtualSCSIController) else 15000
        key = base + device.busNumber
        if key in vm.controllers:
            raise _bad("InvalidDeviceSpec", "busNumber")
        vm.controllers[key] = type(device)._wsdlName
        new_keys[device.key] = key
    elif isinstance(device, kinds.VirtualDisk):
        _add_disk(host, vm, item, new_keys)
    elif isinstance(device, kinds.VirtualEthernetCard):
        _add_nic(host, vm, device)
    elif isinstance(device, kinds.VirtualCdrom):
        controller = _controller_of(vm, device, new_keys)
        unit = _unit(vm, device, controller)
        drive = VmCdRom(_key(controller, unit), None, unit=unit, controller=controller)
        _fill_cdrom(host, vm, drive, device)
        vm.cdroms.append(drive)
    else:
        raise fault("NotSupported", f"{type(device)._wsdlName} is not part of the rehearsal")


def _edit_or_remove(host: Host, vm: Vm, item: Any) -> None:
    remove = item.operation == "remove"
    for devices_of in (vm.disks, vm.nics, vm.cdroms):
        found = next((device for device in devices_of if device.key == item.device.key), None)
        if found is None:
            continue
        if remove:
            _remove(host, vm, item, found, devices_of)
        elif isinstance(found, VmCdRom):
            _fill_cdrom(host, vm, found, item.device)
        elif isinstance(found, VmNic):
            found.network = _network(host, item.device)
        else:
            raise fault("NotSupported", "Only CD-ROM drives and NICs can be edited in the rehearsal")
        return
    raise _bad("InvalidDeviceSpec", "key")


def _remove(host: Host, vm: Vm, item: Any, found: Any, devices_of: list[Any]) -> None:
    on_ide = isinstance(found, VmCdRom) and found.controller < 1000
    if vm.powered_on and (on_ide or isinstance(found, VmDisk)):
        raise fault(
            "InvalidPowerState",
            "The attempted operation cannot be performed in the current state (Powered on).",
            requestedState="poweredOff",
            existingState="poweredOn",
        )
    devices_of.remove(found)
    if isinstance(found, VmDisk) and item.fileOperation == "destroy":
        host.datastores.delete_chain(found.path)


def _add_disk(host: Host, vm: Vm, item: Any, new_keys: dict[int, int]) -> None:
    device = item.device
    controller = _controller_of(vm, device, new_keys)
    unit = _unit(vm, device, controller)
    path = device.backing.fileName if device.backing else ""
    if not path or not split(path)[1]:
        suffix = f"_{len(vm.disks)}" if vm.disks else ""
        path = f"{vm.folder}/{vm.name}{suffix}.vmdk"
    file = host.datastores.path_of(path)
    thin = bool(getattr(device.backing, "thinProvisioned", False))
    parent = getattr(device.backing, "parent", None)
    if item.fileOperation == "create" and parent is not None:
        capacity = _make_child(host, device, path, parent.fileName)
    elif item.fileOperation == "create":
        capacity = device.capacityInBytes or (device.capacityInKB or 0) * KIB
        if capacity <= 0:
            raise _bad("InvalidDeviceSpec", "capacityInKB")
        host.datastores.volumes.create_disk(file, capacity, thin=thin, label=path)
    elif item.fileOperation:
        raise _bad("InvalidDeviceSpec", "fileOperation")
    else:
        capacity = host.datastores.volumes.capacity(file, label=path)
    vm.disks.append(
        VmDisk(_key(controller, unit), path, capacity, unit, thin, controller, host.datastores.parents_of(path))
    )


def _make_child(host: Host, device: Any, path: str, parent: str) -> int:
    """A child is as large as its parent: the size may be left out, and may be no other."""
    wanted = device.capacityInBytes or (device.capacityInKB or 0) * KIB
    file = host.datastores.path_of(parent)
    if not file.is_file():
        raise FileNotFound(f"File {parent} was not found", file=parent)
    capacity = host.datastores.volumes.capacity(file, label=parent)
    if wanted not in (0, capacity):
        raise _bad("InvalidDeviceSpec", "capacityInKB")
    host.datastores.volumes.create_child(host.datastores.path_of(path), file, label=path, parent_label=parent)
    return capacity


def _add_nic(host: Host, vm: Vm, device: Any) -> None:
    kind = type(device)._wsdlName.removeprefix("Virtual")
    if kind not in NICS:
        raise fault("NotSupported", f"{type(device)._wsdlName} is not part of the rehearsal")
    network = _network(host, device)
    key = max((nic.key for nic in vm.nics), default=3999) + 1
    manual = (device.addressType or "").lower() == "manual"
    if manual and not device.macAddress:
        raise _bad("InvalidDeviceSpec", "macAddress")
    connect = device.connectable
    nic = VmNic(key, (device.macAddress or "").lower() if manual else "", network, "generated", kind)
    nic.address_type = "manual" if manual else "generated"
    nic.start_connected = connect.startConnected if connect else True
    vm.nics.append(nic)


def _network(host: Host, device: Any) -> str:
    """The port group that a NIC is plugged into; a fault where the host has none of that name."""
    network = getattr(device.backing, "deviceName", None)
    if network not in host.network.vm_port_groups:
        raise _bad("InvalidDeviceBacking", "backing.deviceName")
    return str(network)


def _fill_cdrom(host: Host, vm: Vm, drive: VmCdRom, device: Any) -> None:
    backing, connect = device.backing, device.connectable
    if isinstance(backing, vim.vm.device.VirtualCdrom.IsoBackingInfo):
        if not host.datastores.path_of(backing.fileName).is_file():
            raise FileNotFound(f"File {backing.fileName} was not found", file=backing.fileName)
        drive.iso = backing.fileName
    elif backing is not None:
        drive.iso = None
    if connect is not None:
        drive.start_connected = connect.startConnected
        drive.connected = vm.powered_on and connect.connected and drive.iso is not None


def _controller_of(vm: Vm, device: Any, new_keys: dict[int, int]) -> int:
    key = new_keys.get(device.controllerKey, device.controllerKey)
    if key not in (*vm.controllers, IDE, IDE + 1):
        raise _bad("MissingController", "controllerKey")
    return int(key)


def _unit(vm: Vm, device: Any, controller: int) -> int:
    drives: list[VmDisk | VmCdRom] = [*vm.disks, *vm.cdroms]
    taken, on_scsi = {item.unit for item in drives if item.controller == controller}, SCSI <= controller < SATA
    if device.unitNumber is not None and device.unitNumber >= 0:
        used = device.unitNumber in taken or (device.unitNumber == 7 and on_scsi)
        if used or device.unitNumber >= _places(controller):
            raise _bad("InvalidDeviceSpec", "unitNumber")
        return int(device.unitNumber)
    free = [unit for unit in range(_places(controller)) if unit not in taken and not (unit == 7 and on_scsi)]
    if not free:
        raise _bad("InvalidDeviceSpec", "unitNumber")
    return free[0]


def _places(controller: int) -> int:
    return 2 if controller < SCSI else 16 if controller < SATA else 30


def _key(controller: int, unit: int) -> int:
    """The key that ESXi gives a disk or a drive, from its place."""
    if controller >= SATA:
        return 16000 + 30 * (controller - SATA) + unit
    return 2000 + 16 * (controller - SCSI) + unit if controller >= SCSI else 3000 + 2 * (controller - IDE) + unit


def _bad(name: str, where: str) -> Any:
    return fault(name, f"Invalid configuration for device '0' ({where}).", property=where, deviceIndex=0)


def _controller(key: int, kind: str) -> Any:
    if key >= 15000:
        return _labelled(
            vim.vm.device.VirtualAHCIController(key=key, busNumber=key - 15000), f"SATA controller {key - 15000}"
        )
    made = getattr(vim.vm.device, kind)(key=key, busNumber=key - 1000, sharedBus="noSharing", scsiCtlrUnitNumber=7)
    return _labelled(made, f"SCSI controller {key - 1000}")


def _disk(host: Host, disk: VmDisk, index: int) -> Any:
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
        fileName=disk.path,
        datastore=_datastore(host, disk.path),
        diskMode="persistent",
        thinProvisioned=disk.thin,
        parent=_parents(disk.parents),
    )
    made = vim.vm.device.VirtualDisk(
        key=disk.key,
        controllerKey=disk.controller,
        unitNumber=disk.unit,
        backing=backing,
        capacityInKB=disk.capacity // KIB,
        capacityInBytes=disk.capacity,
    )
    return _labelled(made, f"Hard disk {index + 1}", f"{disk.capacity // KIB:,} KB")


def _datastore(host: Host, path: str) -> Any:
    """The datastore of a file; unset once it is gone."""
    mount = host.datastores.mounts.get(split(path)[0])
    return ref("Datastore", mount.moref) if mount else None


def _parents(paths: tuple[str, ...]) -> Any:
    if not paths:
        return None
    return vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
        fileName=paths[0], diskMode="persistent", parent=_parents(paths[1:])
    )


def _nic(vm: Vm, nic: VmNic, index: int) -> Any:
    made = getattr(vim.vm.device, f"Virtual{nic.kind}")(
        key=nic.key,
        controllerKey=100,
        unitNumber=7 + index,
        macAddress=nic.mac,
        addressType=nic.address_type,
        backing=vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(
            deviceName=nic.network, network=ref("Network", f"HaNetwork-{nic.network}"), useAutoDetect=False
        ),
        connectable=_connection(vm, nic.start_connected, nic.start_connected),
    )
    return _labelled(made, f"Network adapter {index + 1}", nic.network)


def _cdrom(host: Host, vm: Vm, drive: VmCdRom, index: int) -> Any:
    if drive.iso:
        store = _datastore(host, drive.iso)
        backing = vim.vm.device.VirtualCdrom.IsoBackingInfo(fileName=drive.iso, datastore=store)
    else:
        backing = vim.vm.device.VirtualCdrom.RemotePassthroughBackingInfo(deviceName="", exclusive=False)
    made = vim.vm.device.VirtualCdrom(
        key=drive.key,
        controllerKey=drive.controller,
        unitNumber=drive.unit,
        backing=backing,
        connectable=_connection(vm, drive.start_connected, drive.connected),
    )
    return _labelled(made, f"CD/DVD drive {index + 1}", f"ISO {drive.iso}" if drive.iso else "Remote device")


def _connection(vm: Vm, start_connected: bool, connected: bool) -> Any:
    return vim.vm.device.VirtualDevice.ConnectInfo(
        startConnected=start_connected,
        connected=connected and vm.powered_on,
        allowGuestControl=True,
        status="ok" if vm.powered_on else "untried",
    )
