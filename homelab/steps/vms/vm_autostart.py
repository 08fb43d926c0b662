"""After a power cut a host starts the lab's VMs again: balancers, then control planes, then workers. Pure.

What the owner set stays: VMs of others, their order, the delays of the host, and a VM of ours that has an entry. The
host's switch is left off where it would start somebody's VMs that it does not start now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from homelab.engine.step import Change, Planned, Words
from homelab.lab import Lab, Vm
from homelab.ports.esxi.shell import SERVICE as SSH
from homelab.ports.vsphere import HostLook
from homelab.ports.vsphere.autostart import ANY_TIME, Autostart
from homelab.ports.vsphere.vm_look import LAB, NAME
from homelab.ports.world import World
from homelab.steps.vms.vm_changes import DestroyVm, ShutDownVm

Ends = Sequence[Planned[ShutDownVm | DestroyVm]]
GROUPS = ("load_balancers", "control_plane", "workers")


@dataclass(frozen=True)
class Place:
    """A VM that takes part: `rank` is its group's place in GROUPS, None for one that is not of this lab."""

    path: str
    name: str
    order: int
    starts: bool
    rank: int | None


@dataclass(frozen=True)
class HostStarts:
    """What starts with a host: its switch and its VMs, by their order; `writable` when that can be changed."""

    host: str
    enabled: bool
    places: tuple[Place, ...]
    writable: bool = True

    def of(self, path: str) -> Place | None:
        """The place of the VM of a .vmx."""
        return next((place for place in self.places if place.path == path), None)

    @property
    def others(self) -> tuple[str, ...]:
        """The VMs that are not of this lab and would start with the host, were its switch on."""
        return tuple(place.name for place in self.places if place.rank is None and place.starts)


@dataclass(frozen=True)
class SetAutostart(Change):
    """Have a VM that exists start with its host; `path` is that of its .vmx."""

    host: str
    path: str
    autostart: Autostart

    def _words(self) -> Words:
        own = f"have {self.host} start {self.target} after a power cut"
        return Words(
            sentence=own if self.autostart.order is not None else f"switch the autostart of {self.host} on",
            reason="it is not among the VMs that start with the host"
            if self.autostart.order is not None
            else f"{self.target} is to start with it, and it starts no VM",
            undo="write vm_autostart: false, and take it out in the host's web page (Manage, System, Autostart)",
            before="it stays off" + (", and the host starts no VM" if self.autostart.enable else ""),
            after="it starts" + (", for the host's autostart is on" if self.autostart.enable else ""),
        )


def starts_of(lab: Lab, host: str, look: HostLook) -> HostStarts | None:
    """What a look tells of the VMs that start with the host; None where it is not told, or a vCenter has the say."""
    if look.autostart is None or lab.vcenter:
        return None
    ranks = {vm.short_name: rank for rank, group in enumerate(GROUPS) for vm in getattr(lab, group)}
    ours = {vm.path: ranks[vm.marks[NAME]] for vm in look.vms if _is_ours(lab, vm.marks, ranks) and vm.original}
    places = [
        Place(entry.path, entry.name, entry.order, entry.starts, ours.get(entry.path))
        for entry in look.autostart.entries
    ]
    writable = look.api_writes or look.services.get(SSH, False)
    return HostStarts(host, look.autostart.enabled, tuple(places), writable)


def autostart_of(lab: Lab, vm: Vm, seen: HostStarts | None) -> Autostart | None:
    """How a VM that is made now is to start with its host; None when that is not ours to say."""
    if seen is None or not vm.autostart:
        return None
    rank = next(rank for rank, group in enumerate(GROUPS) if vm in getattr(lab, group))
    known = frozenset(place.path for place in seen.places)
    return Autostart(_position(seen.places, rank), rank, known, enable=not seen.enabled and not seen.others)


def started(lab: Lab, vm: Vm, path: str, seen: HostStarts | None) -> Sequence[SetAutostart]:
    """What is to be set for a VM that exists."""
    wanted = autostart_of(lab, vm, seen)
    if seen is None or wanted is None or not seen.writable:
        return []
    if place := seen.of(path):
        wanted = replace(wanted, order=None, enable=wanted.enable and place.starts)
    if wanted.order is None and not wanted.enable:
        return []
    return [SetAutostart(vm.name, seen.host, path, wanted)]


def left_off(vm: Vm, path: str, seen: HostStarts | None) -> list[str]:
    """Why a VM will not start with its host, where that is left so."""
    if seen is None or not vm.autostart:
        return []
    place, again = seen.of(path), f"{vm.name} stays off after a power cut of {seen.host}"
    if place and not place.starts:
        return [f"{again}: somebody set it so at the host; vm_autostart: false says the same"]
    if not seen.writable:
        return [] if place and seen.enabled else [f"{again}: its API only reads, and SSH is off"]
    if not seen.enabled and seen.others:
        told = ", ".join(seen.others)
        return [
            f"{again}: the host starts no VM, and if it did it would start {told} as well, not of this lab; "
            "switch it on yourself (its web page: Manage, System, Autostart), if that is right"
        ]
    return []


def leaving(changes: Ends, path: str, seen: HostStarts | None) -> Ends:
    """A VM that is destroyed leaves nothing among those that start with its host."""
    has = seen is not None and seen.of(path) is not None
    return [replace(change, autostart=has) if isinstance(change, DestroyVm) else change for change in changes]


def place_of(path: str, seen: HostStarts | None) -> Autostart | None:
    """The place that a VM has now, as it would be given again; None when it has none, or does not start by it."""
    place = seen.of(path) if seen else None
    if seen is None or place is None or not place.starts:
        return None
    return Autostart(place.order, place.rank or 0, frozenset(other.path for other in seen.places))


def taken_along(lab: Lab, vm: Vm, path: str, here: HostStarts | None, there: HostStarts | None) -> Autostart | None:
    """How a VM that moves starts with its new host: as ours do, or else as its owner has it with the old one.

    What does not start there does not start here. Where vm_autostart leaves it to the owner, it starts at any time.
    """
    place = here.of(path) if here else None
    if place and not place.starts:
        return None
    if vm.autostart or place is None or there is None:
        return autostart_of(lab, vm, there)
    return Autostart(ANY_TIME, 0, frozenset(other.path for other in there.places))


def have_it_start(world: World, change: SetAutostart) -> None:
    """Over the API, or over SSH where that only reads."""
    with (
        world.starts.place(change.host, change.path, change.autostart) as autostart,
        world.vm_writer(change.host) as writer,
    ):
        writer.set_autostart(change.path, change.target, autostart)


def _position(places: Sequence[Place], rank: int) -> int:
    """Behind every VM of others that has a position, and behind ours that are to start before it.

    So no VM of others gets another position, even if that costs ours the right order.
    """
    before = [n for n, place in enumerate(_placed(places), 1) if place.rank is None or place.rank <= rank]
    return max(before, default=0) + 1


def _placed(places: Sequence[Place]) -> list[Place]:
    return sorted((place for place in places if place.order > 0), key=lambda place: place.order)


def _is_ours(lab: Lab, marks: Mapping[str, str], ranks: Mapping[str, int]) -> bool:
    return marks.get(LAB) == lab.name and marks.get(NAME) in ranks
