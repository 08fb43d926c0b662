"""The .vmx file of a simulated VM, there and back, as VMware's programs write and read it. Pure.

Keys are the same in capitals and without; values stand in quotes, with `|22` and the like for what may not stand there.
What is no device and no setting that is simulated is kept as it came, and told as extraConfig, as ESXi does. Files of
the VM's own folder are told by their name alone, others by their path below /vmfs/volumes.
"""

import re
from collections.abc import Callable

from homelab.rehearsal.state.guest_names import guest_id_of, vmx_name
from homelab.rehearsal.state.places import DRIVES, FIRST, key_of
from homelab.rehearsal.state.refusals import InvalidVmConfig
from homelab.rehearsal.state.vm import Vm, VmCdRom, VmDisk, VmNic
from homelab.rehearsal.state.vm_settings import SETTINGS, Value
from homelab.rehearsal.storage.paths import join, split

# vSphere's classes of controllers, as a .vmx names them, and the keys that ESXi gives the first of each.
DEVS = {
    "ParaVirtualSCSIController": "pvscsi",
    "VirtualLsiLogicController": "lsilogic",
    "VirtualLsiLogicSASController": "lsisas1068",
    "VirtualBusLogicController": "buslogic",
    "VirtualAHCIController": "ahci",
}
NICS = {"e1000": "E1000", "e1000e": "E1000e", "vmxnet3": "Vmxnet3"}
# What a VM is and has, in small letters, but for its devices and settings.
OWN = frozenset(
    {
        *(".encoding", "config.version", "virtualhw.version", "displayname", "guestos", "numvcpus", "memsize"),
        *("firmware", "uuid.bios", "uuid.location", "vc.uuid", "annotation"),
    }
)
DEVICE = re.compile(r"((scsi|sata|ide)\d+(:\d+)?|ethernet\d+)\..*")
NO_ISO = "emptyBackingString"
KEY = r'[^\s=#"]+'
LINE = re.compile(rf'({KEY})\s*=\s*(?:"([^"]*)"|([^\s"]*))\s*(?:#.*)?')

Place = Callable[[str], str]


def render_vmx(vm: Vm, shell_path: Place = str) -> str:
    """The text of a VM's .vmx; `shell_path` turns a datastore path into one below /vmfs/volumes."""
    values = {
        ".encoding": "UTF-8",
        "config.version": "8",
        "virtualHW.version": vm.hardware_version.removeprefix("vmx-"),
        "displayName": vm.name,
        "guestOS": vmx_name(vm.guest_id),
        "numvcpus": str(vm.cpus),
        "memSize": str(vm.memory_mib),
        "firmware": vm.firmware,
        "uuid.bios": _spaced(vm.uuid),
        "uuid.location": vm.location,
        "vc.uuid": _spaced(vm.instance_uuid),
        "annotation": vm.annotation,
    }
    values |= {SETTINGS[path].key: _text(value) for path, value in vm.settings.items()}
    for key, kind in vm.controllers.items():
        if kind in DEVS:
            values |= {f"{_bus(key)}.present": "TRUE", f"{_bus(key)}.virtualDev": DEVS[kind]}
    for disk in vm.disks:
        prefix = f"{_bus(disk.controller)}:{disk.unit}"
        values |= {
            f"{prefix}.present": "TRUE",
            f"{prefix}.deviceType": "scsi-hardDisk" if prefix.startswith("scsi") else "disk",
            f"{prefix}.fileName": _short(vm, disk.path, shell_path),
        }
        values |= {f"{prefix}.{name}": value for name, value in _beside_usual(disk).items()}
    for index, nic in enumerate(vm.nics):
        values |= _nic(f"ethernet{index}", nic)
    for drive in vm.cdroms:
        prefix = f"{_bus(drive.controller)}:{drive.unit}"
        values |= {
            f"{prefix}.present": "TRUE",
            f"{prefix}.deviceType": "cdrom-image" if drive.iso else DRIVES[drive.backing][0],
            f"{prefix}.fileName": _short(vm, drive.iso, shell_path) if drive.iso else drive.device or NO_ISO,
            f"{prefix}.clientDevice": _bool(not drive.iso and DRIVES[drive.backing][1]),
            f"{prefix}.startConnected": _bool(drive.start_connected),
            f"{prefix}.allowGuestConnectionControl": _bool(drive.guest_control),
        }
    own = {key.casefold() for key in values}
    values |= {key: value for key, value in vm.extra_config.items() if key.casefold() not in own}
    return "".join(f"{key} = {quote(value)}\n" for key, value in values.items())


