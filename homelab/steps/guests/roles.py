"""What the steps on guests share: a role runs when its receipt says that it has to."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from homelab.engine.step import Blocked, Change, Planned, Words
from homelab.lab import Lab
from homelab.ports.guest.look import GuestAway, GuestLook
from homelab.ports.world import World
from homelab.steps.guests.role_values import RoleValues, telling, variables


@dataclass(frozen=True)
class RunPlaybook(Change):
    """Run one playbook on one guest, without the roles in `skip`, which are as wanted.

    `inputs` is ROLE -> digest of what goes in, as sorted pairs; `untouched` are control planes that nobody ever set up;
    `values` are what goes into the roles.
    """

    playbook: str
    brings: str
    because: str
    inputs: tuple[tuple[str, str], ...]
    skip: tuple[str, ...] = ()
    untouched: tuple[str, ...] = ()
    values: tuple[RoleValues, ...] = field(default=(), hash=False)

    @property
    def variables(self) -> dict[str, Any]:
        """What goes into the play."""
        given = {name: value for values in self.values for name, value in variables(values).items()}
        return {**self.told, **given}

    @property
    def told(self) -> dict[str, Any]:
        """What only a look tells; the rest a playbook finds in the inventory by itself."""
        untouched = {"one_cluster_untouched": list(self.untouched)} if self.untouched else {}
        return {"receipt_inputs": dict(self.inputs), **untouched}

    def _words(self) -> Words:
        return Words(
            sentence=f"{self.brings} on {self.target} ({self.playbook})",
            reason=self.because,
            undo=f"change the inventory back and run again, or destroy the VM {self.target}",
            before="differs",
            after="as the inventory says",
        )


@dataclass(frozen=True)
class RolesState:
    """A guest, the digests of what its roles are made of, and the cluster's CA.

    `contents` is VARIABLE -> digest of the file of this machine that it names: the same file elsewhere is no change.
    """

    guest: GuestLook | GuestAway
    sources: Mapping[str, str]
    ca: str | None = None
    contents: Mapping[str, str] = field(default_factory=dict)


def observe_roles(world: World, lab: Lab, target: str, roles: Sequence[str]) -> RolesState:
    """Look at a guest, and at what its roles are made of."""
    files = {
        "kubernetes_node_bundle": lab.kubernetes.bundle if "kubernetes_node" in roles else None,
        "pod_network_cni": lab.kubernetes.cni_manifest if "pod_network" in roles else None,
    }
    return RolesState(
        world.guest(target),
        sources={role: world.role_digest(role) for role in roles},
        contents={name: world.file_digest(path) for name, path in files.items() if path},
    )


def digest(sources: str, values: Mapping[str, Any]) -> str:
    """The digest of all that can change what a role does: what it is made of, and the values it reads."""
    text = json.dumps({"sources": sources, "values": values}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def plan_roles(
    target: str, observed: RolesState, playbook: str, brings: str, values: Sequence[RoleValues]
) -> Sequence[Planned[RunPlaybook]]:
    """Run the playbook when any of the roles that these values go into is not as wanted."""
    if isinstance(observed.guest, GuestAway):
        return [Blocked(target, observed.guest.reason)]
    inputs = {each.role: _goes_in(observed, each) for each in values}
    reasons = {role: observed.guest.needs(role, wanted) for role, wanted in inputs.items()}
    because = "; ".join(reason for reason in reasons.values() if reason)
    if not because:
        return []
    right = tuple(role for role, reason in reasons.items() if reason is None)
    return [RunPlaybook(target, playbook, brings, because, tuple(sorted(inputs.items())), right, values=tuple(values))]


def renewal(
    target: str, playbook: str, observed: RolesState, values: Sequence[RoleValues], role: str, because: str
) -> RunPlaybook:
    """The playbook for what runs out, where all is as wanted otherwise: one of its roles renews it."""
    inputs = tuple(sorted((each.role, _goes_in(observed, each)) for each in values))
    skip = tuple(each.role for each in values if each.role != role)
    return RunPlaybook(target, playbook, "renew the certificates", because, inputs, skip, values=tuple(values))


def _goes_in(observed: RolesState, values: RoleValues) -> str:
    read = telling(values)
    by_content = {name: content for name, content in observed.contents.items() if name in read}
    return digest(observed.sources[values.role], read | by_content)


def apply_playbook(world: World, change: RunPlaybook) -> None:
    """Run the playbook with all that the change carries; its roles leave receipts."""
    world.play(change.playbook, change.target, change.variables, skip=change.skip)
