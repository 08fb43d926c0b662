"""ESXi installed onto a stick's image inside QEMU, as one would in a desktop hypervisor.

The machine has one USB stick, a copy of the installer's image that is as large as the stick to be. The installer runs
from memory, so `--firstdisk=usb` can only mean that stick, as on the real host: no disk has to be named by a guess.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from homelab.engine.step import Change, Step, Words
from homelab.errors import HomelabError, Refused, UsageError
from homelab.formats.boot.boot_bank import NoEsxi, release_of
from homelab.formats.boot.boot_cfg import BootCfgError
from homelab.formats.boot.console import stopped
from homelab.formats.boot.serial_console import console_off, console_on
from homelab.formats.boot.stick_image import BOOT_CFGS, NotOurs, StickImage, recognise
from homelab.formats.disk.devices import human, least_stick
from homelab.formats.fat.names import FatError
from homelab.formats.fat.volume import Batches, Read
from homelab.lab import Lab, short_name
from homelab.ports.media.devices import opened
from homelab.ports.media.qemu import IGNORE_MSRS, Emulator, Machine, find_emulator, msrs_matter, run_until_reboot
from homelab.ports.media.stick_file import Image, check_new, copy, image_of, part_of
from homelab.ports.media.this_machine import ThisMachine

MIB = 1 << 20
MINUTES = {"kvm": 60, "hvf": 60, "tcg": 600}
CONDITION = "the installer to end with a reboot"


@dataclass(frozen=True)
class InstallState:
    """The image to start from, and the emulator or why there is none; `stops`: this one may stop ESXi."""

    image: Image
    emulator: Emulator | UsageError
    stops: bool = False


@dataclass(frozen=True)
class InstallStick(Change):
    """Install ESXi onto a new image of `size` bytes; `installed` is what is on it afterwards."""

    file: Path
    image: Image
    size: int
    emulator: Emulator
    seconds: float
    installed: StickImage | None = field(default=None, compare=False)
    anew = True

    def _words(self) -> Words:
        known = self.installed or self.image.known
        return Words(
            sentence=f"{self.file}: {known.name} installed for {self.target}, {human(self.size)}",
            reason="its installer ran to its end in QEMU",
            undo=f"delete {self.file}",
        )


class UsbInstall(Step[InstallState, InstallStick]):
    """Makes a stick's image that boots by itself, `file`, from the one of its installer."""

    # What a host starts from, as in a bootstrap: scripts know the step by this name.
    name = "boot-media"

    def __init__(
        self, host: str, file: Path, image: Path, size_gb: float | None = None, minutes: float | None = None
    ) -> None:
        self._host, self._file, self._image, self._size_gb, self._minutes = host, file, image, size_gb, minutes

    def targets(self, lab: Lab) -> Sequence[str]:
        """The host whose stick it is; no inventory need know it."""
        return (self._host,)

    def observe(self, world: ThisMachine, lab: Lab, target: str) -> InstallState:
        """Look at the installer's image and for QEMU; refuse a file that is there already."""
        check_new(self._file)
        image = image_of(self._image)
        try:
            emulator = find_emulator()
        except UsageError as error:
            return InstallState(image, error)
        return InstallState(image, emulator, msrs_matter(emulator))

    def plan(self, lab: Lab, target: str, observed: InstallState) -> Sequence[InstallStick]:
        """Install it on a stick that is large enough; UsageError when that cannot be."""
        known, emulator = observed.image.known, observed.emulator
        if known.kind != "installer":
            advice = f"It can be written as it is: homelab usb write {target} DEVICE --image {self._image}"
            raise UsageError("ESXi is installed on this image already", where=str(self._image), advice=advice)
        size = _size(known, self._size_gb)
        if isinstance(emulator, UsageError):
            raise emulator
        seconds = 60 * (self._minutes or MINUTES[emulator.acceleration])
        return [InstallStick(target, self._file, observed.image, size, emulator, seconds)]

    def remarks(self, lab: Lab, target: str, observed: InstallState) -> Sequence[str]:
        """What makes it slow, or may stop it."""
        found, emulator = [], observed.emulator
        if isinstance(emulator, Emulator) and emulator.acceleration == "tcg":
            found.append(f"every instruction is emulated, which takes hours: {emulator.slow}")
        if observed.stops:
            found.append(f"ESXi may stop with a purple screen; as root: echo 1 > {IGNORE_MSRS}")
        return found

    def apply(self, world: ThisMachine, change: InstallStick) -> InstallStick:
        """Copy the installer, let it run, and see what it left; the file gets its name when all went well."""
        source, known = change.image.path, change.image.known
        with part_of(change.file) as part:
            if image_of(source) != change.image:
                what, advice = "the image was changed meanwhile; nothing was made", "Run it again when it is whole"
                raise Refused(what, where=str(source), advice=advice)
            with world.voice.progress(f"copying {source}") as report:
                copy(source, part, change.size, report)
            added = [edit(part, partial(console_on, known=known, path=path)) for path in BOOT_CFGS]
            found = _installed(part, known, _run(world, change, part))
            edit(part, partial(console_off, added=any(added)))
        return replace(change, installed=found)


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
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in hashlib.sha256(short_name(host).encode()).digest()[:3])


def _run(world: ThisMachine, change: InstallStick, part: Path) -> str:
    """Let the installer run until it reboots; its last line. HomelabError where it stops for good."""
    last, deadline = "", datetime.now(UTC) + timedelta(seconds=change.seconds)

    def watch(line: str) -> None:
        nonlocal last
        if stopped(line):
            advice = "Mend the kickstart file or the image, then run it again; docs/hardware.md tells of NICs"
            raise HomelabError(f"the installer stopped: {line}", where="serial console", advice=advice)
        world.waiting(CONDITION, deadline, line)
        last = line

    log = change.file.with_name(f"{change.file.name}.log")
    machine = Machine(part, log, mac_of(change.target), _memory(change.image.known))
    run_until_reboot(change.emulator, machine, change.seconds, watch, CONDITION)
    return last


def edit(path: Path, plan: Callable[[Read], Batches]) -> bool:
    """Carry out what `plan` finds to be changed in an image; whether it was anything."""
    with opened(path.name, path, write=True) as medium:
        try:
            batches = plan(medium.read)
        except (FatError, NoEsxi) as error:
            raise HomelabError(str(error), where=str(path), advice="Make the image again") from None
        except BootCfgError as error:
            raise HomelabError(f"its boot.cfg {error}", where=str(path), advice="Make the image again") from None
        medium.put(batches)
        return bool(batches)


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
    if known.build and release_of(found.build) != release_of(known.build):
        what = f"the installer was {known.name}, and what it installed is {found.build}"
        raise HomelabError(what, where=where, advice=advice)
    return found