def parse_vmx(text: str, vmx_path: str, moid: str, datastore_path: Place = str) -> Vm:
    """The VM that a .vmx describes; `datastore_path` turns a path below /vmfs/volumes into a datastore path.

    Sizes of disks stand in their descriptors alone. Raises InvalidVmConfig for a text that is no .vmx.
    """
    values = Values(text, vmx_path)
    store, _ = split(vmx_path)
    vm = Vm(moid, values.pop("displayName", vmx_path.rpartition("/")[2].removesuffix(".vmx")), store, vmx_path)
    values.pop(".encoding")
    if not values.pop("config.version").isdecimal():
        raise InvalidVmConfig(f"{vmx_path}: the configuration file has no version", property="config.version")
    vm.cpus, vm.memory_mib = values.number("numvcpus", 1), values.number("memSize", 1024)
    vm.guest_id = guest_id_of(values.pop("guestOS", "other"))
    vm.uuid, vm.instance_uuid = (
        _plain(values.pop(key), own) for key, own in (("uuid.bios", vm.uuid), ("vc.uuid", vm.instance_uuid))
    )
    vm.location, vm.annotation = values.pop("uuid.location"), values.pop("annotation")
    vm.firmware, vm.hardware_version = values.pop("firmware", "bios"), f"vmx-{values.pop('virtualHW.version', '4')}"
    kinds = {dev: kind for kind, dev in DEVS.items()}
    for prefix in values.present(r"(?:scsi|sata)\d"):
        dev = values.take(prefix).get("virtualdev", "ahci" if prefix.startswith("sata") else "lsilogic").lower()
        if dev not in kinds:
            raise InvalidVmConfig(f"{vmx_path}: {prefix} is of the kind {dev}", property=prefix)
        vm.controllers[_key(prefix)] = kinds[dev]
    for prefix in values.present(r"(?:scsi|sata|ide)\d:\d+"):
        _parse_drive(vm, prefix, values.take(prefix), datastore_path)
    for prefix in values.present(r"ethernet\d+"):
        vm.nics.append(_parse_nic(values.take(prefix), int(prefix.removeprefix("ethernet"))))
    for path, setting in SETTINGS.items():
        if text := values.pop(setting.key):
            vm.settings[path] = setting_of(text, setting.default)
    vm.extra_config = values.rest()
    return vm


def is_own(key: str) -> bool:
    """Whether a key of a .vmx tells what a VM is, or one of its devices; capitals do not count."""
    return key.casefold() in OWN or DEVICE.fullmatch(key.casefold()) is not None


class Values:
    """What stands in a .vmx, taken out piece by piece."""

    def __init__(self, text: str, vmx_path: str) -> None:
        self._path = vmx_path
        self._found: dict[str, tuple[str, str]] = {}
        for number, line in enumerate(text.split("\n"), start=1):
            bare = line.strip()
            if not bare or bare.startswith("#"):
                continue
            pair = LINE.fullmatch(bare)
            if pair is None:
                raise InvalidVmConfig(f'File "{vmx_path}" line {number}: Syntax error.', property=str(number))
            value = _unescaped(pair[2] if pair[2] is not None else pair[3])
            self._found[pair[1].lower()] = (pair[1], value)

    def pop(self, key: str, default: str = "") -> str:
        """The value of a key, which is gone then."""
        return self._found.pop(key.lower(), ("", default))[1]

    def number(self, key: str, default: int) -> int:
        """A number."""
        text = self.pop(key, str(default))
        if not text.isdecimal():
            raise InvalidVmConfig(f"{self._path}: {key} is no number: {text}", property=key)
        return int(text)

    def present(self, pattern: str) -> list[str]:
        """The devices of a pattern that are there; one that is not `present` is none."""
        found = ((re.fullmatch(rf"({pattern})\.present", key), value) for key, (_, value) in self._found.items())
        return [match[1] for match, value in found if match and value.upper() == "TRUE"]

    def take(self, prefix: str) -> dict[str, str]:
        """All that is told of a device, by the rest of the key in small letters."""
        keys = [key for key in self._found if key.startswith(f"{prefix}.")]
        return {key.removeprefix(f"{prefix}."): self._found.pop(key)[1] for key in keys}

    def rest(self) -> dict[str, str]:
        """What was not taken, by the keys as they stand there."""
        return dict(self._found.values())


