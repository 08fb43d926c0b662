"""Every fault by its name: a sentence, and what it can be aimed at; and how faults are asked for.

A fault is asked for as NAME[@AIM][:WHEN]. AIM is one host, guest or NAS of the inventory; without it all that the fault
can be aimed at are meant. WHEN is a number of writes after which the fault begins (those to the host that it is aimed
at, else those to all hosts), or a step: then it begins with the first `start` of that step (of that host, when both
name one).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from homelab.errors import UsageError

if TYPE_CHECKING:
    from homelab.lab import Lab


@dataclass(frozen=True)
class Fault:
    """One fault. Without an aim it hits all of the first of `aims`; `lacking` says why it cannot be done yet."""

    sentence: str
    aims: tuple[str, ...]
    lacking: str = ""

    @property
    def needs_guests(self) -> bool:
        """Whether it is done to real guests."""
        return not {"hosts", "nas"} & set(self.aims)


HOSTS, NAS, GUESTS = ("hosts",), ("nas",), ("guests",)
HOSTS_OR_NAS = ("hosts", "nas")
CONTROL_PLANES, BALANCERS = ("control planes",), ("balancers",)

FAULTS: Mapping[str, Fault] = {
    "nas-refuses": Fault("The NAS denies new mounts.", HOSTS_OR_NAS),
    "nas-read-only": Fault("The NAS mounts, and does not let write.", HOSTS_OR_NAS),
    "nas-squashes-root": Fault("The NAS mounts, and takes root for nobody (no_root_squash is missing).", HOSTS_OR_NAS),
    "nas-vanishes": Fault("The NAS is off the network.", NAS),
    "reboot-hangs": Fault("A host that reboots goes down and never comes back.", HOSTS),
    "no-network-after-boot": Fault("A host that boots finds no driver for its NICs.", HOSTS),
    "hostd-late": Fault("After a boot the API answers long after SSH.", HOSTS),
    "api-mute": Fault("The API accepts connections and never answers.", HOSTS),
    "api-slow": Fault("Each answer of the API takes a second longer.", HOSTS),
    "connection-reset": Fault("Connections to the API and to SSH are reset.", HOSTS),
    "certificate-changed": Fault("The host shows another certificate.", HOSTS),
    "host-key-changed": Fault("The host shows another SSH host key.", HOSTS),
    "wrong-password": Fault("The host's password is not the inventory's any more.", HOSTS),
    "account-locked": Fault("The account is locked, for API and SSH.", HOSTS),
    "free-licence": Fault("The free licence: the API only reads (RestrictedVersion), and SSH is on.", HOSTS),
    "task-fails": Fault("The next task ends in an error half-way.", HOSTS),
    "datastore-full": Fault("The NAS has no space left.", NAS),
    "upload-cut": Fault("Connections break in the middle of an upload.", HOSTS),
    "lease-dies": Fault("The lease of an import dies half-way through the next upload.", HOSTS),
    "clock-skew": Fault("The host's clock is an hour ahead.", HOSTS),
    "power-on-refused": Fault("VMs do not power on.", HOSTS),
    "guest-never-comes": Fault("A guest that is switched on never boots.", GUESTS),
    "guest-disk-full": Fault("The guest's disk is full.", GUESTS),
    "api-server-crashes": Fault("The API server is killed, again and again.", CONTROL_PLANES),
    "api-server-hangs": Fault("The API server stands still; its port is open.", CONTROL_PLANES),
    "api-server-unready": Fault("The API server runs and says no at /readyz.", CONTROL_PLANES),
    "balancer-dies": Fault("The balancer's plug is pulled.", BALANCERS),
}


@dataclass(frozen=True)
class FaultRequest:
    """A fault as it is asked for; `when` is writes, a step, or None for at once."""

    name: str
    aim: str | None = None
    when: int | str | None = None

    @property
    def text(self) -> str:
        """NAME[@AIM][:WHEN]."""
        return self.name + (f"@{self.aim}" if self.aim else "") + ("" if self.when is None else f":{self.when}")


def parse(text: str, steps: Sequence[str]) -> FaultRequest:
    """A request as it is typed; UsageError when there is no such fault or step."""
    rest, colon, when = text.partition(":")
    name, at, aim = rest.partition("@")
    if name not in FAULTS:
        close = get_close_matches(name, FAULTS, 1)
        advice = f"Did you mean {close[0]}?" if close else "homelab rehearsal fault --list names them all"
        raise UsageError(f"there is no fault {name!r}", where=text, advice=advice)
    if at and not aim:
        raise UsageError("nothing stands behind the @", where=text, advice="Write NAME@HOST, or NAME alone for all")
    if not colon:
        return FaultRequest(name, aim or None)
    if when.isdecimal():
        return FaultRequest(name, aim or None, int(when))
    if when not in steps:
        close = get_close_matches(when, steps, 1)
        advice = f"Did you mean {close[0]}?" if close else f"A number of writes, or a step: {', '.join(steps)}"
        raise UsageError(f"{when!r} is neither a number of writes nor a step", where=text, advice=advice)
    return FaultRequest(name, aim or None, when)


def aimed(request: FaultRequest, lab: "Lab") -> FaultRequest:
    """The request, its aim by the inventory's name."""
    # It loads every model of the lab, and who only enters one needs none.
    from homelab.lab import meant

    known = [name for names in aims(lab).values() for name in names]
    return request if request.aim is None else replace(request, aim=meant(request.aim, known) or request.aim)


def targets(request: FaultRequest, lab: "Lab", *, guests: bool) -> tuple[str, ...]:
    """The names that a request is aimed at; UsageError when it cannot be."""
    fault = FAULTS[request.name]
    if fault.lacking:
        sentence = f"{request.name} cannot be done here: {fault.lacking}"
        raise UsageError(sentence, where=request.text, advice="Leave it out")
    if fault.needs_guests and not guests:
        raise UsageError(
            f"{request.name} is done to guests, and this rehearsal has none",
            where=request.text,
            advice="It needs real guests: Linux, root, and no --guests none",
        )
    possible = aims(lab)
    known = {name for kind in fault.aims for name in possible[kind]}
    if request.aim is None:
        return tuple(possible[fault.aims[0]])
    if request.aim not in known:
        close = get_close_matches(request.aim, known, 1)
        raise UsageError(
            f"{request.name} cannot be aimed at {request.aim!r}",
            where=request.text,
            advice=f"Did you mean {close[0]}?" if close else f"Possible: {', '.join(sorted(known)) or 'nothing here'}",
        )
    if request.aim in possible["nas"] and "hosts" in fault.aims:
        return tuple(possible["hosts"])
    return (request.aim,)


def aims(lab: "Lab") -> Mapping[str, list[str]]:
    """The names of a lab by what they are."""
    balancers = [vm.name for vm in lab.load_balancers]
    control_planes = [vm.name for vm in lab.control_plane]
    return {
        "hosts": [host.name for host in lab.esxi],
        "nas": [server.name for server in lab.nfs],
        "guests": [vm.name for vm in lab.vms if vm.managed],
        "control planes": control_planes,
        "balancers": balancers,
    }


def listing() -> list[dict[str, Any]]:
    """Every fault with its sentence and what it can be aimed at."""
    rows = []
    for name, fault in FAULTS.items():
        sentence = fault.sentence + (f" Not possible yet: {fault.lacking}." if fault.lacking else "")
        rows.append({"name": name, "sentence": sentence, "aims": list(fault.aims)})
    return rows


def as_json(requests: Sequence[FaultRequest]) -> list[dict[str, Any]]:
    """Requests for a pipe."""
    return [asdict(request) for request in requests]
