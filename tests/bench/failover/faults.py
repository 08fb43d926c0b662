"""The faults: what is done, and how long the world is watched afterwards."""

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.bench.failover.lab import Lab
from tests.bench.failover.places import LIGHT, SERVERS, SICK
from tests.bench.failover.services import Configuration

STALL_SECONDS, BETWEEN_STALLS_SECONDS, STALLS = 1.2, 3.3, 3
RELOADS, BETWEEN_RELOADS_SECONDS = 5, 2.0
ALL_DOWN_SECONDS = 10.0


@dataclass(frozen=True)
class Fault:
    """Something that happens, and the seconds from its beginning to the end of what is counted.

    `act` returns the time at which things were whole again, None when they never are. `on` is what it befalls: a
    server, the balancer, everything, or nothing.
    """

    name: str
    title: str
    seconds: float
    act: Callable[[Lab], float | None]
    on: str = "server"
    needs_vip: bool = False
    rate: float = 25.0
    watchers: int = 12
    weights: Mapping[str, int] | None = None

    def concerns(self, configuration: Configuration) -> bool:
        """Whether it can befall it: one balancer that is gone stays gone; what others publish has no other weights."""
        return (configuration.vip or not self.needs_vip) and (configuration.gates is not None or self.weights is None)


def _to_server(number: signal.Signals) -> Callable[[Lab], None]:
    return lambda lab: lab.signal(SICK, "api", number)


def _stall(lab: Lab) -> None:
    for _ in range(STALLS):
        lab.signal(SICK, "api", signal.SIGSTOP)
        time.sleep(STALL_SECONDS)
        lab.signal(SICK, "api", signal.SIGCONT)
        time.sleep(BETWEEN_STALLS_SECONDS)


def _kill_balancer(lab: Lab, stays_down: bool) -> None:
    if holder := lab.holder():
        lab.kill_service(holder, stays_down)


def _balancer_off(lab: Lab) -> None:
    if holder := lab.holder():
        lab.balancers[holder].plugged(False)


def _reload(lab: Lab) -> None:
    for _ in range(RELOADS):
        lab.reload()
        time.sleep(BETWEEN_RELOADS_SECONDS)


def _all_down(lab: Lab) -> float:
    for name in SERVERS:
        lab.signal(name, "api", signal.SIGKILL)
    time.sleep(ALL_DOWN_SECONDS)
    for name in SERVERS:
        lab.start_server(name)
    lab.wait_for_servers()
    return time.monotonic()


# How long each is watched: as long as the slowest published configuration needs to notice, or as a client does.
FAULTS = {
    fault.name: fault
    for fault in (
        Fault("kill", "a server is killed", 34, _to_server(signal.SIGKILL)),
        Fault("hang", "a server hangs", 54, _to_server(signal.SIGSTOP)),
        Fault("off", "a server is off", 54, lambda lab: lab.servers[SICK].plugged(False)),
        Fault("unready", "a server answers 500", 34, _to_server(signal.SIGUSR1)),
        Fault("graceful", "a server is shut down", 37, _to_server(signal.SIGTERM)),
        Fault("stall", "a server stalls for 1.2 s", 15, _stall),
        Fault("balancer-killed", "the balancer is killed", 12, lambda lab: _kill_balancer(lab, False), "balancer"),
        Fault(
            "balancer-stopped",
            "the balancer stays down",
            40,
            lambda lab: _kill_balancer(lab, True),
            "balancer",
            needs_vip=True,
        ),
        Fault("balancer-off", "the balancer's node is off", 20, _balancer_off, "balancer", needs_vip=True),
        Fault("reload", "five reloads", 14, _reload, "balancer"),
        Fault("all-down", "all servers down and back", 35, _all_down, "everything"),
        Fault("silence", "a silent watch", 70, lambda lab: None, "nothing"),
        Fault(
            "weighted",
            "weights of 10 and 90",
            41.0,
            lambda lab: None,
            "nothing",
            rate=50.0,
            watchers=0,
            weights={LIGHT: 10, SICK: 90},
        ),
    )
}
