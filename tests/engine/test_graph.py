"""Which node waits for which."""

import pytest

from homelab.engine.graph import chosen_graph, earlier, full_graph, in_rows, narrowed
from homelab.engine.step import Node
from homelab.steps.hosts.driver_fix import DriverFix
from homelab.steps.hosts.reboot import Reboot
from homelab.steps.product import all_steps
from tests.helpers.sample import sample_lab

LAB = sample_lab()
GRAPH = full_graph(LAB, all_steps())


def ready(*hosts: str) -> set[Node]:
    return {Node(step, host) for host in hosts for step in ("reboot", "nfs-datastore")}


def test_a_vm_waits_for_any_host_until_it_is_known_which_one_it_needs() -> None:
    edges = GRAPH[Node("vm", "cp1")]
    assert edges.after == {Node("image", "nas")}
    assert edges.perhaps == ready(*(host.name for host in LAB.esxi))
    known = narrowed(GRAPH, {Node("vm", "cp1"): frozenset(ready("brix3"))})[Node("vm", "cp1")]
    assert known.all == {Node("image", "nas")} | ready("brix3")
    assert known.after == known.all


def test_a_vm_that_is_bound_to_a_host_waits_for_no_other() -> None:
    bound = tuple(vm.model_copy(update={"host": "brix2"}) for vm in LAB.control_plane)
    graph = full_graph(LAB.model_copy(update={"control_plane": bound}), all_steps())
    assert graph[Node("vm", "cp1")].perhaps == ready("brix2")


def test_the_balancer_stands_before_the_first_server() -> None:
    edges = GRAPH[Node("kubernetes", "cp1")]
    assert {Node("load-balancer", "lb1"), Node("load-balancer", "lb2")} <= edges.settled
    assert Node("cluster-ca", "cp1") in edges.after


def test_what_waited_for_a_left_out_node_waits_for_what_came_before_it() -> None:
    graph = chosen_graph(GRAPH, lambda node: node.step in ("nfs-datastore", "driver-fix", "vm"))
    edges = graph[Node("vm", "cp1")]
    assert Node("driver-fix", "brix1") in edges.settled
    assert edges.perhaps == {Node("nfs-datastore", host.name) for host in LAB.esxi}
    guests = chosen_graph(GRAPH, lambda node: node.step in ("reboot", "guest"))
    assert Node("reboot", "brix4") in guests[Node("guest", "cp1")].settled


def busy(*hosts: str) -> list[Node]:
    return [Node("reboot", host) for host in hosts]


def test_hosts_with_something_to_do_go_one_after_another() -> None:
    graph = in_rows(GRAPH, all_steps(), LAB, busy("brix3", "brix4"))
    assert Node("reboot", "brix3") in graph[Node("driver-fix", "brix4")].unharmed
    assert not GRAPH[Node("driver-fix", "brix4")].unharmed
    assert not graph[Node("driver-fix", "brix3")].unharmed
    assert not graph[Node("driver-fix", "brix2")].unharmed


def test_a_row_holds_over_a_host_that_never_began() -> None:
    graph = in_rows(GRAPH, all_steps(), LAB, busy("brix1", "brix2", "brix3"))
    assert Node("reboot", "brix1") in graph[Node("driver-fix", "brix3")].unharmed


def test_hosts_that_a_person_named_go_in_that_order_and_a_refused_one_stops_the_rest() -> None:
    names = ("brix3", "brix1")
    steps = (DriverFix(hosts=names), Reboot(hosts=names))
    graph = in_rows(full_graph(LAB, steps), steps, LAB, [])
    assert Node("reboot", "brix3") in graph[Node("driver-fix", "brix1")].after
    assert graph[Node("driver-fix", "brix3")].after == frozenset()


def test_a_graph_is_never_changed() -> None:
    with pytest.raises(TypeError):
        GRAPH[Node("vm", "cp1")] = GRAPH[Node("vm", "cp2")]  # type: ignore[index]


def test_what_comes_before_a_node_of_a_host_is_that_host_s_all_the_way() -> None:
    before = earlier(GRAPH, Node("usb-housekeeping", "brix2"))
    assert Node("first-boot", "brix2") in before
    assert {node.target for node in before} == {"brix2"}
    assert Node("reboot", "brix1") in earlier(GRAPH, Node("vm", "cp1"))
    assert Node("first-boot", "brix1") not in earlier(GRAPH, Node("vm", "cp1"))
