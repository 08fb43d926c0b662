"""Looks at what is on a disk before it is lost."""

from dataclasses import replace
from pathlib import Path

from homelab.errors import HomelabError
from homelab.formats.disk.contents import FATS, Contents, Part, contents_of
from homelab.formats.disk.devices import Device
from homelab.formats.fat.names import FatError
from homelab.formats.fat.volume import open_volume
from homelab.ports.media.devices import Disks, Medium, opened

# Where file systems, encryption, LVM, RAID and ZFS have their heads, or the copies of them.
END = 1 << 20


def look(disks: Disks, device: Device) -> Contents:
    """What is on a disk; HomelabError when it cannot be read, UsageError when you may not."""
    with opened(device.name, Path(device.path), write=False, size=device.size) as medium:
        whole, *partitions = disks.parts(device)
        parts = [_seen(whole, medium), *(_opened_part(part, disks.node(part.name)) for part in partitions)]
        return contents_of(medium.read, medium.size, parts)


def _opened_part(part: Part, path: Path) -> Part:
    try:
        with opened(part.name, path, write=False) as medium:
            return _seen(part, medium)
    except HomelabError as error:
        return replace(part, unknown=part.unknown or error.what)


def _seen(part: Part, medium: Medium) -> Part:
    """A part with what only its bytes tell."""
    if part.kinds & FATS:
        return replace(part, files=_files(medium))
    if part.signs or part.unknown:
        return part
    return replace(part, blank=_is_blank(medium))


def _files(medium: Medium) -> tuple[str, ...] | None:
    try:
        return open_volume(medium.read, 0, medium.size).names()
    except FatError:
        return None


def _is_blank(medium: Medium) -> bool:
    if not medium.size:
        return False
    ends = (0, max(0, medium.size - END))
    return not any(any(medium.read(at, min(END, medium.size - at))) for at in ends)
