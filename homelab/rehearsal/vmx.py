"""The .vmx file of a simulated VM, there and back. Pure."""

import re

from homelab.rehearsal.parts import Vm, VmCdRom, VmDisk, VmNic
from homelab.rehearsal.storage import join, split


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
        "annotation": vm.annotation,
    }
    for disk in vm.disks:
        prefix = f"scsi0:{disk.unit}"
        values |= {
            f"{prefix}.present": "TRUE",
            f"{prefix}.fileName": _short(vm, disk.path),
            f"{prefix}.capacity": str(disk.capacity),
            f"{prefix}.key": str(disk.key),
        }
    for index, nic in enumerate(vm.nics):
        values |= _nic(f"ethernet{index}", nic)
    for drive in vm.cdroms:
        prefix = f"sata0:{drive.unit}"
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
    vm.annotation = values.pop("annotation", "")
    vm.firmware = values.pop("firmware", "bios")
    vm.hardware_version = "vmx-" + values.pop("virtualHW.version", "13")
    values.pop("config.version", None)
    for prefix in _prefixes(values, r"scsi0:\d+"):
        part = _take(values, prefix)
        path = _long(vm, part["fileName"])
        unit = int(prefix.partition(":")[2])
        vm.disks.append(VmDisk(int(part.get("key", 2000 + unit)), path, int(part.get("capacity", 0)), unit))
    for prefix in _prefixes(values, r"ethernet\d+"):
        vm.nics.append(_parse_nic(_take(values, prefix), int(prefix.removeprefix("ethernet"))))
    for prefix in _prefixes(values, r"sata0:\d+"):
        part = _take(values, prefix)
        iso = _long(vm, part["fileName"]) if part.get("fileName") else None
        unit = int(prefix.partition(":")[2])
        connected = part.get("startConnected") == "TRUE"
        vm.cdroms.append(VmCdRom(int(part.get("key", 16000 + unit)), iso, connected, unit=unit))
    vm.extra_config = values
    return vm


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
