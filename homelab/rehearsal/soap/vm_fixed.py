"""The devices that every VM is born with, as in govmomi's capture of a real host (simulator/esx/virtual_device.go)."""

import functools
from collections.abc import Iterable
from typing import Any

from pyVmomi import vim

from homelab.rehearsal.soap.managed import data

IDE, PCI, PS2, SIO = 200, 100, 300, 400
KINDS = vim.vm.device


@functools.cache
def fixed_devices() -> tuple[Any, ...]:
    """All but the two IDE controllers; made once, for a look at many VMs is to be cheap."""
    video = KINDS.VirtualVideoCard(
        key=500,
        controllerKey=PCI,
        unitNumber=0,
        videoRamSizeInKB=4096,
        numDisplays=1,
        useAutoDetect=False,
        enable3DSupport=False,
        use3dRenderer="automatic",
        graphicsMemorySizeInKB=262144,
    )
    return (
        labelled(KINDS.VirtualPS2Controller(key=PS2, busNumber=0, device=[600, 700]), "PS2 controller 0"),
        labelled(KINDS.VirtualPCIController(key=PCI, busNumber=0, device=[500, 12000]), "PCI controller 0"),
        labelled(KINDS.VirtualSIOController(key=SIO, busNumber=0), "SIO controller 0"),
        labelled(KINDS.VirtualKeyboard(key=600, controllerKey=PS2, unitNumber=0), "Keyboard", "Keyboard"),
        _pointing(),
        labelled(video, "Video card", "Video card"),
        _vmci(),
    )


def ide_controllers(devices: Iterable[tuple[int, int]]) -> list[Any]:
    """The two IDE controllers with what hangs on them: pairs of a device's key and its controller's."""
    pairs = list(devices)
    if not pairs:
        return list(_empty_ide())
    return [_ide(bus, [key for key, controller in pairs if controller == IDE + bus]) for bus in (0, 1)]


def labelled(device: Any, label: str, summary: str = "") -> Any:
    """A device with the words that clients show."""
    device.deviceInfo = data(vim.Description, label=label, summary=summary or label)
    return device


@functools.cache
def _empty_ide() -> tuple[Any, ...]:
    return _ide(0, []), _ide(1, [])


def _ide(bus: int, keys: list[int]) -> Any:
    return labelled(KINDS.VirtualIDEController(key=IDE + bus, busNumber=bus, device=keys), f"IDE {bus}")


def _pointing() -> Any:
    backing = KINDS.VirtualPointingDevice.DeviceBackingInfo(
        deviceName="", useAutoDetect=False, hostPointingDevice="autodetect"
    )
    made = KINDS.VirtualPointingDevice(key=700, controllerKey=PS2, unitNumber=1, backing=backing)
    return labelled(made, "Pointing device", "Pointing device; Device")


def _vmci() -> Any:
    made = KINDS.VirtualVMCIDevice(
        key=12000,
        controllerKey=PCI,
        unitNumber=17,
        id=-1,
        allowUnrestrictedCommunication=False,
        filterEnable=True,
    )
    what = "Device on the virtual machine PCI bus that provides support for the virtual machine communication interface"
    return labelled(made, "VMCI device", what)
