"""The one abstraction: a Step observes a target, plans its changes, and applies them. Pure: no I/O here.

A `Change` is a small frozen dataclass per kind of change. `Blocked` stands for a plan that cannot be known yet,
`HandOver` for something that a person must do. A plan that must not be carried out raises `errors.Refused`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from homelab.lab import Lab


@dataclass(frozen=True, order=True)
class Node:
    """One place in the graph of a run: a step at a target."""

    step: str
    target: str

    def __str__(self) -> str:
        return f"{self.step} {self.target}"


@dataclass(frozen=True)
class Words:
    """What people are told of a change: the sentence says what will be done, verb first, the reason what was observed.

    `before` and `after` are the differing values as people read them, `undo` is what a person does to go back. `loses`
    is what is gone for good with it, empty when nothing is: such a change is made only when it was shown itself.
    """

    sentence: str
    reason: str
    undo: str
    before: str = "absent"
    after: str = "present"
    loses: str = ""
    # A difference in full, shown below the sentence.
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asking:
    """How a change is agreed to that is asked about by itself, at length, and not with a plan.

    `lines` and then `warnings` are shown before. `loss` is told where nobody can be asked, with the `advice`; it is a
    clause. `place` is where it would be written. What `must_name` or `other_name` says has to be typed, for a y is too
    easily said; --yes then agrees to a change without `doubts` (clauses), and to one that was named on the command line
    by `serial`.
    """

    lines: tuple[str, ...]
    loss: str
    advice: str
    place: str
    warnings: tuple[str, ...] = ()
    must_name: str = ""
    other_name: str = ""
    serial: str = ""
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """What a step wants to write. Subclasses add their own fields, and say the rest in `_words`.

    `target` is the inventory's name. A disruptive change reboots, powers off, formats or destroys. One that is made
    `anew` is made whenever it is asked for: no state would be found again, and `apply` itself proves that it took.
    """

    target: str
    disruptive: ClassVar[bool] = False
    anew: ClassVar[bool] = False

    @property
    def harms(self) -> frozenset[str] | None:
        """The machines that a disruptive one may harm, which are looked at afresh before; None: whatever is looked at.

        Only for one that costs nothing of anybody else's: who uses a disk is known by every host's look.
        """
        return None

    @property
    def words(self) -> Words:
        """What people are told of it."""
        return self._words()

    def _words(self) -> Words:
        raise NotImplementedError

    @property
    def asking(self) -> Asking | None:
        """How it is asked about by itself; None when it is agreed to with its plan."""
        return None

    def differs_from(self, shown: "Change") -> str:
        """What is not as it was `shown` any more, as a clause; empty when that is just another question."""
        return ""

    def __str__(self) -> str:
        return self.words.sentence


@dataclass(frozen=True)
class Blocked:
    """A plan that cannot be known until something else has happened: `until` is that condition."""

    target: str
    until: str

    def __str__(self) -> str:
        return f"blocked until {self.until}"


@dataclass(frozen=True)
class HandOver:
    """Something that only a person can do: `do` tells what."""

    target: str
    do: str

    def __str__(self) -> str:
        return f"your hands: {self.do}"


Observed = TypeVar("Observed")
C = TypeVar("C", bound=Change)
Planned: TypeAlias = C | Blocked | HandOver


@dataclass(frozen=True)
class Row:
    """Steps of one row go through a target together before they begin for the next one.

    `held_up_by` is what keeps the next target from beginning at all: harm, when a target began to be changed and did
    not end well, and then only targets with something to do are in the row; failure, when one is not done for whatever
    reason; or nothing, when it is enough that the one before has ended.
    """

    name: str
    held_up_by: Literal["harm", "failure", "nothing"] = "harm"


class Step(ABC, Generic[Observed, C]):
    """One thing about one target. `observe` reads, `plan` decides, `apply` writes; nothing else does any work.

    `world` is the ports' door (homelab.ports.world.World); it is Any here because the engine knows no port.
    """

    name: ClassVar[str]
    # Its targets go one after another, in the order of `targets`; None when they may go all at once.
    row: Row | None = None

    @abstractmethod
    def targets(self, lab: "Lab") -> Sequence[str]:
        """The names that this step works on, in the inventory's order."""

    def after(self, lab: "Lab", target: str) -> Iterable[Node]:
        """The nodes that must be done before this one may begin."""
        return ()

    def settled(self, lab: "Lab", target: str) -> Iterable[Node]:
        """The nodes that must have ended, well or not, before this one may begin."""
        return ()

    def perhaps(self, lab: "Lab", target: str) -> Iterable[Node]:
        """The nodes of which some must be done before: `needs` tells which, and until then all must have ended."""
        return ()

    def needs(self, lab: "Lab", target: str, observed: Observed) -> Iterable[Node]:
        """Those of `perhaps` that must be done before anything is written, by what was seen. Pure."""
        return ()

    @abstractmethod
    def observe(self, world: Any, lab: "Lab", target: str) -> Observed:
        """Ask the world how things stand; a small frozen dataclass. Reads only."""

    @abstractmethod
    def plan(self, lab: "Lab", target: str, observed: Observed) -> Sequence[Planned[C]]:
        """Compare wanted and observed; empty when all is well. Pure; raises Refused when a guard holds."""

    def remarks(self, lab: "Lab", target: str, observed: Observed) -> Sequence[str]:
        """What a person should know of a target beside its changes; no change, and never a failure. Pure."""
        return ()

    @abstractmethod
    def apply(self, world: Any, change: C) -> C | None:
        """Make one change, which carries all that it writes; the only place that writes.

        Returns the change with what only the making tells, None when that is nothing.
        """


AnyStep = Step[Any, Any]
