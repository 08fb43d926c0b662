"""`homelab vm`: the VMs of the inventory, one by one; and the whole lab off, on and away."""

from typing import TYPE_CHECKING

import click

from homelab.cli.completion import VMS, names_of
from homelab.cli.options import with_lab

if TYPE_CHECKING:
    from homelab.commands.options import Options

names = click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=names_of(*VMS))


@click.group()
def vm() -> None:
    """The VMs of the inventory."""


@vm.command("list")
@with_lab
def vm_list(options: "Options") -> int:
    """Show the VMs that are ours: where they are, how they stand, and what differs from the inventory."""
    from homelab.commands import vm_list as command

    return command.vm_list(options)


@vm.command("create")
@names
@with_lab
def vm_create(options: "Options", names: tuple[str, ...]) -> int:
    """Make VMs of the inventory, and switch them on."""
    from homelab.commands import vm_create as command

    return command.vm_create(options, names)


@vm.command("destroy")
@names
@with_lab
def vm_destroy(options: "Options", names: tuple[str, ...]) -> int:
    """Shut VMs down and destroy them, with the files that are theirs and nothing else; asks for each name."""
    from homelab.commands import vm_destroy as command

    return command.vm_destroy(options, names)


@vm.command("rebuild")
@names
@with_lab
def vm_rebuild(options: "Options", names: tuple[str, ...]) -> int:
    """Destroy VMs and make them anew from the image, with the same name and address."""
    from homelab.commands import vm_rebuild as command

    return command.vm_rebuild(options, names)


@vm.command("move")
@click.argument("name", metavar="NAME", shell_complete=names_of(*VMS))
@click.argument("host", metavar="HOST", shell_complete=names_of("esxi"))
@with_lab
def vm_move(options: "Options", name: str, host: str) -> int:
    """Shut a VM down, register it on another host that has its datastore, and switch it on again there."""
    from homelab.commands import vm_move as command

    return command.vm_move(options, name, host)


@click.command()
@with_lab
def down(options: "Options") -> int:
    """Shut all VMs of the lab down, balancers last."""
    from homelab.commands import down as command

    return command.down(options)


@click.command()
@with_lab
def up(options: "Options") -> int:
    """Switch all VMs of the lab on, balancers first, and wait until the API answers."""
    from homelab.commands import up as command

    return command.up(options)


@click.command()
@with_lab
def destroy(options: "Options") -> int:
    """Destroy all VMs of the lab and the image that they were copied from; asks for each name."""
    from homelab.commands import destroy as command

    return command.destroy(options)
