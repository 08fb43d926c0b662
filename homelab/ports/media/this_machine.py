"""The world of the steps that work on this machine's own sticks and images: no host, no lab, no log."""

import threading
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from homelab.errors import Refused, UsageError
from homelab.formats.disk.devices import Device, refusal
from homelab.ports.media.devices import Disks
from homelab.ports.media.download import Progress
from homelab.ports.media.stick_file import kind_of
from homelab.ports.signals import ended_like_interrupted

Report = Callable[[str, datetime, str], None]


class Voice(Protocol):
    """What the steps tell a person."""

    verbose: bool

    def show(self, text: str) -> None:
        """Show a fact that somebody is about to agree to."""

    def warn(self, text: str) -> None:
        """Say what should not be missed."""

    def trace(self, text: str) -> None:
        """Tell the whole story of a mistake of ours."""

    def progress(self, sentence: str) -> AbstractContextManager[Progress]:
        """How far a transfer is."""


def _unheard(condition: str, deadline: datetime, last: str) -> None:
    pass


@dataclass(frozen=True)
class ShortRun:
    """A run that may be ended at any moment, and keeps no log: what a step of this machine does belongs to it."""

    voice: Voice
    stop: threading.Event = field(default_factory=threading.Event)
    whole_story: str = "Run again with -v to see the whole story"
    cannot_write: str = ""

    def log(self, text: str) -> None:
        """Tell it to who asked for more."""
        if self.voice.verbose:
            self.voice.trace(text)

    def during(self, step: str) -> AbstractContextManager[None]:
        """Nothing is recorded here."""
        return nullcontext()

    def afresh(self, names: Collection[str] | None) -> AbstractContextManager[None]:
        """No look is kept, so each is a fresh one."""
        return nullcontext()

    def connected(self) -> AbstractContextManager[None]:
        """Nothing is connected."""
        return nullcontext()

    def interruptible(self) -> AbstractContextManager[None]:
        """In this context SIGTERM and SIGHUP end what is under way, as Ctrl-C does."""
        return ended_like_interrupted()


@dataclass(frozen=True)
class ThisMachine:
    """Its disks, and the run that works on them. A name is bound to the disk that had it at the first look."""

    disks: Disks
    run: ShortRun
    waiting: Report = _unheard
    _bound: dict[str, Device] = field(default_factory=dict)

    @property
    def voice(self) -> Voice:
        """Who is told."""
        return self.run.voice

    def at(self, report: Report) -> "ThisMachine":
        """The same world, reporting its waits as one node's."""
        return replace(self, waiting=report)

    def disk(self, named: str) -> Device:
        """The disk that has this name; Refused when it was another one at the first look."""
        bound = self._bound.get(named)
        return self.same_disk(bound) if bound else self._bound.setdefault(named, chosen(self.disks.all(), named))

    def same_disk(self, shown: Device) -> Device:
        """A person may take minutes to answer: what has that name now must be the disk that was shown."""
        now = next((device for device in self.disks.all() if device.name == shown.name), None)
        if now is None:
            raise Refused(
                f"{shown.name} is gone; nothing was written", where=shown.path, advice="Plug it in, and run again"
            )
        if now.identity != shown.identity:
            how = "was plugged in anew" if str(now) == str(shown) else "is another disk now"
            refuse((f"{shown.name} {how}: {now}", "Run it again, and read what it shows"), shown)
        refuse(refusal(now), shown)
        return now


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
