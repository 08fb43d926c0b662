"""The commands `rehearse` and `rehearsal`: the simulated lab. The one module that knows it."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from homelab.commands.options import Options
from homelab.commands.this_machine import refused_in_rehearsal, touches_devices
from homelab.errors import DONE, UsageError
from homelab.inventory import raw_variables, read_lab
from homelab.lab import Lab
from homelab.output.ui import Ui
from homelab.ports.files.data import data_folder
from homelab.ports.files.home import cache_folder, home_of
from homelab.ports.files.home_folder import close_home
from homelab.rehearsal.faults import table
from homelab.rehearsal.outside import launch, overlay, running_lab

Words = tuple[str, ...]


def rehearse(options: Options, guests: str, kubernetes: str, faults: Words, command: Words) -> int:
    """Run a command (bootstrap unless told) on a fresh simulated copy of the lab."""
    if refused := touches_devices(command):
        raise refused_in_rehearsal(refused, "homelab rehearse")
    rehearsal = _rehearsal(options, guests, kubernetes, faults)
    with _running(options, rehearsal) as running:
        flags = options.ui.flags() + (["--limit", options.limit] if options.limit else [])
        return running_lab.run(running, running_lab.homelab_argv(running, flags, command, guests=rehearsal.guests))


def serve(options: Options, guests: str, kubernetes: str, faults: Words) -> int:
    """Start a simulated lab, bare, and stay until Ctrl-C or SIGTERM."""
    with _running(options, _rehearsal(options, guests, kubernetes, faults)) as running:
        if options.ui.json:
            options.ui.document(running.ready())
        else:
            options.ui.say(
                "the lab is ready; Ctrl-C ends it; in another shell: homelab rehearsal enter -- homelab plan"
            )
        running_lab.until_told()
    return DONE


def enter(options: Options, argv: Words) -> int:
    """Run any program (a shell unless told) inside the served lab's network."""
    return running_lab.enter(_home_of(options), argv or (os.environ.get("SHELL", "/bin/sh"),))


def fault(options: Options, faults: Words, *, clear: bool, listed: bool) -> int:
    """Do harm to the served lab; without a name, show what was ordered."""
    if bool(faults) + clear + listed > 1:
        raise UsageError("one thing at a time", where="command line", advice="Name faults, or --clear, or --list")
    if listed:
        return _show(options.ui, table.listing(), "{name}: {sentence} [{aims}]", "none")
    rows = running_lab.fault(_home_of(options), _requests(faults), clear=clear)
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


def _running(options: Options, rehearsal: launch.Rehearsal) -> AbstractContextManager[running_lab.RunningLab]:
    return launch.lab(rehearsal, _lab_of, options.ui.note)


def _lab_of(sources: Sequence[Path]) -> Lab:
    return read_lab(sources).lab


def _requests(faults: Words) -> tuple[table.FaultRequest, ...]:
    steps: Sequence[str] = ()
    if any(":" in text for text in faults):
        # It loads the libraries of every step.
        from homelab.steps.product import STEP_NAMES

        steps = STEP_NAMES
    return tuple(table.parse(text, steps) for text in faults)


def _or_sample(sources: tuple[Path, ...], ui: Ui) -> tuple[Path, ...]:
    """The packaged sample lab, when none was named and ./inventory does not exist; says so."""
    if sources != (Path("inventory"),) or sources[0].exists():
        return sources
    ui.note("no inventory here; the packaged sample lab is used")
    return (data_folder("inventory"),)


def _home_of(options: Options) -> Path:
    return home_of(_or_sample(options.inventories, options.ui), data_folder("inventory"))


def _rehearsal(options: Options, guests: str, kubernetes: str, faults: Words) -> launch.Rehearsal:
    """What the rehearsal is made of; the packaged sample lab where there is no inventory."""
    requests = _requests(faults)
    options = replace(options, inventories=_or_sample(options.inventories, options.ui))
    raw = raw_variables(options.inventories)
    if not raw.members("esxi"):
        raise UsageError(
            "there is nothing to rehearse: the inventory has no ESXi host",
            where=", ".join(map(str, options.inventories)),
            advice="Add the hosts to the group esxi; machines that exist already (vm_managed: false) are not simulated",
        )
    home = _home_of(options)
    for sentence in close_home(home):
        options.ui.note(sentence)
    return launch.Rehearsal(
        home=home,
        cache=cache_folder(),
        sources=options.inventories,
        groups={group: raw.members(group) for group in overlay.GROUPS},
        kubernetes_version=launch.kubernetes_version(raw.hostvars, kubernetes),
        guests=launch.choose_guests(guests, options.ui.warn),
        namespaces=launch.namespaces_possible(),
        faults=requests,
    )
