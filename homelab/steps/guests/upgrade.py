"""Step `upgrade`: the nodes of a cluster get another release, one after another, the balancers told before each."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from homelab.engine.step import Blocked, Change, Node, Planned, Row, Step, Words
from homelab.errors import Refused
from homelab.formats.kubernetes.release import Release, refusal
from homelab.lab import Lab
from homelab.ports.guest.look import GuestAway, GuestLook
from homelab.ports.world import World
from homelab.steps.guests.draining import Aside, asides_of, drained
from homelab.steps.guests.one_cluster import Looks, is_made, standing
from homelab.steps.guests.role_values import kubernetes_node, variables

PLAYBOOK = "kubernetes_upgrade.yml"


@dataclass(frozen=True)
class UpgradeNode(Change):
    """Upgrade one node; `helper` is the control plane that the cluster is asked by, `balancers` are told before."""

    version: str
    before: str
    helper: str
    begins: bool
    ignored: tuple[str, ...]
    node: tuple[tuple[str, object], ...] = field(hash=False)
    balancers: tuple[Aside, ...]
    disruptive = True

    def _words(self) -> Words:
        told = f"; {', '.join(each.balancer for each in self.balancers)} told before" if self.balancers else ""
        return Words(
            sentence=f"upgrade {self.target} to Kubernetes {self.version}: drained meanwhile, its pods move{told}",
            reason=f"it runs {self.before}",
            undo="there is no way back: kubeadm goes no release down (docs/how-to/restore-a-cluster.md)",
            before=self.before,
            after=self.version,
        )


@dataclass(frozen=True)
class UpgradeState:
    """The guest, and the looks at all control planes."""

    guest: GuestLook | GuestAway
    members: Looks


class Upgrade(Step[UpgradeState, UpgradeNode]):
    """One node for each control plane and each worker."""

    name = "upgrade"
    # One that is left half upgraded keeps the others as they are.
    row = Row("nodes", "failure")

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every control plane, then every worker."""
        return [vm.name for vm in lab.nodes]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The control plane that begins, which upgrades the cluster's configuration."""
        first = lab.control_plane[0].name
        return [] if target == first else [Node("upgrade", first)]

    def observe(self, world: World, lab: Lab, target: str) -> UpgradeState:
        """Look at the guest and at all control planes."""
        return UpgradeState(world.guest(target), {vm.name: world.guest(vm.name) for vm in lab.control_plane})

    def plan(self, lab: Lab, target: str, observed: UpgradeState) -> Sequence[Planned[UpgradeNode]]:
        """Upgrade what runs an older release; all control planes have to answer."""
        for name, look in observed.members.items():
            if isinstance(look, GuestAway):
                return [Blocked(target, f"{name} answers ({look.reason})")]
        if isinstance(observed.guest, GuestAway):
            return [Blocked(target, observed.guest.reason)]
        if standing(lab, observed.members) is None:
            raise Refused("no cluster stands, so none is upgraded", where=target, advice="Begin one: homelab bootstrap")
        wanted, runs = _wanted(lab), runs_of(observed.guest)
        if runs is None:
            raise Refused(
                f"it cannot be told which release of Kubernetes {target} runs",
                where=target,
                advice=f"Bring it into the cluster first: homelab bootstrap -l {target}",
            )
        if why := refusal(runs, wanted):
            raise Refused(
                why, where=target, advice="Name an allowed release; the patch releases of each are upgrades, too"
            )
        is_due = runs < wanted or observed.guest.upgrading
        return [_upgrade(lab, target, observed, str(runs))] if is_due else []

    def apply(self, world: World, change: UpgradeNode) -> None:
        """Run the playbook while the balancers send nobody there."""
        given = {
            **dict(change.node),
            "kubernetes_upgrade_version": change.version,
            "kubernetes_upgrade_helper": change.helper,
            "kubernetes_upgrade_begins": change.begins,
            "kubernetes_upgrade_ignored_preflight_errors": list(change.ignored),
        }
        with drained(world, change.target, change.balancers):
            world.play(PLAYBOOK, change.target, given)


def runs_of(look: GuestLook) -> Release | None:
    """The release that a node runs."""
    return Release.read(look.kubernetes_version)


def _wanted(lab: Lab) -> Release:
    found = Release.read(lab.kubernetes.version)
    assert found is not None, "the inventory's form was checked"
    return found


def _upgrade(lab: Lab, target: str, observed: UpgradeState, runs: str) -> UpgradeNode:
    first = lab.control_plane[0].name
    others = [vm.name for vm in lab.control_plane if vm.name != target and is_made(observed.members[vm.name])]
    is_control_plane = any(vm.name == target for vm in lab.control_plane)
    return UpgradeNode(
        target,
        version=lab.kubernetes.version,
        before=runs,
        helper=next(iter(others), first),
        begins=target == first,
        ignored=lab.kubernetes.ignored_preflight_errors,
        node=tuple(variables(kubernetes_node(lab)).items()),
        balancers=asides_of(lab, target) if is_control_plane else (),
    )
