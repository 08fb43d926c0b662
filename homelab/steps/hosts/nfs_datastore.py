"""Step `nfs-datastore`: every host mounts the one export under one name, with the same strings, and can write to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from homelab.engine.step import Node, Planned, Step
from homelab.errors import HomelabError, Refused
from homelab.formats.nfs.volume import volume_directory
from homelab.lab import Lab, NfsServer
from homelab.ports.host_writer import HostWriter, NfsMount
from homelab.ports.net.nfs import ExportLook
from homelab.ports.vsphere import HostLook, NasLook
from homelab.ports.world import World
from homelab.steps.guests.role_values import nfs_server
from homelab.steps.guests.roles import RolesState, RunPlaybook, apply_playbook, observe_roles, plan_roles
from homelab.steps.hosts.nfs_changes import MountNfs, Remount, addition, removal, told

MAX_VOLUMES = "NFS.MaxVolumes"
ROLE, PLAYBOOK = "nfs_server", "nfs_server.yml"


@dataclass(frozen=True)
class NfsDatastoreState:
    """What the step sees at one host: its look, what others have mounted, and the export seen from here, if asked."""

    look: HostLook
    others: Mapping[str, tuple[NasLook, ...]] = field(default_factory=dict)
    export: ExportLook | None = None


Changes = MountNfs | Remount | RunPlaybook


class NfsDatastore(Step[NfsDatastoreState | RolesState, Changes]):
    """One node for each host, and one for a NAS that is ours to lay down."""

    name = "nfs-datastore"

    def targets(self, lab: Lab) -> Sequence[str]:
        """The managed NAS, and every ESXi host when the lab has a NAS."""
        return [*(nas.name for nas in lab.nfs if nas.managed), *(host.name for host in lab.esxi if lab.nfs)]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The host has answered, and a NAS of ours is there."""
        ours = [Node(self.name, nas.name) for nas in lab.nfs if nas.managed and nas.name != target]
        return [Node("boot-media", target), *ours]

    def settled(self, lab: Lab, target: str) -> Sequence[Node]:
        """The host has been met."""
        return [Node("first-boot", target)]

    def observe(self, world: World, lab: Lab, target: str) -> NfsDatastoreState | RolesState:
        """The host's mounts; the others', and the export as it is seen from here, only when something is missing."""
        nas = lab.nfs[0]
        if target == nas.name:
            return observe_roles(world, lab, target, (ROLE,))
        look = world.host(target)
        if (found := look.nas_named(nas.datastore)) and _same(found, nas):
            return NfsDatastoreState(look)
        others = {name: other.nas for name, other in world.reachable_hosts().items() if name != target}
        return NfsDatastoreState(look, others, world.lan.export())

    def plan(self, lab: Lab, target: str, observed: NfsDatastoreState | RolesState) -> Sequence[Planned[Changes]]:
        """Mount what is missing; move what is there under other strings, if nothing uses it."""
        nas = lab.nfs[0]
        if isinstance(observed, RolesState):
            return plan_roles(target, observed, PLAYBOOK, "lay an NFS server down", (nfs_server(lab),))
        found = observed.look.nas_named(nas.datastore)
        if found and _same(found, nas):
            _check_health(found, nas, target)
            return []
        return _mount(target, nas, observed)

    def apply(self, world: World, change: Changes) -> None:
        """Mount, then prove that writing works; a mount that cannot be written to is taken away again."""
        if isinstance(change, RunPlaybook):
            apply_playbook(world, change)
        elif isinstance(change, Remount):
            _remount(world, change)
        else:
            _mount_and_prove(world, change.target, change.wanted)


def _mount_and_prove(world: World, target: str, wanted: NfsMount) -> None:
    with world.writer(target) as writer:
        writer.mount_nfs(wanted)
        try:
            writer.probe(wanted.datastore)
        except HomelabError as error:
            error.what += _taken_away(writer, wanted)
            raise


def _taken_away(writer: HostWriter, mount: NfsMount) -> str:
    """Unmount what was mounted just now; what to add to the error when that fails too."""
    try:
        writer.unmount(mount)
    except HomelabError as error:
        return f"; and {mount.datastore} could not be unmounted again ({error.what}); by hand: {removal(mount)}"
    return ""


def _remount(world: World, change: Remount) -> None:
    """When the new mount fails the old one is put back: a host is not left with neither."""
    with world.writer(change.target) as writer:
        writer.unmount(change.found)
    try:
        _mount_and_prove(world, change.target, change.wanted)
    except HomelabError as error:
        error.what += f"; {_put_back(world, change.target, change.found)}"
        raise


def _put_back(world: World, target: str, found: NfsMount) -> str:
    """Over a connection of its own, for the other one may be what broke."""
    try:
        with world.writer(target) as writer:
            writer.mount_nfs(found)
    except HomelabError as error:
        return f"and {found.datastore} could not be put back either ({error.what}); to do it by hand: {addition(found)}"
    return f"{found.datastore} was put back as it was"


