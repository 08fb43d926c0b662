"""Which node waits for which."""

from homelab.graph import chosen_graph, full_graph, one_by_one
from homelab.step import Node
from homelab.steps import all_steps
from tests.sample import sample_lab

LAB = sample_lab()
GRAPH = full_graph(LAB, all_steps())


def test_a_vm_waits_for_its_own_host_and_the_image_only() -> None:
    assert GRAPH[Node("vm", "cp1")].after == {
        Node("reboot", "brix1"),
        Node("nfs-datastore", "brix1"),
        Node("image", "nas"),
    }


def test_the_balancer_stands_before_the_first_server() -> None:
    edges = GRAPH[Node("kubernetes", "cp1")]
    assert {Node("load-balancer", "lb1"), Node("load-balancer", "lb2")} <= edges.settled
    assert Node("cluster-ca", "cp1") in edges.after


def test_what_waited_for_a_left_out_node_waits_for_what_came_before_it() -> None:
    graph = chosen_graph(GRAPH, lambda node: node.step in ("nfs-datastore", "driver-fix", "vm"))
    edges = graph[Node("vm", "cp1")]
    assert Node("driver-fix", "brix1") in edges.after
    assert Node("nfs-datastore", "brix1") in edges.after
    assert Node("nfs-datastore", "brix4") in edges.settled


def test_one_by_one_chains_hosts() -> None:
    graph = one_by_one(GRAPH, ("driver-fix", "reboot"), ["brix3", "brix4"])
    assert Node("reboot", "brix3") in graph[Node("driver-fix", "brix4")].unharmed
    assert not GRAPH[Node("driver-fix", "brix4")].unharmed
    assert not graph[Node("driver-fix", "brix3")].unharmed


def test_one_by_one_holds_over_a_host_that_never_began() -> None:
    graph = one_by_one(GRAPH, ("driver-fix", "reboot"), ["brix1", "brix2", "brix3"])
    assert Node("reboot", "brix1") in graph[Node("driver-fix", "brix3")].unharmed
    strict = one_by_one(GRAPH, ("driver-fix", "reboot"), ["brix1", "brix3"], strict=True)
    assert Node("reboot", "brix1") in strict[Node("driver-fix", "brix3")].after
