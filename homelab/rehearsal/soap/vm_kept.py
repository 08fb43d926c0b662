"""What of a VirtualMachineConfigSpec is kept and told back by `config`; and the refusal of all that is not taken."""

import copy
import functools
from datetime import UTC, datetime
from typing import Any

from pyVmomi import VmomiSupport, vim

from homelab.rehearsal.soap.boot_order import BOOTED, boot_order, in_words
from homelab.rehearsal.soap.taken import not_simulated, said
from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.state.refusals import InvalidArgument
from homelab.rehearsal.state.vm import Vm
from homelab.rehearsal.state.vm_settings import CONSTANTS, SETTINGS, Setting, Value, shares
from homelab.rehearsal.vms.states import must_be

# What vm_spec carries out itself.
CARRIED_OUT = frozenset(
    {
        *("name", "numCPUs", "memoryMB", "guestId", "uuid", "instanceUuid", "annotation", "firmware"),
        *("extraConfig", "deviceChange"),
    }
)
# Where `config` tells what a specification says under another name.
TOLD_AS = {"powerOpInfo": "defaultPowerOps"} | {
    name: f"hardware.{name}" for name in ("numCoresPerSocket", "virtualICH7MPresent", "virtualSMCPresent")
}
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
CPU_SHARES = {"low": 500, "normal": 1000, "high": 2000}
MEMORY_SHARES = {"low": 5, "normal": 10, "high": 20}
GROUPS = {
    "bootOptions": vim.vm.BootOptions,
    "cpuAllocation": vim.ResourceAllocationInfo,
    "flags": vim.vm.FlagInfo,
    "latencySensitivity": vim.LatencySensitivity,
    "memoryAllocation": vim.ResourceAllocationInfo,
    "powerOpInfo": vim.vm.DefaultPowerOpInfo,
    "scheduledHardwareUpgradeInfo": vim.vm.ScheduledHardwareUpgradeInfo,
    "tools": vim.vm.ToolsConfigInfo,
}


def take(vm: Vm, spec: Any, told: Any, carried_out: frozenset[str] = CARRIED_OUT) -> None:
    """Keep what can be kept of a specification; NotSupported by its path for what the VM does not have just so.

    `told` is the VM's `config` before.
    """
    for path, value, _ in said(spec, (*SETTINGS, *carried_out)):
        if path in carried_out:
            continue
        if path in SETTINGS:
            keep(vm, path, value)
        elif not _is_told(told, path, value):
            raise not_simulated(path, value)


def kept(vm: Vm) -> Any:
    """A ConfigInfo with what is a setting, and nothing else. What is in it is shared: nobody may change it.

    It is a copy of one that was made before, for making one costs more than all else in a look at many VMs.
    """
    return copy.copy(_told(tuple(vm.settings.items()), vm.cpus, vm.memory_mib))


def cores_per_socket(vm: Vm) -> int:
    """`config.hardware.numCoresPerSocket`."""
    return int(vm.settings.get("numCoresPerSocket", 1))


def keep(vm: Vm, path: str, value: Any) -> None:
    """Keep one setting; InvalidArgument, or InvalidPowerState for one that changes only while the VM is off."""
    setting = SETTINGS[path]
    if isinstance(value, list) and any(type(one) not in BOOTED for one in value):
        raise not_simulated(path)
    plain = _plain(path, setting, in_words(value))
    if plain == vm.settings.get(path, setting.default):
        return
    if setting.cold:
        must_be(vm, on=False, wanted="poweredOff")
    vm.settings[path] = plain
    if plain == setting.default:
        del vm.settings[path]


def _plain(path: str, setting: Setting, value: Any) -> Value:
    if isinstance(setting.default, bool):
        return bool(value)
    if isinstance(setting.default, int):
        number = int(value)
        if number < setting.least:
            raise wrong(path)
        return number
    if setting.choices and value not in setting.choices:
        raise wrong(path)
    return str(value)


def _is_told(told: Any, path: str, value: Any) -> bool:
    """Whether the VM has that value already."""
    top, _, rest = path.partition(".")
    place = ".".join(filter(None, (TOLD_AS.get(top, top), rest)))
    for step in place.split("."):
        told = getattr(told, step, None)
    if path.startswith("files."):
        return str(told).rstrip("/") == str(value).rstrip("/")
    return told is not None and bool(told == value)


@functools.lru_cache(512)
def _told(settings: tuple[tuple[str, Value], ...], cpus: int, memory_mib: int) -> Any:
    values: dict[str, Any] = {path: setting.default for path, setting in SETTINGS.items()} | CONSTANTS | dict(settings)
    values["bootOptions.bootOrder"] = boot_order(values["bootOptions.bootOrder"])
    for name, each, amount in (("cpuAllocation", CPU_SHARES, cpus), ("memoryAllocation", MEMORY_SHARES, memory_mib)):
        level, number = shares(values[f"{name}.shares"], each, amount)
        values[f"{name}.shares"] = vim.SharesInfo(level=level, shares=number)
    told: dict[str, Any] = {}
    for name, kind in GROUPS.items():
        fields = {path.partition(".")[2]: value for path, value in values.items() if path.startswith(f"{name}.")}
        told[TOLD_AS.get(name, name)] = kind(**{key: _typed(kind, key, value) for key, value in fields.items()})
    told["tools"].lastInstallInfo = vim.vm.ToolsConfigInfo.ToolsLastInstallInfo(counter=0)
    alone = {path: value for path, value in values.items() if "." not in path and path not in TOLD_AS}
    told |= {path: _typed(vim.vm.ConfigInfo, path, value) for path, value in alone.items()}
    return vim.vm.ConfigInfo(modified=NEVER, template=False, **told)


def _typed(kind: Any, name: str, value: Any) -> Any:
    """A plain number as the long that a property may be."""
    wanted = kind._GetPropertyInfo(name).type
    return wanted(value) if issubclass(wanted, VmomiSupport.long) and not isinstance(value, bool) else value


def wrong(path: str) -> InvalidArgument:
    """A value that no host takes."""
    return InvalidArgument(
        f"A specified parameter was not correct: configSpec.{path}", invalidProperty=f"configSpec.{path}"
    )


def secure_boot_needs_efi(vm: Vm) -> None:
    """InvalidVmConfig for secure boot of a BIOS, as govmomi's simulator has it of a real one."""
    if vm.settings.get("bootOptions.efiSecureBootEnabled") and vm.firmware != "efi":
        raise fault("InvalidVmConfig", "Invalid virtual machine configuration.", property="msg.hostd.configSpec.efi")
