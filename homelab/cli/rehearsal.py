"""`homelab rehearse` and `homelab rehearsal`: the simulated lab."""

from typing import TYPE_CHECKING

import click

from homelab.cli.options import F, with_globals

if TYPE_CHECKING:
    from homelab.commands.options import Options

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
    from homelab.commands import served_lab

    # Before the rest is loaded, which takes longer than a person should wait for this.
    served_lab.check_there(options.inventories)
    from homelab.commands import rehearse as commands

    return commands.rehearse(options, guests, kubernetes, faults, command)


@click.group("rehearsal")
def rehearsal_group() -> None:
    """Serve a simulated lab, and enter it."""


@rehearsal_group.command("serve")
@with_lab_options
@with_globals
def serve(options: "Options", guests: str, kubernetes: str, faults: tuple[str, ...]) -> int:
    """Start a simulated lab, bare, and stay until Ctrl-C or SIGTERM."""
    from homelab.commands import rehearse as commands

    return commands.serve(options, guests, kubernetes, faults)


@rehearsal_group.command("enter", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("argv", nargs=-1, type=click.UNPROCESSED)
@with_globals
def enter(options: "Options", argv: tuple[str, ...]) -> int:
    """Run any program (a shell unless told) inside the served lab's network."""
    from homelab.commands import served_lab

    return served_lab.enter(options, argv)


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
    from homelab.commands import served_lab

    return served_lab.fault(options, faults, clear=clear, listed=listed)
