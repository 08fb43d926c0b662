"""An image onto a stick, once what is lost by it was shown and agreed to."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from homelab.engine.consent import check_as_shown
from homelab.engine.step import Asking, Change, Step, Words
from homelab.errors import UsageError
from homelab.formats.disk.contents import Contents
from homelab.formats.disk.devices import Device, human, least_stick, refusal, too_small, unlike_a_stick
from homelab.lab import Lab
from homelab.ports.media.contents import look
from homelab.ports.media.devices import Medium, opened
from homelab.ports.media.stick_file import Image, image_of, opened_image
from homelab.ports.media.stick_writer import Written, write_stick
from homelab.ports.media.this_machine import ThisMachine, refuse


@dataclass(frozen=True)
class WriteState:
    """A disk and the image for it. `contents` is None for a disk that must not be written: it is not even opened.

    `namesakes` are the disks that have its serial number, itself among them; empty when nobody named it so.
    """

    device: Device
    image: Image
    contents: Contents | None
    namesakes: tuple[str, ...] = ()


@dataclass(frozen=True)
class WriteStick(Change):
    """Write an image to a stick. Two are the same when they lose the same on the same disk, for the same image."""

    device: Device = field(compare=False)
    identity: tuple[object, ...]
    contents: Contents
    image: Image
    written: Written | None = field(default=None, compare=False)
    disruptive = True
    anew = True

    @property
    def asking(self) -> Asking:
        """The disk's name is typed: a y would be said too easily."""
        name, doubts = self.device.name, self.doubts
        return Asking(
            lines=(str(self.device), f"on it: {self.contents}", self.words.sentence),
            warnings=tuple(f"{name}: {doubt}" for doubt in doubts),
            loss=f"everything on {name} would be lost",
            advice=self._advice(),
            place=self.device.path,
            must_name=name,
            serial=self.device.serial,
            doubts=doubts,
        )

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why `--yes` alone does not agree to it: clauses about the disk."""
        return (*unlike_a_stick(self.device), *(f"it holds {thing}" for thing in self.contents.foreign))

    def _advice(self) -> str:
        if not self.doubts:
            return "See that it is the right stick, then run again with --yes"
        if self.device.serial:
            serial = shlex.quote(self.device.serial)
            return f"If all of that may be lost, run again with --yes --device-serial {serial}"
        return "It has no serial number: run it on a terminal, and type the disk's name"

    def differs_from(self, shown: Change) -> str:
        """The contents or the image; another disk is refused where it is looked at."""
        if not isinstance(shown, WriteStick):
            return ""
        if self.contents != shown.contents:
            return "what is on it is not what was shown any more"
        return "the image is not what was shown any more" if self.image != shown.image else ""

    def _words(self) -> Words:
        known = self.image.known
        what = "the installer of" if known.kind == "installer" else "the installed"
        return Words(
            sentence=f"{self.image.path} ({what} {known.name}, {human(known.size)}) for {self.target} will "
            "replace all that is on it; there is no way back",
            reason="it was named",
            undo="none",
            before=str(self.contents),
            after=f"the stick of {self.target}",
            loses=f"everything on {self.device.name}",
        )


class UsbWrite(Step[WriteState, WriteStick]):
    """Writes the image of a host's stick to a disk; `serial` must be that disk's, and no other one's."""

    name = "usb-write"

    def __init__(self, host: str, device: str, image: Path, serial: str | None = None) -> None:
        self._host, self._device, self._image, self._serial = host, device, image, serial

    def targets(self, lab: Lab) -> Sequence[str]:
        """The host whose stick it is; no inventory need know it."""
        return (self._host,)

    def observe(self, world: ThisMachine, lab: Lab, target: str) -> WriteState:
        """Look at the disk, at the image, and at what is on the disk."""
        device, image = world.disk(self._device), image_of(self._image)
        contents = None if _why_not(device, image) else look(world.disks, device)
        return WriteState(device, image, contents, self._namesakes(world, device))

    def _namesakes(self, world: ThisMachine, device: Device) -> tuple[str, ...]:
        if self._serial is None:
            return ()
        return tuple(each.name for each in world.disks.all() if each.serial == device.serial)

    def plan(self, lab: Lab, target: str, observed: WriteState) -> Sequence[WriteStick]:
        """Write it, whatever is on the disk; Refused when nothing may be written to it."""
        device, image, contents = observed.device, observed.image, observed.contents
        refuse(_why_not(device, image), device)
        if self._serial is not None:
            _check_serial(observed, self._serial)
        return [WriteStick(target, device, device.identity, contents, image)] if contents is not None else []

    def apply(self, world: ThisMachine, change: WriteStick) -> WriteStick:
        """Write it and read it back, after one more look through what is opened for writing."""
        device = world.same_disk(change.device)
        # What macOS unmounts is not told in the same words any more; it was compared just before.
        unmounts = any(use.gives_up for use in device.uses)
        world.disks.free(device)
        path = Path(device.path)
        with (
            opened_image(change.image.path) as (image, file),
            opened(device.name, path, write=True, size=device.size) as medium,
        ):
            # What the system kept since the first look may be older than the disk.
            medium.forget()
            device = world.same_disk(change.device)
            contents = change.contents if unmounts else look(world.disks, device)
            check_as_shown(change, replace(change, device=device, contents=contents, image=image), world.voice)
            refuse(too_small(replace(device, size=medium.size), image.known.size, 0, ""), device)
            return replace(change, written=_write(world, file, change, medium))


def _why_not(device: Device, image: Image) -> tuple[str, str] | None:
    return refusal(device) or too_small(device, image.known.size, *least_stick(image.known.build))


def _check_serial(observed: WriteState, serial: str) -> None:
    """A serial number that was given must be that of the disk, and of no other one."""
    device = observed.device
    advice = "Name the stick by its DEVICE and its own serial number, as `homelab usb write HOST` lists them"
    if not device.serial:
        what = f"{device.name} has no serial number that could be compared; nothing was written"
        raise UsageError(what, where="--device-serial", advice="Run it on a terminal, and type the disk's name")
    if device.serial != serial:
        what = f"{device.name} has the serial number {device.serial}, not {serial}; nothing was written"
        raise UsageError(what, where="--device-serial", advice=advice)
    if len(observed.namesakes) > 1:
        what = f"{' and '.join(observed.namesakes)} have the same serial number; nothing was written"
        raise UsageError(what, where="--device-serial", advice="Pull out the others, or type the disk's name")


def _write(world: ThisMachine, file: BinaryIO, change: WriteStick, medium: Medium) -> Written:
    try:
        with world.voice.progress(f"{medium.name}, written and read back") as report:
            return write_stick(file, change.image.path.name, medium, report)
    except BaseException:
        world.voice.warn(f"{medium.name} is half written: no machine starts from it; the next write begins anew")
        raise
