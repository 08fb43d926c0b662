"""CD-ROM drives among the devices that a VM tells."""

from collections.abc import Sequence
from typing import Any

from pyVmomi import vim


def image_drives(devices: Sequence[Any], image: str | None = None) -> list[Any]:
    """The CD-ROM drives that name an image; with `image` those that name this one."""
    iso = vim.vm.device.VirtualCdrom.IsoBackingInfo
    drives = [one for one in devices if isinstance(getattr(one, "backing", None), iso) and one.backing.fileName]
    return [one for one in drives if image in (None, one.backing.fileName)]


def is_connected(drive: Any) -> bool:
    """Whether the guest may see what is in a drive; one that does not tell counts as connected."""
    return bool(drive.connectable is None or drive.connectable.connected)
