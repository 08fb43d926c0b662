"""What every command takes, before or after its name, and how a command's errors end."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial, wraps
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from homelab.cli import completion
from homelab.cli.sources import inventories

if TYPE_CHECKING:
    from homelab.commands.options import Options
    from homelab.errors import HomelabError

F = TypeVar("F", bound=Callable[..., Any])
Given = dict[str, Any]
STEPS = (
    "boot-media",
    "first-boot",
    "nfs-datastore",
    "local-datastore",
    "usb-housekeeping",
    "driver-fix",
    "reboot",
    "image",
    "vm",
    "guest",
    "cluster-ca",
    "load-balancer",
    "kubernetes",
    "manifests",
)


class StepName(click.Choice[str]):
    """One of the steps; another word gets the one that is near."""

    def __init__(self) -> None:
        super().__init__(STEPS)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """A word: thirteen steps in every line of options would be too many."""
        return "STEP"

    def get_invalid_choice_message(self, value: str, ctx: click.Context | None) -> str:
        """As click.Choice."""
        from homelab.formats.near import known_names

        return f"there is no step {value!r}. {known_names([value], STEPS, 'steps')}."


GLOBALS = (
    click.option(
        "-i",
        "--inventory",
        multiple=True,
        type=click.Path(),
        metavar="INVENTORY",
        help="An inventory; repeatable.",
    ),
    click.option(
        "-l",
        "--limit",
        metavar="HOSTS",
        shell_complete=completion.pattern,
        help="Only these hosts (Ansible's patterns).",
    ),
    click.option("-o", "--output", type=click.Choice(["text", "json"]), help="What stdout gets."),
    click.option("-q", "--quiet", is_flag=True, help="Say less."),
    click.option("-v", "--verbose", is_flag=True, help="Say more."),
    click.option("--no-color", is_flag=True, help="No colours."),
    click.option("-y", "--yes", is_flag=True, help="Agree to the plan."),
)
GLOBAL_NAMES = ("inventory", "limit", "output", "quiet", "verbose", "no_color", "yes")


def with_lab(function: F) -> F:
    """As `with_globals`, for a command that surely reads the inventory: that begins before the command is loaded."""
    return with_globals(function, ahead=lambda given: True)


def with_lab_for_names(argument: str, *, but: str = "") -> Callable[[F], F]:
    """As `with_lab` where a machine of this argument is named: addresses need no inventory, nor the option `but`."""

    def surely(given: Given) -> bool:
        named = given[argument]
        return not given.get(but) and not all(map(_is_address, [named] if isinstance(named, str) else named))

    return lambda function: with_globals(function, ahead=surely)


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def with_globals(function: F, *, ahead: Callable[[Given], bool] = lambda given: False) -> F:
    """Take the global options, which may stand before or after the command, and hand over an `Options`.

    `ahead` tells from a command's own arguments whether it surely reads the inventory.
    """

    @wraps(function)
    def run(*args: Any, **given: Any) -> None:
        context = click.get_current_context()
        own = {name: given.pop(name) for name in GLOBAL_NAMES}
        merged = {name: own[name] or (context.obj or {}).get(name) for name in own}
        reads = ahead(given)
        with _begun(inventories(merged["inventory"] or ()) if reads else ()):
            status = guarded(merged, partial(_run, function, reads, args, given))
        context.exit(status)

    for option in reversed(GLOBALS):
        run = option(run)
    return run  # type: ignore[return-value]


def _run(function: Callable[..., int], reads: bool, args: Any, given: Given, options: "Options") -> int:
    if reads:
        # Before the command is loaded, which takes longer than a person should wait for this.
        from homelab.ports.ansible.inventory import require

        require(options.inventories)
    return function(options, *args, **given)


@contextmanager
def _begun(sources: Sequence[Path]) -> Iterator[None]:
    if not sources:
        yield
        return
    from homelab.ports.ansible import inventory

    try:
        # What is wrong is told when it is asked for.
        with suppress(OSError):
            inventory.begin(sources)
        yield
    finally:
        inventory.end()


def guarded(merged: dict[str, Any], command: Callable[["Options"], int]) -> int:
    """Run a command; every error of ours ends as its sentences and its exit code."""
    from homelab.commands.options import Options
    from homelab.errors import FAILED, INTERRUPTED, HomelabError
    from homelab.output.ui import Ui

    quiet, verbose = bool(merged["quiet"]), bool(merged["verbose"])
    ui = Ui(merged["output"] or "text", quiet=quiet, verbose=verbose, color=not merged["no_color"])
    # Being told to end is an interruption like Ctrl-C: what is under way comes to its safe end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return command(Options(inventories(merged["inventory"]), merged["limit"], bool(merged["yes"]), ui))
    except HomelabError as error:
        ui.error(error)
        return error.exit_code
    except BrokenPipeError:
        return _nobody_reads()
    except Exception as error:
        if ui.verbose:
            ui.trace("".join(traceback.format_exception(error)))
        ui.error(mistake_of_ours(error))
        return FAILED
    except KeyboardInterrupt:
        ui.warn("interrupted; run again, it goes on where it stopped")
        return INTERRUPTED


def _nobody_reads() -> int:
    """Whoever read our output has gone (`homelab plan | head`): Python must not try once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def mistake_of_ours(error: Exception) -> "HomelabError":
    """An exception that nobody expected, as a sentence with the place in the code."""
    from homelab.errors import HomelabError

    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else "unknown"
    what = f"a mistake of homelab itself: {type(error).__name__}: {error}"
    return HomelabError(what, where=place, advice="Run again with -v to see the whole story, and please report it")
