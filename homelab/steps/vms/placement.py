"""Which host a VM is made on, and why. Pure.

Of hosts counts only what stays as it is while a run goes on: their memory and CPUs, what the VMs of others take, and
which VMs of the inventory were there when the run first saw the host. All VMs of the inventory are reserved for, made
or not, and what a run has chosen stays (`Chosen`). So every VM of a run comes to one result, whenever its own node is
looked at, and whichever host comes up meanwhile; a VM that exists is never moved.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType

from homelab.errors import Refused
from homelab.lab import ControlPlane, Lab, LoadBalancer, Vm
from homelab.ports.vsphere import HostLook

# What ESXi needs of a host's memory for itself.
ESXI_MIB = 2048


@dataclass(frozen=True)
class HostRoom:
    """What a host has for VMs: `memory_mib` without ESXi's share, and without what VMs of others take that are on.

    `cpus` are logical ones, 0 where that was not told: a VM with more does not start. `vms` are the inventory's there.
    """

    memory_mib: int
    cpus: int = 0
    vms: frozenset[str] = frozenset()


# By the host's name; a host that was not seen yet is not in it, and counts as one with room.
Rooms = Mapping[str, HostRoom]


@dataclass(frozen=True)
class Place:
    """Where a VM is made, and why there; `problem` is why it cannot be, with the numbers, and what to do about it."""

    host: str
    why: str
    problem: tuple[str, str] | None = None


# By the VM's name: where this run has said that it is made.
Chosen = Mapping[str, Place]
NOTHING: Chosen = MappingProxyType({})


def rooms_of(lab: Lab, looks: Mapping[str, HostLook]) -> Rooms:
    """What the hosts have, by their first looks; one that does not tell its memory counts as not seen."""
    names = {vm.short_name: vm.name for vm in lab.vms}
    rooms = {}
    for host, look in looks.items():
        if look.memory:
            ours = {
                vm.moid: name
                for short, name in names.items()
                for vm in look.vms
                if vm.carries(lab.name, short) and vm.original
            }
            others = sum(vm.memory_mib for vm in look.vms if vm.powered_on and vm.moid not in ours)
            free = (look.memory >> 20) - ESXI_MIB - others
            rooms[host] = HostRoom(free, look.cpus, frozenset(ours.values()))
    return rooms


def place_of(lab: Lab, target: str, rooms: Rooms, chosen: Chosen = NOTHING) -> Place:
    """Where one VM is made. Raises Refused when no host can have it, or the hosts cannot have all VMs together.

    One that was there when the run began had its room, and has it again.
    """
    place = places(lab, rooms, chosen)[target]
    was_there = any(target in room.vms for room in rooms.values())
    if problem := None if was_there else place.problem or _all_together(lab, rooms):
        raise Refused(problem[0], where=target, advice=problem[1])
    return place


def places(lab: Lab, rooms: Rooms, chosen: Chosen = NOTHING) -> Mapping[str, Place]:
    """VM -> its place: the inventory's choice, else where it is, else where this run said, else where it is best off.

    A VM that is elsewhere than the inventory says takes its room where it is.
    """
    return _placing(lab, rooms, chosen).placed


def to_keep(lab: Lab, rooms: Rooms, chosen: Chosen = NOTHING) -> Chosen:
    """The places that stay for the rest of a run: those on hosts that were seen, with room."""
    found = places(lab, rooms, chosen).items()
    return {name: place for name, place in found if place.host in rooms and not place.problem}


def _placing(lab: Lab, rooms: Rooms, chosen: Chosen = NOTHING) -> "_Placing":
    placing = _Placing(lab, rooms)
    for vm in lab.vms:
        there = next((host for host, room in rooms.items() if vm.name in room.vms), None)
        if vm.host:
            placing.put(vm, Place(vm.host, "vm_host says so", placing.too_large(vm, [vm.host])), there)
        elif there:
            placing.put(vm, Place(there, "it was there before", placing.too_large(vm, [there])))
        elif vm.name in chosen:
            placing.put(vm, chosen[vm.name])
    for vm in lab.vms if lab.esxi else ():
        if vm.name not in placing.placed:
            placing.put(vm, placing.chosen(vm))
    return placing


def reserved_mib(lab: Lab, rooms: Rooms, host: str) -> int:
    """The memory of the inventory's VMs on a host, made or not."""
    return _placing(lab, rooms).taken[host]


