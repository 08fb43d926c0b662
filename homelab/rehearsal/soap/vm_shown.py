"""A VM's devices as `config.hardware.device` lists them."""

from typing import Any

from pyVmomi import VmomiSupport, vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap.managed import data, ref
from homelab.rehearsal.soap.vm_fixed import fixed_devices, ide_controllers, labelled
from homelab.rehearsal.state.places import SATA, SCSI
from homelab.rehearsal.state.vm import Vm, VmCdRom, VmDisk, VmNic
from homelab.rehearsal.state.vm_settings import shares
from homelab.rehearsal.storage.paths import split

KINDS = vim.vm.device
KIB = 1024
DISK_SHARES = {"low": 500, "normal": 1000, "high": 2000}


def devices(host: Host, vm: Vm) -> list[Any]:
    """All devices of a VM, in ESXi's order."""
    return [
        *ide_controllers((one.key, one.controller) for one in vm.drives if one.controller < SCSI),
        *fixed_devices(),
        *(
            _controller(key, kind, [one.key for one in vm.drives if one.controller == key])
            for key, kind in sorted(vm.controllers.items())
        ),
        *(_disk(host, disk, index) for index, disk in enumerate(vm.disks)),
        *(_nic(vm, nic, index) for index, nic in enumerate(vm.nics)),
        *(_cdrom(host, vm, drive, index) for index, drive in enumerate(vm.cdroms)),
    ]


def _controller(key: int, kind: str, keys: list[int]) -> Any:
    if key >= SATA:
        made = KINDS.VirtualAHCIController(key=key, controllerKey=100, busNumber=key - SATA, device=keys)
        return labelled(made, f"SATA controller {key - SATA}")
    made = data(
        getattr(KINDS, kind),
        key=key,
        controllerKey=100,
        busNumber=key - SCSI,
        device=keys,
        hotAddRemove=True,
        sharedBus="noSharing",
        scsiCtlrUnitNumber=7,
    )
    return labelled(made, f"SCSI controller {key - SCSI}")


def _disk(host: Host, disk: VmDisk, index: int) -> Any:
    backing = data(
        KINDS.VirtualDisk.FlatVer2BackingInfo,
        fileName=disk.path,
        datastore=_datastore(host, disk.path),
        diskMode=disk.mode,
        split=False,
        writeThrough=False,
        thinProvisioned=disk.thin,
        eagerlyScrub=disk.eager or None,
        parent=_parents(disk.parents),
        digestEnabled=False,
        sharing="sharingNone",
    )
    level, number = shares(disk.io_shares, DISK_SHARES, 1)
    told = data(vim.SharesInfo, level=level, shares=number)
    made = data(
        KINDS.VirtualDisk,
        key=disk.key,
        controllerKey=disk.controller,
        unitNumber=disk.unit,
        backing=backing,
        capacityInKB=disk.capacity // KIB,
        capacityInBytes=disk.capacity,
        shares=told,
        storageIOAllocation=data(
            vim.StorageResourceManager.IOAllocationInfo,
            limit=VmomiSupport.long(disk.io_limit),
            shares=told,
            reservation=0,
        ),
        nativeUnmanagedLinkedClone=False,
    )
    return labelled(made, f"Hard disk {index + 1}", f"{disk.capacity // KIB:,} KB")


def _datastore(host: Host, path: str) -> Any:
    """The datastore of a file; unset once it is gone."""
    mount = host.datastores.mounts.get(split(path)[0])
    return ref("Datastore", mount.moref) if mount else None


def _parents(paths: tuple[str, ...]) -> Any:
    if not paths:
        return None
    return data(
        KINDS.VirtualDisk.FlatVer2BackingInfo, fileName=paths[0], diskMode="persistent", parent=_parents(paths[1:])
    )


def _nic(vm: Vm, nic: VmNic, index: int) -> Any:
    made = data(
        getattr(KINDS, f"Virtual{nic.kind}"),
        key=nic.key,
        controllerKey=100,
        unitNumber=7 + index,
        macAddress=nic.mac,
        addressType=nic.address_type,
        wakeOnLanEnabled=nic.wake_on_lan,
        backing=data(
            KINDS.VirtualEthernetCard.NetworkBackingInfo,
            deviceName=nic.network,
            network=ref("Network", f"HaNetwork-{nic.network}"),
            useAutoDetect=False,
        ),
        connectable=_connection(vm, nic),
        uptCompatibilityEnabled=nic.direct_path,
    )
    return labelled(made, f"Network adapter {index + 1}", nic.network)


def _cdrom(host: Host, vm: Vm, drive: VmCdRom, index: int) -> Any:
    kinds = KINDS.VirtualCdrom
    if drive.iso:
        backing = data(kinds.IsoBackingInfo, fileName=drive.iso, datastore=_datastore(host, drive.iso))
    else:
        backing = data(getattr(kinds, f"{drive.backing}BackingInfo"), deviceName=drive.device, useAutoDetect=False)
    if hasattr(backing, "exclusive"):
        backing.exclusive = False
    made = data(
        kinds,
        key=drive.key,
        controllerKey=drive.controller,
        unitNumber=drive.unit,
        backing=backing,
        connectable=_connection(vm, drive),
    )
    return labelled(made, f"CD/DVD drive {index + 1}", f"ISO {drive.iso}" if drive.iso else "Remote device")


def _connection(vm: Vm, device: VmNic | VmCdRom) -> Any:
    return data(
        KINDS.VirtualDevice.ConnectInfo,
        startConnected=device.start_connected,
        connected=device.connected and vm.powered_on,
        allowGuestControl=device.guest_control,
        status="ok" if vm.powered_on else "untried",
    )
