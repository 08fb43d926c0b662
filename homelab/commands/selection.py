"""Which part of a list of steps, and of a lab, a command is for. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab.engine.step import Node
from homelab.errors import UsageError


@dataclass(frozen=True)
class Selection:
    """The steps by name, in order, and the targets; None stands for all of them."""

    steps: tuple[str, ...] | None = None
    targets: frozenset[str] | None = None

    def __call__(self, node: Node) -> bool:
        """Whether a node is meant."""
        return (self.steps is None or node.step in self.steps) and self.has(node.target)

    def has(self, target: str) -> bool:
        """Whether a target is meant."""
        return self.targets is None or target in self.targets

    def left_out(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of these steps that are not meant."""
        return () if self.steps is None else tuple(name for name in names if name not in self.steps)

    @property
    def whole(self) -> bool:
        """Whether everything is meant."""
        return self.steps is None and self.targets is None


def chosen_steps(names: Sequence[str], only: str | None, start: str | None, until: str | None) -> tuple[str, ...]:
    """The steps that --only, --from and --until leave, in order. UsageError when those are none."""
    if only:
        return (only,)
    first = names.index(start) if start else 0
    last = names.index(until) if until else len(names) - 1
    if first > last:
        raise UsageError(
            f"--from {start} comes after --until {until}",
            where="command line",
            advice=f"The order is: {', '.join(names)}",
        )
    return tuple(names[first : last + 1])
