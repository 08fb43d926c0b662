"""Consent: who agreed to what. It is bound to changes; another plan is another question. Pure."""

from collections.abc import Sequence
from typing import Protocol

from homelab.engine.plan import Plan
from homelab.engine.step import Asking, Blocked, Change, Node
from homelab.errors import Refused, UsageError


class Voice(Protocol):
    """What tells a person something."""

    def show(self, text: str) -> None:
        """Show a fact that somebody is about to agree to."""

    def warn(self, text: str) -> None:
        """Say what should not be missed."""


class Person(Voice, Protocol):
    """Who is asked. `there` tells whether anybody is: a terminal, and not a pipe."""

    @property
    def there(self) -> bool:
        """Whether somebody can answer."""

    def confirm(self, question: str) -> bool:
        """Ask; only an explicit yes counts."""

    def typed(self, question: str) -> str:
        """Ask for a word."""


class Consent:
    """A disruptive change is agreed to when it was shown, its node was shown as blocked, or a person says so now.

    `--yes` answered for what was shown, and for nothing that comes up later. A node that was shown as blocked did not
    tell what would be lost: what is gone for good must have been shown itself.
    """

    def __init__(self, plan: Plan, person: Person) -> None:
        self._changes = set(plan.disruptive)
        self._shown = plan.of(Change)
        self._blocked = {node for node, _ in plan.of(Blocked)}
        self._person = person

    def covers(self, node: Node, change: Change) -> bool:
        """Whether this change of this node was agreed to; Refused when it is not even asked about any more."""
        words = change.words
        if change in self._changes or (node in self._blocked and not words.loses):
            return True
        for at, shown in self._shown:
            if at == node:
                check_as_shown(shown, change, self._person)
        if change.asking and change.asking.must_name:
            return self._person.there and _typed(change.asking, self._person)
        question = f"{words.sentence} ({words.reason}; now: {words.before})?"
        return self._person.there and self._person.confirm(question)


def agreed(plan: Plan, person: Person, *, yes: bool, named: str | None = None) -> Consent | None:
    """The consent to a plan that was shown; None when a person declines it.

    What is lost is said right at the question: the plan may have scrolled away, or gone into a file. `named` is the
    serial number that was given for what has to be named. Raises UsageError when something disruptive is planned and
    nobody is there to agree.
    """
    changes = [change for _, change in plan.of(Change)]
    for change in changes:
        _show(change, person)
    for asking in [change.asking for change in changes if change.asking]:
        if asking.must_name and not _is_named(asking, person, yes=yes, named=named):
            return None
    left = [change for change in changes if not (change.asking and change.asking.must_name)]
    consent = Consent(plan, person)
    if yes or not left:
        return consent
    disruptive = [change for change in left if change.disruptive]
    if not person.there:
        _refuse_unasked(disruptive)
        return consent
    for change in disruptive:
        if not change.asking:
            person.warn(f"{change.words.sentence}; now: {change.words.before}")
    return consent if person.confirm("Carry this out?") else None


def check_as_shown(shown: Change, now: Change, voice: Voice) -> None:
    """Refuse what differs from what was shown, and show it as it is now."""
    differs = now.differs_from(shown)
    if differs:
        _show(now, voice)
        where = now.asking.place if now.asking else now.target
        what, advice = f"{differs}; nothing was written", "Read what is shown now, and run it again"
        raise Refused(what, where=where, advice=advice)


def _show(change: Change, voice: Voice) -> None:
    if change.asking:
        for line in change.asking.lines:
            voice.show(line)
        for warning in change.asking.warnings:
            voice.warn(warning)


def _is_named(asking: Asking, person: Person, *, yes: bool, named: str | None) -> bool:
    """`--yes` agrees where there are no doubts; else it is named, by hand or by its serial number."""
    if yes and (not asking.doubts or (asking.serial and asking.serial == named)):
        return True
    if person.there:
        return _typed(asking, person)
    if not asking.doubts:
        raise _nobody(asking)
    what = f"{asking.loss}, and nobody is there to agree"
    if yes:
        what = f"--yes does not agree to {asking.must_name}: {'; '.join(asking.doubts)}; nothing was written"
    raise UsageError(what, where=asking.place, advice=asking.advice)


def _typed(asking: Asking, person: Person) -> bool:
    question = f"Everything on it will be lost. Type its name ({asking.must_name}) to go on:"
    return person.typed(question) in {asking.must_name, asking.other_name or asking.must_name}


def _refuse_unasked(changes: Sequence[Change]) -> None:
    for asking in [change.asking for change in changes if change.asking]:
        raise _nobody(asking)
    if changes:
        raise UsageError(
            f"{len(changes)} change(s) would reboot, power off, format or destroy something, and nobody "
            "is there to agree",
            where="no terminal",
            advice="Read the plan with `homelab plan`, then run again with --yes",
        )


def _nobody(asking: Asking) -> UsageError:
    what = f"{asking.loss}, and nobody is there to agree"
    return UsageError(what, where="no terminal", advice=asking.advice)
