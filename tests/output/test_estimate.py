"""How long a plan may take, by what earlier runs took."""

from dataclasses import dataclass
from types import MappingProxyType

from homelab.engine.graph import Edges
from homelab.engine.plan import Plan
from homelab.engine.step import Blocked, Change, Node
from homelab.output.estimate import estimated
from homelab.output.spans import Span

REBOOTS = [Node("reboot", name) for name in ("brix1", "brix2")]
VM = Node("vm", "cp1")
# The second host waits for the first one, and the VM for both.
WAITS = MappingProxyType(
    {REBOOTS[0]: Edges(), REBOOTS[1]: Edges(frozenset(REBOOTS[:1])), VM: Edges(settled=frozenset(REBOOTS))}
)


@dataclass(frozen=True)
class Thing(Change):
    """Anything."""


def plan(*nodes: Node, unknown: tuple[Node, ...] = ()) -> Plan:
    items = {node: (Thing(node.target),) for node in nodes}
    return Plan({**items, **{node: (Blocked(node.target, "later"),) for node in unknown}})


def ran(node: Node, seconds: float, outcome: str = "changed") -> Span:
    return Span(node.step, node.target, 10, 10 + seconds, outcome)


def test_without_an_earlier_run_nothing_is_promised() -> None:
    assert "not known" in estimated(plan(*REBOOTS), WAITS, []).sentence
    assert "not known" in estimated(plan(*REBOOTS), WAITS, [[ran(REBOOTS[0], 9, "failed")]]).sentence


def test_it_is_the_longest_way_with_the_shortest_and_the_longest_times() -> None:
    runs = [[ran(REBOOTS[0], 100), ran(REBOOTS[1], 90), ran(VM, 30)], [ran(REBOOTS[0], 200), ran(VM, 20)]]
    found = estimated(plan(*REBOOTS, VM), WAITS, runs)
    assert (found.least, found.most) == (100 + 90 + 20, 200 + 90 + 30)
    assert found.sentence == "about 3 to 6 minutes, by 2 earlier runs of this lab"


def test_what_is_not_known_yet_may_come_to_nothing() -> None:
    runs = [[ran(REBOOTS[0], 100), ran(VM, 1, "unchanged"), ran(VM, 30)]]
    found = estimated(plan(REBOOTS[0], unknown=(VM,)), WAITS, runs)
    assert (found.least, found.most) == (101, 130)


def test_another_target_stands_for_one_that_was_never_seen_and_the_rest_is_named() -> None:
    found = estimated(plan(*REBOOTS, VM), WAITS, [[ran(REBOOTS[0], 10)]])
    assert (found.least, found.most) == (20, 20)
    assert (
        found.sentence
        == "at most about 1 minute, by 1 earlier run of this lab; not counted, for none of them did it: vm cp1"
    )
