"""Step `load-balancer`: a balancer checks the API servers, keepalived holds the VIP."""

from collections.abc import Sequence
from dataclasses import replace

from homelab.engine.step import Blocked, Node, Planned, Row, Step
from homelab.lab import Lab, LoadBalancer
from homelab.ports.guest.look import GuestAway, GuestLook
from homelab.ports.world import World
from homelab.steps.guests.balancer_kinds import KINDS, roles_of, values_of
from homelab.steps.guests.balancers import drained_names
from homelab.steps.guests.one_cluster import authority
from homelab.steps.guests.roles import RolesState, RunPlaybook, apply_playbook, observe_roles, plan_roles

PLAYBOOK = "load_balancer.yml"


class LoadBalancerStep(Step[RolesState, RunPlaybook]):
    """One node for each balancer."""

    name = "load-balancer"
    # The one that is not being changed serves; one that was left half changed keeps the others as they are.
    row = Row("balancers")

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every balancer."""
        return [vm.name for vm in lab.load_balancers]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The guest is ready, and the CA that it verifies the API servers by exists."""
        return [Node("guest", target), *(Node("cluster-ca", vm.name) for vm in lab.control_plane[:1])]

    def observe(self, world: World, lab: Lab, target: str) -> RolesState:
        """The guest's receipts, the CA, and the digests of the certificates that the inventory names."""
        balancer = _balancer(lab, target)
        files = {
            "haproxy_certificate_file": balancer.certificate_file,
            "nginx_certificate_file": balancer.certificate_file,
            "haproxy_client_certificate_file": balancer.client_certificate_file,
        }
        contents = {name: world.file_digest(path) for name, path in files.items() if path}
        return replace(
            observe_roles(world, lab, target, roles_of(balancer)), ca=_ca(world, lab, target), contents=contents
        )

    def plan(self, lab: Lab, target: str, observed: RolesState) -> Sequence[Planned[RunPlaybook]]:
        """Lay the balancer down when a receipt says so."""
        balancer = _balancer(lab, target)
        if isinstance(observed.guest, GuestAway):
            return [Blocked(target, observed.guest.reason)]
        if observed.ca is None:
            return [Blocked(target, "the cluster's CA exists (cluster-ca)")]
        brings = f"lay {KINDS[balancer.kind].called} and keepalived down"
        return plan_roles(target, observed, PLAYBOOK, brings, values_of(lab, balancer, observed.ca))

    def remarks(self, lab: Lab, target: str, observed: RolesState) -> Sequence[str]:
        """Which servers a person drained: bootstrap leaves that alone."""
        drained = observed.guest.drained if isinstance(observed.guest, GuestLook) else ()
        found = drained_names(lab, target, drained)
        return [f"{name} is drained here; `homelab lb ready {name}` ends that" for name in found]

    def apply(self, world: World, change: RunPlaybook) -> None:
        """Run the playbook."""
        apply_playbook(world, change)


def _balancer(lab: Lab, name: str) -> LoadBalancer:
    return next(vm for vm in lab.load_balancers if vm.name == name)


def _ca(world: World, lab: Lab, target: str) -> str | None:
    """The CA that the balancer verifies servers by, in PEM form: a file's, else the one of our own cluster."""
    balancer = _balancer(lab, target)
    if balancer.ca_file:
        return world.file_text(balancer.ca_file)
    return authority(lab, {vm.name: world.guest(vm.name) for vm in lab.control_plane})
