"""Which host a VM is made on, and why. Pure.

Of hosts counts only what stays as it is while a run goes on: their memory and CPUs, what the VMs of others take, and
which VMs of the inventory were there when the run first saw the host. All VMs of the inventory are reserved for, made
or not. So every VM of a run comes to one result, whenever its own node is looked at; a VM that exists is never moved.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

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


def placement(lab: Lab) -> Mapping[str, str]:
    """VM -> host by the inventory alone: what the order of a run rests on, for it is known before any host is seen."""
    return {name: place.host for name, place in places(lab, {}).items()}


def place_of(lab: Lab, target: str, rooms: Rooms) -> Place:
    """Where one VM is made. Raises Refused when no host can have it, or the hosts cannot have all VMs together.

    One that was there when the run began had its room, and has it again.
    """
    place = places(lab, rooms)[target]
    was_there = any(target in room.vms for room in rooms.values())
    if problem := None if was_there else place.problem or _all_together(lab, rooms):
        raise Refused(problem[0], where=target, advice=problem[1])
    return place


def places(lab: Lab, rooms: Rooms) -> Mapping[str, Place]:
    """VM -> its place: the inventory's choice, else where it is, else apart from its peers on a host with room.

    A VM that is elsewhere than the inventory says takes its room where it is.
    """
    return _placing(lab, rooms).placed


def _placing(lab: Lab, rooms: Rooms) -> "_Placing":
    placing = _Placing(lab, rooms)
    for vm in lab.vms:
        there = next((host for host, room in rooms.items() if vm.name in room.vms), None)
        if vm.host:
            placing.put(vm, Place(vm.host, "vm_host says so", placing.too_large(vm, [vm.host])), there)
        elif there:
            placing.put(vm, Place(there, "it was there before", placing.too_large(vm, [there])))
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

    def put(self, vm: Vm, place: Place, there: str | None = None) -> None:
        self.placed[vm.name], self.at[vm.name] = place, there or place.host
        self.taken[self.at[vm.name]] += _memory(vm)

    def chosen(self, vm: Vm) -> Place:
        """Apart from its peers first, then with the fewest VMs; of equal hosts the first, as the inventory has them."""
        hosts = [host.name for host in self.lab.hosts_for(vm) or self.lab.esxi]
        able = [host for host in hosts if self._holds(vm, host) and self._left(host) >= _memory(vm)]
        placed = [(type(one), self.at[one.name]) for one in self.lab.vms if one.name in self.at]
        peers = Counter(host for kind, host in placed if kind is type(vm))
        all_vms = Counter(host for _, host in placed)
        host = min(able or hosts, key=lambda h: (peers[h], all_vms[h], hosts.index(h)))
        if not able:
            problem = self.too_large(vm, hosts) or _all_together(self.lab, self.rooms) or self._no_room(vm, hosts)
            return Place(host, "", problem)
        return Place(host, self._why(vm, host, peers[host], [h for h in hosts if h not in able]))

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

    def _why(self, vm: Vm, host: str, peers: int, full: list[str]) -> str:
        kind, room = _kind(vm), self.rooms.get(host)
        apart = f"as few {kind}s as possible are there ({peers})" if peers else f"no other {kind} is there"
        left = f", {_gib(self._left(host))} of {_gib(room.memory_mib)} are left" if room else ""
        passed = f", and {' and '.join(full)} {'has' if len(full) == 1 else 'have'} no room" if full else ""
        return f"{apart}{left}{passed}"


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
