"""A balancer over SSH: how it stands, and servers drained or made ready again. One reader for each kind."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homelab.errors import HostFault, Refused, Unreachable
from homelab.formats.balanced import ServerLook, haproxy_info, haproxy_servers
from homelab.ports.ssh import Shell

SCRIPT = Path(__file__).parent / "remote" / "balancer.py"
# What the library tells of a command when its machine goes away.
LINE_BROKE = -1
KEEPALIVED = "keepalived.service"


@dataclass(frozen=True)
class BalancerLook:
    """How one balancer stands. `problem` tells why its program does not answer; then nothing is known of its servers.

    `keepalived` is the state of its unit, `holds_vip` whether the VIP is one of its addresses.
    """

    kind: str
    holds_vip: bool
    keepalived: str
    version: str = ""
    uptime_seconds: int | None = None
    servers: tuple[ServerLook, ...] = ()
    problem: str = ""


# (version, uptime in seconds, servers) of what the program told.
Read = Callable[[Mapping[str, Any]], tuple[str, int, tuple[ServerLook, ...]]]


def look(shell: Shell, kind: str, address: str, *, seconds: float | None = None) -> BalancerLook:
    """One look by one SSH command; `address` is the VIP. Raises Unreachable, HostFault."""
    if kind not in READERS:
        return BalancerLook(kind, False, "unknown", problem=f"homelab does not ask balancers of the kind {kind} yet")
    found = _asked(shell, ["look", kind, address], seconds=seconds, writes=False)
    try:
        units, told = found["units"], found["told"]
        bare = BalancerLook(kind, bool(found["holds"]), units.get(KEEPALIVED, "unknown"), problem=found["problem"])
        if told is None:
            states = ", ".join(f"{unit} is {state}" for unit, state in units.items() if unit != KEEPALIVED)
            return BalancerLook(kind, bare.holds_vip, bare.keepalived, problem=f"{bare.problem} ({states})")
        version, uptime, servers = READERS[kind](told)
        return BalancerLook(kind, bare.holds_vip, bare.keepalived, version, uptime, servers)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _odd(shell, found) from error


def set_servers(shell: Shell, kind: str, state: str, server: str, pools: Sequence[str], *, last: bool) -> None:
    """Drain a server, or have it `ready`, in some pools, until somebody changes that; reloads and restarts do not.

    Unless `last`, it is refused in a pool in which no other server takes connections at that moment. Raises Refused,
    HostFault, Unreachable.
    """
    which = "last" if last else "another"
    found = _asked(shell, ["set", kind, state, server, which, *pools], seconds=None, writes=True)
    if refused := found.get("refused"):
        raise Refused(str(refused), where=shell.login.where, advice="See `homelab lb status`, and run again")
    if problem := found.get("problem"):
        advice = "See `systemctl status haproxy` on it, and run again"
        raise HostFault(str(problem), where=shell.login.where, advice=advice)


def _asked(shell: Shell, words: Sequence[str], *, seconds: float | None, writes: bool) -> Mapping[str, Any]:
    script = SCRIPT.read_text(encoding="utf-8")
    output = shell.run(["sudo", "-n", "python3", "-", *words], stdin=script, seconds=seconds, writes=writes)
    if output.status == LINE_BROKE:
        what, advice = "the connection broke while it was asked", "Check that the machine is on, and run again"
        raise Unreachable(what, where=shell.login.where, advice=advice)
    try:
        # What a person's .bashrc prints comes before.
        found = json.loads(output.stdout.rstrip("\n").rpartition("\n")[2])
    except ValueError as error:
        raise _odd(shell, output.stdout.strip() or output.stderr) from error
    if not isinstance(found, dict) or output.status:
        raise _odd(shell, output.stdout)
    return found


def _odd(shell: Shell, said: object) -> HostFault:
    return HostFault(
        f"the balancer was asked how it stands and said something else: {str(said).strip()[:200] or 'nothing'}",
        where=shell.login.where,
        advice="Look at its program there (systemctl status haproxy keepalived); run again",
    )


def _haproxy(told: Mapping[str, Any]) -> tuple[str, int, tuple[ServerLook, ...]]:
    info = haproxy_info(told["info"])
    return info.version, info.uptime_seconds, haproxy_servers(told["stat"], told["state"])


# A kind of balancer is a line here, and one in each table of remote/balancer.py.
READERS: dict[str, Read] = {"haproxy": _haproxy}