def _same(found: NasLook, nas: NfsServer) -> bool:
    """ESXi tells datastores apart by the very bytes of server and path (esxi-facts, NFS datastores)."""
    return (found.server, found.share, found.version) == (nas.server, nas.export, nas.version)


def _alike(found: NasLook, nas: NfsServer) -> bool:
    """Another spelling of the same export: a name for an address cannot be told, letters and a slash at the end can."""
    plain = found.share.rstrip("/").lower() == nas.export.rstrip("/").lower()
    return found.name == nas.datastore or (plain and found.server.lower() == nas.server.lower())


def _mount(target: str, nas: NfsServer, observed: NfsDatastoreState) -> Sequence[Planned[Changes]]:
    look = observed.look
    _check_others(target, nas, observed.others)
    wrong = [found for found in look.nas if _alike(found, nas)]
    if len(wrong) > 1:
        raise Refused(
            f"{nas.server}:{nas.export} is mounted more than once: {', '.join(found.name for found in wrong)}",
            where=target,
            advice=f"Unmount all of them that nothing uses, and run again; {nas.datastore} is mounted then",
        )
    if look.vmfs_named(nas.datastore):
        raise Refused(
            f"a local datastore is called {nas.datastore} already",
            where=target,
            advice="Give one of them another name: nfs_datastore in the inventory, or rename it in the host's web page",
        )
    _check_export(nas, observed.export)
    wanted = NfsMount.of(nas)
    if wrong:
        _check_unused(target, look, wrong[0])
        return [Remount(target, _as_found(wrong[0]), wanted)]
    most = int(look.options.get(MAX_VOLUMES, 8))
    if len(look.nas) >= most:
        raise Refused(
            f"{len(look.nas)} NFS datastores are mounted, and {MAX_VOLUMES} allows no more",
            where=target,
            advice=f"Unmount one, or raise it: esxcli system settings advanced set -o /NFS/MaxVolumes -i {most * 2}",
        )
    return [MountNfs(target, wanted)]


def _as_found(found: NasLook) -> NfsMount:
    return NfsMount(found.server, found.server, found.share, found.name, found.version, found.writable)


def _check_others(target: str, nas: NfsServer, others: Mapping[str, tuple[NasLook, ...]]) -> None:
    """NFS 3 and 4.1 on one export at the same time corrupt what lies on it: their locks do not know each other."""
    for name, mounts in others.items():
        for found in mounts:
            if _alike(found, nas) and found.version != nas.version:
                raise Refused(
                    f"{name} has {found.server}:{found.share} mounted by NFS {found.version}, and nfs_version is "
                    f"{nas.version}: both at once corrupt data",
                    where=target,
                    advice=f"Unmount {found.name} on {name} first, or set nfs_version to {found.version}",
                )


def _check_export(nas: NfsServer, export: ExportLook | None) -> None:
    """What is wrong at the NAS itself is told before a host is asked; its silence to us is not its answer to them."""
    if export and export.answers and export.problem:
        raise Refused(export.problem.what, where=f"NAS {nas.name} ({nas.server})", advice=export.problem.advice)


def _check_unused(target: str, look: HostLook, found: NasLook) -> None:
    unreadable = [vm.name for vm in look.vms if not vm.readable]
    if unreadable:
        raise Refused(
            f"the datastore {found.name} is {told(_as_found(found))}, not what the inventory says, and the host "
            f"cannot read the files of {', '.join(unreadable)}, so nobody knows whether they lie on it",
            where=target,
            advice=f"If the NAS has another address now: give it its old one ({found.server}) again, or unregister "
            "those VMs (their files stay) and register them after the new mount; then run again",
        )
    used = dict.fromkeys([*(vm.name for vm in look.vms if vm.uses(found.name)), *found.vms])
    places = [key for key, value in look.options.items() if _lies_on(str(value), found)]
    if used or places:
        raise Refused(
            f"the datastore {found.name} is {told(_as_found(found))} (NFS {found.version}), not what the "
            f"inventory says, and is in use by {', '.join([*used, *places])}",
            where=target,
            advice="Change the inventory to these very letters; or move what uses it away, and run again",
        )


def _lies_on(value: str, found: NasLook) -> bool:
    """Whether a setting names a place on a datastore: by its volume, or by the name that it is mounted under."""
    places = [f"[{found.name}]", f"/vmfs/volumes/{found.name}/", *([found.directory] if found.directory else [])]
    return any(place in f"{value}/" for place in places)


def _check_health(found: NasLook, nas: NfsServer, target: str) -> None:
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
    expected = volume_directory(nas.server, nas.export)
    if nas.version == "3" and found.directory and found.directory != expected:
        raise Refused(
            f"datastore {nas.datastore} is the volume {found.directory}, not {nas.server}:{nas.export} (volume "
            f"{expected})",
            where=target,
            advice="The host holds other letters than it shows; unmount it there, and run again",
        )
