"""A balancer over SSH: how it stands, and servers drained or made ready again. One reader for each kind."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from homelab.errors import HostFault, Refused, Unreachable
from homelab.formats.balanced import ServerLook, checker_problem, checker_servers, haproxy_info, haproxy_servers
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


@dataclass(frozen=True)
class Told:
    """What the program of a balancer told; `problem` is why it does not balance although it answers."""

    version: str
    uptime_seconds: int
    servers: tuple[ServerLook, ...]
    problem: str = ""


Read = Callable[[Mapping[str, Any]], Told]


def look(shell: Shell, kind: str, address: str, *, seconds: float | None = None) -> BalancerLook:
    """One look by one SSH command; `address` is the VIP. Raises Unreachable, HostFault."""
    found = _asked(shell, ["look", kind, address], seconds=seconds, writes=False)
    try:
        units, told = found["units"], found["told"]
        bare = BalancerLook(kind, bool(found["holds"]), units.get(KEEPALIVED, "unknown"), problem=found["problem"])
        if told is None:
            states = ", ".join(f"{unit} is {state}" for unit, state in units.items() if unit != KEEPALIVED)
            return replace(bare, problem=f"{bare.problem} ({states})")
        read = READERS[kind](told)
        return replace(
            bare,
            version=read.version,
            uptime_seconds=read.uptime_seconds,
            servers=read.servers,
            problem=read.problem,
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _odd(shell, found) from error


def set_servers(shell: Shell, kind: str, state: str, servers: Mapping[str, str], *, last: bool) -> None:
    """Drain a server, or have it `ready`, in some pools, until somebody changes that; reloads and restarts do not.

    `servers` has for each pool what the balancer calls the server there. Unless `last`, it is refused in a pool in
    which no other server takes connections at that moment. Raises Refused, HostFault, Unreachable.
    """
    which = "last" if last else "another"
    words = [f"{pool}/{server}" for pool, server in servers.items()]
    found = _asked(shell, ["set", kind, state, which, *words], seconds=None, writes=True)
    if refused := found.get("refused"):
        raise Refused(str(refused), where=shell.login.where, advice="See `homelab lb status`, and run again")
    if problem := found.get("problem"):
        advice = "See `systemctl status haproxy homelab-checker` on it, and run again"
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
        advice="Look at its program there (systemctl status haproxy homelab-checker keepalived); run again",
    )


def _haproxy(told: Mapping[str, Any]) -> Told:
    info = haproxy_info(told["info"])
    return Told(info.version, info.uptime_seconds, haproxy_servers(told["stat"], told["state"]))


def _checker(told: Mapping[str, Any]) -> Told:
    """`nginx version: nginx/1.22.1`, or `nftables v1.0.6 (Lester Gooch #5)`."""
    found = re.search(r"\d[\w.+~-]*", told["version"])
    version, status = found[0] if found else "", told["status"]
    return Told(version, int(told["uptime"]), checker_servers(status), checker_problem(status))


# A kind of balancer is a line here, and one in each table of remote/balancer.py.
READERS: dict[str, Read] = {"haproxy": _haproxy, "nginx": _checker, "nftables": _checker}
