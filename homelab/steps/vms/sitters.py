"""Which VMs have files at a place of a datastore: a disk that another disk sits on is worth both."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from homelab.errors import Refused
from homelab.ports.vsphere import HostLook
from homelab.ports.vsphere.host_look import NasLook
from homelab.ports.world import World


@dataclass(frozen=True)
class Sitters:
    """`users` are the VMs with files there, as `NAME on HOST`.

    While `silent` hosts have the datastore too, or a host has VMs that are `unread`, nobody knows all of them.
    """

    users: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()

    @property
    def doubt(self) -> str:
        """What must come first, while it is not known who sits there; empty when it is."""
        if self.unread:
            return f"the files of {', '.join(self.unread)} can be read again; if they are gone for good, unregister it"
        if self.silent:
            return f"{' and '.join(self.silent)} can be asked, or is taken out of the inventory"
        return ""

    @property
    def nobody(self) -> bool:
        """Whether surely nobody sits there."""
        return not self.users and not self.doubt


def sitters_at(world: World, via: str, datastore: str, place: str, but: tuple[str, str] | None = None) -> Sitters:
    """Who uses the file `place`, or files below it, of a datastore as the host `via` sees it.

    `place` is relative to the datastore; `but` is the HOST and the .vmx of a VM that does not count. Raises Unreachable
    when that host does not answer any more.
    """
    nas, looks = world.host(via).nas_named(datastore), world.reachable_hosts()
    names = _names(looks, nas) if nas else [(via, datastore)]
    found = [(host, name, vm) for host, name in names for vm in looks[host].vms if (host, vm.path) != but]
    users = [f"{vm.name} on {host}" for host, name, vm in found if vm.uses_place(f"[{name}] {place}")]
    unread = [f"{vm.name} on {host}" for host, _, vm in found if not vm.readable]
    silent = world.silent_hosts if nas else ()
    return Sitters(tuple(dict.fromkeys(users)), tuple(dict.fromkeys(unread)), silent)


def sitters_at_any(world: World, via: str, datastore: str, places: Iterable[str]) -> Sitters:
    """Who uses any of those files, or files below them."""
    found = [sitters_at(world, via, datastore, place) for place in places]
    users = dict.fromkeys(user for one in found for user in one.users)
    return replace(found[0], users=tuple(users)) if found else Sitters()


def check_nobody_at(
    world: World, via: str, datastore: str, place: str, what: str, but: tuple[str, str] | None = None
) -> None:
    """Asked of every host anew. Raises Refused: what was to be done is told by `what`."""
    forget(world, world.reachable_hosts())
    sitters = sitters_at(world, via, datastore, place, but)
    if not sitters.nobody:
        raise Refused(
            f"{what}: {', '.join((*sitters.users, *sitters.unread, *sitters.silent))} may have disks that sit on it",
            where=f"[{datastore}] {place}",
            advice="Destroy those VMs first, see that every host answers, and run again",
        )


def forget(world: World, hosts: Iterable[str]) -> None:
    """Look at those hosts anew the next time."""
    for host in list(hosts):
        world.forget(host)


def _names(looks: Mapping[str, HostLook], nas: NasLook) -> list[tuple[str, str]]:
    """Each host that has an NFS datastore, with what it is called there: its name, or its very volume by another."""
    return [
        (host, one.name)
        for host, look in looks.items()
        for one in look.nas
        if one.name == nas.name or (nas.directory and one.directory == nas.directory)
    ]
