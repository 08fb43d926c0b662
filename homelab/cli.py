"""Arguments in, exit code out; no logic. Heavy modules are imported by the command that needs them."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from homelab import __version__

if TYPE_CHECKING:
    from homelab.commands import Options
    from homelab.errors import HomelabError
    from homelab.lab import Lab
    from homelab.rehearsal.launch import Scene
    from homelab.ui import Ui

F = TypeVar("F", bound=Callable[..., Any])
STEPS = (
    "nfs-datastore",
    "driver-fix",
    "reboot",
    "image",
    "vm",
    "guest",
    "cluster-ca",
    "load-balancer",
    "kubernetes",
)
GLOBALS = (
    click.option("-i", "--inventory", multiple=True, metavar="INVENTORY", help="An inventory; repeatable."),
    click.option("-l", "--limit", metavar="HOSTS", help="Only these hosts (Ansible's patterns)."),
    click.option("-o", "--output", type=click.Choice(["text", "json"]), help="What stdout gets."),
    click.option("-q", "--quiet", is_flag=True, help="Say less."),
    click.option("-v", "--verbose", is_flag=True, help="Say more."),
    click.option("--no-color", is_flag=True, help="No colours."),
    click.option("-y", "--yes", is_flag=True, help="Agree to the plan."),
)
GLOBAL_NAMES = ("inventory", "limit", "output", "quiet", "verbose", "no_color", "yes")


def with_globals(function: F) -> F:
    """Take the global options, which may stand before or after the command, and hand over an `Options`."""

    @wraps(function)
    def run(*args: Any, **given: Any) -> None:
        context = click.get_current_context()
        own = {name: given.pop(name) for name in GLOBAL_NAMES}
        merged = {name: own[name] or (context.obj or {}).get(name) for name in own}
        context.exit(guarded(merged, lambda options: function(options, *args, **given)))

    for option in reversed(GLOBALS):
        run = option(run)
    return run  # type: ignore[return-value]


def guarded(merged: dict[str, Any], command: Callable[["Options"], int]) -> int:
    """Run a command; every error of ours ends as its sentences and its exit code."""
    from homelab.commands import Options
    from homelab.errors import HomelabError
    from homelab.ui import Ui

    quiet, verbose = bool(merged["quiet"]), bool(merged["verbose"])
    ui = Ui(merged["output"] or "text", quiet=quiet, verbose=verbose, color=not merged["no_color"])
    try:
        return command(Options(inventories(merged["inventory"]), merged["limit"], bool(merged["yes"]), ui))
    except HomelabError as error:
        ui.error(error)
        return error.exit_code
    except Exception as error:
        if ui.verbose:
            raise
        ui.error(mistake_of_ours(error))
        return 1
    except KeyboardInterrupt:
        ui.warn("interrupted; run again, it goes on where it stopped")
        return 130


def mistake_of_ours(error: Exception) -> "HomelabError":
    """An exception that nobody expected, as a sentence with the place in the code."""
    from homelab.errors import HomelabError

    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else "unknown"
    what = f"a mistake of homelab itself: {type(error).__name__}: {error}"
    return HomelabError(what, where=place, advice="Run again with -v to see the whole story, and please report it")


def inventories(named: Sequence[str]) -> tuple[Path, ...]:
    """The named sources, else HOMELAB_INVENTORY, else ./inventory."""
    listed = [name for name in os.environ.get("HOMELAB_INVENTORY", "").split(",") if name]
    return tuple(Path(name) for name in named or listed or ["inventory"])


def or_sample(sources: tuple[Path, ...], ui: "Ui") -> tuple[Path, ...]:
    """The packaged sample lab, when none was named and ./inventory does not exist; says so."""
    from homelab.data import data_folder

    if sources != (Path("inventory"),) or sources[0].exists():
        return sources
    ui.note("no inventory here; the packaged sample lab is used")
    return (data_folder("inventory"),)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="homelab")
@click.pass_context
def cli(context: click.Context, /, **given: Any) -> None:
    """Takes small machines from an empty USB port to a highly available Kubernetes API."""
    context.obj = given


for _option in reversed(GLOBALS):
    cli = _option(cli)


@cli.command()
@with_globals
def plan(options: "Options") -> int:
    """Show what bootstrap would change, and why."""
    from homelab import commands

    return commands.plan(options)


@cli.command()
@click.option("--only", type=click.Choice(STEPS), help="Only this step.")
@click.option("--from", "start", type=click.Choice(STEPS), help="Begin with this step.")
@click.option("--until", type=click.Choice(STEPS), help="End with this step.")
@with_globals
def bootstrap(options: "Options", only: str | None, start: str | None, until: str | None) -> int:
    """Do the whole job; run it again at any time."""
    from homelab import commands

    return commands.bootstrap(options, commands.Choice(only, start, until))


@cli.command("driver-fix")
@click.argument("hosts", nargs=-1, required=True, metavar="HOST...")
@click.option("--force", is_flag=True, help="Shut running VMs down first; overrides no other guard.")
@click.option("--stick", metavar="DEVICE", help="Mend the host's stick (a device, or its image) instead of the host.")
@click.option("--undo", is_flag=True, help="Take the fix away again.")
@with_globals
def driver_fix(options: "Options", hosts: tuple[str, ...], force: bool, stick: str | None, undo: bool) -> int:
    """Repair the NIC driver of one or more hosts, one after another."""
    if stick is not None:
        from homelab import stick_commands

        return stick_commands.offline_fix(options, hosts, stick, undo=undo)
    if undo:
        from homelab.errors import UsageError

        raise UsageError("--undo is for sticks", where="command line", advice="Name the stick with --stick DEVICE")
    from homelab import commands

    return commands.driver_fix(options, hosts, force=force)


@cli.command()
@with_globals
def verify(options: "Options") -> int:
    """Run the smoke tests; the plan must be empty."""
    from homelab import commands

    return commands.verify(options)


@cli.command()
@click.argument("host")
@click.option("--forget", is_flag=True, help="Forget it; the next contact is the first again.")
@with_globals
def trust(options: "Options", host: str, forget: bool) -> int:
    """Show or forget the pinned certificate and SSH host key of a host."""
    from homelab import commands

    return commands.trust(options, host, forget=forget)


@cli.group()
def usb() -> None:
    """Make and check the sticks that hosts are installed from."""


@usb.command("write")
@click.argument("host")
@click.argument("device", required=False)
@click.option("--image", type=click.Path(path_type=Path), metavar="FILE", help="The image; HOST.img unless told.")
@with_globals
def usb_write(options: "Options", host: str, device: str | None, image: Path | None) -> int:
    """Write HOST's image to the USB stick DEVICE (as in sdb) and read it back; without DEVICE list the sticks."""
    from homelab import stick_commands

    return stick_commands.write(options, host, device, image)


