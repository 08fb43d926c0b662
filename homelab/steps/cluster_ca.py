"""Step `cluster-ca`: the first control plane is prepared, and kubeadm makes the cluster's CA there."""

from collections.abc import Sequence

from homelab.lab import Lab
from homelab.ports.world import World
from homelab.step import Node, Planned, Step
from homelab.steps.roles import (
    Roles,
    RunPlaybook,
    apply_playbook,
    cluster_values,
    node_values,
    observe_roles,
    plan_roles,
)

ROLES = ("kubernetes_node", "cluster_ca")


class ClusterCa(Step):
    """One node: the first control plane."""

    name = "cluster-ca"

    def targets(self, lab: Lab) -> Sequence[str]:
        """The first control plane."""
        return [vm.name for vm in lab.control_plane[:1]]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The guest is ready."""
        return [Node("guest", target)]

    def observe(self, world: World, target: str) -> Roles:
        """The guest's receipts."""
        return observe_roles(world, target, ROLES)

    def plan(self, lab: Lab, target: str, observed: Roles) -> Sequence[Planned]:
        """Prepare the node and make the CA when a receipt says so."""
        values = {"kubernetes_node": node_values(lab, observed.bundle), "cluster_ca": cluster_values(lab)}
        return plan_roles(target, observed, "cluster_ca.yml", "make the cluster's CA", values)

    def apply(self, world: World, change: RunPlaybook) -> None:
        """Run the playbook."""
        apply_playbook(world, change)
