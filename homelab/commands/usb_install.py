"""The command `usb install`: ESXi installed onto a stick's image inside QEMU, as one would in a desktop hypervisor.

The machine has one USB stick, a copy of the installer's image that is as large as the stick to be. The installer runs
from memory, so `--firstdisk=usb` can only mean that stick, as on the real host: no disk has to be named by a guess.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from homelab.commands.this_machine import only_outside_of_rehearsals
from homelab.engine.events import Changed, Waiting
from homelab.engine.step import Change, Node, Words
from homelab.errors import DONE, HomelabError, UsageError
from homelab.formats.boot.boot_bank import NoEsxi, active, release_of
from homelab.formats.boot.boot_cfg import BootCfgError, values_of, with_options, without_options
from homelab.formats.boot.console import stopped
from homelab.formats.boot.stick_image import BOOT_CFGS, NotOurs, StickImage, recognise
from homelab.formats.disk.devices import human, least_stick
from homelab.formats.fat.volume import Batches, FatError, Read, open_volume
from homelab.ports.media.devices import opened
from homelab.ports.media.qemu import IGNORE_MSRS, Emulator, Machine, find_emulator, msrs_matter, run_until_reboot
from homelab.ports.media.stick_file import check_new, copy, image_of, part_of

if TYPE_CHECKING:
    from homelab.commands.options import Options
    from homelab.output.ui import Ui

MIB = 1 << 20
MINUTES = {"kvm": 60, "hvf": 60, "tcg": 600}
# Without it the kernel says nothing on the serial console.
CONSOLE = {"logPort": "com1", "gdbPort": "none"}
CONDITION = "the installer to end with a reboot"
NEWS_SECONDS = 60.0


def install(
    options: "Options", host: str, file: Path, image: Path | None, size_gb: float | None, minutes: float | None
) -> int:
    """Make FILE, the image of an installed stick that boots by itself."""
    only_outside_of_rehearsals(options, "usb install")
    source = image or Path(f"{host}.img")
    check_new(file)
    known = image_of(source).known
    if known.kind != "installer":
        advice = f"It can be written as it is: homelab usb write {host} DEVICE --image {source}"
        raise UsageError("ESXi is installed on this image already", where=str(source), advice=advice)
    size = _size(known, size_gb)
    emulator = find_emulator()
    _warn(options.ui, emulator)
    seconds = 60 * (minutes or MINUTES[emulator.acceleration])
    with part_of(file) as part:
        with options.ui.progress(f"copying {source}") as report:
            copy(source, part, size, report)
        added = [_change(part, partial(_console_on, known=known, path=path)) for path in BOOT_CFGS]
        machine = Machine(part, file.with_name(f"{file.name}.log"), mac_of(host), _memory(known))
        news = _News(options.ui, host, seconds)
        run_until_reboot(emulator, machine, seconds, news, CONDITION)
        found = _installed(part, known, news.last)
        _change(part, partial(_console_off, added=any(added)))
    return _say(options.ui, host, file, found)


def _size(known: StickImage, size_gb: float | None) -> int:
    least, why = least_stick(known.build)
    size = int(size_gb * 1e9) // MIB * MIB if size_gb else -(-least // MIB) * MIB
    if size < least:
        raise UsageError(f"--size {size_gb} is too small: {why}", where="command line", advice="Leave --size out")
    if size < known.size:
        raise UsageError(
            f"the installer alone has {human(known.size)}", where="command line", advice="Name a larger --size"
        )
    return size


def _memory(known: StickImage) -> int:
    """VMware's least: 4 GiB for 6.x, 8 GiB from 7.0 on."""
    return 8192 if known.build.partition(".")[0] in ("7", "8", "9") else 4096


def mac_of(host: str) -> str:
    """The emulated NIC's address. ESXi keeps it for its management port, so no two hosts may have the same."""
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in hashlib.sha256(host.encode()).digest()[:3])


def _warn(ui: "Ui", emulator: Emulator) -> None:
    if emulator.acceleration == "tcg":
        ui.warn(f"every instruction is emulated, which takes hours: {emulator.slow}")
    if msrs_matter(emulator):
        ui.warn(f"ESXi may stop with a purple screen; as root: echo 1 > {IGNORE_MSRS}")


