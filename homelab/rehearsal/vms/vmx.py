"""The .vmx file of a simulated VM, there and back. Pure."""

import re

from homelab.rehearsal.state.vm import Vm, VmCdRom, VmDisk, VmNic
from homelab.rehearsal.storage.paths import join, split

# vSphere's classes of controllers, as a .vmx names them, and the keys that ESXi gives the first of each.
DEVS = {
    "ParaVirtualSCSIController": "pvscsi",
    "VirtualLsiLogicController": "lsilogic",
    "VirtualLsiLogicSASController": "lsisas1068",
    "VirtualBusLogicController": "buslogic",
    "VirtualAHCIController": "ahci",
}
BASES = {"ide": 200, "scsi": 1000, "sata": 15000}


def render_vmx(vm: Vm) -> str:
    """The text of a VM's .vmx, in the order that it was configured in."""
    values = {
        "config.version": "8",
        "virtualHW.version": vm.hardware_version.removeprefix("vmx-"),
        "displayName": vm.name,
        "guestOS": vm.guest_id.removesuffix("Guest"),
        "numvcpus": str(vm.cpus),
        "memSize": str(vm.memory_mib),
        "firmware": vm.firmware,
        "uuid.bios": vm.uuid,
        "uuid.location": vm.location,
        "vc.uuid": vm.instance_uuid,
        "annotation": vm.annotation,
    }
    for key, kind in vm.controllers.items():
        if kind in DEVS:
            values |= {f"{_bus(key)}.present": "TRUE", f"{_bus(key)}.virtualDev": DEVS[kind]}
    for disk in vm.disks:
        prefix = f"{_bus(disk.controller)}:{disk.unit}"
        values |= {
            f"{prefix}.present": "TRUE",
            f"{prefix}.fileName": _short(vm, disk.path),
            f"{prefix}.capacity": str(disk.capacity),
            f"{prefix}.key": str(disk.key),
        }
    for index, nic in enumerate(vm.nics):
        values |= _nic(f"ethernet{index}", nic)
    for drive in vm.cdroms:
        prefix = f"{_bus(drive.controller)}:{drive.unit}"
        values |= {
            f"{prefix}.present": "TRUE",
            f"{prefix}.deviceType": "cdrom-image" if drive.iso else "cdrom-raw",
            f"{prefix}.fileName": _short(vm, drive.iso) if drive.iso else "",
            f"{prefix}.startConnected": _bool(drive.start_connected),
            f"{prefix}.key": str(drive.key),
        }
    values |= vm.extra_config
    return "".join(f"{key} = {_quote(value)}\n" for key, value in values.items())


def parse_vmx(text: str, vmx_path: str, moid: str) -> Vm:
    """The VM that a .vmx describes."""
    values = dict(_pair(line) for line in text.splitlines() if "=" in line)
    store, _ = split(vmx_path)
    name = values.pop("displayName", vmx_path.rpartition("/")[2].removesuffix(".vmx"))
    vm = Vm(moid, name, store, vmx_path)
    vm.cpus = int(values.pop("numvcpus", "1"))
    vm.memory_mib = int(values.pop("memSize", "1024"))
    vm.guest_id = values.pop("guestOS", "otherlinux-64") + "Guest"
    vm.uuid = values.pop("uuid.bios", vm.uuid)
    vm.location = values.pop("uuid.location", "")
    vm.instance_uuid = values.pop("vc.uuid", vm.instance_uuid)
    vm.annotation = values.pop("annotation", "")
    vm.firmware = values.pop("firmware", "bios")
    vm.hardware_version = "vmx-" + values.pop("virtualHW.version", "13")
    values.pop("config.version", None)
    kinds = {dev: kind for kind, dev in DEVS.items()}
    for prefix in _prefixes(values, r"(?:scsi|sata)\d"):
        vm.controllers[_key(prefix)] = kinds[_take(values, prefix)["virtualDev"]]
    for prefix in _prefixes(values, r"(?:scsi|sata|ide)\d:\d+"):
        _parse_drive(vm, prefix, _take(values, prefix))
    for prefix in _prefixes(values, r"ethernet\d+"):
        vm.nics.append(_parse_nic(_take(values, prefix), int(prefix.removeprefix("ethernet"))))
    vm.extra_config = values
    return vm


def _parse_drive(vm: Vm, prefix: str, part: dict[str, str]) -> None:
    bus, _, unit = prefix.partition(":")
    path = _long(vm, part["fileName"]) if part.get("fileName") else None
    key, controller = int(part.get("key", "0")), _key(bus)
    if part.get("deviceType", "").startswith("cdrom"):
        connected = part.get("startConnected") == "TRUE"
        vm.cdroms.append(VmCdRom(key, path, connected, unit=int(unit), controller=controller))
    elif path:
        vm.disks.append(VmDisk(key, path, int(part.get("capacity", 0)), int(unit), controller=controller))


def _bus(key: int) -> str:
    """A controller's name in a .vmx, from its key."""
    for name, base in BASES.items():
        if base <= key < base + 10:
            return f"{name}{key - base}"
    raise ValueError(f"no controller has the key {key}")


def _key(bus: str) -> int:
    return BASES[bus[:-1]] + int(bus[-1])


def _nic(prefix: str, nic: VmNic) -> dict[str, str]:
    manual = nic.address_type == "manual"
    return {
        f"{prefix}.present": "TRUE",
        f"{prefix}.virtualDev": nic.kind.lower(),
        f"{prefix}.networkName": nic.network,
        f"{prefix}.addressType": "static" if manual else "generated",
        f"{prefix}.address" if manual else f"{prefix}.generatedAddress": nic.mac,
        f"{prefix}.startConnected": _bool(nic.start_connected),
        f"{prefix}.key": str(nic.key),
    }


def _parse_nic(part: dict[str, str], index: int) -> VmNic:
    kind = {"e1000": "E1000", "e1000e": "E1000e"}.get(part.get("virtualDev", ""), "Vmxnet3")
    manual = part.get("addressType") == "static"
    mac = part.get("address" if manual else "generatedAddress", "")
    key = int(part.get("key", 4000 + index))
    network = part.get("networkName", "VM Network")
    return VmNic(key, mac, network, "manual" if manual else "generated", kind, part.get("startConnected") != "FALSE")


def _prefixes(values: dict[str, str], pattern: str) -> list[str]:
    found = (re.fullmatch(rf"({pattern})\.present", key) for key in values)
    return [match[1] for match in found if match]


def _take(values: dict[str, str], prefix: str) -> dict[str, str]:
    keys = [key for key in values if key.startswith(prefix + ".")]
    return {key.removeprefix(prefix + "."): values.pop(key) for key in keys}


def _short(vm: Vm, path: str) -> str:
    """A path in the VM's own folder is written without it."""
    return path.removeprefix(vm.folder + "/") if path.startswith(vm.folder + "/") else path


def _long(vm: Vm, path: str) -> str:
    return path if path.startswith("[") else join(vm.datastore, split(vm.folder)[1] + "/" + path)


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition("=")
    text = value.strip()
    if text.startswith('"') and text.endswith('"'):
        text = text[1:-1]
    return key.strip(), text.replace("|22", '"').replace("|0A", "\n").replace("|7C", "|")


def _quote(value: str) -> str:
    return '"' + value.replace("|", "|7C").replace("\n", "|0A").replace('"', "|22") + '"'


def _bool(value: bool) -> str:
    return "TRUE" if value else "FALSE"
