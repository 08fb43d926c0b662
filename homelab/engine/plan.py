"""What every node of a run would do. Pure."""

from dataclasses import dataclass, field
from typing import TypeVar

from homelab.engine.step import Blocked, Change, HandOver, Node, Planned
from homelab.errors import HomelabError

Kind = TypeVar("Kind", Change, Blocked, HandOver)


@dataclass
class Plan:
    """What every node would do: its planned items, or the error that kept it from being known; and what is remarked.

    `needs` are the nodes that must be done before, of one for which a look tells that.
    """

    items: dict[Node, tuple[Planned[Change], ...]] = field(default_factory=dict)
    failures: dict[Node, HomelabError] = field(default_factory=dict)
    remarks: dict[Node, tuple[str, ...]] = field(default_factory=dict)
    needs: dict[Node, frozenset[Node]] = field(default_factory=dict)

    def of(self, kind: type[Kind]) -> list[tuple[Node, Kind]]:
        """All planned items of one kind with their nodes, in the graph's order."""
        return [(node, item) for node, items in self.items.items() for item in items if isinstance(item, kind)]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every node that was looked at, in the graph's order; those without an answer stand last."""
        return tuple(dict.fromkeys([*self.items, *self.failures]))

    @property
    def disruptive(self) -> list[Change]:
        """The changes that reboot, power off, format or destroy."""
        return [change for _, change in self.of(Change) if change.disruptive]

    @property
    def empty(self) -> bool:
        """True when there is nothing to do, to wait for or to hand over."""
        return not any(self.items.values())

    @property
    def busy(self) -> frozenset[Node]:
        """The nodes that have anything planned."""
        return frozenset(node for node, items in self.items.items() if items)
