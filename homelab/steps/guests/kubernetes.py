"""Step `kubernetes`: the nodes form one cluster, through the VIP; control planes join one after another."""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab.engine.step import Blocked, Node, Planned, Step
from homelab.lab import Lab
from homelab.ports.guest.look import GuestLook
from homelab.ports.world import World
from homelab.steps.guests.one_cluster import Looks, begins, is_begun, refuse_foreign
from homelab.steps.guests.role_values import RoleValues, control_plane, kubernetes_node, pod_network, worker
from homelab.steps.guests.roles import RolesState, RunPlaybook, apply_playbook, observe_roles, plan_roles

PLAYBOOK = "kubernetes.yml"


@dataclass(frozen=True)
class KubernetesState:
    """The guest's roles, whether a balancer stands, and the looks at all control planes."""

    roles: RolesState
    balanced: bool
    members: Looks


class KubernetesStep(Step[KubernetesState, RunPlaybook]):
    """One node for each control plane and each worker."""

    name = "kubernetes"

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every control plane, then every worker."""
        return [vm.name for vm in lab.nodes]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The guest is ready; the CA exists; the first control plane stands before others join."""
        first = lab.control_plane[0].name
        after = [Node("guest", target), Node("cluster-ca", first)]
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
        roles = observe_roles(world, lab, target, [values.role for values in values_of(lab, target)])
        return KubernetesState(roles, balanced or not looks, members)

    def plan(self, lab: Lab, target: str, observed: KubernetesState) -> Sequence[Planned[RunPlaybook]]:
        """Bring the node up when a receipt says so, and never a second cluster."""
        first = target == lab.control_plane[0].name
        planned = plan_roles(target, observed.roles, PLAYBOOK, _brings(lab, target), values_of(lab, target))
        if planned and isinstance(observed.roles.guest, GuestLook) and not observed.balanced:
            return [Blocked(target, "a balancer holds the VIP (load-balancer)")]
        refuse_foreign(target, observed.roles.guest, observed.members[lab.control_plane[0].name])
        if first and isinstance(observed.roles.guest, GuestLook) and not is_begun(observed.roles.guest):
            return begins(planned, lab, observed.members)
        return planned

    def apply(self, world: World, change: RunPlaybook) -> None:
        """Run the playbook."""
        apply_playbook(world, change)


def values_of(lab: Lab, target: str) -> tuple[RoleValues, ...]:
    """What goes into the roles of one node."""
    is_worker = any(vm.name == target for vm in lab.workers)
    member = worker(lab, target) if is_worker else control_plane(lab, target)
    return (kubernetes_node(lab), member, pod_network(lab, target))


def _brings(lab: Lab, target: str) -> str:
    if target == lab.control_plane[0].name:
        return "start the cluster"
    return "join the cluster as a " + (
        "control plane" if any(vm.name == target for vm in lab.control_plane) else "worker"
    )
