"""The commands `rehearsal enter` and `rehearsal fault`: into the lab that is served. Quick to load, so a file apart."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from homelab.commands.options import Options
from homelab.errors import DONE, UsageError
from homelab.output.ui import Ui
from homelab.ports.ansible.inventory import require
from homelab.ports.files.data import data_folder
from homelab.ports.files.home_folder import home_of
from homelab.rehearsal.faults import table
from homelab.rehearsal.outside import running_lab

Words = tuple[str, ...]
UNNAMED = (Path("inventory"),)


def enter(options: Options, argv: Words) -> int:
    """Run any program (a shell unless told) inside the served lab's network."""
    return running_lab.enter(home_of_lab(options), argv or (os.environ.get("SHELL", "/bin/sh"),))


def fault(options: Options, faults: Words, *, clear: bool, listed: bool) -> int:
    """Do harm to the served lab; without a name, show what was ordered."""
    if bool(faults) + clear + listed > 1:
        raise UsageError("one thing at a time", where="command line", advice="Name faults, or --clear, or --list")
    if listed:
        return _show(options.ui, table.listing(), "{name}: {sentence} [{aims}]", "none")
    rows = running_lab.fault(home_of_lab(options), fault_requests(faults), clear=clear)
    return _show(options.ui, rows, "{fault} at {targets}: {state}", "no fault was ordered")


def _show(ui: Ui, rows: Sequence[dict[str, Any]], line: str, none: str) -> int:
    if ui.json:
        ui.document({"faults": list(rows)})
        return DONE
    for row in rows:
        words = {name: ", ".join(value) if isinstance(value, list) else value for name, value in row.items()}
        ui.say(line.format(**words))
    if not rows:
        ui.say(none)
    return DONE


def fault_requests(faults: Words) -> tuple[table.FaultRequest, ...]:
    """Faults as they were written, NAME[@HOST][:WHEN]."""
    steps: Sequence[str] = ()
    if any(":" in text for text in faults):
        # It loads the libraries of every step.
        from homelab.steps.product import STEP_NAMES

        steps = STEP_NAMES
    return tuple(table.parse(text, steps) for text in faults)


def check_there(sources: tuple[Path, ...]) -> None:
    """UsageError for a source that is named and missing."""
    if sources != UNNAMED:
        require(sources)


def or_sample(sources: tuple[Path, ...], ui: Ui) -> tuple[Path, ...]:
    """The packaged sample lab, when none was named and ./inventory does not exist; says so."""
    if sources != UNNAMED or sources[0].exists():
        return sources
    ui.note("no inventory here; the packaged sample lab is used")
    return (data_folder("inventory"),)


def home_of_lab(options: Options) -> Path:
    """The `.homelab` folder of the lab that is rehearsed."""
    return home_of(or_sample(options.inventories, options.ui), data_folder("inventory"))
