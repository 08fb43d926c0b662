"""Step `local-datastore`: a VMFS datastore on the internal disk, and host cache on it when asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homelab.engine.step import Change, Node, Planned, Step, Words
from homelab.errors import HostFault, Refused
from homelab.lab import EsxiHost, Lab
from homelab.ports.vsphere import DiskLook, HostLook, VmfsLook
from homelab.ports.vsphere.local_storage import DiskContents, create_vmfs, set_host_cache
from homelab.ports.world import World

CACHE_SECONDS = 300.0
GIB = 1 << 30


@dataclass(frozen=True)
class MakeDatastore(Change):
    """Make one VMFS datastore of a whole disk, with what was seen on it: all of that is compared before it is lost."""

    datastore: str
    disk: DiskLook
    contents: DiskContents
    disruptive = True

    def _words(self) -> Words:
        return Words(
            sentence=f"make the datastore {self.datastore} of the whole disk {_named(self.disk)} on {self.target}",
            reason=f"{self.target} has no datastore {self.datastore}",
            undo=self._undo,
            before=self._before,
            after=f"VMFS datastore {self.datastore}",
            loses="" if self.contents.empty else str(self.contents),
        )

    @property
    def _undo(self) -> str:
        lost = "" if self.contents.empty else "; what was on the disk before does not come back"
        return f"delete the datastore {self.datastore} in the host's web page{lost}"

    @property
    def _before(self) -> str:
        if self.contents.empty:
            return f"an empty disk; on it is {self.contents}"
        return f"on the disk, to be lost: {self.contents}"


@dataclass(frozen=True)
class SetHostCache(Change):
    """Let one host swap to its SSD."""

    datastore: str
    mib: int
    had: int

    def _words(self) -> Words:
        return Words(
            sentence=f"let {self.target} use {self.mib} MiB of {self.datastore} as host cache",
            reason="esxi_host_cache_mib asks for it",
            undo=f"set esxi_host_cache_mib to {self.had} and run again",
            before=f"{self.had} MiB",
            after=f"{self.mib} MiB",
        )


@dataclass(frozen=True)
class LocalDatastoreState:
    """What the step sees: the host, and what is on each disk that a datastore might be made of."""

    look: HostLook
    contents: Mapping[str, DiskContents]


Changes = MakeDatastore | SetHostCache


class LocalDatastore(Step[LocalDatastoreState, Changes]):
    """One node for each host that is to have a datastore of its own."""

    name = "local-datastore"

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every ESXi host with esxi_local_datastore."""
        return [host.name for host in lab.esxi if host.local_datastore]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The host has answered."""
        return [Node("boot-media", target)]

    def settled(self, lab: Lab, target: str) -> Sequence[Node]:
        """The host has been met."""
        return [Node("first-boot", target)]

    def observe(self, world: World, lab: Lab, target: str) -> LocalDatastoreState:
        """The host's look; what is on its disks only when a datastore is to be made."""
        look, host = world.host(target), lab.host(target)
        if look.vmfs_named(host.local_datastore or ""):
            return LocalDatastoreState(look, {})
        asked = [disk for disk in look.disks if host.local_disk in (None, disk.name) and not disk.usb]
        return LocalDatastoreState(look, {disk.name: world.reader(target).contents(disk) for disk in asked})

    def plan(self, lab: Lab, target: str, observed: LocalDatastoreState) -> Sequence[Planned[Changes]]:
        """Make what is missing; set the host cache when it is another one."""
        host, look = lab.host(target), observed.look
        name = host.local_datastore or ""
        there = look.vmfs_named(name)
        changes: list[Planned[Changes]] = []
        if there is None:
            disk = _choose(host, observed)
            changes.append(MakeDatastore(target, name, disk, observed.contents[disk.name]))
        else:
            disk = _disk_of(target, look, there)
        if host.host_cache_mib and not disk.ssd:
            raise Refused(
                f"the disk {disk.name} of {name} is no SSD for ESXi, and host cache needs one",
                where=target,
                advice="Set esxi_host_cache_mib to 0, or mark the disk as flash in the host's web page",
            )
        had = look.cache_mib.get(name, 0)
        if had != host.host_cache_mib:
            changes.append(SetHostCache(target, name, host.host_cache_mib, had))
        return changes

    def apply(self, world: World, change: Changes) -> None:
        """Make the datastore, or set the cache, over the API."""
        if not world.host(change.target).api_writes:
            raise HostFault(
                f"the API only reads ({world.host(change.target).licence}), and this is not done over SSH",
                where=change.target,
                advice=f"In the host's web page: {change}; then run again. Or assign a licence",
            )
        if isinstance(change, MakeDatastore):
            _check_bytes(world, change)
            with world.session(change.target) as session:
                create_vmfs(session, change.disk, change.contents, change.datastore)
            return
        with world.session(change.target) as session:
            progress = world.progress(f"the host cache of {change.target} is set", CACHE_SECONDS)
            set_host_cache(session, change.datastore, change.mib, seconds=CACHE_SECONDS, progress=progress)


