"""A command on this machine's own sticks and images: one step, outside of rehearsals, asked about and carried out."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from homelab.engine.consent import agreed
from homelab.engine.events import Changed, Event
from homelab.engine.in_line import InLine
from homelab.engine.runner import Runner
from homelab.engine.step import Change, Step
from homelab.errors import UsageError
from homelab.lab import Lab
from homelab.ports.media.this_machine import ThisMachine
from homelab.ports.rehearsed import sign_of_rehearsal

if TYPE_CHECKING:
    from homelab.commands.options import Options

C = TypeVar("C", bound=Change)


Heard = Callable[[Event], None]


def carry_out(
    options: "Options",
    step: Step[Any, C],
    lab: Lab,
    world: ThisMachine,
    *,
    named: str | None = None,
    heard: Heard = lambda event: None,
) -> tuple[C, ...] | None:
    """Bring the one target of a step into the wanted state; the changes as they were made, None when declined.

    What fails is raised. What destroys nothing is not asked about: who named the file asked for it.
    """
    ear = _Ear(heard)
    runner = Runner(lab, [step], world, ear, pool=InLine)
    plan = runner.plan()
    for failure in plan.failures.values():
        raise failure
    for remark in [each for remarks in plan.remarks.values() for each in remarks]:
        options.ui.warn(remark)
    consent = agreed(plan, options.ui, yes=options.yes or not plan.disruptive, named=named)
    if consent is None:
        options.ui.warn("nothing was touched")
        return None
    runner.run(plan, consent.covers)
    for failed in (*ear.unread, *(outcome.error for outcome in runner.outcomes.values())):
        if failed:
            raise failed
    return tuple(cast("C", change) for change in ear.made)


class _Ear:
    """Hears the events of a run; `made` are its changes."""

    def __init__(self, heard: Heard) -> None:
        self.made: list[Change] = []
        self.unread: list[BrokenPipeError] = []
        self._heard = heard

    def __call__(self, event: Event) -> None:
        if isinstance(event, Changed):
            self.made.append(event.change)
        try:
            self._heard(event)
        except BrokenPipeError as error:
            # Whoever read it has gone. That ends the command, and is no mistake of its step.
            self.unread.append(error)
            raise


# --- rehearsals


def only_outside_of_rehearsals(options: "Options", command: str) -> None:
    """UsageError inside a rehearsal, which simulates hosts and no devices: a stick there would be a real one."""
    sign = sign_of_rehearsal(options.inventories)
    if sign:
        raise refused_in_rehearsal(command, sign)


def refused_in_rehearsal(command: str, sign: str) -> UsageError:
    """The sentence: what is refused, how it is known, what to do."""
    return UsageError(
        f"`homelab {command}` touches real devices of this machine and runs outside of a rehearsal only; "
        "nothing was opened",
        where=sign,
        advice="Run it in a shell of your own, without `homelab rehearse` and `homelab rehearsal enter`",
    )


def touches_devices(words: tuple[str, ...]) -> str | None:
    """The command in these words that touches devices, told early; the commands themselves look closer."""
    if "usb" in words:
        return next((f"usb {word}" for word in words if word in ("write", "install")), None)
    sticks = any(word == "--stick" or word.startswith("--stick=") for word in words)
    return "driver-fix --stick" if "driver-fix" in words and sticks else None
