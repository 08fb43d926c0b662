"""What a server's answers make of it, and which servers of a pool take connections. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from balancer.checker import Times
from balancer.pools import Pool, Server

UP, DRAIN, DOWN = "up", "drain", "down"


@dataclass(frozen=True)
class Answer:
    """What a server showed when it was asked: up, drain (it says itself that it shuts down) or down; and in words."""

    shows: str
    words: str


@dataclass(frozen=True)
class Health:
    """What is thought of a server: `state` since a Unix time; `against` counts the latest answers that contradict it.

    Nothing is known of a new one: it takes connections, and its first answer decides.
    """

    state: str = UP
    since: float = 0.0
    answer: str = "not asked yet"
    against: int = 0
    asked: int = 0
    failed: int = 0


def judged(health: Health, answer: Answer, times: Times, now: float) -> Health:
    """What is thought of a server after one more answer."""
    is_new = health.asked == 0
    fits = (answer.shows == DOWN) == (health.state == DOWN)
    against = 0 if fits else health.against + 1
    needed = 1 if is_new else times.rise if health.state == DOWN else times.fall
    state = answer.shows if fits or against >= needed else health.state
    return replace(
        health,
        state=state,
        since=now if state != health.state or is_new else health.since,
        answer=answer.words,
        against=0 if state == answer.shows else against,
        asked=health.asked + 1,
        failed=health.failed + (answer.shows == DOWN),
    )


def state_of(health: Health, name: str, drained: Collection[str]) -> str:
    """The state as people are told: what a person drained drains as long as it is not down."""
    return DRAIN if health.state == UP and name in drained else health.state


def members(pool: Pool, states: Mapping[str, str]) -> list[str]:
    """The names of the servers that take new connections: those that are up.

    When none is, those that drain; when all are down, all of them: a check that is wrong about every server, for a
    certificate that ran out, must not shut the API down, and a server that comes back serves at once.
    """
    able = [server.name for server in pool.servers if pool.weight_of(server)]
    tiers = ([name for name in able if states[name] == state] for state in (UP, DRAIN))
    return next((tier for tier in tiers if tier), able)


@dataclass(frozen=True)
class Picture:
    """What the balancer is to do: for each pool the names that take connections, and who is dead."""

    chosen: tuple[tuple[Pool, tuple[str, ...]], ...]
    dead: frozenset[tuple[str, int]]
    dead_hosts: frozenset[str]

    def away(self) -> dict[str, set[tuple[str, int]]]:
        """For each pool, those that take no new connections."""
        return {
            pool.name: {(server.address, server.port) for server in pool.servers if server.name not in names}
            for pool, names in self.chosen
        }


def picture(pools: Iterable[Pool], states: Mapping[str, Mapping[str, str]]) -> Picture:
    """What is to be done, by the states of each pool's servers. Who takes connections in some pool is not dead."""
    chosen = tuple((pool, tuple(members(pool, states[pool.name]))) for pool in pools)
    used = {server for pool, names in chosen for server in pool.servers if server.name in names}
    down = [
        (pool, server) for pool, _one in chosen for server in pool.servers if states[pool.name][server.name] == DOWN
    ]
    ports = {(server.address, server.port) for pool, server in down if pool.layer != 3}
    hosts = {server.address for pool, server in down if pool.layer == 3}
    return Picture(
        chosen,
        frozenset(ports - {(server.address, server.port) for server in used}),
        frozenset(hosts - {server.address for server in used}),
    )


def remembered(pools: Mapping[str, Any], pool: Pool, server: Server, now: float) -> Health:
    """What a state.json told of a server; nothing of another one, and nothing that another version told otherwise."""
    try:
        old = pools[pool.name]["servers"][server.name]
        if (old["address"], old["port"]) == (server.address, server.port):
            return Health(old["checked"], old["since"], old["last_answer"], 0, old["asked"], old["failed"])
    except (KeyError, TypeError):
        pass
    return Health(since=now)


def plain_server(pool: Pool, server: Server, health: Health, state: str, is_member: bool) -> dict[str, Any]:
    """One server as state.json has it."""
    return {
        "address": server.address,
        "port": server.port,
        "weight": pool.weight_of(server),
        "state": state,
        "takes_connections": is_member,
        "since": round(health.since, 3),
        "last_answer": health.answer,
        "asked": health.asked,
        "failed": health.failed,
    }
