"""Step `drain`: one server takes no new connections on any balancer, or takes them again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from homelab.engine.step import Blocked, Change, Planned, Step, Words
from homelab.errors import HomelabError, Refused
from homelab.formats.balanced import DOWN, DRAIN, MAINT, ServerLook
from homelab.lab import Lab
from homelab.ports.guest.balancer import BalancerLook, set_servers
from homelab.ports.guest.look import GuestAway
from homelab.ports.world import World
from homelab.steps.guests.balancers import balancer_of, called_there, look_at
from homelab.steps.guests.role_values import pools

Wanted = Literal["drain", "ready"]


@dataclass(frozen=True)
class SetServer(Change):
    """Set a server's state in some pools of a balancer.

    `label` is what the balancer calls it, and `called` has the pools in which it calls it otherwise.
    """

    server: str
    label: str
    kind: str
    pools: tuple[str, ...]
    wanted: Wanted
    before: str
    called: tuple[tuple[str, str], ...] = ()

    def _words(self) -> Words:
        where = f"{self.server} on {self.target} in {'the pool' if len(self.pools) == 1 else 'the pools'} "
        where += ", ".join(self.pools)
        if self.wanted == "ready":
            sentence, other = f"give new connections to {where} again", "drain"
        else:
            sentence, other = f"drain {where}: no new connections, those it has end by themselves", "ready"
        return Words(
            sentence=sentence,
            reason=f"{self.server} is to be drained" if self.wanted == "drain" else f"{self.server} is to serve again",
            undo=f"homelab lb {other} {self.server}",
            before=self.before,
            after="drained" if self.wanted == "drain" else "ready",
        )


@dataclass(frozen=True)
class DrainLast(SetServer):
    """Drain the last server of a pool that takes connections: from then on clients are turned away."""

    disruptive = True

    def _words(self) -> Words:
        words = super()._words()
        return Words(
            sentence=f"{words.sentence}; it is the last one, so every new connection is turned away",
            reason=words.reason,
            undo=words.undo,
            before=words.before,
            after=words.after,
        )


@dataclass(frozen=True)
class Aside:
    """A balancer that leaves a server aside: in these pools, by what it calls the server there."""

    balancer: str
    kind: str
    called: tuple[tuple[str, str], ...]


def asides_of(lab: Lab, server: str) -> tuple[Aside, ...]:
    """Every balancer with the server in a pool; `server` is the inventory's name."""
    label = lab.vm(server).short_name
    found = []
    for balancer in lab.load_balancers:
        named = [pool.name for pool in pools(lab, balancer) if label in {one.name for one in pool.servers}]
        there = called_there(lab, balancer.name)
        if named:
            called = tuple((pool, there.get((pool, label), label)) for pool in named)
            found.append(Aside(balancer.name, balancer.kind, called))
    return tuple(found)


@contextmanager
def drained(world: World, server: str, balancers: Sequence[Aside]) -> Iterator[None]:
    """A server gets no new connections meanwhile, and gets them again whatever happens.

    A balancer that does not answer, or for which it is the last server, is named, and its own checks see what happens.
    """
    told = [each for each in balancers if _tell(world, server, each, "drain")]
    try:
        yield
    finally:
        for each in told:
            _tell(world, server, each, "ready")


def _tell(world: World, server: str, aside: Aside, wanted: Wanted) -> bool:
    try:
        with world.guest_shell(aside.balancer) as shell:
            set_servers(shell, aside.kind, wanted, dict(aside.called), last=False)
    except HomelabError as error:
        then = "its own checks tell it" if wanted == "drain" else f"tell it: homelab lb ready {server}"
        world.note(f"{aside.balancer} could not be told to {wanted} {server} ({error.what}); {then}")
        return False
    return True


@dataclass(frozen=True)
class DrainState:
    """How a balancer stands."""

    balancer: BalancerLook | GuestAway