def _parse_drive(vm: Vm, prefix: str, part: dict[str, str], datastore_path: Place) -> None:
    bus, _, unit = prefix.partition(":")
    controller, file = _key(bus), part.get("filename", "")
    key = key_of(controller, int(unit))
    kind = part.get("devicetype", "disk").lower()
    if "cdrom" in kind:
        iso = _long(vm, file, datastore_path) if kind == "cdrom-image" and file else None
        drive = VmCdRom(key, iso, _is(part, "startconnected"), unit=int(unit), controller=controller)
        drive.guest_control = _is(part, "allowguestconnectioncontrol")
        if not iso:
            client = part.get("clientdevice", "TRUE").upper() == "TRUE"
            drive.backing = next((name for name, one in DRIVES.items() if one == (kind, client)), drive.backing)
            drive.device = "" if file == NO_ISO else file
        vm.cdroms.append(drive)
    elif file:
        disk = VmDisk(key, _long(vm, file, datastore_path), 0, int(unit), controller=controller)
        disk.mode = part.get("mode", disk.mode).replace("-", "_")
        disk.io_limit, disk.io_shares = int(part.get("throughputcap", -1)), part.get("shares", disk.io_shares)
        disk.eager = part.get("eagerlyscrub", "").upper() == "TRUE"
        vm.disks.append(disk)


def _beside_usual(disk: VmDisk) -> dict[str, str]:
    """What a .vmx says of a disk only where it is not as usual."""
    said = {"mode": disk.mode.replace("_", "-"), "throughputCap": str(disk.io_limit), "shares": disk.io_shares}
    usual = {"mode": "persistent", "throughputCap": "-1", "shares": "normal"}
    eager = {"eagerlyScrub": "TRUE"} if disk.eager else {}
    return {name: value for name, value in said.items() if value != usual[name]} | eager


def _bus(key: int) -> str:
    """A controller's name in a .vmx, from its key."""
    for name, base in FIRST.items():
        if base <= key < base + 10:
            return f"{name}{key - base}"
    raise ValueError(f"no controller has the key {key}")


def _key(bus: str) -> int:
    return FIRST[bus[:-1]] + int(bus[-1])


def _nic(prefix: str, nic: VmNic) -> dict[str, str]:
    manual = nic.address_type == "manual"
    return {
        f"{prefix}.present": "TRUE",
        f"{prefix}.virtualDev": nic.kind.lower(),
        f"{prefix}.networkName": nic.network,
        f"{prefix}.addressType": "static" if manual else "generated",
        f"{prefix}.address" if manual else f"{prefix}.generatedAddress": nic.mac,
        f"{prefix}.startConnected": _bool(nic.start_connected),
        f"{prefix}.allowGuestConnectionControl": _bool(nic.guest_control),
        f"{prefix}.wakeOnPcktRcv": _bool(nic.wake_on_lan),
    } | ({} if nic.direct_path is None else {f"{prefix}.uptCompatibility": _bool(nic.direct_path)})


def _parse_nic(part: dict[str, str], index: int) -> VmNic:
    kind = NICS.get(part.get("virtualdev", "").lower(), "E1000")
    manual = part.get("addresstype", "").lower() == "static"
    mac = part.get("address" if manual else "generatedaddress", "").lower()
    network, told = part.get("networkname", ""), "manual" if manual else "generated"
    nic = VmNic(4000 + index, mac, network, told, kind, _is(part, "startconnected"))
    nic.guest_control, nic.wake_on_lan = _is(part, "allowguestconnectioncontrol"), _is(part, "wakeonpcktrcv")
    nic.direct_path = _is(part, "uptcompatibility") if "uptcompatibility" in part else None
    return nic


def _is(part: dict[str, str], key: str) -> bool:
    """A switch of a device, which is on unless it is off."""
    return part.get(key, "TRUE").upper() == "TRUE"


def _short(vm: Vm, path: str, shell_path: Place) -> str:
    return path.removeprefix(vm.folder + "/") if path.startswith(vm.folder + "/") else shell_path(path)


def _long(vm: Vm, file: str, datastore_path: Place) -> str:
    if file.startswith(("/", "[")):
        return datastore_path(file)
    return join(vm.datastore, split(vm.folder)[1] + "/" + file)


def _spaced(uuid: str) -> str:
    octets = re.findall("..", uuid.replace("-", ""))
    return f"{' '.join(octets[:8])}-{' '.join(octets[8:])}"


def _plain(text: str, own: str) -> str:
    """A UUID, however it is written; the VM's own where none is told."""
    digits = re.sub(r"[^0-9a-f]", "", text.lower())
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(parts) if len(digits) == 32 else own


def _unescaped(text: str) -> str:
    return re.sub(r"\|([0-9A-Fa-f]{2})", lambda sign: chr(int(sign[1], 16)), text)


def quote(value: str) -> str:
    """A value as such a file has it."""
    return '"' + value.replace("|", "|7C").replace("\n", "|0A").replace('"', "|22") + '"'


def _text(value: Value) -> str:
    return _bool(value) if isinstance(value, bool) else str(value)


def setting_of(text: str, usual: Value) -> Value:
    """A setting of a .vmx, of the kind that it usually is."""
    return text.upper() == "TRUE" if isinstance(usual, bool) else int(text) if isinstance(usual, int) else text


def _bool(value: bool) -> str:
    return "TRUE" if value else "FALSE"
