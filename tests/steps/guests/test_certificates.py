"""Certificates that run out: told by the plan of `kubernetes`, and renewed where all else is as wanted."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from homelab.ports.guest.look import GuestAway, GuestLook, Receipt
from homelab.steps.guests.certificates import first_end, runs_out
from homelab.steps.guests.kubernetes import KubernetesState, KubernetesStep
from homelab.steps.guests.roles import RolesState, RunPlaybook
from tests.helpers.sample import sample_lab

LAB = sample_lab()
NOW = datetime(2026, 6, 1, tzinfo=UTC)
PKI = "/etc/kubernetes/pki"
SOURCES = defaultdict(lambda: "what a role is made of")


def whole(name: str) -> KubernetesState:
    """A member of a cluster on which every role is as wanted."""
    traces = ("/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/manifests/etcd.yaml")
    member: GuestLook | GuestAway = GuestLook("done", {}, "PEM", traces)
    members = {vm.name: member for vm in LAB.control_plane}
    bare = KubernetesState(RolesState(members[name], SOURCES), True, members)
    [change] = KubernetesStep().plan(LAB, name, bare)
    assert isinstance(change, RunPlaybook)
    receipts = {role: Receipt(inputs, ()) for role, inputs in change.inputs}
    return replace(bare, roles=RolesState(GuestLook("done", receipts, "PEM", traces), SOURCES))


def look(**days: float) -> GuestLook:
    ends = {f"{PKI}/{name}.crt": NOW + timedelta(days=left) for name, left in days.items()}
    return GuestLook("done", {}, None, ends=ends)


def test_only_what_ends_within_a_month_runs_out() -> None:
    assert runs_out(look(apiserver=31, peer=300), NOW) == ""
    assert runs_out(look(apiserver=29, peer=300), NOW) == f"the certificate {PKI}/apiserver.crt ends on 2026-06-30"
    both = runs_out(look(apiserver=29, peer=-1), NOW)
    assert both == f"the certificate {PKI}/peer.crt ended on 2026-05-31, and 1 more soon"
    assert first_end(look(apiserver=29, peer=-1)) == (f"{PKI}/peer.crt", NOW - timedelta(days=1))
    assert first_end(look()) is None


def test_what_runs_out_is_renewed_by_one_role_and_nothing_else_is_touched() -> None:
    state = whole("cp2")
    assert list(KubernetesStep().plan(LAB, "cp2", state)) == []
    [change] = KubernetesStep().plan(LAB, "cp2", replace(state, ends_soon="the certificate x ends on 2026-06-30"))
    assert isinstance(change, RunPlaybook)
    assert change.words.sentence == "renew the certificates on cp2 (kubernetes.yml)"
    assert change.words.reason == "the certificate x ends on 2026-06-30"
    assert "control_plane" not in change.skip
    assert "kubernetes_node" in change.skip
