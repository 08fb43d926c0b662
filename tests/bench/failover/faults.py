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
# Of a kube-apiserver 1.36.3 on a busy machine.
RESTART_SECONDS = 0.3


@dataclass(frozen=True)
class Happened:
    """`by` when it had happened, for what is killed lives on for some milliseconds, and when all was whole again."""

    by: float
    whole: float | None = None


@dataclass(frozen=True)
class Fault:
    """Something that happens, and the seconds from its beginning to the end of what is counted.

    `act` has it happen. `on` is what it befalls: a
    server, the balancer, everything, or nothing.
    """

    name: str
    title: str
    seconds: float
    act: Callable[[Lab], Happened]
    on: str = "server"
    needs_vip: bool = False
    rate: float = 25.0
    watchers: int = 12
    weights: Mapping[str, int] | None = None

    def concerns(self, configuration: Configuration, servers: str) -> bool:
        """Whether it can befall it: one balancer that is gone stays gone; what others publish has no other weights.

        Answers of real API servers do not say whose they are, so nobody could count whom weights favour.
        """
        weighable = configuration.gates is not None and servers != "real"
        return (configuration.vip or not self.needs_vip) and (weighable or self.weights is None)


def _now() -> Happened:
    return Happened(time.monotonic())


def _nothing(lab: Lab) -> Happened:
    return _now()


def _kill(lab: Lab) -> Happened:
    lab.kill_server(SICK)
    return _now()


def _restart(lab: Lab) -> Happened:
    """As a kubelet does it: the program begins soon, opens its port, and takes its time to serve it.

    With a real one the port was open again 0.31 to 1.3 s after the end, and ready 2.5 s later.
    """
    lab.kill_server(SICK)
    happened = _now()
    time.sleep(RESTART_SECONDS)
    lab.start_server(SICK, again=True)
    return happened


def _to_server(number: signal.Signals) -> Callable[[Lab], Happened]:
    def act(lab: Lab) -> Happened:
        lab.signal(SICK, "api", number)
        return _now()

    return act


def _unready(lab: Lab) -> Happened:
    lab.api.unready(SICK)
    return _now()


def _off(lab: Lab) -> Happened:
    lab.servers[SICK].plugged(False)
    return _now()


def _stall(lab: Lab) -> Happened:
    happened = _now()
    for _ in range(STALLS):
        lab.signal(SICK, "api", signal.SIGSTOP)
        time.sleep(STALL_SECONDS)
        lab.signal(SICK, "api", signal.SIGCONT)
        time.sleep(BETWEEN_STALLS_SECONDS)
    return happened


def _kill_balancer(stays_down: bool) -> Callable[[Lab], Happened]:
    def act(lab: Lab) -> Happened:
        happened = _now()
        if holder := lab.holder():
            lab.kill_service(holder, stays_down)
        return happened

    return act


def _balancer_off(lab: Lab) -> Happened:
    happened = _now()
    if holder := lab.holder():
        lab.balancers[holder].plugged(False)
    return happened


def _reload(lab: Lab) -> Happened:
    happened = _now()
    for _ in range(RELOADS):
        lab.reload()
        time.sleep(BETWEEN_RELOADS_SECONDS)
    return happened


def _all_down(lab: Lab) -> Happened:
    happened = _now()
    for name in SERVERS:
        lab.kill_server(name)
    time.sleep(ALL_DOWN_SECONDS)
    for name in SERVERS:
        lab.start_server(name)
    lab.api.wait()
    return Happened(happened.by, time.monotonic())


# How long each is watched: as long as the slowest published configuration needs to notice, or as a client does.
FAULTS = {
    fault.name: fault
    for fault in (
        Fault("kill", "a server is killed", 34, _kill),
        Fault("restart", "a server is killed and started again", 34, _restart),
        Fault("hang", "a server hangs", 54, _to_server(signal.SIGSTOP)),
        Fault("off", "a server is off", 54, _off),
        Fault("unready", "a server answers 500", 34, _unready),
        Fault("graceful", "a server is shut down", 37, _to_server(signal.SIGTERM)),
        Fault("stall", "a server stalls for 1.2 s", 15, _stall),
        Fault("balancer-killed", "the balancer is killed", 12, _kill_balancer(False), "balancer"),
        Fault(
            "balancer-stopped",
            "the balancer stays down",
            40,
            _kill_balancer(True),
            "balancer",
            needs_vip=True,
        ),
        Fault("balancer-off", "the balancer's node is off", 20, _balancer_off, "balancer", needs_vip=True),
        Fault("reload", "five reloads", 14, _reload, "balancer"),
        Fault("all-down", "all servers down and back", 35, _all_down, "everything"),
        Fault("silence", "a silent watch", 70, _nothing, "nothing"),
        Fault(
            "weighted",
            "weights of 10 and 90",
            41.0,
            _nothing,
            "nothing",
            rate=50.0,
            watchers=0,
            weights={LIGHT: 10, SICK: 90},
        ),
    )
}
