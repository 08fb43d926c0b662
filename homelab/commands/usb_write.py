"""The command `usb write`: an image onto a stick, once what is lost by it was shown and agreed to."""

import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from homelab.commands.this_machine import chosen, look_again, only_outside_of_rehearsals, refuse, typed
from homelab.errors import DONE, USAGE, HomelabError, UsageError
from homelab.formats.disk.contents import Contents
from homelab.formats.disk.devices import Device, human, least_stick, refusal, too_small, unlike_a_stick
from homelab.ports.media.contents import look
from homelab.ports.media.devices import Disks, Medium, here, opened
from homelab.ports.media.stick_file import Image, image_of, opened_image
from homelab.ports.media.stick_writer import Written, write_stick
from homelab.ports.signals import ended_like_interrupted

if TYPE_CHECKING:
    from homelab.commands.options import Options
    from homelab.output.ui import Ui


# --- usb write


@dataclass(frozen=True)
class Writing:
    """What is shown before a stick is written, and must be the same when it is written."""

    device: Device
    contents: Contents
    image: Image

    @property
    def doubts(self) -> list[str]:
        """Why `--yes` alone does not agree to it: clauses about the disk."""
        held = [f"it holds {thing}" for thing in self.contents.foreign]
        return [*unlike_a_stick(self.device), *held]


def write(
    options: "Options",
    host: str,
    device: str | None,
    image: Path | None,
    disks: Disks | None = None,
    *,
    serial: str | None = None,
) -> int:
    """Write the image of a host's stick to a device, and read it back."""
    only_outside_of_rehearsals(options, "usb write")
    disks = disks or here()
    found = disks.all()
    if device is None:
        return _list(options.ui, disks, found, host)
    shown = _look(disks, chosen(found, device), image_of(image or Path(f"{host}.img")))
    _check_serial(found, shown.device, serial)
    _tell(options.ui, host, shown)
    if not _agreed(options, shown, serial):
        options.ui.warn("nothing was touched")
        return USAGE
    # What macOS unmounts is not told in the same words any more, so it is compared before that.
    mounted = any(use.gives_up for use in shown.device.uses)
    _check_same(options.ui, host, shown, disks, image_of(shown.image.path), contents=mounted)
    disks.free(shown.device)
    with (
        opened_image(shown.image.path) as (now, file),
        opened(shown.device.name, Path(shown.device.path), write=True, size=shown.device.size) as medium,
    ):
        # What the system kept since the first look may be older than the disk.
        medium.forget()
        _check_same(options.ui, host, shown, disks, now, contents=not mounted)
        refuse(too_small(replace(shown.device, size=medium.size), now.known.size, 0, ""), shown.device)
        done = _write(options.ui, file, shown, medium)
    _say_written(options.ui, host, shown.device, done)
    return DONE


def _look(disks: Disks, device: Device, image: Image) -> Writing:
    refuse(refusal(device) or too_small(device, image.known.size, *least_stick(image.known.build)), device)
    return Writing(device, look(disks, device), image)


def _check_same(ui: "Ui", host: str, shown: Writing, disks: Disks, image: Image, *, contents: bool) -> None:
    """Look once more at the disk, its contents (if told to) and the image; what differs is shown, and refused."""
    device = look_again(disks, shown.device)
    now = _look(disks, device, image) if contents else Writing(device, shown.contents, image)
    differs = "what is on it" if now.contents != shown.contents else "the image" if image != shown.image else None
    if differs:
        _tell(ui, host, now)
        what = f"{differs} is not what was shown any more"
        refuse((what, "Read what is shown now, and run it again"), shown.device)


def _write(ui: "Ui", file: BinaryIO, shown: Writing, medium: Medium) -> Written:
    name = shown.device.name
    try:
        with ended_like_interrupted(), ui.progress(f"{name}, written and read back") as report:
            return write_stick(file, shown.image.path.name, medium, report)
    except BaseException:
        ui.warn(f"{name} is half written: no machine starts from it; the next write begins anew")
        raise


