"""Plans of cluster-ca, load-balancer and kubernetes: receipts decide."""

from dataclasses import replace

import pytest

from homelab.engine.graph import Edges, full_graph, in_rows
from homelab.engine.step import Blocked, Node
from homelab.errors import Refused
from homelab.lab import Lab
from homelab.ports.guest.look import GuestAway, GuestLook, Receipt
from homelab.steps.guests.cluster_ca import ClusterCa, ClusterCaState
from homelab.steps.guests.kubernetes import KubernetesState, KubernetesStep
from homelab.steps.guests.load_balancer import LoadBalancerStep
from homelab.steps.guests.roles import RolesState, RunPlaybook
from tests.helpers.sample import sample_lab

LAB = sample_lab()
ROLES = ("haproxy", "keepalived", "kubernetes_node", "cluster_ca", "control_plane", "worker", "pod_network")
FILES = dict.fromkeys(ROLES, "f")
BARE = GuestLook("done", {}, None)
CA = "/etc/kubernetes/pki/ca.crt"
WITH_CA = GuestLook("done", {}, "PEM", (CA,))
MEMBERS: dict[str, GuestLook | GuestAway] = {"cp1": BARE, "cp2": BARE, "cp3": BARE}


def ca_plan(first: GuestLook | GuestAway = BARE, **others: GuestLook | GuestAway) -> list[object]:
    return list(
        ClusterCa().plan(LAB, "cp1", ClusterCaState(RolesState(first, FILES), MEMBERS | {"cp1": first} | others))
    )


def kubernetes_plan(target: str, **members: GuestLook | GuestAway) -> list[object]:
    looks = MEMBERS | {"cp1": WITH_CA} | members
    return list(KubernetesStep().plan(LAB, target, KubernetesState(RolesState(looks[target], FILES), True, looks)))


def balancer_plan(lab: Lab, guest: GuestLook | GuestAway, ca: str | None = "PEM") -> list[object]:
    return list(LoadBalancerStep().plan(lab, "lb1", RolesState(guest, FILES, ca)))


def laid_down(lab: Lab = LAB) -> GuestLook:
    [change] = balancer_plan(lab, BARE)
    assert isinstance(change, RunPlaybook)
    return GuestLook("done", {role: Receipt(inputs, ()) for role, inputs in change.inputs}, None)


def test_a_bare_guest_gets_the_playbook_and_a_laid_down_one_nothing() -> None:
    [change] = balancer_plan(LAB, BARE)
    assert isinstance(change, RunPlaybook)
    assert change.playbook == "load_balancer.yml"
    assert "haproxy was never laid down" in change.words.reason
    assert balancer_plan(LAB, laid_down()) == []


def test_a_file_that_differs_is_drift() -> None:
    guest = laid_down()
    drifted = Receipt(guest.receipts["haproxy"].inputs, ("/etc/haproxy/haproxy.cfg was changed",))
    [change] = balancer_plan(LAB, replace(guest, receipts={**guest.receipts, "haproxy": drifted}))
    assert isinstance(change, RunPlaybook)
    assert change.words.reason == "/etc/haproxy/haproxy.cfg was changed"
    assert change.skip == ("keepalived",)


def test_a_drained_server_is_no_drift_and_is_told() -> None:
    state = RolesState(replace(laid_down(), drained=("cp2", "192-168-2-77")), FILES, "PEM")
    assert list(LoadBalancerStep().plan(LAB, "lb1", state)) == []
    said = LoadBalancerStep().remarks(LAB, "lb1", state)
    assert said[0] == "cp2 is drained here; `homelab lb ready cp2` ends that"
    assert len(said) == 2


def test_what_goes_in_counts_and_nothing_else_does() -> None:
    more_servers = sample_lab(control_plane=[{"name": "cp1", "address": "192.168.2.21"}])
    assert balancer_plan(more_servers, laid_down())
    other_image = sample_lab(image={"source": "other", "sha256": "b" * 64})
    assert balancer_plan(other_image, laid_down()) == []
    assert balancer_plan(LAB, laid_down(), ca="another CA")
    assert list(LoadBalancerStep().plan(LAB, "lb1", RolesState(laid_down(), FILES | {"haproxy": "new role"}, "PEM")))


def test_a_balancer_waits_for_its_guest_and_for_the_ca() -> None:
    assert balancer_plan(LAB, GuestAway("VM lb1 exists")) == [Blocked("lb1", "VM lb1 exists")]
    assert balancer_plan(LAB, BARE, ca=None) == [Blocked("lb1", "the cluster's CA exists (cluster-ca)")]


def test_kubernetes_waits_for_a_balancer() -> None:
    state = KubernetesState(RolesState(WITH_CA, FILES), balanced=False, members=MEMBERS)
    [item] = KubernetesStep().plan(LAB, "cp1", state)
    assert item == Blocked("cp1", "a balancer holds the VIP (load-balancer)")
    [change] = KubernetesStep().plan(LAB, "cp1", replace(state, balanced=True))
    assert isinstance(change, RunPlaybook)


