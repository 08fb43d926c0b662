"""Disks as a person tells them apart, and why one must not be written over. Pure: ports/devices.py does the reading."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# What macOS mounts by itself when a stick is plugged in, and gives up when asked.
VOLUMES = "/Volumes/"


@dataclass(frozen=True)
class Use:
    """What holds a part of a disk: `part` is its name, `how` a clause; `gives_up` when unmounting frees it."""

    part: str
    how: str
    gives_up: bool = False

    def __str__(self) -> str:
        return f"{self.part} {self.how}"


@dataclass(frozen=True)
class Device:
    """A whole disk. `path` is what is written to, `size` in bytes, `serial` empty when unknown."""

    name: str
    path: str
    model: str
    serial: str
    size: int
    usb: bool
    read_only: bool = False
    parts: tuple[str, ...] = ()
    uses: tuple[Use, ...] = ()

    def __str__(self) -> str:
        serial = f"serial {self.serial}" if self.serial else "no serial"
        parts = f"{len(self.parts)} partition(s)" if self.parts else "no partitions"
        return f"{self.name}: {self.model or 'unknown model'}, {serial}, {human(self.size)}, {parts}"


def human(size: int) -> str:
    """A size as it is printed on sticks: 16.0 GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def refusal(device: Device) -> tuple[str, str] | None:
    """Why this disk must not be written over whatever the image, and what to do; None when it may be."""
    held = [use for use in device.uses if not use.gives_up]
    system = next((use for use in held if "system" in use.how), None)
    if system:
        return f"{device.name} is a system disk: {system}", "Name the stick, not the computer's own disk"
    if not device.usb:
        return f"{device.name} is not removable: it is no USB disk", "Name a USB stick"
    if held:
        return f"{device.name} is in use: {'; '.join(map(str, held))}", "Unmount it first, if it is the right one"
    if device.read_only:
        return f"{device.name} is read-only", "See whether it has a switch for that, or take another stick"
    return None


def too_small(device: Device, size: int, least: int, why: str) -> tuple[str, str] | None:
    """Why a stick cannot hold an image of `size` bytes, or what is to be installed from it (`least` bytes, `why`)."""
    if device.size < size:
        return f"{device.name} has {human(device.size)}, and the image {human(size)}", "Take a larger stick"
    if device.size < least:
        return f"{device.name} has {human(device.size)}; {why}", "Take a larger stick"
    return None


def least_stick(build: str) -> tuple[int, str]:
    """The least stick for a release, and why; some sticks have up to 8 % less than what is printed on them.

    VMware's guides: 6.x starts from 1 GB but should have 4 GB, whose rest is the partition for core dumps; 7.0 and
    later need 8 GB.
    """
    found = re.match(r"(\d+)\.", build)
    if found and int(found[1]) >= 7:
        return 7_400_000_000, f"ESXi {build} needs a stick of 8 GB"
    return 3_680_000_000, f"ESXi {build or '6.x'} needs a stick of 4 GB: a smaller one has no room for core dumps"


# --- macOS


def from_diskutil(listing: Mapping[str, Any], infos: Iterable[Mapping[str, Any]]) -> list[Device]:
    """The disks of `diskutil list -plist` with their `diskutil info -plist`, as parsed from the property lists."""
    rows = {str(row.get("DeviceIdentifier")): row for row in listing.get("AllDisksAndPartitions", ())}
    return [
        _from_info(rows[name], info, rows.values())
        for info in infos
        if (name := str(info.get("DeviceIdentifier"))) in rows and info.get("VirtualOrPhysical") != "Virtual"
    ]


def _from_info(row: Mapping[str, Any], info: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> Device:
    name = str(info["DeviceIdentifier"])
    parts = [part for part in row.get("Partitions", ()) if part.get("DeviceIdentifier")]
    uses = [use for part in [row, *parts] for use in _mounts(part)]
    names = {name, *(str(part["DeviceIdentifier"]) for part in parts)}
    for other in rows:
        stores = {str(store.get("DeviceIdentifier")) for store in other.get("APFSPhysicalStores", ())}
        if stores & names:
            uses += [use for volume in other.get("APFSVolumes", ()) for use in _mounts(volume)]
    # A write to the buffered /dev/diskN goes in pieces of 4 KiB; the raw device takes what it is given.
    return Device(
        name=name,
        path=f"/dev/r{name}",
        model=str(info.get("MediaName") or info.get("IORegistryEntryName") or ""),
        serial="",
        size=int(info.get("TotalSize") or info.get("Size") or 0),
        usb=info.get("BusProtocol") == "USB" and not info.get("Internal", False),
        read_only=not info.get("WritableMedia", True),
        parts=tuple(sorted(names - {name})),
        uses=tuple(uses),
    )


def _mounts(part: Mapping[str, Any]) -> Sequence[Use]:
    point = part.get("MountPoint")
    if not point:
        return ()
    if str(point).startswith(VOLUMES):
        return (Use(str(part["DeviceIdentifier"]), f"is mounted at {point}", gives_up=True),)
    return (Use(str(part["DeviceIdentifier"]), f"holds the running system ({point})"),)
