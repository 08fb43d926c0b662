"""Disks as a person tells them apart, and why one must not be written over. Pure: a port does the reading."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homelab.formats.disk.contents import Part, Sign

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
    """A whole disk. `path` is what is written to, `size` in bytes, `serial` empty when unknown.

    `removable` is what the disk says of itself: many sticks do, disks in a case do not. `sequence` is another one every
    time a disk is plugged in; empty where the system does not count (Linux before 5.15, macOS).
    """

    name: str
    path: str
    model: str
    serial: str
    size: int
    usb: bool
    removable: bool = False
    read_only: bool = False
    sequence: str = ""
    parts: tuple[str, ...] = ()
    uses: tuple[Use, ...] = ()

    def __str__(self) -> str:
        serial = f"serial {self.serial}" if self.serial else "no serial"
        parts = f"{len(self.parts)} partition(s)" if self.parts else "no partitions"
        fixed = "" if self.removable else ", not removable"
        return f"{self.name}: {self.model or 'unknown model'}, {serial}, {human(self.size)}, {parts}{fixed}"

    @property
    def identity(self) -> tuple[object, ...]:
        """What stays the same as long as it is the same disk, plugged in once."""
        return self.path, self.model, self.serial, self.size, self.usb, self.removable, self.sequence


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


# Sticks for hosts are small; a disk of a terabyte on USB is somebody's backup.
LARGE = 256 * 10**9


def unlike_a_stick(device: Device) -> list[str]:
    """What makes a disk look like another thing than a stick for a host: clauses about it."""
    reasons = [] if device.removable else ["it is not removable, as sticks are"]
    return [*reasons, f"it has {human(device.size)}, more than 256 GB"] if device.size > LARGE else reasons


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
        removable=bool(info.get("RemovableMedia", False)),
        read_only=not info.get("WritableMedia", True),
        parts=tuple(sorted(names - {name})),
        uses=tuple(uses),
    )


def parts_from_diskutil(listing: Mapping[str, Any], name: str) -> list[Part]:
    """What `diskutil list -plist` tells of a disk and of its partitions, the disk first.

    A partition's `Content` is the type in its table, not what is in it, so none of them counts as blank.
    """
    rows = list(listing.get("AllDisksAndPartitions", ()))
    row = next((row for row in rows if row.get("DeviceIdentifier") == name), None)
    if row is None:
        return [Part(name, unknown="diskutil does not list it")]
    parts = [part for part in row.get("Partitions", ()) if part.get("DeviceIdentifier")]
    return [Part(str(part["DeviceIdentifier"]), _signs(part, rows)) for part in (row, *parts)]


def _signs(part: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> tuple[Sign, ...]:
    name, kind = part.get("DeviceIdentifier"), str(part.get("Content") or "")
    uuid = str(part.get("VolumeUUID") or part.get("DiskUUID") or "")
    own = [Sign(kind or "a volume", str(part.get("VolumeName") or ""), uuid)]
    held = [
        Sign("APFS volume", str(volume.get("VolumeName") or ""), str(volume.get("VolumeUUID") or ""))
        for row in rows
        if any(store.get("DeviceIdentifier") == name for store in row.get("APFSPhysicalStores", ()))
        for volume in row.get("APFSVolumes", ())
    ]
    return (*(own if kind or part.get("VolumeName") else ()), *held)


def _mounts(part: Mapping[str, Any]) -> Sequence[Use]:
    point = part.get("MountPoint")
    if not point:
        return ()
    if str(point).startswith(VOLUMES):
        return (Use(str(part["DeviceIdentifier"]), f"is mounted at {point}", gives_up=True),)
    return (Use(str(part["DeviceIdentifier"]), f"holds the running system ({point})"),)