class Drain(Step[DrainState, SetServer]):
    """One node for each balancer that has the server in a pool; `server` is the inventory's name."""

    name = "drain"

    def __init__(self, server: str, label: str, wanted: Wanted, *, force: bool = False) -> None:
        self._server, self._label, self._wanted, self._force = server, label, wanted, force

    def targets(self, lab: Lab) -> Sequence[str]:
        """The balancers that have the server in a pool."""
        return [vm.name for vm in lab.load_balancers if self._pools(lab, vm.name)]

    def _pools(self, lab: Lab, balancer: str) -> list[str]:
        found = pools(lab, balancer_of(lab, balancer))
        return [pool.name for pool in found if self._label in {server.name for server in pool.servers}]

    def observe(self, world: World, lab: Lab, target: str) -> DrainState:
        """One look at the balancer."""
        return DrainState(look_at(world, lab, target))

    def plan(self, lab: Lab, target: str, observed: DrainState) -> Sequence[Planned[SetServer]]:
        """Set it where it is not as wanted; the last server that takes connections is drained by force only."""
        look = observed.balancer
        if isinstance(look, GuestAway):
            return [Blocked(target, look.reason)]
        if look.problem:
            return [Blocked(target, f"the balancer answers ({look.problem})")]
        mine = [server for server in look.servers if server.name == self._label]
        if missing := set(self._pools(lab, target)) - {server.pool for server in mine}:
            until = f"{target} has {self._server} in {', '.join(sorted(missing))} (homelab bootstrap)"
            return [Blocked(target, until)]
        todo = [server for server in mine if self._differs(server)]
        if not todo:
            return []
        lonely = [server.pool for server in todo if self._wanted == "drain" and _is_alone(server, look.servers)]
        if lonely and not self._force:
            raise self._refusal(target, lonely)
        kind = DrainLast if lonely else SetServer
        before = ", ".join(dict.fromkeys(_state(server) for server in todo))
        names = tuple(server.pool for server in todo)
        called = called_there(lab, target)
        told = ((pool, called.get((pool, self._label), self._label)) for pool in names)
        odd = tuple((pool, name) for pool, name in told if name != self._label)
        return [kind(target, self._server, self._label, look.kind, names, self._wanted, before, odd)]

    def _differs(self, server: ServerLook) -> bool:
        if self._wanted == "drain":
            return not server.drained and server.state != MAINT
        return server.drained or server.state == MAINT

    def _refusal(self, target: str, lonely: Sequence[str]) -> Refused:
        return Refused(
            f"no other server of {', '.join(lonely)} takes connections, so {self._server} is not drained",
            where=target,
            advice="See `homelab lb status`: bring another one up first, or end its drain with `homelab lb ready`; "
            "--force drains it all the same, and every new connection is turned away",
        )

    def remarks(self, lab: Lab, target: str, observed: DrainState) -> Sequence[str]:
        """What the server does there, where nothing is to be changed."""
        look = observed.balancer
        if isinstance(look, GuestAway):
            return []
        mine = [server for server in look.servers if server.name == self._label]
        return [_told(self._server, server) for server in mine if not self._differs(server)]

    def apply(self, world: World, change: SetServer) -> None:
        """Set it, by one SSH connection; whether it is the last one is asked once more there."""
        is_last = isinstance(change, DrainLast)
        with world.guest_shell(change.target) as shell:
            called = dict.fromkeys(change.pools, change.label) | dict(change.called)
            set_servers(shell, change.kind, change.wanted, called, last=is_last)


def _is_alone(server: ServerLook, others: Sequence[ServerLook]) -> bool:
    """Whether no other server of its pool takes connections."""
    return not any(other.takes for other in others if other.pool == server.pool and other.name != server.name)


def _state(server: ServerLook) -> str:
    """As `lb status` says it: a drained one that is down, too, says both."""
    return f"{server.state}, drained" if server.drained and server.state != DRAIN else server.state


def _told(name: str, server: ServerLook) -> str:
    if not server.drained:
        return f"{name} is {server.state} in {server.pool} ({server.answer})"
    down = ", and down" if server.state == DOWN else ""
    left = f"{server.sessions} session{'' if server.sessions == 1 else 's'} left"
    return f"{name} is drained in {server.pool}{down}, {left}"
