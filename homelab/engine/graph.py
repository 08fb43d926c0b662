"""The graph of a run: which node waits for which. Pure, and never changed once it is made."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from homelab.engine.step import AnyStep, Node, Row
from homelab.lab import Lab


@dataclass(frozen=True)
class Edges:
    """What one node waits for: `after` must be done, `settled` must only have ended, `unharmed` ended without harm.

    Of `perhaps` some must be done, and which is not known yet: so all must have ended.
    A node that began to write and failed, or was handed to a person, may have left harm behind; a refused one has not.
    """

    after: frozenset[Node] = frozenset()
    settled: frozenset[Node] = frozenset()
    unharmed: frozenset[Node] = frozenset()
    perhaps: frozenset[Node] = frozenset()

    @property
    def all(self) -> frozenset[Node]:
        """Every node that is waited for."""
        return self.after | self.settled | self.unharmed | self.perhaps


Graph = Mapping[Node, Edges]


def full_graph(lab: Lab, steps: Sequence[AnyStep]) -> Graph:
    """All nodes of `steps` in the list's order, with their edges; edges to steps that are not listed are dropped."""
    nodes = {Node(step.name, target): step for step in steps for target in step.targets(lab)}
    graph = {}
    for node, step in nodes.items():
        after = frozenset(step.after(lab, node.target)) & nodes.keys()
        settled = (frozenset(step.settled(lab, node.target)) & nodes.keys()) - after
        perhaps = (frozenset(step.perhaps(lab, node.target)) & nodes.keys()) - after
        graph[node] = Edges(after, settled, perhaps=perhaps)
    return MappingProxyType(graph)


def chosen_graph(graph: Graph, chosen: Callable[[Node], bool]) -> Graph:
    """Only the chosen nodes; what waited for a left-out node waits for that node's own predecessors."""
    memo: dict[Node, Edges] = {}

    def before(node: Node) -> Edges:
        """The chosen nodes that `node` waits for, through any left-out ones."""
        if node not in memo:
            after: set[Node] = set()
            settled: set[Node] = set()
            for previous in graph[node].after:
                through = Edges(frozenset({previous})) if chosen(previous) else before(previous)
                after |= through.after
                settled |= through.settled | through.perhaps
            for previous in graph[node].settled:
                settled |= {previous} if chosen(previous) else before(previous).all
            perhaps = {one for one in graph[node].perhaps if chosen(one)} - after
            for left_out in graph[node].perhaps - perhaps:
                settled |= set() if chosen(left_out) else before(left_out).all
            memo[node] = Edges(frozenset(after), frozenset(settled - after), perhaps=frozenset(perhaps))
        return memo[node]

    return MappingProxyType({node: before(node) for node in graph if chosen(node)})


def narrowed(graph: Graph, needs: Mapping[Node, frozenset[Node]]) -> Graph:
    """The same graph, in which those nodes wait for what they need, and no longer for all that they might have."""
    result = dict(graph)
    for node, found in needs.items():
        edges = graph[node]
        after = edges.after | (found & graph.keys())
        result[node] = replace(edges, after=after, settled=edges.settled - after, perhaps=frozenset())
    return MappingProxyType(result)


def earlier(graph: Graph, node: Node) -> list[Node]:
    """What a node waits for, or might, and of its own target whatever that waits for in turn."""
    found = dict.fromkeys(sorted(graph[node].after | graph[node].perhaps))
    waiting = [node]
    while waiting:
        for before in sorted(graph[waiting.pop()].all):
            if before.target == node.target and before not in found:
                waiting.append(before)
                found[before] = None
    return list(found)


def in_rows(graph: Graph, steps: Sequence[AnyStep], lab: Lab, busy: Collection[Node]) -> Graph:
    """The same graph with the steps of a row done for one target before they begin for the next.

    `busy` are the nodes with something to do. A host that does not come back from its reboot must not be followed by
    another one.
    """
    rows: dict[Row, list[AnyStep]] = {}
    for step in steps:
        if step.row:
            rows.setdefault(step.row, []).append(step)
    result = dict(graph)
    for row, members in rows.items():
        before: frozenset[Node] = frozenset()
        for target in dict.fromkeys(target for step in members for target in step.targets(lab)):
            nodes = {node for step in members if (node := Node(step.name, target)) in graph}
            if row.held_up_by == "harm" and nodes.isdisjoint(busy):
                continue
            for node in nodes:
                result[node] = _behind(result[node], before, row)
            before |= nodes
    return MappingProxyType(result)


def _behind(edges: Edges, before: frozenset[Node], row: Row) -> Edges:
    match row.held_up_by:
        case "failure":
            return replace(edges, after=edges.after | before)
        case "nothing":
            return replace(edges, settled=edges.settled | (before - edges.after))
    return replace(edges, unharmed=edges.unharmed | before)


def order(graph: Graph) -> dict[Node, frozenset[Node]]:
    """The graph as the standard library's TopologicalSorter takes it."""
    return {node: edges.all for node, edges in graph.items()}