@usb.command("install")
@click.argument("host")
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
    from homelab import install_commands

    return install_commands.install(options, host, file, image, size, minutes)


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


@cli.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@with_lab_options
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@with_globals
def rehearse(
    options: "Options", guests: str, kubernetes: str, faults: tuple[str, ...], command: tuple[str, ...]
) -> int:
    """Run COMMAND (bootstrap unless told) on a fresh simulated copy of the lab."""
    from homelab.rehearsal import launch, served

    scene = scene_of(options, guests, kubernetes, faults)
    with launch.lab(scene, _lab_of, options.ui.note) as running:
        flags = options.ui.flags() + (["--limit", options.limit] if options.limit else [])
        return served.run(running, served.homelab_argv(running, flags, command, guests=scene.guests))


@cli.group("rehearsal")
def rehearsal_group() -> None:
    """Serve a simulated lab, and enter it."""


@rehearsal_group.command("serve")
@with_lab_options
@with_globals
def serve(options: "Options", guests: str, kubernetes: str, faults: tuple[str, ...]) -> int:
    """Start a simulated lab, bare, and stay until Ctrl-C or SIGTERM."""
    from homelab.rehearsal import launch, served

    with launch.lab(scene_of(options, guests, kubernetes, faults), _lab_of, options.ui.note) as running:
        if options.ui.json:
            options.ui.document(running.ready())
        else:
            options.ui.say(
                "the lab is ready; Ctrl-C ends it; in another shell: homelab rehearsal enter -- homelab plan"
            )
        served.until_told()
    return 0


@rehearsal_group.command("enter", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("argv", nargs=-1, type=click.UNPROCESSED)
@with_globals
def enter(options: "Options", argv: tuple[str, ...]) -> int:
    """Run any program (a shell unless told) inside the served lab's network."""
    from homelab.rehearsal import served

    return served.enter(_home_of(options), argv or (os.environ.get("SHELL", "/bin/sh"),))


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
    from homelab.rehearsal import served

    wishes = tuple(table.parse(text, STEPS) for text in faults)
    rows = served.fault(_home_of(options), wishes, clear=clear)
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
    from homelab.data import data_folder
    from homelab.ports.files import home_of

    return home_of(or_sample(options.inventories, options.ui), data_folder("inventory"))


def scene_of(options: "Options", guests: str, kubernetes: str, faults: Sequence[str] = ()) -> "Scene":
    """What the rehearsal is made of; the packaged sample lab where there is no inventory."""
    from homelab.inventory import raw_variables
    from homelab.ports.files import cache_folder
    from homelab.rehearsal import launch, overlay
    from homelab.rehearsal.faults import table

    wishes = tuple(table.parse(text, STEPS) for text in faults)
    options = replace(options, inventories=or_sample(options.inventories, options.ui))
    raw = raw_variables(options.inventories)
    return launch.Scene(
        home=_home_of(options),
        cache=cache_folder(),
        sources=options.inventories,
        groups={group: raw.members(group) for group in overlay.GROUPS},
        kubernetes_version=launch.kubernetes_version(raw.hostvars, kubernetes),
        guests=launch.choose_guests(guests, options.ui.warn),
        namespaces=launch.namespaces_possible(),
        faults=wishes,
    )


def main() -> None:
    """The console script."""
    cli(prog_name="homelab")


if __name__ == "__main__":
    main()