@dataclass
class _Placing:
    lab: Lab
    rooms: Rooms
    placed: dict[str, Place] = field(default_factory=dict)
    at: dict[str, str] = field(default_factory=dict)
    taken: Counter[str] = field(default_factory=Counter)
    cpus_taken: Counter[str] = field(default_factory=Counter)

    def put(self, vm: Vm, place: Place, there: str | None = None) -> None:
        self.placed[vm.name], self.at[vm.name] = place, there or place.host
        self.taken[self.at[vm.name]] += _memory(vm)
        self.cpus_taken[self.at[vm.name]] += vm.cpus if vm.managed else 0

    def chosen(self, vm: Vm) -> Place:
        """Apart from its peers first, then with the most memory left, then CPUs; of equal hosts the inventory's first.

        A host that was not seen comes behind those that were: nobody knows what it has.
        """
        hosts = [host.name for host in self.lab.hosts_for(vm) or self.lab.esxi]
        able = [host for host in hosts if self._holds(vm, host) and self._left(host) >= _memory(vm)]
        # A machine that exists elsewhere is on a host of ours only when the inventory says so.
        there = [one for one in self.lab.vms if one.name in self.at and (one.managed or one.host)]
        placed = [(type(one), self.at[one.name]) for one in there]
        peers = Counter(host for kind, host in placed if kind is type(vm))
        ranked = sorted(able or hosts, key=lambda h: (peers[h], *self._rank(h)))
        host = ranked[0]
        if not able:
            problem = self.too_large(vm, hosts) or _all_together(self.lab, self.rooms) or self._no_room(vm, hosts)
            return Place(host, "", problem)
        equal = [other for other in ranked[1:] if peers[other] == peers[host]]
        return Place(host, self._why(vm, host, peers[host], equal, [h for h in hosts if h not in able]))

    def too_large(self, vm: Vm, hosts: list[str]) -> tuple[str, str] | None:
        """What is wrong when none of the hosts could have the VM if it were empty."""
        if any(self._holds(vm, host) for host in hosts):
            return None
        rooms = {host: self.rooms[host] for host in hosts}
        told = ", ".join(f"{host} {_gib(room.memory_mib)} and {room.cpus} CPUs" for host, room in rooms.items())
        return (
            f"{vm.name} wants {_gib(vm.memory_mib)} of memory and {vm.cpus} CPUs, and no host has that for VMs: {told}",
            "Give it less (vm_memory_mib, vm_cpus), or another host",
        )

    def _no_room(self, vm: Vm, hosts: list[str]) -> tuple[str, str]:
        left = ", ".join(f"{host} {_gib(self._left(host))} of {_gib(self.rooms[host].memory_mib)}" for host in hosts)
        return (
            f"{vm.name} wants {_gib(vm.memory_mib)} of memory, and no host has that left: {left}",
            "Give the VMs less (vm_memory_mib), switch off what else runs there, or say where it goes all the same "
            "(vm_host)",
        )

    def _holds(self, vm: Vm, host: str) -> bool:
        room = self.rooms.get(host)
        return room is None or (_memory(vm) <= room.memory_mib and vm.cpus <= (room.cpus or vm.cpus))

    def _left(self, host: str) -> float:
        """The memory beside what is placed there; without end on a host that was not seen."""
        return self.rooms[host].memory_mib - self.taken[host] if host in self.rooms else inf

    def _cpus_left(self, host: str) -> int:
        """The CPUs beside what is placed there; they are shared, so fewer than none is no mistake."""
        return (self.rooms[host].cpus if host in self.rooms else 0) - self.cpus_taken[host]

    def _rank(self, host: str) -> tuple[bool, float, int]:
        seen = host in self.rooms
        return not seen, -self._left(host) if seen else self.taken[host], -self._cpus_left(host)

    def _why(self, vm: Vm, host: str, peers: int, equal: list[str], full: list[str]) -> str:
        """`equal` are the hosts with as few peers, `full` those without room."""
        kind = _kind(vm)
        apart = f"as few {kind}s as possible are there ({peers})" if peers else f"no other {kind} is there"
        if host not in self.rooms:
            return f"{apart}, as far as the hosts were seen"
        left = f"{_gib(self._left(host))} of {_gib(self.rooms[host].memory_mib)} are left"
        others = "; ".join(self._told(host, equal))
        most = f"{left}, the most ({others})" if others else left
        passed = f", and {' and '.join(full)} {'has' if len(full) == 1 else 'have'} no room" if full else ""
        return f"{apart}, {most}{passed}"

    def _told(self, host: str, others: list[str]) -> Iterator[str]:
        """What other hosts have left; where that is as much, what else decided."""
        seen = [other for other in others if other in self.rooms]
        as_much = [other for other in seen if self._left(other) == self._left(host)]
        fewer = [other for other in as_much if self._cpus_left(other) != self._cpus_left(host)]
        later = [other for other in as_much if other not in fewer]
        yield from (f"{other} {_gib(self._left(other))}" for other in seen if other not in as_much)
        for names, why in ((fewer, "with fewer CPUs"), (later, "later in the inventory")):
            if names:
                yield f"{' and '.join(names)} as much, {why}"
        yield from (f"{other} was not seen" for other in others if other not in seen)


def _all_together(lab: Lab, rooms: Rooms) -> tuple[str, str] | None:
    """What is wrong when all VMs together want more than all hosts have; None while a host was not seen."""
    if {host.name for host in lab.esxi} - rooms.keys():
        return None
    wanted = sum(map(_memory, lab.vms))
    there = sum(rooms[host.name].memory_mib for host in lab.esxi)
    if wanted <= there:
        return None
    told = ", ".join(f"{host.name} {_gib(rooms[host.name].memory_mib)}" for host in lab.esxi)
    return (
        f"the VMs of the inventory want {_gib(wanted)} of memory together, and the hosts have {_gib(there)} for them: "
        f"{told}",
        "Give the VMs less (vm_memory_mib), or add a host",
    )


def _memory(vm: Vm) -> int:
    """What is reserved for a VM; nothing for a machine that exists elsewhere."""
    return vm.memory_mib if vm.managed else 0


def _kind(vm: Vm) -> str:
    return {ControlPlane: "control plane", LoadBalancer: "balancer"}.get(type(vm), "worker")


def _gib(mib: float) -> str:
    return f"{mib / 1024:.4g} GiB"
