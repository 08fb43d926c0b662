"""Consent: who agreed to what. It is bound to changes; another plan is another question. Pure."""

from collections.abc import Sequence
from typing import Protocol

from homelab.engine.plan import Plan
from homelab.engine.step import Blocked, Change, Node
from homelab.errors import UsageError


class Person(Protocol):
    """Who is asked. `there` tells whether anybody is: a terminal, and not a pipe."""

    @property
    def there(self) -> bool:
        """Whether somebody can answer."""

    def warn(self, text: str) -> None:
        """Say what should not be missed."""

    def confirm(self, question: str) -> bool:
        """Ask; only an explicit yes counts."""


class Consent:
    """A disruptive change is agreed to when it was shown, its node was shown as blocked, or a person says so now.

    `--yes` answered for what was shown, and for nothing that comes up later. A node that was shown as blocked did not
    tell what would be lost: what is gone for good must have been shown itself.
    """

    def __init__(self, plan: Plan, person: Person) -> None:
        self._changes = set(plan.disruptive)
        self._blocked = {node for node, _ in plan.of(Blocked)}
        self._person = person

    def covers(self, node: Node, change: Change) -> bool:
        """Whether this change of this node was agreed to."""
        words = change.words
        if change in self._changes or (node in self._blocked and not words.loses):
            return True
        question = f"{words.sentence} ({words.reason}; now: {words.before})?"
        return self._person.there and self._person.confirm(question)


def agreed(plan: Plan, person: Person, *, yes: bool) -> Consent | None:
    """The consent to a plan that was shown; None when a person declines it.

    What is lost is said right at the question: the plan may have scrolled away, or gone into a file. Raises UsageError
    when something disruptive is planned and nobody is there to agree.
    """
    consent = Consent(plan, person)
    if yes or not plan.of(Change):
        return consent
    if not person.there:
        _refuse_unasked(plan.disruptive)
        return consent
    for change in plan.disruptive:
        person.warn(f"{change.words.sentence}; now: {change.words.before}")
    return consent if person.confirm("Carry this out?") else None


def _refuse_unasked(changes: Sequence[Change]) -> None:
    if changes:
        raise UsageError(
            f"{len(changes)} change(s) would reboot, power off, format or destroy something, and nobody "
            "is there to agree",
            where="no terminal",
            advice="Read the plan with `homelab plan`, then run again with --yes",
        )
