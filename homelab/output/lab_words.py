"""The words for how each part of a lab stands, the same in the terminal, in pictures and on the page. Pure."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from homelab.checks.api_server import ApiAnswer
from homelab.checks.lab_look import ApiServerRow, DatastoreRow, HostRow, LabLook, MachineRow, VipRow
from homelab.output.pools import remarks, short
from homelab.output.table import age
from homelab.steps.guests.balancers import BalancerRow

Mood = Literal["good", "warn", "bad", "off"]


class State(NamedTuple):
    """A state in a word or two, and what to think of it. Nobody has to tell colours apart to read it."""

    word: str
    mood: Mood


UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def size(count: float) -> str:
    """Bytes as people read them."""
    if not count:
        return "0"
    unit = 0
    while count >= 1000 and unit < len(UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.0f} {UNITS[unit]}" if count >= 100 or unit == 0 else f"{count:.3g} {UNITS[unit]}"


def host_state(row: HostRow) -> State:
    """How a host stands."""
    if not row.answers:
        return State("away", "bad")
    return State("in maintenance", "warn") if row.in_maintenance else State("on", "good")


def host_version(row: HostRow) -> str:
    """What runs on it, and since when."""
    return f"ESXi {row.version}, up {age(row.uptime_seconds)}" if row.answers else ""


def host_memory(row: HostRow) -> str:
    """What the VMs that are on have of its memory."""
    if not row.memory_mib:
        return ""
    return f"{size((row.used_mib or 0) << 20)} of {size(row.memory_mib << 20)} in use"


def others(row: HostRow) -> str:
    """The VMs on a host that the inventory does not know."""
    count = row.other_vms or 0
    return f"and {count} other VM{'s' if count > 1 else ''}" if count else ""


def nowhere(look: LabLook) -> str:
    """Where VMs are that no host has."""
    return "On no host" if all(row.answers for row in look.hosts) else "On no host that answers"


def machine_state(row: MachineRow) -> State:
    """How a VM stands."""
    moods: dict[str, Mood] = {"on": "good", "unknown": "warn"}
    return State("differs" if row.vm.drift else row.power, "warn" if row.vm.drift else moods.get(row.power, "off"))


def machine_size(row: MachineRow) -> str:
    """What the inventory gives it."""
    return f"{row.cpus} CPU{'s' if row.cpus > 1 else ''}, {size(row.memory_mib << 20)}"


def machine_note(row: MachineRow) -> str:
    """What is not as it should be."""
    return row.vm.problem or "; ".join(row.vm.drift)


def balancer_state(row: BalancerRow) -> State:
    """How a balancer stands."""
    if row.holds_vip is None or not row.answers:
        return State("away" if row.holds_vip is None else "does not balance", "bad")
    word = "holds the VIP" if row.holds_vip else "stands by"
    return State(word, "good" if row.keepalived == "active" else "warn")


def balancer_version(row: BalancerRow) -> str:
    """Its program, and since when it runs."""
    if not row.answers:
        return row.kind
    ill = f", keepalived is {row.keepalived}" if row.keepalived != "active" else ""
    return f"{row.kind} {short(row.version)}, up {age(row.uptime_seconds)}{ill}"


def answer_state(answer: ApiAnswer) -> State:
    """How an API server answers."""
    if answer.ready is None:
        return State("unknown", "warn")
    return State("ready", "good") if answer.ready else State("not ready", "bad")


def server_state(row: ApiServerRow) -> State:
    """The same, and whether somebody drained it."""
    return State("ready, drained", "warn") if row.drained and row.answer.ready else answer_state(row.answer)


def server_note(row: ApiServerRow) -> str:
    """How the balancers have it, or why it is not ready."""
    if not row.answer.ready:
        return row.answer.text
    states = {state for _, state in row.balancers}
    if len(states) == 1:
        return f"{row.balancers[0][1]} at {listed([name for name, _ in row.balancers])}"
    return ", ".join(f"{state} at {name}" for name, state in row.balancers)


def vip_holders(row: VipRow) -> str:
    """Who has the virtual address."""
    return f"held by {listed(row.holders)}" if row.holders else "held by nobody who answers"


def datastore_state(row: DatastoreRow) -> State:
    """How a datastore stands."""
    if row.lacking or not row.hosts:
        return State("not everywhere" if row.hosts else "away", "bad")
    return State("partly unknown", "warn") if row.unknown else State("mounted", "good")


def datastore_room(row: DatastoreRow) -> str:
    """How much room it has."""
    return f"{size(row.free or 0)} of {size(row.size)} free" if row.size else ""


def datastore_hosts(row: DatastoreRow) -> str:
    """Who can use it, and who cannot."""
    has = f"on {listed(row.hosts)}" if row.hosts else "on no host"
    return f"{has}; {row.problem}" if row.problem else has


def lab_remarks(look: LabLook) -> list[str]:
    """What a person should know beside the states."""
    return remarks(look.balance)


def states(look: LabLook) -> dict[str, State]:
    """Each part of the lab, by what it is and its name, with its state."""
    return {
        "the API": answer_state(look.vip.answer),
        **{f"host {row.name}": host_state(row) for row in look.hosts},
        **{f"VM {row.name}": machine_state(row) for row in look.vms},
        **{f"balancer {row.name}": balancer_state(row) for row in look.balancers},
        **{f"API server {row.name}": server_state(row) for row in look.api_servers},
        **{f"datastore {row.name}": datastore_state(row) for row in look.datastores},
    }


def changes(before: LabLook, after: LabLook) -> list[str]:
    """What differs between two looks, as sentences."""
    old, new = states(before), states(after)
    return [f"{name}: {old[name].word} -> {state.word}" for name, state in new.items() if old[name] != state]
