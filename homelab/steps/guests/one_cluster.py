"""The guard of `cluster-ca` and `kubernetes`: no cluster is begun beside another one. Pure.

Looks at guests tell of traces; the playbooks' role one_cluster looks again, and asks every address, before the act.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from homelab.engine.step import Blocked, Planned
from homelab.errors import Refused
from homelab.lab import Lab
from homelab.ports.guest.look import GuestAway, GuestLook
from homelab.steps.guests.roles import RunPlaybook

Looks = Mapping[str, GuestLook | GuestAway]
# Of what lies on a disk these alone are no cluster: the CA is made before it.
KEYS = {f"/etc/kubernetes/pki/{name}" for name in ("ca.crt", "ca.key", "sa.key")}
SHOWN = 3


def begins(planned: Sequence[Planned[RunPlaybook]], lab: Lab, looks: Looks) -> Sequence[Planned[RunPlaybook]]:
    """What was planned on the first control plane, if it is certain that no cluster is there; Refused when one is.

    `looks` are those at all control planes. Blocked while one of them cannot be looked at: it may be a member that is
    switched off. One that nobody ever set up holds nobody up.
    """
    first, *others = [vm.name for vm in lab.control_plane]
    _refuse_traces(first, {name: traces for name in others if (traces := traces_of(looks[name]))})
    away = {name: look for name in others if isinstance(look := looks[name], GuestAway)}
    unknown = [f"{name} could be looked at ({look.reason})" for name, look in away.items() if not look.untouched]
    if planned and unknown:
        return [Blocked(first, f"{'; '.join(unknown)}: it may bear a cluster")]
    untouched = tuple(away)
    return [replace(item, untouched=untouched) if isinstance(item, RunPlaybook) else item for item in planned]


def traces_of(look: GuestLook | GuestAway) -> tuple[str, ...]:
    """The traces of a cluster on a guest; none on one that cannot be looked at."""
    return look.traces if isinstance(look, GuestLook) else ()


def is_begun(look: GuestLook | GuestAway) -> bool:
    """Whether more than keys lies there: `kubeadm init` or `join` ran on it."""
    return bool(set(traces_of(look)) - KEYS)


def standing(lab: Lab, looks: Looks, *, but: str = "") -> str | None:
    """The first control plane that homelab made whole, which hands over what a join needs; None when there is none."""
    names = [vm.name for vm in lab.control_plane if vm.name != but and vm.name in looks]
    return next((name for name in names if is_made(looks[name])), None)


def is_made(look: GuestLook | GuestAway) -> bool:
    """Whether homelab made a control plane whole there: its receipt lies there, and so does its cluster."""
    return isinstance(look, GuestLook) and "control_plane" in look.receipts and is_begun(look)


def authority(lab: Lab, looks: Looks) -> str | None:
    """The cluster's CA in PEM form: of the first control plane, or of one that stands while that is made anew."""
    names = [lab.control_plane[0].name, *filter(None, [standing(lab, looks)])]
    found = [look.cluster_ca for name in names if isinstance(look := looks[name], GuestLook)]
    return next(filter(None, found), None)


def refuse_foreign(target: str, look: GuestLook | GuestAway, first: GuestLook | GuestAway) -> None:
    """Raise Refused when a guest bears a cluster with another CA than the first control plane's."""
    if not isinstance(look, GuestLook) or not isinstance(first, GuestLook):
        return
    if look.cluster_ca and first.cluster_ca and look.cluster_ca != first.cluster_ca:
        raise Refused(
            f"it bears a cluster with another CA ({some(look.traces)})",
            where=target,
            advice="If that cluster is not wanted any more, take it down there (`kubeadm reset -f`) and run again; "
            f"else take {target} out of the inventory's group control_plane",
        )


def _refuse_traces(first: str, found: Mapping[str, Sequence[str]]) -> None:
    if found:
        told = "; ".join(f"{name} bears {some(traces)}" for name, traces in found.items())
        raise Refused(
            f"a cluster is there already, so none is begun here: {told}",
            where=first,
            advice=f"Name a control plane of it first in the inventory's group control_plane, and {first} joins it; "
            f"or bring /etc/kubernetes/pki back to {first} from another control plane. If it is to be a new cluster, "
            "take the old one down on each machine that is named (`kubeadm reset -f`), and run again",
        )


def refuse_release(target: str, lab: Lab, looks: Looks) -> None:
    """Raise Refused when the cluster runs another release than the inventory wants: bootstrap is no upgrade."""
    wanted = lab.kubernetes.version
    others = {look.kubernetes_version for look in looks.values() if is_made(look) and isinstance(look, GuestLook)}
    if other := next((release for release in sorted(others) if release not in ("", wanted)), None):
        raise Refused(
            f"the cluster runs Kubernetes {other}, and the inventory wants {wanted}",
            where=target,
            advice=f"homelab kubernetes upgrade {wanted} brings it there, node by node; or write kubernetes_version: "
            f'"{other}" to leave it as it is',
        )


def some(traces: Sequence[str]) -> str:
    """A few of them, and how many more."""
    more = len(traces) - SHOWN
    return ", ".join(traces[:SHOWN]) + (f" and {more} more" if more > 0 else "")