def _list(ui: "Ui", disks: Disks, found: list[Device], host: str) -> int:
    """The sticks there are; nothing was named, so nothing is done."""
    usable = [(device, refusal(device)) for device in found if device.usb]
    rows = [(device, reason and reason[0], None if reason else _held(disks, device)) for device, reason in usable]
    if ui.json:
        ui.document({"devices": [_fields(*row) for row in rows]})
        return USAGE
    for device, reason, held in rows:
        ui.say(f"{device}{f' ({reason})' if reason else ''}")
        if held is not None:
            ui.say(f"  on it: {held}")
    if not usable:
        ui.say("no USB stick is plugged in")
    ui.warn(f"nothing was written; name the stick: homelab usb write {host} DEVICE")
    return USAGE


def _held(disks: Disks, device: Device) -> Contents | HomelabError:
    try:
        return look(disks, device)
    except HomelabError as error:
        return error


def _fields(device: Device, refused: str | None, held: Contents | HomelabError | None) -> dict[str, Any]:
    names = ("name", "path", "model", "serial", "size", "removable")
    told = held if isinstance(held, Contents) else None
    things = {"holds": list(told.things) if told else None, "ours": (told.ours or None) if told else None}
    return {name: getattr(device, name) for name in names} | {"refused": refused} | things


def _tell(ui: "Ui", host: str, shown: Writing) -> None:
    """Show what will be lost and what will be there instead."""
    known = shown.image.known
    what = "the installer of" if known.kind == "installer" else "the installed"
    ui.show(str(shown.device))
    ui.show(f"on it: {shown.contents}")
    ui.show(
        f"{shown.image.path} ({what} ESXi {known.build}, {human(known.size)}) for {host} will replace all that is on "
        "it; there is no way back"
    )
    for doubt in shown.doubts:
        ui.warn(f"{shown.device.name}: {doubt}")


# --- consent


def _check_serial(found: list[Device], device: Device, serial: str | None) -> None:
    """A serial number that was given must be that of the disk, and of no other one."""
    if serial is None:
        return
    advice = "Name the stick by its DEVICE and its own serial number, as `homelab usb write HOST` lists them"
    if not device.serial:
        what = f"{device.name} has no serial number that could be compared; nothing was written"
        raise UsageError(what, where="--device-serial", advice="Run it on a terminal, and type the disk's name")
    if device.serial != serial:
        what = f"{device.name} has the serial number {device.serial}, not {serial}; nothing was written"
        raise UsageError(what, where="--device-serial", advice=advice)
    same = [other.name for other in found if other.serial == serial]
    if len(same) > 1:
        what = f"{' and '.join(same)} have the same serial number; nothing was written"
        raise UsageError(what, where="--device-serial", advice="Pull out the others, or type the disk's name")


def _agreed(options: "Options", shown: Writing, serial: str | None) -> bool:
    """`--yes` agrees to a stick with nothing on it but ours; any other disk is named, by hand or by its serial."""
    doubts, name = shown.doubts, shown.device.name
    if options.yes and (not doubts or serial is not None):
        return True
    if not sys.stdin.isatty():
        raise _nobody(shown, options.yes)
    options.ui.show(f"Everything on it will be lost. Type its name ({name}) to go on:")
    return typed() == name


def _nobody(shown: Writing, yes: bool) -> UsageError:
    name, serial = shown.device.name, shown.device.serial
    what = f"everything on {name} would be lost, and nobody is there to agree"
    if not shown.doubts:
        return UsageError(what, where="no terminal", advice="See that it is the right stick, then run again with --yes")
    if yes:
        what = f"--yes does not agree to {name}: {'; '.join(shown.doubts)}; nothing was written"
    if serial:
        advice = f"If all of that may be lost, run again with --yes --device-serial {shlex.quote(serial)}"
    else:
        advice = "It has no serial number: run it on a terminal, and type the disk's name"
    return UsageError(what, where=shown.device.path, advice=advice)


def _say_written(ui: "Ui", host: str, device: Device, done: Written) -> None:
    rates = [round(done.bytes / 1e6 / max(seconds, 1e-3), 1) for seconds in (done.writing, done.reading)]
    if ui.json:
        numbers = {"writing_mb_s": rates[0], "reading_mb_s": rates[1]}
        ui.document({"host": host, "device": device.name, "bytes": done.bytes, "verified": True, **numbers})
        return
    ui.say(
        f"{device.name} holds the stick of {host}: {human(done.bytes)} written at {rates[0]} MB/s, "
        f"read back at {rates[1]} MB/s, the same"
    )
