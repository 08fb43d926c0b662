"""Reads OVF descriptors of single VMs: CPUs, memory, controllers, disks, CD-ROMs, NICs, settings; warns of all else."""

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from pyVmomi import VmomiSupport, vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap import hardware_versions, ovf_config, properties
from homelab.rehearsal.soap.managed import Managed
from homelab.rehearsal.soap.objects.ovf_descriptor import Descriptor
from homelab.rehearsal.soap.taken import refuse_rest, rest_of
from homelab.rehearsal.soap.wire import fault

CPU, MEMORY, IDE, SCSI, ETHERNET, CD, DVD, DISK, SATA = 3, 4, 5, 6, 10, 15, 16, 17, 20
# The two IDE controllers that every VM has, by their keys.
FIRST_IDE = 200
SCSI_KINDS = {
    "virtualscsi": vim.vm.device.ParaVirtualSCSIController,
    "lsilogicsas": vim.vm.device.VirtualLsiLogicSASController,
    "buslogic": vim.vm.device.VirtualBusLogicController,
}
NICS = {"e1000": vim.vm.device.VirtualE1000, "e1000e": vim.vm.device.VirtualE1000e}
KIB, MIB = 1024, 1 << 20
# What is taken of an OvfCreateImportSpecParams; a host alone has one language, and is the one that is meant.
PARAMETERS = ("locale", "deploymentOption", "entityName", "networkMapping", "diskProvisioning", "hostSystem")


class OvfManager(Managed):
    """Makes import specifications of descriptors, and descriptors of VMs."""

    moid = "ha-ovf-manager"

    def CreateImportSpec(self, ovfDescriptor: str, resourcePool: Any, datastore: Any, cisp: Any) -> Any:
        """What ImportVApp needs, and which file belongs to which disk."""
        try:
            root = ElementTree.fromstring(ovfDescriptor)
        except ElementTree.ParseError as error:
            line = error.position[0]
            bad = fault("OvfXmlFormat", f"OVF descriptor is not XML: {error}", lineNumber=line, description=str(error))
            return vim.OvfManager.CreateImportSpecResult(error=[bad])
        store = self._face.find(datastore, self._caller)
        if store is None:
            raise fault("ManagedObjectNotFound", "The datastore is gone", obj=datastore)
        made = _Reader(self._host, root, cisp, str(properties.read(store, "name")), self._network_of).result()
        left_out = (f"{path} is not part of the rehearsal and is left out" for path in rest_of(cisp, PARAMETERS))
        made.warning = [*made.warning, *(fault("NotSupported", text) for text in left_out)]
        return made

    def CreateDescriptor(self, obj: Any, cdp: Any) -> Any:
        """The descriptor of a VM that was exported."""
        refuse_rest(cdp, ("name", "ovfFiles"), harmless={"includeImageFiles": (False,)})
        machine = self._face.find(obj, self._caller)
        if not isinstance(obj, vim.VirtualMachine) or machine is None:
            raise fault("ManagedObjectNotFound", "The virtual machine is gone", obj=obj)
        with self._host.lock:
            config = properties.read(machine, "config")
            made = Descriptor(obj._moId, config, cdp.name or config.name, cdp.ovfFiles or ())
            text = made.text()
        return vim.OvfManager.CreateDescriptorResult(ovfDescriptor=text, warning=made.warnings)

    def _network_of(self, network: Any) -> str:
        found = self._face.find(network, self._caller)
        return str(properties.read(found, "name")) if found else ""


