"""`homelab lb`: the balancers."""

from typing import TYPE_CHECKING

import click

from homelab.cli.completion import VMS, names_of
from homelab.cli.options import with_lab

if TYPE_CHECKING:
    from homelab.commands.options import Options


@click.group()
def lb() -> None:
    """The load balancers in front of the API servers."""


@lb.command("config")
@with_lab
def lb_config(options: "Options") -> int:
    """Print what would be laid down on each balancer, from the inventory alone; asks no host."""
    from homelab.commands import lb_config as command

    return command.lb_config(options)


@lb.command("status")
@click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C.")
@with_lab
def lb_status(options: "Options", watch: bool) -> int:
    """Show the pools: every balancer, and every server with its check, its sessions and its errors."""
    from homelab.commands import lb_status as command

    return command.lb_watch(options) if watch else command.lb_status(options)


@lb.command("drain")
@click.argument("name", metavar="NAME", shell_complete=names_of(*VMS))
@click.option("--force", is_flag=True, help="Also the last server that takes connections.")
@with_lab
def lb_drain(options: "Options", name: str, force: bool) -> int:
    """Give a server no new connections, on every balancer; those it has end by themselves."""
    from homelab.commands import lb_drain as command

    return command.lb_drain(options, name, force=force)


@lb.command("ready")
@click.argument("name", metavar="NAME", shell_complete=names_of(*VMS))
@with_lab
def lb_ready(options: "Options", name: str) -> int:
    """Give a server new connections again, on every balancer."""
    from homelab.commands import lb_drain as command

    return command.lb_ready(options, name)
