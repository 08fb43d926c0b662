"""Step `kubernetes`: the control planes form one cluster, through the VIP, joining one after another."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from homelab.engine.step import Blocked, Node, Planned, Row, Step
from homelab.lab import Lab
from homelab.ports.guest.look import GuestLook
from homelab.ports.world import World
from homelab.steps.guests.certificates import runs_out
from homelab.steps.guests.one_cluster import Looks, begins, is_begun, refuse_foreign
from homelab.steps.guests.role_values import control_plane, kubernetes_node
from homelab.steps.guests.roles import RolesState, RunPlaybook, apply_playbook, observe_roles, plan_roles, renewal

PLAYBOOK = "kubernetes.yml"
RENEWS = "control_plane"
ROLES = ("kubernetes_node", "control_plane")


@dataclass(frozen=True)
class KubernetesState:
    """The guest's roles, whether a balancer stands, and the looks at all control planes."""

    roles: RolesState
    balanced: bool
    members: Looks
    # Which certificates run out, as a clause.
    ends_soon: str = ""


class KubernetesStep(Step[KubernetesState, RunPlaybook]):
    """One node for each control plane."""

    name = "kubernetes"
    # etcd takes one learner at a time.
    row = Row("control planes", "nothing")

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every control plane."""
        return [vm.name for vm in lab.control_plane]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The guest is ready; the CA exists; the first control plane stands before others join."""
        first = lab.control_plane[0].name
        after = [Node("guest", target), Node("cluster-ca", first)]
        return after if target == first else [*after, Node("kubernetes", first)]

    def settled(self, lab: Lab, target: str) -> Sequence[Node]:
        """The balancers were tried."""
        return [Node("load-balancer", vm.name) for vm in lab.load_balancers]

    def observe(self, world: World, lab: Lab, target: str) -> KubernetesState:
        """The guest's receipts, and whether any balancer is laid down: kubeadm talks through it."""
        looks = [world.guest(vm.name) for vm in lab.load_balancers]
        balanced = any(isinstance(look, GuestLook) and "keepalived" in look.receipts for look in looks)
        members = {vm.name: world.guest(vm.name) for vm in lab.control_plane}
        roles = observe_roles(world, lab, target, ROLES)
        soon = runs_out(roles.guest, datetime.now(UTC)) if isinstance(roles.guest, GuestLook) else ""
        return KubernetesState(roles, balanced or not looks, members, soon)

    def plan(self, lab: Lab, target: str, observed: KubernetesState) -> Sequence[Planned[RunPlaybook]]:
        """Bring the API server up when a receipt says so, and never a second cluster."""
        values = (kubernetes_node(lab), control_plane(lab, target))
        first = target == lab.control_plane[0].name
        brings = "start the cluster" if first else "join the cluster as a control plane"
        planned = plan_roles(target, observed.roles, PLAYBOOK, brings, values)
        if not planned and observed.ends_soon:
            planned = [renewal(target, PLAYBOOK, observed.roles, values, RENEWS, observed.ends_soon)]
        if planned and isinstance(observed.roles.guest, GuestLook) and not observed.balanced:
            return [Blocked(target, "a balancer holds the VIP (load-balancer)")]
        refuse_foreign(target, observed.roles.guest, observed.members[lab.control_plane[0].name])
        if first and isinstance(observed.roles.guest, GuestLook) and not is_begun(observed.roles.guest):
            return begins(planned, lab, observed.members)
        return planned

    def apply(self, world: World, change: RunPlaybook) -> None:
        """Run the playbook."""
        apply_playbook(world, change)
