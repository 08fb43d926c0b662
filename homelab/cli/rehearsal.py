"""`homelab rehearse` and `homelab rehearsal`: the simulated lab."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homelab.cli.options import STEPS, F, or_sample, with_globals

if TYPE_CHECKING:
    from homelab.commands.options import Options
    from homelab.lab import Lab
    from homelab.output.ui import Ui
    from homelab.rehearsal.outside.launch import Rehearsal

LAB_OPTIONS = (
    click.option("--guests", type=click.Choice(["auto", "real", "none"]), default="auto", show_default=True),
    click.option("--kubernetes", type=click.Choice(["auto", "real", "stand-in"]), default="auto", show_default=True),
    click.option("--fault", "faults", multiple=True, metavar="FAULT", help="NAME[@HOST][:WHEN]; repeatable."),
)


def with_lab_options(function: F) -> F:
    """The options that say what a simulated lab is made of."""
    for option in reversed(LAB_OPTIONS):
        function = option(function)
    return function


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@with_lab_options
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@with_globals
def rehearse(
    options: "Options", guests: str, kubernetes: str, faults: tuple[str, ...], command: tuple[str, ...]
) -> int:
    """Run COMMAND (bootstrap unless told) on a fresh simulated copy of the lab."""
    from homelab.commands.this_machine import refused_in_rehearsal, touches_devices
    from homelab.rehearsal.outside import launch, running_lab

    if refused := touches_devices(command):
        raise refused_in_rehearsal(refused, "homelab rehearse")
    rehearsal = rehearsal_of(options, guests, kubernetes, faults)
    with launch.lab(rehearsal, _lab_of, options.ui.note) as running:
        flags = options.ui.flags() + (["--limit", options.limit] if options.limit else [])
        return running_lab.run(running, running_lab.homelab_argv(running, flags, command, guests=rehearsal.guests))


@click.group("rehearsal")
def rehearsal_group() -> None:
    """Serve a simulated lab, and enter it."""


@rehearsal_group.command("serve")
@with_lab_options
@with_globals
def serve(options: "Options", guests: str, kubernetes: str, faults: tuple[str, ...]) -> int:
    """Start a simulated lab, bare, and stay until Ctrl-C or SIGTERM."""
    from homelab.rehearsal.outside import launch, running_lab

    with launch.lab(rehearsal_of(options, guests, kubernetes, faults), _lab_of, options.ui.note) as running:
        if options.ui.json:
            options.ui.document(running.ready())
        else:
            options.ui.say(
                "the lab is ready; Ctrl-C ends it; in another shell: homelab rehearsal enter -- homelab plan"
            )
        running_lab.until_told()
    return 0


@rehearsal_group.command("enter", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("argv", nargs=-1, type=click.UNPROCESSED)
@with_globals
def enter(options: "Options", argv: tuple[str, ...]) -> int:
    """Run any program (a shell unless told) inside the served lab's network."""
    from homelab.rehearsal.outside import running_lab

    return running_lab.enter(_home_of(options), argv or (os.environ.get("SHELL", "/bin/sh"),))


@rehearsal_group.command("fault")
@click.argument("faults", nargs=-1, metavar="NAME[@HOST][:WHEN]...")
@click.option("--clear", is_flag=True, help="End all faults.")
@click.option("--list", "listed", is_flag=True, help="Print every fault; needs no lab.")
@with_globals
def fault(options: "Options", faults: tuple[str, ...], clear: bool, listed: bool) -> int:
    """Do harm to the served lab; without a name, show what was ordered.

    HOST is a host, NAS or guest of the inventory; without it all are meant. WHEN is a number of writes or a step
    after whose start the fault begins; without it the fault begins at once.
    """
    from homelab.errors import UsageError
    from homelab.rehearsal.faults import table

    if bool(faults) + clear + listed > 1:
        raise UsageError("one thing at a time", where="command line", advice="Name faults, or --clear, or --list")
    if listed:
        return _show(options.ui, table.listing(), "{name}: {sentence} [{aims}]", "none")
    from homelab.rehearsal.outside import running_lab

    requests = tuple(table.parse(text, STEPS) for text in faults)
    rows = running_lab.fault(_home_of(options), requests, clear=clear)
    return _show(options.ui, rows, "{fault} at {targets}: {state}", "no fault was ordered")


def _show(ui: "Ui", rows: Sequence[dict[str, Any]], line: str, none: str) -> int:
    if ui.json:
        ui.document({"faults": list(rows)})
        return 0
    for row in rows:
        words = {name: ", ".join(value) if isinstance(value, list) else value for name, value in row.items()}
        ui.say(line.format(**words))
    if not rows:
        ui.say(none)
    return 0


def _lab_of(sources: Sequence[Path]) -> "Lab":
    from homelab.inventory import read_lab

    return read_lab(sources).lab


def _home_of(options: "Options") -> Path:
    from homelab.ports.files.data import data_folder
    from homelab.ports.files.home import home_of

    return home_of(or_sample(options.inventories, options.ui), data_folder("inventory"))


def rehearsal_of(options: "Options", guests: str, kubernetes: str, faults: Sequence[str] = ()) -> "Rehearsal":
    """What the rehearsal is made of; the packaged sample lab where there is no inventory."""
    from homelab.errors import UsageError
    from homelab.inventory import raw_variables
    from homelab.ports.files.home import cache_folder
    from homelab.ports.files.home_folder import close_home
    from homelab.rehearsal.faults import table
    from homelab.rehearsal.outside import launch, overlay

    requests = tuple(table.parse(text, STEPS) for text in faults)
    options = replace(options, inventories=or_sample(options.inventories, options.ui))
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
