"""Step `load-balancer`: HAProxy checks the API servers, keepalived holds the VIP."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from homelab.lab import Lab, LoadBalancer
from homelab.ports.guest import GuestAway
from homelab.ports.world import World
from homelab.step import Blocked, Node, Planned, Step
from homelab.steps.roles import Roles, RunPlaybook, apply_playbook, observe_roles, plan_roles

ROLES = ("haproxy", "keepalived")


class LoadBalancerStep(Step):
    """One node a balancer."""

    name = "load-balancer"

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every balancer."""
        return [vm.name for vm in lab.load_balancers]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The guest is ready, and the CA that it verifies the API servers by exists."""
        return [Node("guest", target), *(Node("cluster-ca", vm.name) for vm in lab.control_plane[:1])]

    def observe(self, world: World, target: str) -> Roles:
        """The guest's receipts, and the CA."""
        balancer = _balancer(world.lab, target)
        if balancer.ca_file:
            return replace(observe_roles(world, target, ROLES), ca=world.text_beside_inventory(balancer.ca_file))
        first = world.lab.control_plane[0].name if world.lab.control_plane else None
        return observe_roles(world, target, ROLES, ca_from=first)

    def plan(self, lab: Lab, target: str, observed: Roles) -> Sequence[Planned]:
        """Lay the balancer down when a receipt says so."""
        balancer = _balancer(lab, target)
        if isinstance(observed.guest, GuestAway):
            return [Blocked(target, observed.guest.reason)]
        if observed.ca is None:
            return [Blocked(target, "the cluster's CA exists (cluster-ca)")]
        values = {"haproxy": haproxy_values(lab, balancer, observed.ca), "keepalived": keepalived_values(lab, balancer)}
        return plan_roles(target, observed, "load_balancer.yml", "lay HAProxy and keepalived down", values)

    def apply(self, world: World, change: RunPlaybook) -> None:
        """Run the playbook."""
        apply_playbook(world, change)


def _balancer(lab: Lab, name: str) -> LoadBalancer:
    return next(vm for vm in lab.load_balancers if vm.name == name)


def haproxy_values(lab: Lab, balancer: LoadBalancer, ca: str) -> dict[str, Any]:
    """What the role haproxy reads."""
    return {
        "bind": (lab.api.vip, lab.api.port),
        "servers": [(vm.name, vm.address, vm.weight) for vm in lab.control_plane],
        "kind": (balancer.kind, balancer.layer, balancer.algorithm),
        "stats": (balancer.stats_network, balancer.address),
        "ca": hashlib.sha256(ca.encode()).hexdigest(),
    }


def keepalived_values(lab: Lab, balancer: LoadBalancer) -> dict[str, Any]:
    """What the role keepalived reads."""
    return {
        "vip": (lab.api.vip, lab.network.prefixlen),
        "peers": [(vm.name, vm.address) for vm in lab.load_balancers],
        "self": balancer.name,
    }
