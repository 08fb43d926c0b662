"""`homelab usb`: sticks."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from homelab.cli.completion import names_of
from homelab.cli.options import with_globals, with_lab

if TYPE_CHECKING:
    from homelab.commands.options import Options


@click.group()
def usb() -> None:
    """Make and check the sticks that hosts are installed from."""


KICKSTART = click.option(
    "--kickstart", type=click.Path(path_type=Path), metavar="FILE", help="A ks.cfg of your own instead of ours."
)


@usb.command("build")
@click.argument("host", shell_complete=names_of("esxi"))
@click.option("-O", "file", type=click.Path(path_type=Path), help="The image; HOST.img unless told.")
@KICKSTART
@with_lab
def usb_build(options: "Options", host: str, file: Path | None, kickstart: Path | None) -> int:
    """Make the image of HOST's installer stick, from your ISO (esxi_iso) and the inventory."""
    from homelab.commands import usb_build as usb_commands

    return usb_commands.build(options, host, file, kickstart)


@usb.command("verify")
@click.argument("host", shell_complete=names_of("esxi"))
@click.argument("medium", type=click.Path(path_type=Path), metavar="FILE-OR-DEVICE")
@KICKSTART
@with_lab
def usb_verify(options: "Options", host: str, medium: Path, kickstart: Path | None) -> int:
    """Compare an image or a stick, file by file, with the ISO and the inventory."""
    from homelab.commands import usb_verify as usb_commands

    return usb_commands.verify(options, host, medium, kickstart)


@usb.command("lint")
@click.argument("file", type=click.Path(path_type=Path))
@with_globals
def usb_lint(options: "Options", file: Path) -> int:
    """Check a kickstart file (ks.cfg) of your own; needs no inventory."""
    from homelab.commands import usb_lint as usb_commands

    return usb_commands.lint_file(options, file)


@usb.command("write")
@click.argument("host", shell_complete=names_of("esxi"))
@click.argument("device", required=False)
@click.option("--image", type=click.Path(path_type=Path), metavar="FILE", help="The image; HOST.img unless told.")
@click.option("--device-serial", "serial", metavar="SERIAL", help="Names the disk where --yes is not enough.")
@with_globals
def usb_write(options: "Options", host: str, device: str | None, image: Path | None, serial: str | None) -> int:
    """Write HOST's image to the USB stick DEVICE (as in sdb) and read it back; without DEVICE list the sticks.

    --yes agrees to a stick that is empty or holds an image of ours. A disk with anything else on it, one that is not
    removable, or has more than 256 GB, is named by hand, or by --device-serial beside --yes.
    """
    from homelab.commands import usb_write as stick_commands

    return stick_commands.write(options, host, device, image, serial=serial)


@usb.command("install")
@click.argument("host", shell_complete=names_of("esxi"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--image", type=click.Path(path_type=Path), metavar="FILE", help="The installer; HOST.img unless told.")
@click.option(
    "--size", type=float, metavar="GB", help="The stick's size; the least that the release wants unless told."
)
@click.option("--minutes", type=float, help="How long it may take; an hour, ten without KVM.")
@with_globals
def usb_install(
    options: "Options", host: str, file: Path, image: Path | None, size: float | None, minutes: float | None
) -> int:
    """Install ESXi for HOST inside QEMU, unattended; FILE is the image of a stick that boots by itself."""
    from homelab.commands import usb_install as install_commands

    return install_commands.install(options, host, file, image, size, minutes)
