"""The one abstraction: a Step observes a target, plans its changes, and applies them. Pure: no I/O here.

A `Change` is a small frozen dataclass per kind of change. `Blocked` stands for a plan that cannot be known yet,
`HandOver` for something that a person must do. A plan that must not be carried out raises `errors.Refused`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

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
class Change:
    """What a step wants to write. Subclasses add their own fields and say the rest in properties.

    `target` is the inventory's name. `before` and `after` are the differing values as people read them.
    """

    target: str
    disruptive: ClassVar[bool] = False

    @property
    def sentence(self) -> str:
        """What will be done, in one sentence, verb first."""
        raise NotImplementedError

    @property
    def reason(self) -> str:
        """Why: what was observed."""
        raise NotImplementedError

    @property
    def before(self) -> str:
        """The value as observed."""
        return "absent"

    @property
    def after(self) -> str:
        """The value as wanted."""
        return "present"

    @property
    def loses(self) -> str:
        """What is gone for good with it; empty when nothing is. Such a change is made only when it was shown itself."""
        return ""

    @property
    def undo(self) -> str:
        """What a person does to go back."""
        raise NotImplementedError


@dataclass(frozen=True)
class Blocked:
    """A plan that cannot be known until something else has happened: `until` is that condition."""

    target: str
    until: str


@dataclass(frozen=True)
class HandOver:
    """Something that only a person can do: `do` tells what."""

    target: str
    do: str


Planned = Change | Blocked | HandOver


class Step(ABC):
    """One thing about one target. `observe` reads, `plan` decides, `apply` writes; nothing else does any work.

    `world` is the ports' door (homelab.ports.world.World); it is Any here because this module knows no port.
    """

    name: ClassVar[str]

    @abstractmethod
    def targets(self, lab: "Lab") -> Sequence[str]:
        """The names that this step works on, in the inventory's order."""

    def after(self, lab: "Lab", target: str) -> Iterable[Node]:
        """The nodes that must be done before this one may begin."""
        return ()

    def settled(self, lab: "Lab", target: str) -> Iterable[Node]:
        """The nodes that must have ended, well or not, before this one may begin."""
        return ()

    @abstractmethod
    def observe(self, world: Any, target: str) -> Any:
        """Ask the world how things stand; a small frozen dataclass. Reads only."""

    @abstractmethod
    def plan(self, lab: "Lab", target: str, observed: Any) -> Sequence[Planned]:
        """Compare wanted and observed; empty when all is well. Pure; raises Refused when a guard holds."""

    def remarks(self, lab: "Lab", target: str, observed: Any) -> Sequence[str]:
        """What a person should know of a target that is left as it is; no change, and never a failure. Pure."""
        return ()

    @abstractmethod
    def apply(self, world: Any, change: Any) -> None:
        """Make one change; the only place that writes."""
