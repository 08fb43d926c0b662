"""Step `kubernetes`: the nodes form one cluster, through the VIP; control planes join one after another."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from homelab.engine.step import Blocked, Node, Planned, Step
from homelab.lab import Lab
from homelab.ports.guest.look import GuestLook
from homelab.ports.world import World
from homelab.steps.guests.certificates import runs_out
from homelab.steps.guests.one_cluster import Looks, begins, is_begun, is_made, refuse_foreign, refuse_release, standing
from homelab.steps.guests.role_values import (
    RoleValues,
    cluster_ca,
    control_plane,
    kubernetes_node,
    pod_network,
    worker,
)
from homelab.steps.guests.roles import RolesState, RunPlaybook, apply_playbook, observe_roles, plan_roles, renewal

PLAYBOOK = "kubernetes.yml"
RENEWS = "control_plane"


@dataclass(frozen=True)
class KubernetesState:
    """The guest's roles, whether a balancer stands, and the looks at all control planes."""

    roles: RolesState
    balanced: bool
    members: Looks
    # Which certificates run out, as a clause.
    ends_soon: str = ""


class KubernetesStep(Step[KubernetesState, RunPlaybook]):
    """One node for each control plane and each worker."""

    name = "kubernetes"

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every control plane, then every worker."""
        return [vm.name for vm in lab.nodes]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The guest is prepared; the CA exists; the first control plane stands before others join."""
        first = lab.control_plane[0].name
        after = [Node("cluster-ca", target), Node("cluster-ca", first)]
        return after if target == first else [*after, Node("kubernetes", first)]

    def settled(self, lab: Lab, target: str) -> Sequence[Node]:
        """The balancers were tried, and the control plane before it: etcd takes one learner at a time."""
        balancers = [Node("load-balancer", vm.name) for vm in lab.load_balancers]
        names = [vm.name for vm in lab.control_plane]
        before = names[names.index(target) - 1 : names.index(target)] if target in names[1:] else []
        return [*balancers, *(Node("kubernetes", name) for name in before)]

    def observe(self, world: World, lab: Lab, target: str) -> KubernetesState:
        """The guest's receipts, and whether any balancer is laid down: kubeadm talks through it."""
        looks = [world.guest(vm.name) for vm in lab.load_balancers]
        balanced = any(isinstance(look, GuestLook) and "keepalived" in look.receipts for look in looks)
        members = {vm.name: world.guest(vm.name) for vm in lab.control_plane}
        first = _first(lab, target, members)
        roles = observe_roles(world, lab, target, [values.role for values in values_of(lab, target, first)])
        soon = runs_out(roles.guest, datetime.now(UTC)) if isinstance(roles.guest, GuestLook) else ""
        return KubernetesState(roles, balanced or not looks, members, soon)

    def plan(self, lab: Lab, target: str, observed: KubernetesState) -> Sequence[Planned[RunPlaybook]]:
        """Bring the node up when a receipt says so, and never a second cluster."""
        guest, first = observed.roles.guest, _first(lab, target, observed.members)
        values = values_of(lab, target, first)
        planned = plan_roles(target, observed.roles, PLAYBOOK, _brings(lab, target, first), values)
        if not planned and observed.ends_soon:
            planned = [renewal(target, PLAYBOOK, observed.roles, values, RENEWS, observed.ends_soon)]
        if planned and isinstance(guest, GuestLook) and not observed.balanced:
            return [Blocked(target, "a balancer holds the VIP (load-balancer)")]
        refuse_foreign(target, guest, observed.members[first])
        if planned:
            refuse_release(target, lab, observed.members)
        if target == first and isinstance(guest, GuestLook) and not is_begun(guest):
            return begins(planned, lab, observed.members)
        return planned

    def apply(self, world: World, change: RunPlaybook) -> None:
        """Run the playbook."""
        apply_playbook(world, change)


def values_of(lab: Lab, target: str, first: str) -> tuple[RoleValues, ...]:
    """What goes into the roles of one node; `first` is the control plane that hands over what a join needs."""
    if _is_worker(lab, target):
        return (kubernetes_node(lab), worker(lab, target, first), pod_network(lab, target, first))
    values = (kubernetes_node(lab), control_plane(lab, target, first), pod_network(lab, target, first))
    # The first one that joins, for it was made anew, was not prepared for a CA of its own.
    is_anew = target == lab.control_plane[0].name != first
    return (*values, cluster_ca(lab)) if is_anew else values


def _first(lab: Lab, target: str, members: Looks) -> str:
    """The control plane that begins the cluster, or that others join: the first one, or one that stands already.

    While the inventory's first is made anew, it joins as any other does.
    """
    first = lab.control_plane[0].name
    if target == first and is_made(members[first]):
        return first
    return standing(lab, members, but=target) or first


def _is_worker(lab: Lab, target: str) -> bool:
    return any(vm.name == target for vm in lab.workers)


def _brings(lab: Lab, target: str, first: str) -> str:
    if target == first:
        return "start the cluster"
    return "join the cluster as a " + ("worker" if _is_worker(lab, target) else "control plane")
