"""Step `nfs-datastore`: every host mounts the one export under one name, with the same strings, and can write to it."""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab.errors import Refused
from homelab.lab import Lab, NfsServer
from homelab.ports.vsphere import NasLook
from homelab.ports.vsphere.storage import mount_nfs, probe_writable, unmount
from homelab.ports.world import World
from homelab.step import Change, Planned, Step


@dataclass(frozen=True)
class MountNfs(Change):
    """Mount an export on one host."""

    server: str
    share: str
    datastore: str

    @property
    def sentence(self) -> str:
        """What will be done."""
        return f"mount {self.server}:{self.share} as datastore {self.datastore} on {self.target} and write a probe file"

    @property
    def reason(self) -> str:
        """Why."""
        return f"{self.target} has no datastore {self.datastore}"

    @property
    def after(self) -> str:
        """The wanted mount."""
        return f"{self.server}:{self.share}"

    @property
    def undo(self) -> str:
        """How to go back."""
        return f"esxcli storage nfs remove --volume-name={self.datastore} on {self.target}"


class NfsDatastore(Step):
    """One node a host."""

    name = "nfs-datastore"

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every ESXi host, when the lab has a NAS."""
        return [host.name for host in lab.esxi] if lab.nfs else []

    def observe(self, world: World, target: str) -> tuple[NasLook, ...]:
        """The NFS datastores of the host."""
        return world.host(target).nas

    def plan(self, lab: Lab, target: str, observed: tuple[NasLook, ...]) -> Sequence[Planned]:
        """Mount what is missing; refuse what is there under other strings."""
        nas = lab.nfs[0]
        for found in observed:
            if found.name == nas.datastore:
                _check(found, nas, target)
                return []
            if (found.server, found.share) == (nas.server, nas.export):
                raise Refused(
                    f"{nas.server}:{nas.export} is already mounted as {found.name}, not as {nas.datastore}",
                    where=target,
                    advice=f"Set nfs_datastore to {found.name}, or unmount it when no VM uses it",
                )
        return [MountNfs(target, nas.server, nas.export, nas.datastore)]

    def apply(self, world: World, change: MountNfs) -> None:
        """Mount, then prove that writing works; a mount that cannot be written to is taken away again."""
        with world.session(change.target) as session:
            mount_nfs(session, world.lab.nfs[0])
            try:
                probe_writable(session, change.datastore)
            except Exception:
                unmount(session, change.datastore)
                raise


def _check(found: NasLook, nas: NfsServer, target: str) -> None:
    """ESXi tells datastores apart by the very bytes of server and path (esxi-facts, NFS datastores)."""
    have, want = (found.server, found.share, found.version), (nas.server, nas.export, nas.version)
    if have != want:
        raise Refused(
            f"datastore {nas.datastore} is {have[0]}:{have[1]} (NFS {have[2]}), "
            f"wanted is {want[0]}:{want[1]} (NFS {want[2]})",
            where=target,
            advice="The strings must be the same on every host, to the letter: change the inventory, or unmount it "
            "there when no VM uses it",
        )
    if not found.accessible:
        raise Refused(
            f"datastore {nas.datastore} is mounted, and the NAS does not answer",
            where=f"{target}, {nas.server}:{nas.export}",
            advice="Check that the NAS is on and still exports the path; ESXi takes it up again by itself",
        )
    if not found.writable:
        raise Refused(
            f"datastore {nas.datastore} is mounted read-only",
            where=f"{target}, {nas.server}:{nas.export}",
            advice="Export it writable for this host, unmount it there, and run again",
        )
