"""How long a plan may take, learnt from earlier runs of the same lab. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

from homelab.engine.graph import Graph
from homelab.engine.plan import Plan
from homelab.engine.step import Change, Node
from homelab.output.spans import Span

# How many nodes are named of which nobody knows how long they take.
NAMED = 2
MINUTE = 60.0
WORKED = ("changed", "unchanged")


@dataclass(frozen=True)
class Estimate:
    """Seconds at the least and at the most, from so many earlier `runs`; `unknown` nodes were never seen at work."""

    runs: int
    least: float = 0.0
    most: float = 0.0
    unknown: tuple[Node, ...] = ()

    @property
    def sentence(self) -> str:
        """The same in whole minutes, with what it stands on."""
        if not self.runs or not self.most:
            return "how long it takes is not known: no earlier run of this lab did any of it"
        low, high = floor(self.least / MINUTE), ceil(self.most / MINUTE)
        span = f"about {low} to {high} minutes" if low else f"at most about {high} minute{'s' if high > 1 else ''}"
        origin = f"by {self.runs} earlier run{'s' if self.runs > 1 else ''} of this lab"
        return f"{span}, {origin}{self._without}"

    @property
    def _without(self) -> str:
        if not self.unknown:
            return ""
        names = ", ".join(map(str, self.unknown[:NAMED]))
        more = f" and {len(self.unknown) - NAMED} more" if len(self.unknown) > NAMED else ""
        return f"; not counted, for none of them did it: {names}{more}"


def estimated(plan: Plan, waits: Graph, runs: Sequence[Sequence[Span]]) -> Estimate:
    """The longest way through the plan, once with the shortest times that each node ever took, once with the longest.

    A change counts by the times in which the node changed something; what is not known yet may come to nothing. A node
    that no run has seen counts by the others of its step.
    """
    known = _Known(runs)
    least, most, unknown = {}, {}, []
    for node in plan.busy:
        surely = any(isinstance(item, Change) for item in plan.items[node])
        low, high = known.times(node, changed=surely), known.times(node, changed=True)
        if not high:
            unknown.append(node)
        least[node], most[node] = min(low, default=0.0), max(high, default=0.0)
    order = {node: place for place, node in enumerate(waits)}
    return Estimate(
        known.counted, _longest(waits, least), _longest(waits, most), tuple(sorted(unknown, key=order.__getitem__))
    )


class _Known:
    """How long nodes were at work, in seconds, by node and by step."""

    def __init__(self, runs: Sequence[Sequence[Span]]) -> None:
        self._seen: dict[tuple[str, str, bool], list[float]] = defaultdict(list)
        self.counted = 0
        for spans in runs:
            ended = [span for span in spans if span.outcome in WORKED]
            self.counted += any(span.outcome == "changed" for span in ended)
            for span in ended:
                for target in (span.target, ""):
                    self._seen[span.step, target, span.outcome == "changed"].append(span.end - span.begin)

    def times(self, node: Node, *, changed: bool) -> list[float]:
        """Those in which it changed something, or all."""
        return self._of(node, node.target, changed) or self._of(node, "", changed)

    def _of(self, node: Node, target: str, changed: bool) -> list[float]:
        found = self._seen.get((node.step, target, True), [])
        return found if changed else [*found, *self._seen.get((node.step, target, False), [])]


def _longest(waits: Graph, seconds: dict[Node, float]) -> float:
    """The longest way through a graph, whose other nodes take no time."""
    ends: dict[Node, float] = {}

    def end(node: Node) -> float:
        if node not in ends:
            ends[node] = max(map(end, waits[node].all), default=0.0) + seconds.get(node, 0.0)
        return ends[node]

    return max(map(end, waits), default=0.0)
