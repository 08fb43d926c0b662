"""What an OVF says beside its devices: `vmw:Config`, `vmw:ExtraConfig`, and what is promised to CPUs and memory.

The keys of `vmw:Config` are paths of VirtualMachineConfigSpec, or of the device in whose item they stand.
"""

from collections.abc import Callable, Iterator
from typing import Any

from pyVmomi import VmomiSupport, vim

from homelab.rehearsal.soap.vm_device_tables import TABLES
from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.state.vm_settings import CONSTANTS, SETTINGS

# What says no more than what a thing is called, and what the reader of devices reads.
READ = frozenset(
    {
        *("ResourceType", "ResourceSubType", "VirtualQuantity", "VirtualQuantityUnits", "AllocationUnits"),
        *("InstanceID", "ElementName", "Description", "Caption", "Address", "AddressOnParent", "Parent"),
        *("HostResource", "Connection", "AutomaticAllocation", "Config", "CoresPerSocket"),
        *("Reservation", "Limit", "Weight"),
    }
)
LEFT_OUT = "is not part of the rehearsal and is left out"


def configure(spec: Any, hardware: Any) -> Iterator[Any]:
    """Put what a hardware section says of the VM as a whole into its specification; yields a warning for the rest."""
    for item in _children(hardware, "Config"):
        key, text = _attribute(item, "key"), _attribute(item, "value")
        if key not in SETTINGS and key != "firmware":
            same = key in CONSTANTS and text.lower() == str(CONSTANTS[key]).lower()
            if not same and text.lower() != "false":
                yield _warning(f"vmw:Config {key} = {text}")
        elif not _put(spec, key, text):
            yield _warning(f"vmw:Config {key} = {text}")
    for item in _children(hardware, "ExtraConfig"):
        option = vim.option.OptionValue(key=_attribute(item, "key"), value=_attribute(item, "value"))
        spec.extraConfig.append(option)


def unread(item: Any) -> Iterator[Any]:
    """Warnings of what an item says that nobody reads."""
    for child in item:
        name = child.tag.rpartition("}")[2]
        if name not in READ and (child.text or "").strip():
            yield _warning(f"{name} of {_text(item, 'ElementName') or 'an item'}")


def allocate(spec: Any, name: str, item: Any, unit: Callable[[str], int]) -> None:
    """What CPUs (`cpuAllocation`, MHz) or memory (`memoryAllocation`, MiB) have to themselves."""
    said = {key: _text(item, key) for key in ("Reservation", "Limit", "Weight")}
    if not any(said.values()):
        return
    size = unit(_text(item, "AllocationUnits"))
    made = vim.ResourceAllocationInfo()
    if said["Reservation"]:
        made.reservation = VmomiSupport.long(int(said["Reservation"]) * size)
    if said["Limit"]:
        made.limit = VmomiSupport.long(int(said["Limit"]) * size)
    if said["Weight"]:
        made.shares = vim.SharesInfo(level="custom", shares=int(said["Weight"]))
    setattr(spec, name, made)


def describe(device: Any, item: Any) -> Iterator[Any]:
    """Give a device what its item says of it; yields a warning for what is not taken of such a device."""
    table = next(table for base, table in TABLES.items() if isinstance(device, base))
    for config in _children(item, "Config"):
        key, text = _attribute(config, "key"), _attribute(config, "value")
        taken = key in table.taken and _put(device, key, text)
        same = [str(value).lower() for value in table.same.get(key, ())]
        if not taken and text.lower() not in same:
            yield _warning(f"vmw:Config {key} = {text} of {_text(item, 'ElementName') or 'a device'}")
    if hasattr(device, "connectable") and _text(item, "AutomaticAllocation"):
        _put(device, "connectable.startConnected", _text(item, "AutomaticAllocation"))


def _put(top: Any, path: str, text: str) -> bool:
    """Set a property from its text; whether that could be done."""
    first, _, rest = path.partition(".")
    info = top._GetPropertyInfo(first)
    if rest:
        if getattr(top, first) is None:
            setattr(top, first, _connection() if first == "connectable" else info.type())
        return _put(getattr(top, first), rest, text)
    try:
        setattr(top, first, text.lower() == "true" if issubclass(info.type, bool) else info.type(text))
    except (TypeError, ValueError):
        return False
    return True


def _connection() -> Any:
    return vim.vm.device.VirtualDevice.ConnectInfo(startConnected=True, connected=True, allowGuestControl=True)


def _warning(what: str) -> Any:
    return fault("NotSupported", f"{what} {LEFT_OUT}")


def _children(top: Any, name: str) -> Iterator[Any]:
    return (child for child in top if child.tag.rpartition("}")[2] == name)


def _text(top: Any, name: str) -> str:
    return next(((child.text or "").strip() for child in _children(top, name)), "")


def _attribute(item: Any, name: str) -> str:
    return next((str(value) for key, value in item.attrib.items() if key.rpartition("}")[2] == name), "")
