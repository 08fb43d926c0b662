"""Events and plans as sentences for people. Pure."""

from homelab.engine.events import Changed, Event, Failed, HandedOver, HeldUp, Summary, Unchanged, Waiting
from homelab.engine.plan import Plan
from homelab.engine.step import Blocked, Change, HandOver
from homelab.formats.visible import visible


def sentence_of(event: Event) -> str:
    """What an event tells, on one line; a failure on three. Nothing in it acts on a terminal."""
    if isinstance(event, Failed):
        what, where, advice = (visible(text, lines=False) for text in (event.what, event.where, event.advice))
        return f"{what}\n  where: {where}\n  to do: {advice}"
    return visible(_one_line(event), lines=False)


def _one_line(event: Event) -> str:
    match event:
        case Waiting():
            return f"{event.condition}: {event.last} (until {event.deadline.astimezone():%H:%M:%S})"
        case Changed(change=change):
            return change.words.sentence
        case Unchanged(sentence=sentence):
            return sentence
        case HeldUp(until=until):
            return until
        case HandedOver(do=do):
            return do
    return ""


def summary_sentence(summary: Summary) -> str:
    """The end of a run."""
    left_out = f"; left out: {', '.join(summary.left_out)}" if summary.left_out else ""
    counts = summary.counts
    return (
        f"{counts.changed} changed, {counts.unchanged} unchanged, {counts.failed} failed, "
        f"{counts.blocked} blocked, {counts.handed_over} handed over, in {summary.seconds:.0f} s{left_out}"
    )


def plan_sentence(plan: Plan) -> str:
    """How much a plan is."""
    if plan.empty and not plan.failures:
        return "nothing to do"
    harmful, unknown = len(plan.disruptive), len(plan.of(Blocked))
    parts = [
        counted(len(plan.of(Change)), "change") + (f", {harmful} of them disruptive (!)" if harmful else ""),
        f"{unknown} not known yet (?)" if unknown else "",
        f"{hands} for your hands (>)" if (hands := len(plan.of(HandOver))) else "",
        f"{len(plan.failures)} that could not be looked at (x)" if plan.failures else "",
    ]
    return ", ".join(filter(None, parts))


def counted(number: int, what: str) -> str:
    """A number of things: `1 change`, `2 changes`, `no change`."""
    return f"{number or 'no'} {what}{'s' if number > 1 else ''}"
