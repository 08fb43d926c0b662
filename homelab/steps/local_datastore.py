"""Step `local-datastore`: a VMFS datastore on the internal disk, and host cache on it when asked."""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab.errors import HostFault, Refused
from homelab.lab import EsxiHost, Lab
from homelab.ports.vsphere import DiskLook, HostLook, VmfsLook
from homelab.ports.vsphere.local_storage import PartitionLook, create_vmfs, set_host_cache
from homelab.ports.world import World
from homelab.step import Change, Node, Planned, Step

CACHE_SECONDS = 300.0
GIB = 1 << 30


@dataclass(frozen=True)
class MakeDatastore(Change):
    """Make one VMFS datastore of a whole disk."""

    datastore: str
    disk: str
    path: str
    model: str
    partitions: tuple[str, ...] = ()
    disruptive = True

    @property
    def sentence(self) -> str:
        """What will be done."""
        return f"make the datastore {self.datastore} of the whole disk {self.disk} ({self.model}) on {self.target}"

    @property
    def reason(self) -> str:
        """Why."""
        return f"{self.target} has no datastore {self.datastore}"

    @property
    def before(self) -> str:
        """What is on the disk and will be lost."""
        return f"on the disk, to be lost: {', '.join(self.partitions)}" if self.partitions else "an empty disk"

    @property
    def after(self) -> str:
        """As wanted."""
        return f"VMFS datastore {self.datastore}"

    @property
    def undo(self) -> str:
        """How to go back."""
        lost = "; what was on the disk before does not come back" if self.partitions else ""
        return f"delete the datastore {self.datastore} in the host's web page{lost}"


@dataclass(frozen=True)
class SetHostCache(Change):
    """Let one host swap to its SSD."""

    datastore: str
    mib: int
    had: int

    @property
    def sentence(self) -> str:
        """What will be done."""
        return f"let {self.target} use {self.mib} MiB of {self.datastore} as host cache"

    @property
    def reason(self) -> str:
        """Why."""
        return "esxi_host_cache_mib asks for it"

    @property
    def before(self) -> str:
        """As found."""
        return f"{self.had} MiB"

    @property
    def after(self) -> str:
        """As wanted."""
        return f"{self.mib} MiB"

    @property
    def undo(self) -> str:
        """How to go back."""
        return f"set esxi_host_cache_mib to {self.had} and run again"


@dataclass(frozen=True)
class Disks:
    """What the step sees: the host, and what is on each disk that a datastore might be made of."""

    look: HostLook
    partitions: dict[str, tuple[PartitionLook, ...]]


class LocalDatastore(Step):
    """One node a host that is to have a datastore of its own."""

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

    def observe(self, world: World, target: str) -> Disks:
        """The host's look; what is on its disks only when a datastore is to be made."""
        look, host = world.host(target), world.lab.host(target)
        if look.vmfs_named(host.local_datastore or ""):
            return Disks(look, {})
        asked = [disk for disk in look.disks if host.local_disk in (None, disk.name) and not disk.usb]
        return Disks(look, {disk.name: world.partitions(target, disk.path) for disk in asked})

    def plan(self, lab: Lab, target: str, observed: Disks) -> Sequence[Planned]:
        """Make what is missing; set the host cache when it is another one."""
        host, look = lab.host(target), observed.look
        name = host.local_datastore or ""
        there = look.vmfs_named(name)
        changes: list[Planned] = []
        if there is None:
            disk = _choose(host, observed)
            parts = tuple(f"{p.kind} ({p.size / GIB:.0f} GiB)" for p in observed.partitions[disk.name])
            changes.append(MakeDatastore(target, name, disk.name, disk.path, disk.model, parts))
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

    def apply(self, world: World, change: MakeDatastore | SetHostCache) -> None:
        """Make the datastore, or set the cache, over the API."""
        if not world.host(change.target).api_writes:
            raise HostFault(
                f"the API only reads ({world.host(change.target).licence}), and this is not done over SSH",
                where=change.target,
                advice=f"In the host's web page: {change.sentence}; then run again. Or assign a licence",
            )
        with world.session(change.target) as session:
            if isinstance(change, MakeDatastore):
                create_vmfs(session, change.path, change.datastore)
                return
            progress = world.progress(f"the host cache of {change.target} is set", CACHE_SECONDS)
            set_host_cache(session, change.datastore, change.mib, seconds=CACHE_SECONDS, progress=progress)


def _choose(host: EsxiHost, observed: Disks) -> DiskLook:
    """The disk that the inventory names, else the only empty one. A used disk, a stick and a guess are refused."""
    look = observed.look
    disks = [disk for disk in look.disks if not disk.usb]
    taken = {name: vmfs.name for vmfs in look.vmfs for name in vmfs.disks}
    listed = "; ".join(_told(disk, observed, taken) for disk in disks) or "none but sticks"
    if host.local_disk:
        named = next((disk for disk in disks if disk.name == host.local_disk), None)
        if named is None or named.name in taken:
            what = f"is the datastore {taken[named.name]}" if named else "is not an internal disk of this host"
            raise _refused(host, f"esxi_local_disk: {host.local_disk} {what}", listed)
        return named
    empty = [disk for disk in disks if disk.name not in taken and not observed.partitions[disk.name]]
    if len(empty) == 1:
        return empty[0]
    found = "more than one disk is empty" if empty else "no disk is empty"
    raise _refused(host, f"{found}, and esxi_local_disk does not say which one {host.local_datastore} may have", listed)


def _told(disk: DiskLook, observed: Disks, taken: dict[str, str]) -> str:
    parts = observed.partitions.get(disk.name, ())
    holds = (
        f"datastore {taken[disk.name]}" if disk.name in taken else f"{len(parts)} partition(s)" if parts else "empty"
    )
    return f"{disk.name} ({disk.model}, {disk.size / GIB:.0f} GiB, {holds})"


def _refused(host: EsxiHost, what: str, listed: str) -> Refused:
    return Refused(
        what,
        where=host.name,
        advice=f"Set esxi_local_disk to the disk whose content may be lost; there are: {listed}",
    )


def _disk_of(target: str, look: HostLook, vmfs: VmfsLook) -> DiskLook:
    found = next((disk for disk in look.disks if disk.name in vmfs.disks), None)
    if found is None or not vmfs.accessible:
        raise Refused(
            f"the datastore {vmfs.name} is there, and its disk does not answer",
            where=target,
            advice="Look at the disk and its cable; a broken disk has to be replaced before this host can be used",
        )
    return found
