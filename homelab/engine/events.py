"""What happens in a run, one frozen dataclass for each kind of event. Pure."""

from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from typing import ClassVar

from homelab.engine.plan import Plan
from homelab.engine.step import Change, Node
from homelab.errors import DONE, FAILED, HANDED_OVER


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened; `node` is None for the run's own events. `kind` is its name in the JSON documents."""

    kind: ClassVar[str]
    node: Node | None = None
    at: datetime = field(default_factory=_now)


@dataclass(frozen=True, kw_only=True)
class Intended(Event):
    """The plan was made."""

    kind = "plan"
    plan: Plan


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """A node is looked at, and then brought into the wanted state; `after` are the nodes that it waited for."""

    kind = "start"
    after: tuple[Node, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Waiting(Event):
    """A condition is waited for until a deadline; `last` is the last answer."""

    kind = "waiting"
    condition: str
    deadline: datetime
    last: str


@dataclass(frozen=True, kw_only=True)
class Changed(Event):
    """One change was made."""

    kind = "changed"
    change: Change


@dataclass(frozen=True, kw_only=True)
class Unchanged(Event):
    """A node was as it should be; `sentence` tells what is remarked, or which check holds."""

    kind = "unchanged"
    sentence: str = ""


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """A node, or a check, failed."""

    kind = "failed"
    what: str
    where: str
    advice: str


@dataclass(frozen=True, kw_only=True)
class HeldUp(Event):
    """A node cannot begin before a condition holds."""

    kind = "blocked"
    until: str


@dataclass(frozen=True, kw_only=True)
class HandedOver(Event):
    """A person must act."""

    kind = "hand_over"
    do: str


@dataclass(frozen=True)
class Counts:
    """How many changes were made, and how many nodes ended in which way."""

    changed: int = 0
    unchanged: int = 0
    failed: int = 0
    blocked: int = 0
    handed_over: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        """The sum of two runs of one command."""
        return Counts(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    @property
    def exit_code(self) -> int:
        """A failure counts before a hand-over; a blocked node without either is work left undone."""
        if self.failed:
            return FAILED
        if self.handed_over:
            return HANDED_OVER
        return FAILED if self.blocked else DONE

    @property
    def well(self) -> bool:
        """Whether everything that was begun came to its end."""
        return not self.failed + self.blocked + self.handed_over


@dataclass(frozen=True, kw_only=True)
class Summary(Event):
    """The end of a run: its counts, how long it took, and which steps were not asked for."""

    kind = "summary"
    counts: Counts
    seconds: float
    left_out: tuple[str, ...] = ()
