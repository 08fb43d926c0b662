"""What a VM keeps as one word: a boot order, and shares."""

from typing import Any

from pyVmomi import vim

BOOTABLE = vim.vm.BootOptions
# One device of a boot order in one word; those of disks and NICs are followed by the device's key.
BOOTED = {
    BOOTABLE.BootableCdromDevice: "cdrom",
    BOOTABLE.BootableDiskDevice: "disk",
    BOOTABLE.BootableEthernetDevice: "ethernet",
    BOOTABLE.BootableFloppyDevice: "floppy",
}


def in_words(value: Any) -> Any:
    """Shares, or a boot order, in one word; any other value as it is."""
    if isinstance(value, vim.SharesInfo):
        return str(value.level) if value.level != "custom" else str(value.shares)
    if isinstance(value, list):
        return ",".join(map(_booted, value))
    return value


def boot_order(kept: str) -> list[Any]:
    """The devices of a boot order that was kept as text."""
    kinds = {name: kind for kind, name in BOOTED.items()}
    words = [word.partition(":") for word in kept.split(",") if word]
    return [kinds[name](deviceKey=int(key)) if key else kinds[name]() for name, _, key in words]


def _booted(device: Any) -> str:
    key = getattr(device, "deviceKey", None)
    return BOOTED[type(device)] + (f":{key}" if key is not None else "")
