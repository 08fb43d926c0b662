"""What stands before every command that touches this machine's devices: no rehearsal, and the right disk."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from homelab.errors import Refused, UsageError
from homelab.formats.disk.devices import Device, refusal
from homelab.ports.media.devices import Disks
from homelab.ports.media.stick_file import kind_of
from homelab.ports.rehearsed import sign_of_rehearsal

if TYPE_CHECKING:
    from homelab.commands.options import Options

# --- rehearsals


def only_outside_of_rehearsals(options: "Options", command: str) -> None:
    """UsageError inside a rehearsal, which simulates hosts and no devices: a stick there would be a real one."""
    sign = sign_of_rehearsal(options.inventories)
    if sign:
        raise refused_in_rehearsal(command, sign)


def refused_in_rehearsal(command: str, sign: str) -> UsageError:
    """The sentence: what is refused, how it is known, what to do."""
    return UsageError(
        f"`homelab {command}` touches real devices of this machine and runs outside of a rehearsal only; "
        "nothing was opened",
        where=sign,
        advice="Run it in a shell of your own, without `homelab rehearse` and `homelab rehearsal enter`",
    )


def touches_devices(words: tuple[str, ...]) -> str | None:
    """The command in these words that touches devices, told early; the commands themselves look closer."""
    if "usb" in words:
        return next((f"usb {word}" for word in words if word in ("write", "install")), None)
    sticks = any(word == "--stick" or word.startswith("--stick=") for word in words)
    return "driver-fix --stick" if "driver-fix" in words and sticks else None


# --- which disk


def chosen(found: list[Device], named: str) -> Device:
    """The disk that was named, as sdb, /dev/sdb or by a link to it; UsageError when it is none."""
    short = named.removeprefix("/dev/")
    path = _resolved(named)
    for device in found:
        if short in (device.name, f"r{device.name}") or path == device.path:
            return device
        if short in device.parts:
            advice = f"Name the whole disk: {device.name}"
            raise UsageError(f"{short} is a partition, and a stick is written whole", where=named, advice=advice)
    is_other = kind_of(Path(named)) is not None and not named.startswith("/dev/")
    usable = ", ".join(device.name for device in found if device.usb and refusal(device) is None)
    advice = f"Sticks that could be written: {usable}" if usable else "No stick is plugged in that could be written"
    raise UsageError("this is no device" if is_other else "there is no such disk", where=named, advice=advice)


def _resolved(named: str) -> str:
    """A path such as /dev/disk/by-id/usb-... is a link."""
    try:
        return str(Path(named).resolve())
    except (OSError, RuntimeError):  # a link that leads to itself
        return named


def refuse(reason: tuple[str, str] | None, device: Device) -> None:
    """Raise a reason why a disk must not be written."""
    if reason:
        raise Refused(f"{reason[0]}; nothing was written", where=device.path, advice=reason[1])


def look_again(disks: Disks, shown: Device) -> Device:
    """A person may take minutes to answer: what has that name now must be the disk that was shown."""
    now = next((device for device in disks.all() if device.name == shown.name), None)
    if now is None:
        raise Refused(
            f"{shown.name} is gone; nothing was written", where=shown.path, advice="Plug it in, and run again"
        )
    if now.identity != shown.identity:
        how = "was plugged in anew" if str(now) == str(shown) else "is another disk now"
        refuse((f"{shown.name} {how}: {now}", "Run it again, and read what it shows"), shown)
    refuse(refusal(now), shown)
    return now


# --- answers


def typed() -> str:
    """The line that was typed; empty at the end of input, and for what is no text."""
    try:
        return sys.stdin.readline().strip()
    except UnicodeDecodeError:
        return ""
