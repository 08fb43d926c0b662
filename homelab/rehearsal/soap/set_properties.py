"""Whatever a client set in a specification, by its path: read from pyVmomi's own tables of types."""

from collections.abc import Iterator
from typing import Any

from pyVmomi import vim

from homelab.rehearsal.soap.wire import fault

BOOTABLE = vim.vm.BootOptions
# One device of a boot order in one word; those of disks and NICs are followed by the device's key.
BOOTED = {
    BOOTABLE.BootableCdromDevice: "cdrom",
    BOOTABLE.BootableDiskDevice: "disk",
    BOOTABLE.BootableEthernetDevice: "ethernet",
    BOOTABLE.BootableFloppyDevice: "floppy",
}


def set_properties(spec: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Path and value of every property that is set: plain values, lists as they are, and what is one value to a VM."""
    for info in spec._GetPropertyList():
        value, path = getattr(spec, info.name), prefix + info.name
        if value is None or (isinstance(value, list) and not value):
            continue
        if isinstance(value, vim.SharesInfo):
            yield path, str(value.level) if value.level != "custom" else str(value.shares)
        elif path == "bootOptions.bootOrder":
            yield path, ",".join(_booted(device) for device in value if type(device) in BOOTED)
        elif hasattr(value, "_GetPropertyList") and not hasattr(value, "_moId"):
            yield from set_properties(value, f"{path}.")
        else:
            yield path, value


def boot_order(kept: str) -> list[Any]:
    """The devices of a boot order that was kept as text."""
    kinds = {name: kind for kind, name in BOOTED.items()}
    words = [word.partition(":") for word in kept.split(",") if word]
    return [kinds[name](deviceKey=int(key)) if key else kinds[name]() for name, _, key in words]


def not_simulated(path: str, value: Any) -> Any:
    """The refusal of a property that the rehearsal does not have, or not with that value."""
    shown = f" = {value}" if isinstance(value, bool | int | str) else ""
    return fault("NotSupported", f"{path}{shown} is not part of the rehearsal")


def _booted(device: Any) -> str:
    key = getattr(device, "deviceKey", None)
    return BOOTED[type(device)] + (f":{key}" if key is not None else "")
