"""How the balancers of a lab stand: one look at each, and what is told of them, by the inventory's names."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

from homelab.errors import HomelabError, Unreachable
from homelab.formats.balanced import ServerLook
from homelab.formats.balancer.haproxy import server_name
from homelab.formats.balancer.pools import Pool
from homelab.formats.trust.known_hosts import known_host_name
from homelab.lab import Lab, LoadBalancer
from homelab.ports.guest import balancer as port
from homelab.ports.guest.balancer import BalancerLook
from homelab.ports.guest.look import GuestAway
from homelab.ports.guest.watching import Watch
from homelab.ports.ssh import Shell
from homelab.ports.world import GUEST_SSH_PORT, World
from homelab.steps.guests.role_values import pools

# A balancer that is asked every second is away when it does not answer within this; and how long the first may take.
LOOK_SECONDS = 3.0
FIRST_SECONDS = 5.0
MEET_SECONDS = 10.0

Seen: TypeAlias = BalancerLook | GuestAway


@dataclass(frozen=True)
class BalancerRow:
    """One balancer. `problem` tells why it cannot be asked, or why its program does not answer; then much is None."""

    name: str
    kind: str
    answers: bool
    holds_vip: bool | None
    version: str | None
    uptime_seconds: int | None
    keepalived: str | None
    problem: str = ""

    def fields(self) -> dict[str, Any]:
        """The contract's JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class ServerRow:
    """One server of one pool, as one balancer sees it; ServerLook tells what the fields are."""

    name: str
    pool: str
    balancer: str
    address: str
    state: str
    drained: bool
    check: str
    answer: str
    sessions: int
    connections: int | None
    errors: int | None
    since_seconds: int
    weight: int

    def fields(self) -> dict[str, Any]:
        """The contract's JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Balance:
    """All balancers and servers of one moment, and the pools as the inventory wants them."""

    vip: str
    pools: tuple[Pool, ...]
    balancers: tuple[BalancerRow, ...]
    servers: tuple[ServerRow, ...]

    @property
    def answered(self) -> bool:
        """Whether any balancer's program answered."""
        return any(row.answers for row in self.balancers)


def look_at(world: World, lab: Lab, name: str) -> Seen:
    """One look at a balancer, by one SSH connection; the first contact with a VM of ours needs its mark before."""
    if met := is_not_met(world, lab, name):
        return met
    try:
        with world.guest_shell(name) as shell:
            return look_by(shell, lab, name)
    except Unreachable as error:
        return GuestAway(f"{name} answers on SSH ({error.what})")


def look_by(shell: Shell, lab: Lab, name: str, *, seconds: float | None = None) -> BalancerLook:
    """The same over a connection that stands. Raises Unreachable, HostFault."""
    look = port.look(shell, balancer_of(lab, name).kind, str(lab.api.vip), seconds=seconds)
    known = {(pool, called): label for (pool, label), called in called_there(lab, name).items()}
    servers = (replace(one, name=known.get((one.pool, one.name), one.name)) for one in look.servers)
    return replace(look, servers=tuple(servers))


def called_there(lab: Lab, name: str) -> dict[tuple[str, str], str]:
    """(pool, server) -> what a balancer's program calls the server in that pool: HAProxy has names of its own."""
    balancer = balancer_of(lab, name)
    return {
        (pool.name, server.name): server_name(pool, server) if balancer.kind == "haproxy" else server.name
        for pool in pools(lab, balancer)
        for server in pool.servers
    }


def is_not_met(world: World, lab: Lab, name: str) -> GuestAway | None:
    """Why a guest whose host key is not known yet cannot be asked; its key comes from its VM's mark."""
    if world.files.trust.host_keys_of({known_host_name(str(lab.vm(name).address), GUEST_SSH_PORT)}):
        return None
    met = world.guest(name)
    return met if isinstance(met, GuestAway) else None


def balance(world: World, lab: Lab, names: Sequence[str]) -> Balance:
    """Look at some balancers, all at once."""
    with ThreadPoolExecutor(max(len(names), 1)) as pool:
        asked = {name: pool.submit(copy_context().run, _tried, world, lab, name) for name in names}
    return balance_of(lab, {name: future.result() for name, future in asked.items()})