def test_control_planes_join_one_after_another_after_the_first() -> None:
    step = KubernetesStep()
    assert Node("kubernetes", "cp1") in step.after(LAB, "cp3")
    graph = in_rows(full_graph(LAB, [step]), [step], LAB, [])
    assert graph[Node("kubernetes", "cp3")] == Edges(
        after=frozenset({Node("kubernetes", "cp1")}), settled=frozenset({Node("kubernetes", "cp2")})
    )
    assert Node("kubernetes", "cp1") not in step.after(LAB, "cp1")


def prepared(guest: GuestLook) -> list[object]:
    return list(ClusterCa().plan(LAB, "cp2", ClusterCaState(RolesState(guest, FILES), MEMBERS | {"cp2": guest})))


def test_other_nodes_are_only_prepared_and_at_the_same_time() -> None:
    [change] = prepared(BARE)
    assert isinstance(change, RunPlaybook)
    assert dict(change.inputs).keys() == {"kubernetes_node"}
    assert {"control_plane", "worker", "pod_network"} <= set(change.skip)
    assert ClusterCa().settled(LAB, "cp2") == []


def test_a_member_of_a_cluster_is_not_changed_while_others_are() -> None:
    assert prepared(replace(WITH_CA, traces=("/etc/kubernetes/kubelet.conf", CA))) == []


def test_the_ca_is_made_on_the_first_control_plane_only() -> None:
    [change] = ca_plan()
    assert isinstance(change, RunPlaybook)
    assert dict(change.inputs).keys() == {"kubernetes_node", "cluster_ca"}


ETCD = GuestLook("done", {}, "PEM", ("/etc/kubernetes/kubelet.conf", CA, "/var/lib/etcd/member"))
OFF = GuestAway("VM cp2 is switched on")


@pytest.mark.parametrize("trace", ["/var/lib/etcd/member", "/etc/kubernetes/manifests/etcd.yaml", CA])
def test_no_ca_is_made_while_another_control_plane_bears_a_trace_of_a_cluster(trace: str) -> None:
    with pytest.raises(Refused, match=f"cp2 bears {trace}"):
        ca_plan(cp2=replace(BARE, traces=(trace,)))


def test_no_ca_is_made_while_another_control_plane_cannot_be_looked_at() -> None:
    [item] = ca_plan(cp2=OFF)
    assert item == Blocked("cp1", "cp2 could be looked at (VM cp2 is switched on): it may bear a cluster")


def test_a_machine_that_nobody_ever_set_up_holds_no_cluster_up_and_the_play_is_told() -> None:
    [change] = ca_plan(cp2=replace(OFF, untouched=True))
    assert isinstance(change, RunPlaybook)
    assert change.variables["one_cluster_untouched"] == ["cp2"]


def test_a_lost_ca_is_never_made_anew_where_its_cluster_is() -> None:
    lost = replace(ETCD, cluster_ca=None, traces=("/var/lib/etcd/member",))
    with pytest.raises(Refused, match=r"its CA /etc/kubernetes/pki/ca.crt cannot be read") as refusal:
        ca_plan(lost)
    assert "Bring ca.crt and ca.key back" in refusal.value.advice


def test_a_ca_that_is_there_needs_no_other_machine() -> None:
    [change] = ca_plan(ETCD, cp2=ETCD, cp3=OFF)
    assert isinstance(change, RunPlaybook)
    assert change.untouched == ()


def test_the_ca_waits_until_the_other_control_planes_were_tried() -> None:
    assert ClusterCa().settled(LAB, "cp1") == [Node("guest", "cp2"), Node("guest", "cp3")]


def test_no_cluster_is_started_beside_one_that_others_bear() -> None:
    with pytest.raises(Refused, match=r"cp3 bears /etc/kubernetes/kubelet.conf"):
        kubernetes_plan("cp1", cp3=ETCD)
    assert isinstance(kubernetes_plan("cp1", cp2=OFF)[0], Blocked)
    [change] = kubernetes_plan("cp1", cp1=ETCD, cp2=ETCD, cp3=OFF)
    assert isinstance(change, RunPlaybook)


def test_a_machine_with_another_cluster_is_not_joined_to_ours() -> None:
    with pytest.raises(Refused, match="another CA") as refusal:
        kubernetes_plan("cp2", cp2=replace(ETCD, cluster_ca="another PEM"))
    assert "kubeadm reset -f" in refusal.value.advice
    assert isinstance(kubernetes_plan("cp2", cp2=ETCD)[0], RunPlaybook)


class Doors:
    """All that apply may use of the world."""

    def __init__(self) -> None:
        self.plays: list[tuple[object, ...]] = []

    def play(self, playbook: str, target: str, variables: dict[str, object], *, skip: tuple[str, ...]) -> None:
        self.plays.append((playbook, target, variables, skip))


@pytest.mark.parametrize("step", [ClusterCa(), LoadBalancerStep(), KubernetesStep()])
def test_what_is_applied_is_what_the_change_carries(step: ClusterCa | LoadBalancerStep | KubernetesStep) -> None:
    doors, change = Doors(), RunPlaybook("cp1", "a.yml", "b", "c", (("haproxy", "d"),), ("keepalived",), ("cp2",))
    step.apply(doors, change)  # type: ignore[arg-type]
    inputs = {"receipt_inputs": {"haproxy": "d"}, "one_cluster_untouched": ["cp2"]}
    assert doors.plays == [("a.yml", "cp1", inputs, ("keepalived",))]
