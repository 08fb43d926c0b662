"""The plans of `upgrade` and `leave`, and that bootstrap is no upgrade."""

from dataclasses import replace

import pytest

from homelab.engine.step import Blocked
from homelab.errors import Refused
from homelab.lab import Lab
from homelab.ports.guest.look import GuestAway, GuestLook, Receipt
from homelab.steps.guests.cluster_ca import ClusterCa, ClusterCaState
from homelab.steps.guests.kubernetes import KubernetesState, KubernetesStep
from homelab.steps.guests.leave import Leave, LeaveCluster, LeaveState
from homelab.steps.guests.roles import RolesState, RunPlaybook
from homelab.steps.guests.upgrade import Upgrade, UpgradeNode, UpgradeState
from tests.helpers.sample import sample_lab

TRACES = ("/etc/kubernetes/admin.conf", "/etc/kubernetes/pki/ca.crt")
WHOLE = GuestLook("done", {"control_plane": Receipt("x", ())}, "PEM", TRACES, kubernetes_version="1.36.2")
BARE = GuestLook("done", {}, None)
MEMBERS: dict[str, GuestLook | GuestAway] = dict.fromkeys(("cp1", "cp2", "cp3"), WHOLE)
ROLES = ("kubernetes_node", "cluster_ca", "control_plane", "pod_network", "worker")


def wanting(version: str) -> Lab:
    lab = sample_lab()
    return lab.model_copy(update={"kubernetes": lab.kubernetes.model_copy(update={"version": version})})


LAB = wanting("1.36.3")


def upgrades(target: str, lab: Lab = LAB, **members: GuestLook | GuestAway) -> list[object]:
    looks = MEMBERS | members
    return list(Upgrade().plan(lab, target, UpgradeState(looks[target], looks)))


def test_a_node_that_runs_an_older_release_is_upgraded_and_the_balancers_are_told() -> None:
    [change] = upgrades("cp2")
    assert isinstance(change, UpgradeNode)
    assert change.disruptive
    # Consent is bound to changes, by their hashes.
    assert {change: 1}[replace(change)] == 1
    assert (change.before, change.version, change.begins, change.helper) == ("1.36.2", "1.36.3", False, "cp1")
    assert [told.balancer for told in change.balancers] == ["lb1", "lb2"]
    assert dict(change.balancers[0].called) == {"api": "cp2"}
    [first] = upgrades("cp1")
    assert isinstance(first, UpgradeNode)
    assert (first.begins, first.helper) == (True, "cp2")


def test_a_node_that_has_it_is_left_alone_unless_its_upgrade_was_cut_off() -> None:
    done = replace(WHOLE, kubernetes_version="1.36.3")
    assert upgrades("cp1", cp1=done) == []
    [again] = upgrades("cp1", cp1=replace(done, upgrading=True))
    assert isinstance(again, UpgradeNode)


def test_nothing_is_upgraded_while_a_control_plane_cannot_be_asked() -> None:
    assert upgrades("cp1", cp3=GuestAway("it is off")) == [Blocked("cp1", "cp3 answers (it is off)")]


@pytest.mark.parametrize(("version", "words"), [("1.38.0", "one minor release at a time"), ("1.36.1", "no way back")])
def test_other_releases_are_refused_with_those_that_are_allowed(version: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        upgrades("cp1", wanting(version))


def test_without_a_cluster_nothing_is_upgraded() -> None:
    with pytest.raises(Refused, match="no cluster stands"):
        upgrades("cp1", cp1=BARE, cp2=BARE, cp3=BARE)


def test_bootstrap_is_no_upgrade() -> None:
    roles = RolesState(WHOLE, dict.fromkeys(ROLES, "f"))
    with pytest.raises(Refused, match=r"runs Kubernetes 1\.36\.2, and the inventory wants 1\.36\.3") as refused:
        KubernetesStep().plan(LAB, "cp2", KubernetesState(roles, True, MEMBERS))
    assert "homelab kubernetes upgrade 1.36.3" in refused.value.advice
    with pytest.raises(Refused, match=r"runs Kubernetes 1\.36\.2"):
        ClusterCa().plan(LAB, "cp1", ClusterCaState(roles, MEMBERS))


def leaves(target: str, *leaving: str, **members: GuestLook | GuestAway) -> list[object]:
    return list(Leave({target, *leaving}).plan(LAB, target, LeaveState(MEMBERS | members)))


def test_a_node_leaves_by_way_of_a_control_plane_that_stays() -> None:
    assert leaves("cp1") == [LeaveCluster("cp1", "cp2", "192.168.2.21", True)]
    assert leaves("cp1", "cp2") == [LeaveCluster("cp1", "cp3", "192.168.2.21", True)]
    # One that is gone leaves, too.
    assert leaves("cp3", cp3=GuestAway("it is off")) == [LeaveCluster("cp3", "cp1", "192.168.2.23", True)]


def test_where_no_cluster_stands_nobody_leaves() -> None:
    assert leaves("cp1", cp1=BARE, cp2=BARE, cp3=BARE) == []


def test_the_last_ones_do_not_leave() -> None:
    with pytest.raises(Refused, match="the cluster would be gone with"):
        leaves("cp1", "cp2", "cp3")


def test_a_first_control_plane_that_was_made_anew_joins_by_way_of_another() -> None:
    current = {name: replace(WHOLE, kubernetes_version="1.36.3") for name in ("cp2", "cp3")}
    looks = {"cp1": BARE, **current}
    roles = RolesState(BARE, dict.fromkeys(ROLES, "f"))
    [change] = KubernetesStep().plan(LAB, "cp1", KubernetesState(roles, True, looks))
    assert isinstance(change, RunPlaybook)
    assert change.variables["control_plane_first"] == "cp2"
    assert "cluster_ca" in dict(change.inputs)
    assert "join the cluster as a control plane" in change.words.sentence
    assert ClusterCa().plan(LAB, "cp1", ClusterCaState(roles, looks)) == []