class _News:
    """Tells the console's last line, and ends the run where the installer stops for good."""

    def __init__(self, ui: "Ui", host: str, seconds: float) -> None:
        self.last = ""
        self._ui, self._node = ui, Node("boot-media", host)
        self._deadline = datetime.now(UTC) + timedelta(seconds=seconds)
        self._told = datetime.now(UTC)

    def __call__(self, line: str) -> None:
        if stopped(line):
            advice = "Mend the kickstart file or the image, then run it again; docs/hardware.md tells of NICs"
            raise HomelabError(f"the installer stopped: {line}", where="serial console", advice=advice)
        now = datetime.now(UTC)
        if line != self.last or not self._ui.json:
            self._ui.event(Waiting(node=self._node, condition=CONDITION, deadline=self._deadline, last=line))
        if not self._ui.json and (now - self._told).total_seconds() >= NEWS_SECONDS:
            self._told = now
            self._ui.note(f"still waiting for {CONDITION}; last answer: {line}")
        self.last = line


# --- what is changed in the image


def _change(path: Path, plan: Callable[[Read], Batches]) -> bool:
    """Carry out what `plan` finds to be changed; whether it was anything."""
    with opened(path.name, path, write=True) as medium:
        try:
            batches = plan(medium.read)
        except (FatError, NoEsxi) as error:
            raise HomelabError(str(error), where=str(path), advice="Make the image again") from None
        except BootCfgError as error:
            raise HomelabError(f"its boot.cfg {error}", where=str(path), advice="Make the image again") from None
        medium.put(batches)
        return bool(batches)


def _console_on(read: Read, known: StickImage, path: tuple[str, ...]) -> Batches:
    """Have the installer speak on the serial console, unless the image already says where it speaks."""
    volume = open_volume(read, *known.volume)
    entry = volume.find(*path)
    text = volume.content(entry) if entry else b""
    named = values_of(text).get("kernelopt", "").lower()
    if entry is None or any(name.lower() in named for name in CONSOLE):
        return []
    return volume.replaced(entry, with_options(text, *(f"{name}={value}" for name, value in CONSOLE.items())))


def _console_off(read: Read, added: bool) -> Batches:
    """Take from the installed host what was added to its installer, where that passed it on."""
    bank = active(read)
    text = without_options(bank.text, *CONSOLE)
    return bank.volume.replaced(bank.entry, text) if added and text != bank.text else []


def _installed(part: Path, known: StickImage, last: str) -> StickImage:
    """What is on the image now; HomelabError when it is no ESXi of the installer's release."""
    where, advice = str(part), "Read the console's log, mend the kickstart file, then run it again"
    with opened(part.name, part, write=False) as medium:
        try:
            found = recognise(medium.read, medium.size)
        except NotOurs as error:
            raise HomelabError(f"the machine rebooted, but {error}", where=where, advice=advice) from None
    if found.kind != "installed":
        raise HomelabError(f"the installer ended without installing; last answer: {last}", where=where, advice=advice)
    if release_of(found.build) != release_of(known.build):
        what = f"the installer was ESXi {known.build}, and what it installed is {found.build}"
        raise HomelabError(what, where=where, advice=advice)
    return found


@dataclass(frozen=True)
class InstallStick(Change):
    """ESXi installed on the image of a stick."""

    file: Path
    installed: StickImage

    def _words(self) -> Words:
        size = human(self.installed.size)
        return Words(
            sentence=f"{self.file}: ESXi {self.installed.build} installed for {self.target}, {size}",
            reason="its installer ran to its end in QEMU",
            undo=f"delete {self.file}",
        )


def _say(ui: "Ui", host: str, file: Path, found: StickImage) -> int:
    change = InstallStick(host, file, found)
    if ui.json:
        ui.event(Changed(node=Node("boot-media", host), change=change))
        return DONE
    ui.say(str(change))
    ui.note(f"it holds password hashes; write it to a stick: homelab usb write {host} DEVICE --image {file}")
    return DONE