class _Reader:
    """One descriptor on its way to a specification."""

    def __init__(self, host: Host, root: Any, params: Any, store: str, network_of: Any) -> None:
        self._host, self._root, self._params, self._store = host, root, params, store
        self._networks = {item.name: network_of(item.network) for item in params.networkMapping or ()}
        self._thin = (params.diskProvisioning or "thin").lower() == "thin"
        self._keys: dict[str, int] = {}
        self._files: list[Any] = []
        self._warnings: list[Any] = []

    def result(self) -> Any:
        system = next(_all(self._root, "VirtualSystem"), None)
        if system is None:
            raise fault("NotSupported", "OVF packages of several VMs are not part of the rehearsal")
        name = self._params.entityName or _text(system, "Name") or _attribute(system, "id")
        spec = vim.vm.ConfigSpec(name=name, numCPUs=1, memoryMB=1024, guestId="otherLinux64Guest", deviceChange=[])
        spec.files = vim.vm.FileInfo(vmPathName=f"[{self._store}]")
        for section in _all(system, "OperatingSystemSection"):
            spec.guestId = _attribute(section, "osType") or spec.guestId
        versions = re.split(r"[\s,]+", next((one.text or "" for one in _all(system, "VirtualSystemType")), ""))
        spec.version = self._version([one for one in versions if one.startswith("vmx-")])
        if spec.version == "":
            text = f"No supported hardware versions among {versions}"
            bad = fault("OvfNoSupportedHardwareFamily", text, version=" ".join(versions))
            return vim.OvfManager.CreateImportSpecResult(error=[bad])
        for section in _all(system, "VirtualHardwareSection"):
            self._warnings += ovf_config.configure(spec, section)
        for item in _all(system, "Item"):
            self._warnings += ovf_config.unread(item)
            self._take(spec, item)
        return vim.OvfManager.CreateImportSpecResult(
            importSpec=vim.vm.VmImportSpec(configSpec=spec), fileItem=self._files, warning=self._warnings
        )

    def _version(self, wanted: list[str]) -> str | None:
        """The newest of some versions that the host knows; None where none is named, empty where none is known."""
        numbers = [(hardware_versions.number_of(one) or 0, one) for one in wanted]
        known = [pair for pair in numbers if 0 < pair[0] <= hardware_versions.newest_hardware(self._host)]
        return max(known)[1] if known else "" if wanted else None

    def _take(self, spec: Any, item: Any) -> None:
        kind, quantity = int(_text(item, "ResourceType") or 0), int(_text(item, "VirtualQuantity") or 0)
        if kind == CPU:
            spec.numCPUs = quantity
            spec.numCoresPerSocket = int(_text(item, "CoresPerSocket") or 0) or None
            ovf_config.allocate(spec, "cpuAllocation", item, lambda text: 1)
        elif kind == MEMORY:
            spec.memoryMB = quantity * _unit(_text(item, "AllocationUnits") or "byte * 2^20") // MIB
            ovf_config.allocate(spec, "memoryAllocation", item, lambda text: _unit(text or "byte * 2^20") // MIB)
        elif kind == IDE:
            self._keys[_text(item, "InstanceID")] = FIRST_IDE + int(_text(item, "Address") or 0)
        elif kind in (SCSI, SATA):
            self._controller(spec, item, kind)
        elif kind == DISK:
            self._disk(spec, item)
        elif kind in (CD, DVD) and _text(item, "Parent") in self._keys:
            self._cdrom(spec, item)
        elif kind == ETHERNET:
            self._nic(spec, item)
        else:
            text = f"Hardware of type {kind} is not part of the rehearsal and is left out"
            self._warnings.append(fault("NotSupported", text))

    def _controller(self, spec: Any, item: Any, kind: int) -> None:
        key = -100 - len(self._keys)
        bus = sum(isinstance(change.device, _base(kind)) for change in spec.deviceChange)
        self._keys[_text(item, "InstanceID")] = key
        if kind == SATA:
            device = vim.vm.device.VirtualAHCIController(key=key, busNumber=bus)
        else:
            subtype = _text(item, "ResourceSubType").lower()
            made = SCSI_KINDS.get(subtype, vim.vm.device.VirtualLsiLogicController)
            device = made(key=key, busNumber=bus, sharedBus="noSharing")
        _add(spec, device)

    def _disk(self, spec: Any, item: Any) -> None:
        wanted = _text(item, "HostResource").rpartition("/")[2]
        found = next(disk for disk in _all(self._root, "Disk") if _attribute(disk, "diskId") == wanted)
        size = int(_attribute(found, "capacity")) * _unit(_attribute(found, "capacityAllocationUnits") or "byte")
        unit, parent = self._place(item)
        backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
            fileName="", diskMode="persistent", thinProvisioned=self._thin
        )
        disk = vim.vm.device.VirtualDisk(key=-1, controllerKey=parent, unitNumber=unit, backing=backing)
        disk.capacityInKB = VmomiSupport.long(-(-size // KIB))
        self._warnings += ovf_config.describe(disk, item)
        _add(spec, disk, "create")
        source = _attribute(found, "fileRef")
        file = next((one for one in _all(self._root, "File") if source and _attribute(one, "id") == source), None)
        if file is not None:
            place = f"{_controller_name(spec, parent)}:{unit}"
            row = vim.OvfManager.FileItem(
                deviceId=f"/{spec.name}/{place}", path=_attribute(file, "href"), cimType=DISK, create=False
            )
            row.size = VmomiSupport.long(_attribute(file, "size") or 0)
            self._files.append(row)

    def _cdrom(self, spec: Any, item: Any) -> None:
        unit, parent = self._place(item)
        backing = vim.vm.device.VirtualCdrom.RemotePassthroughBackingInfo(deviceName="", exclusive=False)
        drive = vim.vm.device.VirtualCdrom(key=-1, controllerKey=parent, unitNumber=unit, backing=backing)
        self._warnings += ovf_config.describe(drive, item)
        _add(spec, drive)

    def _place(self, item: Any) -> tuple[int, int]:
        """Unit and controller of a drive; NotSupported for a controller that the rehearsal does not have."""
        unit, parent = int(_text(item, "AddressOnParent") or 0), _text(item, "Parent")
        if parent not in self._keys:
            raise fault("NotSupported", f"The controller of {_text(item, 'ElementName')} is not part of the rehearsal")
        return unit, self._keys[parent]

    def _nic(self, spec: Any, item: Any) -> None:
        network = _text(item, "Connection")
        kind = NICS.get(_text(item, "ResourceSubType").lower(), vim.vm.device.VirtualVmxnet3)
        name = self._networks.get(network) or network
        backing = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName=name)
        card = kind(key=-1, backing=backing, addressType="generated")
        self._warnings += ovf_config.describe(card, item)
        _add(spec, card)


def _controller_name(spec: Any, key: int) -> str:
    """A controller as a device's place names it, `VirtualIDEController0`."""
    if key in (FIRST_IDE, FIRST_IDE + 1):
        return f"VirtualIDEController{key - FIRST_IDE}"
    holder = next(change.device for change in spec.deviceChange if change.device.key == key)
    return f"{type(holder)._wsdlName}{holder.busNumber}"


def _base(kind: int) -> Any:
    return vim.vm.device.VirtualSATAController if kind == SATA else vim.vm.device.VirtualSCSIController


def _add(spec: Any, device: Any, file: str | None = None) -> None:
    spec.deviceChange.append(vim.vm.device.VirtualDeviceSpec(operation="add", fileOperation=file, device=device))


def _all(top: Any, name: str) -> Iterator[Any]:
    """The elements of a name below another; whatever their namespace."""
    return (item for item in top.iter() if item.tag.rpartition("}")[2] == name)


def _text(top: Any, name: str) -> str:
    return next(((item.text or "").strip() for item in top if item.tag.rpartition("}")[2] == name), "")


def _attribute(item: Any, name: str) -> str:
    return next((str(value) for key, value in item.attrib.items() if key.rpartition("}")[2] == name), "")


def _unit(text: str) -> int:
    """`byte * 2^20` in bytes."""
    found = re.fullmatch(r"bytes?\s*(?:\*\s*2\^(\d+))?", text.strip())
    if not found:
        raise fault("NotSupported", f"The unit {text!r} is not part of the rehearsal")
    return 1 << int(found[1] or 0)
