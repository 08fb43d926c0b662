"""The graph of a run: which node waits for which. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from homelab.lab import Lab
from homelab.step import Node, Step


@dataclass
class Edges:
    """What one node waits for: `after` must be done, `settled` must only have ended, `unharmed` ended without harm.

    A node that began to write and failed, or was handed to a person, may have left harm behind; a refused one has not.
    """

    after: set[Node] = field(default_factory=set)
    settled: set[Node] = field(default_factory=set)
    unharmed: set[Node] = field(default_factory=set)

    @property
    def all(self) -> set[Node]:
        """Every node that is waited for."""
        return self.after | self.settled | self.unharmed


Graph = dict[Node, Edges]


def full_graph(lab: Lab, steps: Sequence[Step]) -> Graph:
    """All nodes of `steps` in the list's order, with their edges; edges to steps that are not listed are dropped."""
    nodes = [Node(step.name, target) for step in steps for target in step.targets(lab)]
    known = set(nodes)
    by_name = {step.name: step for step in steps}
    graph: Graph = {}
    for node in nodes:
        step = by_name[node.step]
        after = set(step.after(lab, node.target)) & known
        graph[node] = Edges(after, (set(step.settled(lab, node.target)) & known) - after)
    return graph


def chosen_graph(graph: Graph, chosen: Callable[[Node], bool]) -> Graph:
    """Only the chosen nodes; what waited for a left-out node waits for that node's own predecessors."""
    reduced: Graph = {}
    memo: dict[Node, Edges] = {}

    def before(node: Node) -> Edges:
        """The chosen nodes that `node` waits for, through any left-out ones."""
        if node not in memo:
            memo[node] = found = Edges()
            for previous in graph[node].after:
                if chosen(previous):
                    found.after.add(previous)
                else:
                    found.after |= before(previous).after
                    found.settled |= before(previous).settled
            for previous in graph[node].settled:
                found.settled |= {previous} if chosen(previous) else before(previous).all
            found.settled -= found.after
        return memo[node]

    for node in graph:
        if chosen(node):
            reduced[node] = before(node)
    return reduced


def one_by_one(graph: Graph, steps: Iterable[str], targets: Sequence[str], *, strict: bool = False) -> Graph:
    """The same graph with `steps` done for one target before they begin for the next.

    A host that does not come back from its reboot must not be followed by another one. One that never began, because
    it was refused or what it waits for is not there, holds nobody up unless `strict`.
    """
    names = tuple(steps)
    result = dict(graph)
    before: set[Node] = set()
    for target in targets:
        row = {node for name in names if (node := Node(name, target)) in graph}
        for node in row:
            edges = graph[node]
            result[node] = replace(edges, after=edges.after | before) if strict else replace(edges, unharmed=before)
        before = before | row
    return result


def order(graph: Mapping[Node, Edges]) -> dict[Node, set[Node]]:
    """The graph as the standard library's TopologicalSorter takes it."""
    return {node: edges.all for node, edges in graph.items()}
