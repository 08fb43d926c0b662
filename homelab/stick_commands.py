"""The commands that write to sticks: `usb write`, and `driver-fix --stick` for a host without a network."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homelab.errors import Refused, UsageError
from homelab.ports.devices import Disks, Medium, here, opened
from homelab.ports.stick_writer import Written, write_stick
from homelab.render.boot_bank import FIXABLE, OPTION, UPGRADING, Bank, NoEsxi, active, fixed, has_option, unfixed
from homelab.render.boot_cfg import BootCfgError
from homelab.render.devices import Device, human, least_stick, refusal, too_small
from homelab.render.fat_volume import FatError
from homelab.render.stick_image import NotOurs, StickImage, recognise
from homelab.render.stick_marker import read_marker
from homelab.this_machine import only_outside_of_rehearsals

if TYPE_CHECKING:
    from homelab.options import Options
    from homelab.ui import Ui

DONE, USAGE = 0, 2


# --- usb write


def write(options: "Options", host: str, device: str | None, image: Path | None, disks: Disks | None = None) -> int:
    """Write the image of a host's stick to a device, and read it back."""
    only_outside_of_rehearsals(options, "usb write")
    disks = disks or here()
    found = disks.all()
    if device is None:
        return _list(options.ui, found, host)
    path = image or Path(f"{host}.img")
    known = recognised(path)
    chosen = _chosen(found, device)
    _refuse(refusal(chosen) or too_small(chosen, known.size, *least_stick(known.build)), chosen)
    _tell(options.ui, host, path, known, chosen)
    if not _agreed(options, chosen.name):
        options.ui.warn("nothing was touched")
        return USAGE
    _look_again(disks, chosen)
    disks.free(chosen)
    with opened(chosen.name, Path(chosen.path), write=True, size=chosen.size) as medium:
        _refuse(too_small(replace(chosen, size=medium.size), known.size, 0, ""), chosen)
        try:
            with options.ui.progress(f"{chosen.name}, written and read back") as report:
                done = write_stick(path, medium, report)
        except BaseException:
            options.ui.warn(f"{chosen.name} is half written: no machine starts from it; the next write begins anew")
            raise
    _say_written(options.ui, host, chosen, done)
    return DONE


def recognised(path: Path) -> StickImage:
    """The image in a file; UsageError when it is missing, cut, or none of ours."""
    if path.exists() and not path.is_file():
        raise UsageError("this is no file", where=str(path), advice="Name the image with --image FILE")
    if not path.exists():
        advice = "Make it with `homelab usb build HOST`, or name it with --image FILE"
        raise UsageError("there is no such image", where=str(path), advice=advice)
    with opened(path.name, path, write=False) as medium:
        try:
            return recognise(medium.read, medium.size)
        except NotOurs as error:
            advice = "Make it again with `homelab usb build HOST`"
            raise UsageError(str(error), where=str(path), advice=advice) from None


def _list(ui: "Ui", found: list[Device], host: str) -> int:
    """The sticks there are; nothing was named, so nothing is done."""
    usable = [device for device in found if device.usb]
    if ui.json:
        ui.document({"devices": [_fields(device) for device in usable]})
        return USAGE
    for device in usable:
        reason = refusal(device)
        ui.say(f"{device}{f' ({reason[0]})' if reason else ''}")
    if not usable:
        ui.say("no USB stick is plugged in")
    ui.warn(f"nothing was written; name the stick: homelab usb write {host} DEVICE")
    return USAGE


def _fields(device: Device) -> dict[str, Any]:
    reason = refusal(device)
    names = ("name", "path", "model", "serial", "size")
    return {name: getattr(device, name) for name in names} | {"refused": reason[0] if reason else None}


def _chosen(found: list[Device], named: str) -> Device:
    short = named.removeprefix("/dev/")
    # A path such as /dev/disk/by-id/usb-... is a link.
    path = str(Path(named).resolve())
    for device in found:
        if short in (device.name, f"r{device.name}") or path == device.path:
            return device
        if short in device.parts:
            advice = f"Name the whole disk: {device.name}"
            raise UsageError(f"{short} is a partition, and a stick is written whole", where=named, advice=advice)
    if Path(named).exists() and not Path(named).is_block_device() and not named.startswith("/dev/"):
        what = "this is no device"
    else:
        what = "there is no such disk"
    usable = ", ".join(device.name for device in found if device.usb and refusal(device) is None)
    advice = f"Sticks that could be written: {usable}" if usable else "No stick is plugged in that could be written"
    raise UsageError(what, where=named, advice=advice)


def _look_again(disks: Disks, chosen: Device) -> None:
    """A person may take minutes to answer: what has that name now must be the disk that was shown."""
    now = _chosen(disks.all(), chosen.name)
    if (now.model, now.serial, now.size) != (chosen.model, chosen.serial, chosen.size):
        _refuse((f"{chosen.name} is another disk now: {now}", "Run it again, and read what it shows"), chosen)
    _refuse(refusal(now), chosen)


def _refuse(reason: tuple[str, str] | None, device: Device) -> None:
    if reason:
        raise Refused(f"{reason[0]}; nothing was written", where=device.path, advice=reason[1])


