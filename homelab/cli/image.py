"""`homelab image`: the images on the datastores that VMs are copied from."""

from typing import TYPE_CHECKING

import click

from homelab.cli.options import with_lab

if TYPE_CHECKING:
    from homelab.commands.options import Options


@click.group()
def image() -> None:
    """The images on the datastores that VMs are copied from."""


@image.command("list")
@with_lab
def image_list(options: "Options") -> int:
    """Show the images that this lab uploaded: their size, and which VMs hang on them."""
    from homelab.commands import image_list as command

    return command.image_list(options)


@image.command("prune")
@with_lab
def image_prune(options: "Options") -> int:
    """Delete the images that the inventory does not name any more, but none that a VM's disk sits on; asks first."""
    from homelab.commands import image_prune as command

    return command.image_prune(options)