def _check_bytes(world: World, change: MakeDatastore) -> None:
    """What ESXi has no word for, such as encryption of a whole disk, shows in its bytes alone."""
    now = world.reader(change.target).contents(change.disk)
    if now.data != change.contents.data:
        raise Refused(
            f"the disk {change.disk.name} is not what was agreed to, so it was not formatted; on it is now: {now}",
            where=change.target,
            advice="Run again and look at the new plan",
        )


def _choose(host: EsxiHost, observed: LocalDatastoreState) -> DiskLook:
    """The disk that the inventory names, else the only one that is known to be empty.

    Sticks and boot disks, disks with a VMFS, and a guess are refused.
    """
    if host.local_disk:
        return _named_disk(host, observed)
    internal = [disk for disk in observed.look.disks if not disk.usb and disk.size]
    empty = [disk for disk in internal if observed.contents[disk.name].empty and not _kept(disk, observed)]
    if len(empty) == 1:
        return empty[0]
    found = "more than one disk is empty" if empty else "no disk is known to be empty"
    raise _refused(
        host, f"{found}, and esxi_local_disk does not say which one {host.local_datastore} may have", observed
    )


def _named_disk(host: EsxiHost, observed: LocalDatastoreState) -> DiskLook:
    named = next((disk for disk in observed.look.disks if disk.name == host.local_disk), None)
    if named is None or not named.size:
        kept: str | None = "is not an internal disk of this host"
    else:
        kept = _kept(named, observed)
    if named is None or kept:
        raise _refused(host, f"esxi_local_disk: {host.local_disk} {kept}", observed)
    return named


def _kept(disk: DiskLook, observed: LocalDatastoreState) -> str | None:
    """Why a disk is never taken, whoever names it; None when it may be."""
    contents = observed.contents.get(disk.name, DiskContents())
    store = next((vmfs.name for vmfs in observed.look.vmfs if disk.name in vmfs.disks), None)
    if disk.usb:
        return "is not an internal disk of this host: it hangs on USB"
    if contents.boots:
        return "is the disk that this host boots from"
    if store is not None:
        return f"is the datastore {store}"
    if contents.has_vmfs:
        return "has a VMFS on it that this host does not mount, and none is ever formatted"
    return None


def _refused(host: EsxiHost, what: str, observed: LocalDatastoreState) -> Refused:
    """With the line to paste for each disk that may be named, and why not for the others."""
    may = [disk for disk in observed.look.disks if disk.size and not _kept(disk, observed)]
    others = [f"{_named(disk)} {kept}" for disk in observed.look.disks if (kept := _kept(disk, observed))]
    lines = [f"`esxi_local_disk: {disk.name}` ({_facts(disk)}; {_told(disk, observed)})" for disk in may]
    advice = f"Look what is on it, and if that may be lost, write to the host's variables: {' or '.join(lines)}"
    left = f". Not to be had: {'; '.join(others)}" if others else ""
    return Refused(what, where=host.name, advice=(advice if may else "Give the host an internal disk") + left)


def _told(disk: DiskLook, observed: LocalDatastoreState) -> str:
    contents = observed.contents.get(disk.name)
    return f"on it: {contents}" if contents else "not looked at"


def _named(disk: DiskLook) -> str:
    return f"{disk.name} ({_facts(disk)})"


def _facts(disk: DiskLook) -> str:
    return f"{disk.model}, {disk.size / GIB:.0f} GiB"


def _disk_of(target: str, look: HostLook, vmfs: VmfsLook) -> DiskLook:
    found = next((disk for disk in look.disks if disk.name in vmfs.disks), None)
    if found is None or not vmfs.accessible:
        raise Refused(
            f"the datastore {vmfs.name} is there, and its disk does not answer",
            where=target,
            advice="Look at the disk and its cable; a broken disk has to be replaced before this host can be used",
        )
    return found
