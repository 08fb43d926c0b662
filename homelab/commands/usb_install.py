"""The command `usb install`: ESXi installed onto a stick's image inside QEMU."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from homelab.commands.this_machine import carry_out, only_outside_of_rehearsals
from homelab.engine.events import Changed, Event, Waiting
from homelab.errors import DONE
from homelab.lab import no_lab, short_name
from homelab.ports.media.devices import here
from homelab.ports.media.this_machine import ShortRun, ThisMachine
from homelab.steps.sticks.install import UsbInstall

if TYPE_CHECKING:
    from homelab.commands.options import Options
    from homelab.output.ui import Ui

NEWS_SECONDS = 60.0


def install(
    options: "Options", host: str, file: Path, image: Path | None, size_gb: float | None, minutes: float | None
) -> int:
    """Make FILE, the image of an installed stick that boots by itself."""
    only_outside_of_rehearsals(options, "usb install")
    step, ui = UsbInstall(host, file, image or Path(f"{short_name(host)}.img"), size_gb, minutes), options.ui
    made = carry_out(options, step, no_lab(), ThisMachine(here(), ShortRun(ui)), heard=_News(ui))
    if not ui.json:
        for change in made or ():
            ui.say(str(change))
        ui.note(f"it holds password hashes; write it to a stick: homelab usb write {host} DEVICE --image {file}")
    return DONE


class _News:
    """The waits and the end as events; to a person, who may miss a wait, a note now and then as well."""

    def __init__(self, ui: "Ui") -> None:
        self._ui = ui
        self._last = ""
        self._told: datetime | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Waiting):
            self._waiting(event)
        elif isinstance(event, Changed) and self._ui.json:
            self._ui.event(event)

    def _waiting(self, event: Waiting) -> None:
        if event.last != self._last or not self._ui.json:
            self._ui.event(event)
        self._last, self._told = event.last, self._told or event.at
        if not self._ui.json and (event.at - self._told).total_seconds() >= NEWS_SECONDS:
            self._told = event.at
            self._ui.note(f"still waiting for {event.condition}; last answer: {event.last}")