def _tried(world: World, lab: Lab, name: str) -> Seen:
    try:
        return look_at(world, lab, name)
    except HomelabError as error:
        return away(error)


def away(error: HomelabError) -> GuestAway:
    """A balancer that cannot be asked because of an error."""
    return GuestAway(f"this is mended: {error.what}")


class _NotMet(Unreachable):
    """A balancer was never met, and cannot be now."""

    def __init__(self, met: GuestAway, name: str) -> None:
        super().__init__(f"not before {met.reason}", where=name, advice="See homelab plan")
        self.met = met


def follow(world: World, lab: Lab, names: Sequence[str]) -> Iterator[Balance]:
    """The same again and again, without an end; the caller says when."""

    def ask(shell: Shell, name: str) -> Seen:
        return look_by(shell, lab, name, seconds=LOOK_SECONDS)

    def not_there(name: str, error: HomelabError) -> Seen:
        if isinstance(error, _NotMet):
            return error.met
        return GuestAway(f"{name} answers on SSH ({error.what})") if isinstance(error, Unreachable) else away(error)

    tried: dict[str, float] = {}

    @contextmanager
    def connect(name: str) -> Iterator[Shell]:
        # Who was never met is asked for at every host: not every second.
        is_due = time.monotonic() - tried.get(name, 0.0) > MEET_SECONDS
        with world.run.afresh(None) if is_due else nullcontext():
            met = is_not_met(world, lab, name)
        if met:
            tried[name] = time.monotonic() if is_due else tried[name]
            raise _NotMet(met, name)
        with world.guest_shell(name) as shell:
            yield shell

    watch = Watch(connect, ask, not_there)
    watch.follow(names)
    seconds = FIRST_SECONDS
    while True:
        seen = watch.latest(names, seconds)
        waiting = GuestAway("its first answer is there")
        yield balance_of(lab, {name: seen.get(name, waiting) for name in names})
        seconds = 0.0


def balance_of(lab: Lab, seen: Mapping[str, Seen]) -> Balance:
    """What is told of these looks. Pure."""
    wanted = {pool.name: pool for name in seen for pool in pools(lab, balancer_of(lab, name))}
    names = server_names(lab)
    return Balance(
        vip=str(lab.api.vip),
        pools=tuple(wanted.values()),
        balancers=tuple(_balancer_row(name, balancer_of(lab, name).kind, look) for name, look in seen.items()),
        servers=tuple(
            _server_row(name, names.get(server.name, server.name), server, wanted)
            for name, look in seen.items()
            if isinstance(look, BalancerLook)
            for server in look.servers
        ),
    )


def drained_names(lab: Lab, name: str, drained: Sequence[str]) -> list[str]:
    """The inventory's names of those that a balancer's program tells to be drained, each once."""
    labels = {called: label for (_, label), called in called_there(lab, name).items()}
    names = server_names(lab)
    return list(dict.fromkeys(names.get(labels.get(one, one), labels.get(one, one)) for one in drained))


def server_names(lab: Lab) -> dict[str, str]:
    """What servers are called in a configuration -> the inventory's names."""
    return {vm.short_name: vm.name for vm in lab.vms}


def balancer_of(lab: Lab, name: str) -> LoadBalancer:
    """The balancer of that name."""
    return next(vm for vm in lab.load_balancers if vm.name == name)


def _balancer_row(name: str, kind: str, look: Seen) -> BalancerRow:
    if isinstance(look, GuestAway):
        return BalancerRow(name, kind, False, None, None, None, None, f"cannot be asked until {look.reason}")
    is_well = not look.problem
    version = look.version if is_well else None
    return BalancerRow(name, kind, is_well, look.holds_vip, version, look.uptime_seconds, look.keepalived, look.problem)


def _server_row(balancer: str, name: str, server: ServerLook, wanted: Mapping[str, Pool]) -> ServerRow:
    return ServerRow(
        name=name,
        pool=server.pool,
        balancer=balancer,
        address=server.address,
        state=server.state,
        drained=server.drained,
        check=wanted[server.pool].check if server.pool in wanted else "",
        answer=server.answer,
        sessions=server.sessions,
        connections=server.connections,
        errors=server.errors,
        since_seconds=server.since_seconds,
        weight=server.weight,
    )
