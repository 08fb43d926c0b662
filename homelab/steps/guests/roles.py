"""What the steps on guests share: a role runs when its receipt says that it has to."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homelab.engine.step import Blocked, Change, Planned, Words
from homelab.lab import Lab
from homelab.ports.guest.look import GuestAway, GuestLook
from homelab.ports.world import World


@dataclass(frozen=True)
class RunPlaybook(Change):
    """Run one playbook on one guest, without the roles in `skip`, which are as wanted.

    `inputs` is ROLE -> digest of what goes in, as sorted pairs; `untouched` are control planes that nobody ever set up.
    """

    playbook: str
    brings: str
    because: str
    inputs: tuple[tuple[str, str], ...]
    skip: tuple[str, ...] = ()
    untouched: tuple[str, ...] = ()

    @property
    def variables(self) -> dict[str, Any]:
        """What goes into the play."""
        told = {"one_cluster_untouched": list(self.untouched)} if self.untouched else {}
        return {"receipt_inputs": dict(self.inputs), **told}

    def _words(self) -> Words:
        return Words(
            sentence=f"{self.brings} on {self.target} ({self.playbook})",
            reason=self.because,
            undo=f"change the inventory back and run again, or destroy the VM {self.target}",
            before="differs",
            after="as the inventory says",
        )


@dataclass(frozen=True)
class Roles:
    """A guest and the digests of what goes into its roles: their own files, the cluster's CA, the bundle."""

    guest: GuestLook | GuestAway
    files: Mapping[str, str]
    ca: str | None = None
    bundle: str | None = None


def observe_roles(world: World, lab: Lab, target: str, roles: Sequence[str]) -> Roles:
    """Look at a guest, and at what goes into its roles."""
    bundle = lab.kubernetes.bundle
    return Roles(
        world.guest(target),
        files={role: world.role_digest(role) for role in roles},
        bundle=world.file_digest(bundle) if bundle else None,
    )


def digest(files: str, values: Mapping[str, Any]) -> str:
    """The digest of what goes into a role: its own files and the values it reads."""
    text = json.dumps({"files": files, "values": values}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def plan_roles(
    target: str, observed: Roles, playbook: str, brings: str, values: Mapping[str, Mapping[str, Any]]
) -> Sequence[Planned[RunPlaybook]]:
    """Run the playbook when any of its roles (`values`: ROLE -> what it reads) is not as wanted."""
    if isinstance(observed.guest, GuestAway):
        return [Blocked(target, observed.guest.reason)]
    inputs = {role: digest(observed.files[role], read) for role, read in values.items()}
    reasons = {role: observed.guest.needs(role, wanted) for role, wanted in inputs.items()}
    because = "; ".join(reason for reason in reasons.values() if reason)
    if not because:
        return []
    right = tuple(role for role, reason in reasons.items() if reason is None)
    return [RunPlaybook(target, playbook, brings, because, tuple(sorted(inputs.items())), right)]


def apply_playbook(world: World, change: RunPlaybook) -> None:
    """Run the playbook with all that the change carries; its roles leave receipts."""
    world.play(change.playbook, change.target, change.variables, skip=change.skip)


def nas_values(lab: Lab) -> dict[str, Any]:
    """What the role nfs_server reads: the folder, and the hosts that may mount it."""
    return {"export": lab.nfs[0].export, "clients": [host.address for host in lab.esxi]}


def node_values(lab: Lab, bundle: str | None) -> dict[str, Any]:
    """What the role kubernetes_node reads: names, addresses, and where the programs come from."""
    return {
        "nodes": {vm.name: vm.address for vm in (*lab.control_plane, *lab.workers)},
        "api": (lab.api.vip, lab.api_name),
        "version": lab.kubernetes.version,
        "bundle": bundle,
    }


def cluster_values(lab: Lab) -> dict[str, Any]:
    """What the role cluster_ca reads: all that goes into kubeadm's configuration."""
    kubernetes = lab.kubernetes
    return {
        "name": lab.name,
        "version": kubernetes.version,
        "control_planes": {vm.name: vm.address for vm in lab.control_plane},
        "api": (lab.api.vip, lab.api.port, lab.api_name),
        "pods": kubernetes.pod_network,
        "services": kubernetes.service_network,
        "ignored": kubernetes.ignored_preflight_errors,
    }


def member_values(lab: Lab) -> dict[str, Any]:
    """What the role control_plane reads."""
    return {
        "first": lab.control_plane[0].name,
        "api": (lab.api.vip, lab.api.port),
        "ignored": lab.kubernetes.ignored_preflight_errors,
    }