def _tell(ui: "Ui", host: str, path: Path, known: StickImage, device: Device) -> None:
    """Show what will be lost and what will be there instead."""
    with opened(device.name, Path(device.path), write=False, size=device.size) as medium:
        before = read_marker(medium.read(0, 512))
    ui.note(str(device))
    if before:
        ui.warn(f"{device.name}: {before}; it cannot be started and is written anew")
    what = "the installer of" if known.kind == "installer" else "the installed"
    ui.note(f"{path} ({what} ESXi {known.build}, {human(known.size)}) for {host} will replace all that is on it")


def _agreed(options: "Options", name: str) -> bool:
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(
            f"everything on {name} would be lost, and nobody is there to agree",
            where="no terminal",
            advice="See that it is the right stick, then run again with --yes",
        )
    options.ui.note(f"Everything on it will be lost. Type its name ({name}) to go on:")
    return sys.stdin.readline().strip() == name


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


# --- driver-fix --stick


def offline_fix(
    options: "Options", hosts: tuple[str, ...], device: str, *, undo: bool, disks: Disks | None = None
) -> int:
    """Have an installed stick prefer vmklinux drivers at its next boots; `undo` takes that away again."""
    only_outside_of_rehearsals(options, "driver-fix --stick")
    if len(hosts) != 1:
        raise UsageError("--stick is for one host", where="command line", advice="Name the host whose stick it is")
    disk, path = _stick(disks or here(), device)
    with opened(path.name, path, write=False, size=disk.size if disk else 0) as medium:
        bank = _bank(medium)
        wanted = _wanted(bank, path, undo=undo)
    if wanted == bank.text:
        return _answer(options.ui, hosts[0], path, bank, changed=False, undo=undo)
    _show_fix(options.ui, hosts[0], device, bank, undo=undo)
    if not _consents(options):
        options.ui.warn("nothing was touched")
        return USAGE
    if disk:
        _look_again(disks or here(), disk)
        (disks or here()).free(disk)
    with opened(path.name, path, write=True, size=disk.size if disk else 0) as medium:
        _put(medium, path, bank, wanted)
    return _answer(options.ui, hosts[0], path, bank, changed=True, undo=undo)


def _stick(disks: Disks, named: str) -> tuple[Device | None, Path]:
    """A stick by its device, or the image of one by its file."""
    path = Path(named)
    if path.is_file():
        return None, path
    device = _chosen(disks.all(), named)
    _refuse(refusal(device), device)
    return device, Path(device.path)


def _bank(medium: Medium) -> Bank:
    mark = read_marker(medium.read(0, 512))
    try:
        if mark:
            raise NoEsxi(str(mark))
        return active(medium.read)
    except (NoEsxi, FatError) as error:
        advice = "Name a stick on which ESXi was installed; an installer stick is made right by `homelab usb build`"
        raise Refused(f"{error}; nothing was written", where=str(medium.path), advice=advice) from None


def _wanted(bank: Bank, path: Path, *, undo: bool) -> bytes:
    if bank.release not in FIXABLE:
        advice = "The option exists on 6.5 and 6.7 only; from 7.0 on no vmklinux driver is there, and ne1000 must stay"
        what = f"{bank}: this release cannot be fixed so; nothing was written"
        raise Refused(what, where=str(path), advice=advice)
    try:
        return unfixed(bank.text) if undo else fixed(bank.text)
    except BootCfgError as error:
        what = f"boot.cfg of the active {bank} {error}; nothing was written"
        raise Refused(what, where=str(path), advice="Look at the stick's boot.cfg") from None


def _show_fix(ui: "Ui", host: str, device: str, bank: Bank, *, undo: bool) -> None:
    back = "" if undo else " --undo"
    what = f"takes {OPTION} out of" if undo else f"appends {OPTION} to"
    ui.note(f"{what} kernelopt= of boot.cfg in the active {bank} of the stick of {host}")
    ui.note(f"why: vmklinux drivers (e1000e) {'no longer ' if undo else ''}go before native ones (ne1000)")
    if bank.state == UPGRADING:
        ui.warn("this bank is tried once after an upgrade; if that fails, the other one is started, without the option")
    ui.note(f"undo: homelab driver-fix {host} --stick {device}{back}")


def _consents(options: "Options") -> bool:
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(
            "the stick would be changed, and nobody is there to agree", where="no terminal", advice="Run it with --yes"
        )
    return options.ui.confirm("Carry this out?")


def _put(medium: Medium, path: Path, bank: Bank, wanted: bytes) -> None:
    try:
        batches = bank.volume.replaced(bank.entry, wanted)
    except FatError as error:
        what = f"{bank}: {error}; nothing was written"
        raise Refused(what, where=str(path), advice="Take the console: docs/hardware.md") from None
    medium.put(batches)
    medium.forget()
    again = active(medium.read)
    if (again.number, again.text) != (bank.number, wanted):
        what = "the stick gave back something else than was written"
        raise Refused(what, where=str(path), advice="Take another stick, and install it anew")


def _answer(ui: "Ui", host: str, path: Path, bank: Bank, *, changed: bool, undo: bool) -> int:
    if ui.json:
        wanted = not undo
        fields = {"host": host, "stick": str(path), "bank": bank.number, "changed": changed, "preferVmklinux": wanted}
        ui.document(fields)
        return DONE
    if not changed:
        state = "has" if has_option(bank.text) else "lacks"
        ui.say(f"nothing to do: {bank} {state} {OPTION}")
    elif undo:
        ui.say(f"{OPTION} is gone from {bank}")
    else:
        ui.say(f"{bank} prefers vmklinux drivers; start {host} from it, then `homelab driver-fix {host}` makes it last")
    return DONE
