"""Arguments in, exit code out; no logic. Heavy modules are imported by the command that needs them."""

import gc
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homelab import __version__
from homelab.cli.completion import EVERYBODY, names_of
from homelab.cli.examples import add_examples
from homelab.cli.image import image
from homelab.cli.kubernetes import kubernetes
from homelab.cli.lb import lb
from homelab.cli.options import (
    GLOBAL_NAMES,
    GLOBALS,
    STEPS,
    StepName,
    guarded,
    with_globals,
    with_lab,
    with_lab_for_names,
)
from homelab.cli.rehearsal import rehearsal_group, rehearse
from homelab.cli.usb import usb
from homelab.cli.vm import destroy, down, up, vm

if TYPE_CHECKING:
    from homelab.commands.options import Options

# Where the page of `status --serve` is unless told.
PAGE = "127.0.0.1:8480"


class Homelab(click.Group):
    """The group of all commands; `--version` needs none, and -v and -o may stand on either side of it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click.Group."""
        rest = super().parse_args(ctx, args)
        if ctx.params.pop("version", False) and not ctx.resilient_parsing:
            self._tell_version(ctx)
        return rest

    def _tell_version(self, ctx: click.Context) -> None:
        if not ctx.params["verbose"]:
            click.echo(f"homelab, version {__version__}")
            ctx.exit()
        from homelab.commands.version import show_versions

        given = {name: ctx.params[name] for name in GLOBAL_NAMES}
        ctx.exit(guarded(given, lambda options: show_versions(options.ui)))


@click.group(cls=Homelab, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, help="Tell the version; with -v all that matter.")
@click.pass_context
def cli(context: click.Context, /, **given: Any) -> None:
    """Takes small machines from an empty USB port to a highly available Kubernetes API."""
    context.obj = given


for _option in reversed(GLOBALS):
    cli = _option(cli)


@cli.command()
@click.argument("folder", metavar="[DIR]", required=False, default=Path("inventory"), type=click.Path(path_type=Path))
@click.option("--answers", type=click.Path(path_type=Path), metavar="FILE", help="Answers in YAML, for scripts.")
@with_globals
def init(options: "Options", folder: Path, answers: Path | None) -> int:
    """Write a new inventory with a vault file into DIR (./inventory unless told).

    Looks at the network that you name, and nowhere else, and asks what cannot be known. Nothing is overwritten. With
    --yes every proposal is taken. Passwords are typed, or come from VMWARE_PASSWORD and Ansible's vault settings.
    """
    from homelab.commands import init as command

    return command.init(options, folder, answers)


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
@click.option("--only", type=StepName(), help=f"Only this step: {', '.join(STEPS)}.")
@click.option("--from", "start", type=StepName(), help="Begin with this step.")
@click.option("--until", type=StepName(), help="End with this step.")
@click.option("--wait", type=click.FloatRange(0), default=0, metavar="MINUTES", help="For hosts that need your hands.")
@with_lab
def bootstrap(options: "Options", only: str | None, start: str | None, until: str | None, wait: float) -> int:
    """Do the whole job; run it again at any time.

    A host that never answered needs its stick: what to do is told, and with --wait it is waited for.
    """
    from homelab.commands import bootstrap as command

    return command.bootstrap(options, only=only, start=start, until=until, wait=60 * wait)


@cli.command("driver-fix")
@click.argument("hosts", nargs=-1, required=True, metavar="HOST...", shell_complete=names_of("esxi"))
@click.option("--force", is_flag=True, help="Shut running VMs down first; overrides no other guard.")
@click.option("--undo", is_flag=True, help="Give the NIC back to ne1000, as an upgrade to 7.0 needs it.")
@click.option("--stick", metavar="DEVICE", help="Mend the host's stick (a device, or its image) instead of the host.")
@with_lab_for_names("hosts", but="stick")
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
@click.option("--svg", metavar="FILE", help="Write it as a picture, and draw nothing here.")
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C.")
@click.option(
    "--serve",
    is_flag=False,
    flag_value=PAGE,
    metavar="[ADDRESS:PORT]",
    help=f"Show it on a page, until Ctrl-C ({PAGE} unless told).",
)
@with_lab
def status(options: "Options", svg: str | None, watch: bool, serve: str | None) -> int:
    """Show how the lab stands: hosts, datastores, VMs, balancers, API servers; changes nothing.

    A part that is away is shown so, with the reason.
    """
    from homelab.commands import status as command

    command.one_way(svg=svg is not None, watch=watch, serve=serve is not None)
    if serve is not None:
        from homelab.commands.status_page import serve_page

        return serve_page(options, serve)
    return command.watch(options) if watch else command.status(options, svg)


@cli.command()
@click.argument("document", required=False)
@with_globals
def schema(options: "Options", document: str | None) -> int:
    """Print the JSON Schema of the inventory's variables, for editors; needs no inventory.

    With DOCUMENT that of what a command prints with -o json: plan, event, checks, status, vm-list and others.
    """
    from homelab.commands import schema as command

    return command.schema(options, document)


@cli.command()
@with_lab
def verify(options: "Options") -> int:
    """Run the smoke tests; the plan must be empty."""
    from homelab.commands import verify as command

    return command.verify(options)


@cli.command()
@click.argument("host", shell_complete=names_of(*EVERYBODY))
@click.option("--forget", is_flag=True, help="Forget it; the next contact is the first again.")
@with_lab_for_names("host")
def trust(options: "Options", host: str, forget: bool) -> int:
    """Show or forget the pinned certificate and SSH host key of a host."""
    from homelab.commands import trust as command

    return command.trust(options, host, forget=forget)


for _command in (vm, image, down, up, destroy, usb, lb, kubernetes, rehearse, rehearsal_group):
    cli.add_command(_command)
add_examples(cli)


def main() -> None:
    """The console script. What a terminal of another encoding cannot show is escaped: no text ends a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # What a command loads stays; to look for garbage in it again and again costs a sixth of its start.
    gc.set_threshold(50_000)
    try:
        cli(prog_name="homelab")
    finally:
        # Nor is it looked through once more at the end.
        gc.freeze()


if __name__ == "__main__":
    main()
