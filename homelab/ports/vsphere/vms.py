"""Virtual machines: create, power, change, destroy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from homelab.ports.vsphere.session import Session
from homelab.ports.vsphere.tasks import Progress, wait_for

CONTROLLER = 1000
# Every VM is born with two IDE controllers, 200 and 201.
CDROM_CONTROLLER = 200


@dataclass(frozen=True)
class VmSpec:
    """What a VM is made of. `disk` and `seed` are datastore paths; `mac` is unset when ESXi may choose."""

    name: str
    datastore: str
    cpus: int
    memory_mib: int
    disk: str
    seed: str
    network: str
    mac: str | None
    marks: Mapping[str, str]


def create_vm(session: Session, spec: VmSpec, *, seconds: float, progress: Progress) -> Any:
    """Create a VM around a disk that exists; its managed object."""
    config = vim.vm.ConfigSpec(
        name=spec.name,
        numCPUs=spec.cpus,
        memoryMB=spec.memory_mib,
        guestId="otherLinux64Guest",
        version="vmx-13",
        files=vim.vm.FileInfo(vmPathName=f"[{spec.datastore}] {spec.name}/{spec.name}.vmx"),
        extraConfig=[vim.option.OptionValue(key=key, value=value) for key, value in spec.marks.items()],
        deviceChange=[_add(device) for device in _devices(spec)],
    )
    folder = session.managed(vim.Folder, "ha-folder-vm")
    pool = session.managed(vim.ResourcePool, "ha-root-pool")
    task = folder.CreateVM_Task(config=config, pool=pool, host=session.host_system)
    return wait_for(session, task, f"creating the VM {spec.name}", seconds=seconds, progress=progress)


def _add(device: Any) -> Any:
    return vim.vm.device.VirtualDeviceSpec(operation="add", device=device)


def _devices(spec: VmSpec) -> list[Any]:
    device = vim.vm.device
    nic = device.VirtualVmxnet3(
        key=4000,
        backing=device.VirtualEthernetCard.NetworkBackingInfo(deviceName=spec.network),
        connectable=device.VirtualDevice.ConnectInfo(startConnected=True, connected=True, allowGuestControl=True),
        addressType="manual" if spec.mac else "generated",
    )
    if spec.mac:
        nic.macAddress = spec.mac
    return [
        device.ParaVirtualSCSIController(key=CONTROLLER, busNumber=0, sharedBus="noSharing"),
        device.VirtualDisk(
            key=2000,
            controllerKey=CONTROLLER,
            unitNumber=0,
            backing=device.VirtualDisk.FlatVer2BackingInfo(
                fileName=spec.disk, diskMode="persistent", thinProvisioned=True
            ),
        ),
        device.VirtualCdrom(
            key=3000,
            controllerKey=CDROM_CONTROLLER,
            unitNumber=0,
            backing=device.VirtualCdrom.IsoBackingInfo(fileName=spec.seed),
            connectable=device.VirtualDevice.ConnectInfo(startConnected=True, connected=True, allowGuestControl=True),
        ),
        nic,
    ]


def power_on(session: Session, moid: str, name: str, *, seconds: float, progress: Progress) -> None:
    """Switch a VM on."""
    task = session.managed(vim.VirtualMachine, moid).PowerOnVM_Task()
    wait_for(session, task, f"switching the VM {name} on", seconds=seconds, progress=progress)


def detach_seed(session: Session, moid: str, name: str, *, seconds: float, progress: Progress) -> None:
    """Take the seed out of the CD-ROM drive; an IDE drive itself cannot be removed from a running VM."""
    vm = session.managed(vim.VirtualMachine, moid)
    device = vim.vm.device
    changes = []
    for drive in vm.config.hardware.device:
        if isinstance(drive, device.VirtualCdrom):
            drive.backing = device.VirtualCdrom.RemotePassthroughBackingInfo(deviceName="", exclusive=False)
            drive.connectable = device.VirtualDevice.ConnectInfo(
                startConnected=False, connected=False, allowGuestControl=True
            )
            changes.append(vim.vm.device.VirtualDeviceSpec(operation="edit", device=drive))
    task = vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=changes))
    wait_for(session, task, f"taking the seed out of {name}", seconds=seconds, progress=progress)


def shut_down_guest(session: Session, moid: str) -> None:
    """Ask a guest to shut itself down; returns at once."""
    session.managed(vim.VirtualMachine, moid).ShutdownGuest()


def destroy_vm(session: Session, moid: str, name: str, *, seconds: float, progress: Progress) -> None:
    """Remove a VM that is off, with its files."""
    task = session.managed(vim.VirtualMachine, moid).Destroy_Task()
    wait_for(session, task, f"destroying the VM {name}", seconds=seconds, progress=progress)
