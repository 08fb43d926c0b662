"""Step `manifests`: what kubernetes_manifests names is in the cluster, by server-side apply on the first control plane.

The plan is kubectl's own difference. What is taken out of the list stays in the cluster: nobody knows who uses it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from homelab.engine.step import Blocked, Change, Node, Planned, Step, Words
from homelab.formats.kubernetes.kubectl import Difference
from homelab.formats.kubernetes.manifests import Manifest, in_waves
from homelab.lab import Lab
from homelab.ports.guest.look import GuestAway, GuestLook
from homelab.ports.kubernetes.kubectl import Kubectl
from homelab.ports.kubernetes.manifest_files import read_manifests
from homelab.ports.world import World

# A cluster that was begun, as `kubernetes` leaves it.
ROLE = "control_plane"
NOT_SHOWN = "what is in it is not shown"
# Of a difference, in lines.
SHOWN = 60


@dataclass(frozen=True)
class ApplyManifest(Change):
    """Apply one object."""

    manifest: Manifest
    new: bool
    lines: tuple[str, ...] = field(default=(), hash=False)

    def _words(self) -> Words:
        one = self.manifest
        place = f"{one.file}:{one.line}"
        kept = "it stays in the cluster when it is taken out of the list: kubectl delete"
        return Words(
            sentence=f"{'create' if self.new else 'change'} {one.label}",
            reason=f"{place} {'is not in the cluster yet' if self.new else 'differs from what is in the cluster'}",
            undo=f"{kept} {one.kind.lower()} {one.name}" + (f" -n {one.namespace}" if one.namespace else ""),
            before=self._side("-") if not self.new else "absent",
            after=self._side("+"),
            lines=self.lines,
        )

    def _side(self, sign: str) -> str:
        told = [line[1:].strip() for line in self.lines if line.startswith(sign)]
        return "; ".join(told) or ("present" if self.new else NOT_SHOWN)


@dataclass(frozen=True)
class ManifestsState:
    """The first control plane, the objects that are wanted, and those that differ; `standin` runs none."""

    guest: GuestLook | GuestAway
    differ: tuple[tuple[Manifest, Difference], ...] = ()
    standin: bool = False


class Manifests(Step[ManifestsState, ApplyManifest]):
    """One node: the first control plane, where the inventory names manifests."""

    name = "manifests"

    def targets(self, lab: Lab) -> Sequence[str]:
        """The first control plane."""
        return [vm.name for vm in lab.control_plane[:1]] if lab.kubernetes.manifests else []

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The first control plane is one."""
        return [Node("kubernetes", target)]

    def settled(self, lab: Lab, target: str) -> Sequence[Node]:
        """The other nodes were tried: one that is away holds nobody's workloads up."""
        return [Node("kubernetes", vm.name) for vm in (*lab.control_plane[1:], *lab.workers)]

    def observe(self, world: World, lab: Lab, target: str) -> ManifestsState:
        """What kubectl says differs, by one connection."""
        wanted = in_waves(read_manifests(world.inventories[0], lab.kubernetes.manifests))
        guest = world.guest(target)
        if isinstance(guest, GuestAway) or ROLE not in guest.receipts:
            return ManifestsState(guest)
        with world.cluster.shell(target) as shell:
            kubectl = Kubectl(shell)
            if kubectl.standin:
                return ManifestsState(guest, standin=True)
            found = compared(kubectl, wanted)
        return ManifestsState(guest, tuple((one, found[one]) for one in wanted if one in found))

    def plan(self, lab: Lab, target: str, observed: ManifestsState) -> Sequence[Planned[ApplyManifest]]:
        """Apply what differs; namespaces and kinds first."""
        if isinstance(observed.guest, GuestAway):
            return [Blocked(target, observed.guest.reason)]
        if ROLE not in observed.guest.receipts:
            return [Blocked(target, f"{target} is a control plane (kubernetes)")]
        if observed.standin:
            return [Blocked(target, "a real Kubernetes is there: the stand-in runs no manifests")]
        return [_change(target, one, difference) for one, difference in observed.differ]

    def apply(self, world: World, change: ApplyManifest) -> None:
        """Apply one object; others' fields are not taken over."""
        with world.guest_shell(change.target) as shell:
            Kubectl(shell).apply(change.manifest)


def compared(kubectl: Kubectl, wanted: Sequence[Manifest]) -> dict[Manifest, Difference]:
    """Those that differ; an object whose namespace or kind is not there yet cannot even be asked about: it is new."""
    found = kubectl.diff([one for one in wanted if one.goes_first])
    unknown = absent_first(found, wanted)
    found |= kubectl.diff([one for one in wanted if not one.goes_first and one not in unknown])
    return found | dict.fromkeys(unknown, Difference(new=True, lines=()))


def absent_first(found: Mapping[Manifest, Difference], wanted: Sequence[Manifest]) -> set[Manifest]:
    """Those that need one that is not there yet. Pure."""
    absent = [one for one, difference in found.items() if difference.new and one.goes_first]
    return {one for one in wanted if not one.goes_first and any(one.needs(other) for other in absent)}


def _change(target: str, manifest: Manifest, difference: Difference) -> ApplyManifest:
    """What is new stands in its file. What is in a Secret kubectl masks, and here not even the masks are kept."""
    lines = () if manifest.is_secret or difference.new else difference.lines
    more = (f"... and {len(lines) - SHOWN} more lines",) if len(lines) > SHOWN else ()
    return ApplyManifest(target, manifest, difference.new, (*lines[:SHOWN], *more))
