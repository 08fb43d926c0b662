"""The command `usb write`: an image onto a stick; without a device, the sticks there are."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from homelab.commands.this_machine import carry_out, only_outside_of_rehearsals
from homelab.errors import DONE, USAGE, HomelabError
from homelab.formats.disk.contents import Contents
from homelab.formats.disk.devices import Device, human, refusal
from homelab.lab import no_lab, short_name
from homelab.ports.media.contents import look
from homelab.ports.media.devices import Disks, here
from homelab.ports.media.this_machine import ShortRun, ThisMachine
from homelab.steps.sticks.write import UsbWrite, WriteStick

if TYPE_CHECKING:
    from homelab.commands.options import Options
    from homelab.output.ui import Ui


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
    if device is None:
        return _list(options.ui, disks, host)
    step = UsbWrite(host, device, image or Path(f"{short_name(host)}.img"), serial)
    made = carry_out(options, step, no_lab(), ThisMachine(disks, ShortRun(options.ui)), named=serial)
    if made is None:
        return USAGE
    for change in made:
        _say(options.ui, change)
    return DONE


def _say(ui: "Ui", change: WriteStick) -> None:
    host, name, done = change.target, change.device.name, change.written
    assert done is not None
    rates = [round(done.bytes / 1e6 / max(seconds, 1e-3), 1) for seconds in (done.writing, done.reading)]
    if ui.json:
        numbers = {"writing_mb_s": rates[0], "reading_mb_s": rates[1]}
        ui.document({"host": host, "device": name, "bytes": done.bytes, "verified": True, **numbers})
        return
    ui.say(
        f"{name} holds the stick of {host}: {human(done.bytes)} written at {rates[0]} MB/s, "
        f"read back at {rates[1]} MB/s, the same"
    )


# --- the sticks there are


def _list(ui: "Ui", disks: Disks, host: str) -> int:
    """The sticks there are; nothing was named, so nothing is done."""
    usable = [(device, refusal(device)) for device in disks.all() if device.usb]
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
