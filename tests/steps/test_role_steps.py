"""Plans of cluster-ca, load-balancer and kubernetes: receipts decide."""

from dataclasses import replace

from homelab.lab import Lab
from homelab.ports.guest import GuestAway, GuestLook, Receipt
from homelab.step import Blocked, Node
from homelab.steps.cluster_ca import ClusterCa
from homelab.steps.kubernetes import ControlPlaneState, KubernetesStep
from homelab.steps.load_balancer import LoadBalancerStep
from homelab.steps.roles import Roles, RunPlaybook
from tests.sample import sample_lab

LAB = sample_lab()
FILES = dict.fromkeys(("haproxy", "keepalived", "kubernetes_node", "cluster_ca", "control_plane"), "f")
BARE = GuestLook("done", {}, None)


def balancer_plan(lab: Lab, guest: GuestLook | GuestAway, ca: str | None = "PEM") -> list[object]:
    return list(LoadBalancerStep().plan(lab, "lb1", Roles(guest, FILES, ca)))


def laid_down(lab: Lab = LAB) -> GuestLook:
    [change] = balancer_plan(lab, BARE)
    assert isinstance(change, RunPlaybook)
    return GuestLook("done", {role: Receipt(inputs, ()) for role, inputs in change.inputs}, None)


def test_a_bare_guest_gets_the_playbook_and_a_laid_down_one_nothing() -> None:
    [change] = balancer_plan(LAB, BARE)
    assert isinstance(change, RunPlaybook)
    assert change.playbook == "load_balancer.yml"
    assert "haproxy was never laid down" in change.reason
    assert balancer_plan(LAB, laid_down()) == []


def test_a_file_that_differs_is_drift() -> None:
    guest = laid_down()
    drifted = Receipt(guest.receipts["haproxy"].inputs, ("/etc/haproxy/haproxy.cfg was changed",))
    [change] = balancer_plan(LAB, replace(guest, receipts={**guest.receipts, "haproxy": drifted}))
    assert isinstance(change, RunPlaybook)
    assert change.reason == "/etc/haproxy/haproxy.cfg was changed"
    assert change.skip == ("keepalived",)


def test_what_goes_in_counts_and_nothing_else_does() -> None:
    more_servers = sample_lab(control_plane=[{"name": "cp1", "address": "192.168.2.21"}])
    assert balancer_plan(more_servers, laid_down())
    other_image = sample_lab(image={"source": "other", "sha256": "b" * 64})
    assert balancer_plan(other_image, laid_down()) == []
    assert balancer_plan(LAB, laid_down(), ca="another CA")
    assert list(LoadBalancerStep().plan(LAB, "lb1", Roles(laid_down(), FILES | {"haproxy": "new role"}, "PEM")))


def test_a_balancer_waits_for_its_guest_and_for_the_ca() -> None:
    assert balancer_plan(LAB, GuestAway("VM lb1 exists")) == [Blocked("lb1", "VM lb1 exists")]
    assert balancer_plan(LAB, BARE, ca=None) == [Blocked("lb1", "the cluster's CA exists (cluster-ca)")]


def test_kubernetes_waits_for_a_balancer() -> None:
    state = ControlPlaneState(Roles(BARE, FILES), balanced=False)
    [item] = KubernetesStep().plan(LAB, "cp1", state)
    assert item == Blocked("cp1", "a balancer holds the VIP (load-balancer)")
    [change] = KubernetesStep().plan(LAB, "cp1", replace(state, balanced=True))
    assert isinstance(change, RunPlaybook)


def test_control_planes_join_one_after_another_after_the_first() -> None:
    step = KubernetesStep()
    assert Node("kubernetes", "cp1") in step.after(LAB, "cp3")
    assert Node("kubernetes", "cp2") in step.settled(LAB, "cp3")
    assert Node("kubernetes", "cp1") not in step.after(LAB, "cp1")


def test_the_ca_is_made_on_the_first_control_plane_only() -> None:
    assert list(ClusterCa().targets(LAB)) == ["cp1"]
    [change] = ClusterCa().plan(LAB, "cp1", Roles(BARE, FILES))
    assert isinstance(change, RunPlaybook)
    assert dict(change.inputs).keys() == {"kubernetes_node", "cluster_ca"}
