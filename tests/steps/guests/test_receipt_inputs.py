"""The digest in a receipt covers all that can change what a role does, and nothing else."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from homelab.engine.step import Step
from homelab.lab import Lab
from homelab.ports.ansible.sources import role_digest
from homelab.ports.guest.look import GuestLook, Receipt
from homelab.steps.guests import cluster_ca, kubernetes, load_balancer
from homelab.steps.guests.balancer_kinds import roles_of
from homelab.steps.guests.cluster_ca import ClusterCa, ClusterCaState
from homelab.steps.guests.kubernetes import KubernetesState, KubernetesStep
from homelab.steps.guests.load_balancer import LoadBalancerStep
from homelab.steps.guests.roles import RolesState, RunPlaybook
from homelab.steps.hosts import nfs_datastore
from homelab.steps.hosts.nfs_datastore import NfsDatastore
from tests.helpers.checkout import ROOT
from tests.helpers.sample import sample_lab

LAB = sample_lab()
ROLES = {
    cluster_ca.PLAYBOOK: cluster_ca.ROLES,
    load_balancer.PLAYBOOK: roles_of(LAB.load_balancers[0]),
    kubernetes.PLAYBOOK: tuple(values.role for values in kubernetes.values_of(LAB, "cp1", "cp1")),
    nfs_datastore.PLAYBOOK: (nfs_datastore.ROLE,),
}
BARE = GuestLook("done", {}, "PEM", ("/etc/kubernetes/pki/ca.crt",))
MEMBERS = dict.fromkeys(("cp1", "cp2", "cp3"), GuestLook("done", {}, None))


def plan(playbook: str, lab: Lab, folder: Path, guest: GuestLook, contents: Mapping[str, str]) -> list[Any]:
    """What the step of a playbook plans on its first target, with the playbooks of a folder."""
    sources = {role: role_digest(folder, role) for role in ROLES[playbook]}
    roles = RolesState(guest, sources, "PEM", contents)
    members = MEMBERS | {"cp1": guest}
    planned: dict[str, tuple[Step[Any, Any], str, Any]] = {
        cluster_ca.PLAYBOOK: (ClusterCa(), "cp1", ClusterCaState(roles, members)),
        load_balancer.PLAYBOOK: (LoadBalancerStep(), "lb1", roles),
        kubernetes.PLAYBOOK: (KubernetesStep(), "cp1", KubernetesState(roles, True, members)),
        nfs_datastore.PLAYBOOK: (NfsDatastore(), "nas", roles),
    }
    step, target, observed = planned[playbook]
    return list(step.plan(lab, target, observed))


Planned = Callable[..., set[str]]


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    """The playbooks that run, of those that were laid down as the sample wants them, once something is another."""
    folder = tmp_path / "playbooks"
    shutil.copytree(ROOT / "playbooks", folder)
    content = {"kubernetes_node_bundle": "0"}
    laid_down = {}
    for playbook in ROLES:
        [change] = plan(playbook, LAB, folder, BARE, content)
        assert isinstance(change, RunPlaybook)
        receipts = {role: Receipt(inputs, ()) for role, inputs in change.inputs}
        laid_down[playbook] = GuestLook("done", receipts, "PEM", ("/etc/kubernetes/pki/ca.crt",))

    def now(path: str = "", lab: Lab = LAB, contents: Mapping[str, str] = content) -> set[str]:
        if path:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            with (folder / path).open("a", encoding="utf-8") as file:
                file.write("\n# another line\n")
        return {each for each, guest in laid_down.items() if plan(each, lab, folder, guest, contents)}

    return now


ALL = set(ROLES)


def test_what_was_laid_down_is_not_planned_again(planned: Planned) -> None:
    assert planned() == set()


@pytest.mark.parametrize(
    ("path", "runs"),
    [
        ("roles/haproxy/tasks/main.yml", {"load_balancer.yml"}),
        ("roles/keepalived/templates/haproxy-ready.j2", {"load_balancer.yml"}),
        ("roles/kubernetes_node/vars/main.yml", {"cluster_ca.yml", "kubernetes.yml"}),
        ("roles/cluster_ca/templates/kubeadm.yaml.j2", {"cluster_ca.yml"}),
        ("roles/control_plane/tasks/join.yml", {"kubernetes.yml"}),
        ("roles/nfs_server/defaults/main.yml", {"nfs_server.yml"}),
        # The guard that two roles call right before they begin a cluster.
        ("roles/one_cluster/tasks/begin.yml", {"cluster_ca.yml", "kubernetes.yml"}),
        ("load_balancer.yml", {"load_balancer.yml"}),
        # It prepares the first control plane once more, after cluster_ca.yml has.
        ("kubernetes.yml", {"cluster_ca.yml", "kubernetes.yml"}),
        ("vars/kubernetes.yml", ALL),
        ("library/files.py", ALL),
        ("module_utils/shared.py", ALL),
        ("filter_plugins/balancer.py", ALL),
        ("balancer/pools.py", ALL),
        ("group_vars/all.yml", ALL),
        ("roles/another/tasks/main.yml", set()),
        ("another.yml", set()),
        ("library/__pycache__/files.cpython-311.pyc", set()),
    ],
)
def test_a_change_of_what_a_role_is_made_of_is_planned(planned: Planned, path: str, runs: set[str]) -> None:
    assert planned(path) == runs


PLANES = [{"name": f"cp{n}", "address": f"192.168.2.2{n}"} for n in range(1, 4)]
BALANCERS = [{"name": f"lb{n}", "address": f"192.168.2.3{n}"} for n in range(1, 3)]
KUBERNETES = {"version": "1.36.3"}
NAS = {"name": "nas", "server": "192.168.2.5", "export": "/volume1/homelab", "datastore": "nas"}


def balancers(**changes: Any) -> dict[str, Any]:
    return {"load_balancers": [{**balancer, **changes} for balancer in BALANCERS]}


@pytest.mark.parametrize(
    ("changes", "runs"),
    [
        (balancers(haproxy_status_port=9404), {"load_balancer.yml"}),
        (balancers(haproxy_server_port=7443), {"load_balancer.yml"}),
        (balancers(keepalived_interface="lan0"), {"load_balancer.yml"}),
        (balancers(keepalived_router_id=77), {"load_balancer.yml"}),
        (balancers(load_balancer_algorithm="roundrobin"), {"load_balancer.yml"}),
        (balancers(load_balancer_stats_network="192.168.2.0/24"), {"load_balancer.yml"}),
        ({"control_plane": [{**PLANES[0], "weight": 9}, *PLANES[1:]]}, {"load_balancer.yml"}),
        ({"control_plane": PLANES[:2]}, ALL - {"nfs_server.yml"}),
        ({"api": {"vip": "192.168.2.100", "port": 8443}}, ALL - {"nfs_server.yml"}),
        ({"network": "192.168.0.0/22"}, {"load_balancer.yml"}),
        ({"kubernetes": {"version": "1.36.4"}}, {"cluster_ca.yml", "kubernetes.yml"}),
        ({"kubernetes": {**KUBERNETES, "pod_network": "10.32.0.0/14"}}, {"cluster_ca.yml", "kubernetes.yml"}),
        ({"workers": [{"name": "w1", "address": "192.168.2.41"}]}, {"cluster_ca.yml", "kubernetes.yml"}),
        ({"nfs": [{**NAS, "server_kind": "kernel"}]}, {"nfs_server.yml"}),
        ({"image": {"source": "other", "sha256": "b" * 64}}, set()),
        # The same bundle elsewhere is the same bundle.
        ({"kubernetes": {**KUBERNETES, "bundle": "elsewhere/bundle.tar.gz"}}, set()),
    ],
)
def test_a_change_of_a_value_is_planned_where_it_goes_in(
    planned: Planned, changes: dict[str, Any], runs: set[str]
) -> None:
    assert planned(lab=sample_lab(**changes)) == runs


def test_another_bundle_under_the_same_name_is_planned(planned: Planned) -> None:
    assert planned(contents={"kubernetes_node_bundle": "1"}) == {"cluster_ca.yml", "kubernetes.yml"}


def test_another_manifest_of_the_pods_network_under_the_same_name_is_planned(planned: Planned) -> None:
    assert planned(contents={"kubernetes_node_bundle": "0", "pod_network_cni": "1"}) == {"kubernetes.yml"}


def test_a_guest_that_two_playbooks_prepare_has_one_receipt_for_what_both_lay_down(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "playbooks", tmp_path / "playbooks")
    content, receipts = {"kubernetes_node_bundle": "0"}, {}
    for playbook in (cluster_ca.PLAYBOOK, kubernetes.PLAYBOOK):
        [change] = plan(playbook, LAB, tmp_path / "playbooks", BARE, content)
        receipts |= {role: Receipt(inputs, ()) for role, inputs in change.inputs}
    both = GuestLook("done", receipts, "PEM", ("/etc/kubernetes/pki/ca.crt",))
    for playbook in (cluster_ca.PLAYBOOK, kubernetes.PLAYBOOK):
        assert plan(playbook, LAB, tmp_path / "playbooks", both, content) == []
