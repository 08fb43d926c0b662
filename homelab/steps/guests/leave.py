"""Step `leave`: a node leaves the cluster before its VM is destroyed, so that etcd and the balancers do without it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from homelab.engine.step import Change, Planned, Step, Words
from homelab.errors import Refused
from homelab.lab import Lab
from homelab.ports.world import World
from homelab.steps.guests.one_cluster import Looks, is_made, standing

PLAYBOOK = "kubernetes_leave.yml"


@dataclass(frozen=True)
class LeaveCluster(Change):
    """Drain a node, take its member out of etcd, and have the cluster forget it; `helper` is asked to do it."""

    helper: str
    address: str
    is_control_plane: bool
    disruptive = True
    anew = True

    def _words(self) -> Words:
        etcd = ", leaves etcd" if self.is_control_plane else ""
        return Words(
            sentence=f"{self.target} leaves the cluster: it is drained{etcd}, and forgotten (asked of {self.helper})",
            reason=f"the VM {self.target} is destroyed",
            undo=f"homelab bootstrap has {self.target} join again",
            before="a node",
            after="gone",
        )


@dataclass(frozen=True)
class LeaveState:
    """The looks at all control planes."""

    members: Looks


class Leave(Step[LeaveState, LeaveCluster]):
    """One node for each node of the cluster that is named; none while no other control plane stands."""

    name = "leave"

    def __init__(self, leaving: Collection[str]) -> None:
        self._leaving = leaving

    def targets(self, lab: Lab) -> Sequence[str]:
        """The named nodes."""
        return [vm.name for vm in lab.nodes if vm.name in self._leaving]

    def observe(self, world: World, lab: Lab, target: str) -> LeaveState:
        """Look at all control planes."""
        return LeaveState({vm.name: world.guest(vm.name) for vm in lab.control_plane})

    def plan(self, lab: Lab, target: str, observed: LeaveState) -> Sequence[Planned[LeaveCluster]]:
        """Leave by way of a control plane that stays. Refused when a cluster stands and none of it would stay."""
        staying = standing(lab, {name: look for name, look in observed.members.items() if name not in self._leaving})
        if staying is None:
            if others := [name for name, look in observed.members.items() if is_made(look)]:
                raise Refused(
                    f"the cluster would be gone with {', '.join(sorted(others))}, for no other control plane stands",
                    where=target,
                    advice="Make one after another anew; `homelab vm destroy` takes the whole cluster down",
                )
            return []
        is_control_plane = any(vm.name == target for vm in lab.control_plane)
        return [LeaveCluster(target, staying, str(lab.vm(target).address), is_control_plane)]

    def apply(self, world: World, change: LeaveCluster) -> None:
        """Run the playbook."""
        variables = {
            "kubernetes_leave_helper": change.helper,
            "kubernetes_leave_address": change.address,
            "kubernetes_leave_is_control_plane": change.is_control_plane,
        }
        world.play(PLAYBOOK, change.target, variables)
