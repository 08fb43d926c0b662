"""Arguments in, exit code out; no logic. Heavy modules are imported by the command that needs them."""

import gc
import io
import sys
from typing import TYPE_CHECKING, Any

import click

from homelab import __version__
from homelab.cli.image import image
from homelab.cli.lb import lb
from homelab.cli.options import GLOBALS, STEPS, with_globals, with_lab
from homelab.cli.rehearsal import rehearsal_group, rehearse
from homelab.cli.usb import usb
from homelab.cli.vm import destroy, down, up, vm

if TYPE_CHECKING:
    from homelab.commands.options import Options


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="homelab")
@click.pass_context
def cli(context: click.Context, /, **given: Any) -> None:
    """Takes small machines from an empty USB port to a highly available Kubernetes API."""
    context.obj = given


for _option in reversed(GLOBALS):
    cli = _option(cli)


@cli.command()
@with_lab
def doctor(options: "Options") -> int:
    """Check this machine, every host, the NAS, the image and the addresses; change nothing."""
    from homelab.commands import doctor as command

    return command.doctor(options)


@cli.command()
@with_lab
def plan(options: "Options") -> int:
    """Show what bootstrap would change, and why."""
    from homelab.commands import plan as command

    return command.plan(options)


@cli.command()
@click.option("--only", type=click.Choice(STEPS), help="Only this step.")
@click.option("--from", "start", type=click.Choice(STEPS), help="Begin with this step.")
@click.option("--until", type=click.Choice(STEPS), help="End with this step.")
@click.option("--wait", type=click.FloatRange(0), default=0, metavar="MINUTES", help="For hosts that need your hands.")
@with_lab
def bootstrap(options: "Options", only: str | None, start: str | None, until: str | None, wait: float) -> int:
    """Do the whole job; run it again at any time.

    A host that never answered needs its stick: what to do is told, and with --wait it is waited for.
    """
    from homelab.commands import bootstrap as command

    return command.bootstrap(options, only=only, start=start, until=until, wait=60 * wait)


@cli.command("driver-fix")
@click.argument("hosts", nargs=-1, required=True, metavar="HOST...")
@click.option("--force", is_flag=True, help="Shut running VMs down first; overrides no other guard.")
@click.option("--undo", is_flag=True, help="Give the NIC back to ne1000, as an upgrade to 7.0 needs it.")
@click.option("--stick", metavar="DEVICE", help="Mend the host's stick (a device, or its image) instead of the host.")
@with_globals
def driver_fix(options: "Options", hosts: tuple[str, ...], force: bool, undo: bool, stick: str | None) -> int:
    """Repair the NIC driver of one or more hosts, one after another.

    HOST is a host of the inventory, or an address; then VMWARE_USER and VMWARE_PASSWORD, or a prompt.
    """
    if stick is not None:
        from homelab.commands.driver_fix_stick import offline_fix

        return offline_fix(options, hosts, stick, undo=undo)
    from homelab.commands import driver_fix as command

    return command.driver_fix(options, hosts, force=force, undo=undo)


@cli.command()
@with_lab
def verify(options: "Options") -> int:
    """Run the smoke tests; the plan must be empty."""
    from homelab.commands import verify as command

    return command.verify(options)


@cli.command()
@click.argument("host")
@click.option("--forget", is_flag=True, help="Forget it; the next contact is the first again.")
@with_globals
def trust(options: "Options", host: str, forget: bool) -> int:
    """Show or forget the pinned certificate and SSH host key of a host."""
    from homelab.commands import trust as command

    return command.trust(options, host, forget=forget)


for _command in (vm, image, down, up, destroy, usb, lb, rehearse, rehearsal_group):
    cli.add_command(_command)


def main() -> None:
    """The console script. What a terminal of another encoding cannot show is escaped: no text ends a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # What a command loads stays; to look for garbage in it again and again costs a sixth of its start.
    gc.set_threshold(50_000)
    cli(prog_name="homelab")


if __name__ == "__main__":
    main()
