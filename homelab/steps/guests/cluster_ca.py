"""Step `cluster-ca`: every node is prepared, and on the first control plane kubeadm makes the cluster's CA.

Programs and images come to all nodes at the same time; what follows goes one node after another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from homelab.engine.step import Node, Planned, Step
from homelab.errors import Refused
from homelab.lab import Lab
from homelab.ports.guest.look import GuestLook
from homelab.ports.world import World
from homelab.steps.guests.one_cluster import (
    Looks,
    begins,
    is_begun,
    refuse_foreign,
    refuse_release,
    some,
    standing,
    traces_of,
)
from homelab.steps.guests.role_values import cluster_ca, kubernetes_node
from homelab.steps.guests.roles import RolesState, RunPlaybook, apply_playbook, observe_roles, plan_roles

PLAYBOOK = "cluster_ca.yml"
PREPARES = "kubernetes.yml"
ROLES = ("kubernetes_node", "cluster_ca")
# Of the playbook for the nodes all but what prepares them.
JOINS = ("control_plane", "worker", "pod_network", "cluster_ca")


@dataclass(frozen=True)
class ClusterCaState:
    """The node's roles, and the looks at all control planes."""

    roles: RolesState
    members: Looks


class ClusterCa(Step[ClusterCaState, RunPlaybook]):
    """One node for each control plane and each worker."""

    name = "cluster-ca"

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every control plane, then every worker."""
        return [vm.name for vm in lab.nodes]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The guest is ready."""
        return [Node("guest", target)]

    def settled(self, lab: Lab, target: str) -> Sequence[Node]:
        """The other control planes were tried: whether they bear a cluster is known before a CA is made."""
        return [Node("guest", vm.name) for vm in lab.control_plane[1:]] if _is_first(lab, target) else []

    def observe(self, world: World, lab: Lab, target: str) -> ClusterCaState:
        """The guest's receipts, and what all control planes bear."""
        members = {vm.name: world.guest(vm.name) for vm in lab.control_plane}
        roles = ROLES if _is_first(lab, target) else ROLES[:1]
        return ClusterCaState(observe_roles(world, lab, target, roles), members)

    def plan(self, lab: Lab, target: str, observed: ClusterCaState) -> Sequence[Planned[RunPlaybook]]:
        """Prepare the node, and make the CA on the first one, when a receipt says so."""
        if _is_first(lab, target):
            return self._plan_first(lab, target, observed)
        return self._plan_other(lab, target, observed)

    def _plan_other(self, lab: Lab, target: str, observed: ClusterCaState) -> Sequence[Planned[RunPlaybook]]:
        """Prepare it for its join; a member of a cluster is changed when its turn comes, in the step `kubernetes`."""
        refuse_foreign(target, observed.roles.guest, observed.members[lab.control_plane[0].name])
        if is_begun(observed.roles.guest):
            return []
        planned = plan_roles(target, observed.roles, PREPARES, "prepare the node", [kubernetes_node(lab)])
        if planned:
            refuse_release(target, lab, observed.members)
        return [replace(item, skip=JOINS) if isinstance(item, RunPlaybook) else item for item in planned]

    def _plan_first(self, lab: Lab, target: str, observed: ClusterCaState) -> Sequence[Planned[RunPlaybook]]:
        """Never a CA beside another cluster."""
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
        if not _is_first(lab, target):
            return []
        look, other = observed.roles.guest, standing(lab, observed.members, but=target)
        is_new = isinstance(look, GuestLook) and look.cluster_ca is None and not traces_of(look)
        return [f"it joins the cluster of {other}, which brings the CA along"] if is_new and other else []

    def apply(self, world: World, change: RunPlaybook) -> None:
        """Run the playbook."""
        apply_playbook(world, change)


def _is_first(lab: Lab, target: str) -> bool:
    return target == lab.control_plane[0].name
