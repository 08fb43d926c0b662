"""Step `cluster-ca`: the first control plane is prepared, and kubeadm makes the cluster's CA there."""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab.engine.step import Node, Planned, Step
from homelab.errors import Refused
from homelab.lab import Lab
from homelab.ports.guest.look import GuestLook
from homelab.ports.world import World
from homelab.steps.guests.one_cluster import Looks, begins, refuse_release, some, standing, traces_of
from homelab.steps.guests.role_values import cluster_ca, kubernetes_node
from homelab.steps.guests.roles import RolesState, RunPlaybook, apply_playbook, observe_roles, plan_roles

PLAYBOOK = "cluster_ca.yml"
ROLES = ("kubernetes_node", "cluster_ca")


@dataclass(frozen=True)
class ClusterCaState:
    """The first control plane's roles, and the looks at all control planes."""

    roles: RolesState
    members: Looks


class ClusterCa(Step[ClusterCaState, RunPlaybook]):
    """One node: the first control plane."""

    name = "cluster-ca"

    def targets(self, lab: Lab) -> Sequence[str]:
        """The first control plane."""
        return [vm.name for vm in lab.control_plane[:1]]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The guest is ready."""
        return [Node("guest", target)]

    def settled(self, lab: Lab, target: str) -> Sequence[Node]:
        """The other control planes were tried: whether they bear a cluster is known before a CA is made."""
        return [Node("guest", vm.name) for vm in lab.control_plane[1:]]

    def observe(self, world: World, lab: Lab, target: str) -> ClusterCaState:
        """The guest's receipts, and what all control planes bear."""
        members = {vm.name: world.guest(vm.name) for vm in lab.control_plane}
        return ClusterCaState(observe_roles(world, lab, target, ROLES), members)

    def plan(self, lab: Lab, target: str, observed: ClusterCaState) -> Sequence[Planned[RunPlaybook]]:
        """Prepare the node and make the CA when a receipt says so, and never beside another cluster."""
        roles = observed.roles
        values = (kubernetes_node(lab), cluster_ca(lab))
        planned = plan_roles(target, roles, PLAYBOOK, "make the cluster's CA", values)
        if planned:
            refuse_release(target, lab, observed.members)
        if not isinstance(roles.guest, GuestLook) or roles.guest.cluster_ca is not None:
            return planned
        if own := traces_of(roles.guest):
            raise Refused(
                f"it bears a cluster ({some(own)}), and its CA /etc/kubernetes/pki/ca.crt cannot be read",
                where=target,
                advice="A new CA would cut that cluster off. Bring ca.crt and ca.key back from another control plane "
                "or a backup. If the cluster is not wanted any more, take it down there "
                "(`kubeadm reset -f`); run again",
            )
        if standing(lab, observed.members, but=target):
            return []
        return begins(planned, lab, observed.members)

    def remarks(self, lab: Lab, target: str, observed: ClusterCaState) -> Sequence[str]:
        """Where its CA comes from when it is made anew."""
        look, other = observed.roles.guest, standing(lab, observed.members, but=target)
        is_new = isinstance(look, GuestLook) and look.cluster_ca is None and not traces_of(look)
        return [f"it joins the cluster of {other}, which brings the CA along"] if is_new and other else []

    def apply(self, world: World, change: RunPlaybook) -> None:
        """Run the playbook."""
        apply_playbook(world, change)
