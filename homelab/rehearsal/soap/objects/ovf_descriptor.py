"""Writes the OVF descriptor of a VM: what the reader of descriptors knows; of other hardware it warns."""

from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from pyVmomi import vim

from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.state.guest_names import full_name

MIB = 1 << 20
DEVICES = vim.vm.device
FORMAT = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
SCHEMAS = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2"
HEAD = f"""<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="{SCHEMAS}/CIM_ResourceAllocationSettingData" xmlns:vssd="{SCHEMAS}/CIM_VirtualSystemSettingData"
  xmlns:vmw="http://www.vmware.com/schema/ovf">
"""
# What every VM has and no descriptor tells.
BORN_WITH = (
    *(DEVICES.VirtualKeyboard, DEVICES.VirtualPointingDevice, DEVICES.VirtualPCIController),
    *(DEVICES.VirtualPS2Controller, DEVICES.VirtualSIOController, DEVICES.VirtualVideoCard, DEVICES.VirtualVMCIDevice),
)
SCSI = {
    DEVICES.ParaVirtualSCSIController: "VirtualSCSI",
    DEVICES.VirtualLsiLogicSASController: "lsilogicsas",
    DEVICES.VirtualBusLogicController: "buslogic",
    DEVICES.VirtualLsiLogicController: "lsilogic",
}


class Descriptor:
    """One VM's descriptor; `files` are the OvfFiles that were exported, `warnings` what is left out."""

    def __init__(self, moid: str, config: Any, name: str, files: Iterable[Any]) -> None:
        self._moid, self._config, self._name = moid, config, name
        self._files = {file.deviceId: file for file in files}
        self._devices = {device.key: device for device in config.hardware.device}
        self.warnings: list[Any] = []

    def text(self) -> str:
        """The XML of the envelope."""
        items = "".join(self._item(device) for device in self._devices.values())
        config = self._config
        annotation = f"<Annotation>{escape(config.annotation)}</Annotation>" if config.annotation else ""
        return (
            f"{HEAD}  <References>{self._references()}</References>\n"
            f"  <DiskSection><Info>Virtual disk information</Info>{self._disks()}</DiskSection>\n"
            f"  <NetworkSection><Info>The list of logical networks</Info>{self._networks()}</NetworkSection>\n"
            f"  <VirtualSystem ovf:id={quoteattr(self._name)}><Info>A virtual machine</Info>"
            f"<Name>{escape(self._name)}</Name>\n"
            f'    <OperatingSystemSection ovf:id="1" vmw:osType={quoteattr(config.guestId)}>'
            "<Info>The kind of installed guest operating system</Info>"
            f"<Description>{escape(full_name(config.guestId))}</Description></OperatingSystemSection>\n"
            + (f"    <AnnotationSection><Info>Notes</Info>{annotation}</AnnotationSection>\n" if annotation else "")
            + "    <VirtualHardwareSection><Info>Virtual hardware requirements</Info>\n"
            f"      <System><vssd:ElementName>Virtual Hardware Family</vssd:ElementName><vssd:InstanceID>0"
            f"</vssd:InstanceID><vssd:VirtualSystemIdentifier>{escape(self._name)}</vssd:VirtualSystemIdentifier>"
            f"<vssd:VirtualSystemType>{config.version}</vssd:VirtualSystemType></System>\n"
            + _item(1, 3, f"{config.hardware.numCPU} virtual CPU(s)", VirtualQuantity=config.hardware.numCPU)
            + self._memory()
            + f"{items}    </VirtualHardwareSection>\n  </VirtualSystem>\n</Envelope>\n"
        )

    def _memory(self) -> str:
        size = self._config.hardware.memoryMB
        return _item(2, 4, f"{size}MB of memory", AllocationUnits="byte * 2^20", VirtualQuantity=size)

    def _references(self) -> str:
        return "".join(
            f'<File ovf:href={quoteattr(file.path)} ovf:id="file{number}" ovf:size="{file.size}"/>'
            for number, file in enumerate(self._files.values(), 1)
        )

    def _drives(self) -> list[Any]:
        return [device for device in self._devices.values() if isinstance(device, DEVICES.VirtualDisk)]

    def _disks(self) -> str:
        known = list(self._files)
        rows = []
        for disk in self._drives():
            place = self._place(disk)
            file = f'ovf:fileRef="file{known.index(place) + 1}" ' if place in known else ""
            rows.append(
                f'<Disk ovf:capacity="{disk.capacityInKB * 1024}" ovf:capacityAllocationUnits="byte" '
                f'ovf:diskId="vmdisk{disk.key}" {file}ovf:format="{FORMAT}"/>'
            )
        return "".join(rows)

    def _place(self, disk: Any) -> str:
        """A disk as a lease names it."""
        controller = self._devices[disk.controllerKey]
        return f"/{self._moid}/{type(controller)._wsdlName}{controller.busNumber}:{disk.unitNumber}"

    def _networks(self) -> str:
        cards = [one for one in self._devices.values() if isinstance(one, DEVICES.VirtualEthernetCard)]
        names = dict.fromkeys(_network(card) for card in cards)
        return "".join(f"<Network ovf:name={quoteattr(name)}/>" for name in names)

    def _item(self, device: Any) -> str:
        number, label = device.key, device.deviceInfo.label
        if isinstance(device, DEVICES.VirtualIDEController):
            return _item(number, 5, label, Address=device.busNumber)
        if type(device) in SCSI:
            return _item(number, 6, label, Address=device.busNumber, ResourceSubType=SCSI[type(device)])
        if isinstance(device, DEVICES.VirtualSATAController):
            return _item(number, 20, label, Address=device.busNumber, ResourceSubType="vmware.sata.ahci")
        if isinstance(device, DEVICES.VirtualDisk):
            return _item(number, 17, label, HostResource=f"ovf:/disk/vmdisk{number}", **_parent(device))
        if isinstance(device, DEVICES.VirtualCdrom):
            kind = "vmware.cdrom.remotepassthrough"
            return _item(number, 15, label, AutomaticAllocation="false", ResourceSubType=kind, **_parent(device))
        if isinstance(device, DEVICES.VirtualEthernetCard):
            kind = type(device)._wsdlName.removeprefix("Virtual")
            return _item(number, 10, label, Connection=_network(device), ResourceSubType=kind)
        if not isinstance(device, BORN_WITH):
            self.warnings.append(fault("NotSupported", f"{label} is not part of the rehearsal's exports: left out"))
        return ""


def _parent(device: Any) -> dict[str, Any]:
    return {"AddressOnParent": device.unitNumber, "Parent": device.controllerKey}


def _network(card: Any) -> str:
    return str(card.backing.deviceName)


def _item(number: int, kind: int, label: str, **fields: Any) -> str:
    """One piece of hardware; its fields stand in alphabetical order, as the schema wants them."""
    rows = sorted((fields | {"ElementName": label, "InstanceID": number, "ResourceType": kind}).items())
    return f"      <Item>{''.join(f'<rasd:{name}>{escape(str(value))}</rasd:{name}>' for name, value in rows)}</Item>\n"
