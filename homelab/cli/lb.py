"""`homelab lb`: the balancers."""

from typing import TYPE_CHECKING

import click

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
