"""A lab as a drawing of lines, for a terminal or a pipe. Pure."""

from collections.abc import Sequence

from homelab.checks.lab_look import HostRow, LabLook, MachineRow
from homelab.output import lab_words as words
from homelab.output.lab_words import State
from homelab.output.screen import WIDEST
from homelab.output.signs import Line, Signs, cut, wrapped

STYLES = {"good": "green", "warn": "yellow", "bad": "red", "off": "dim"}

Leaf = tuple[str, State, str, str]


def drawing(look: LabLook, width: int, signs: Signs) -> list[Line]:
    """The virtual address with its balancers, the API servers, the hosts with their VMs, the datastores.

    No line is longer than `width`.
    """
    lines = [
        *_api(look, width, signs),
        *(line for host in look.hosts for line in ((), *_host(host, look.on(host.name), width, signs))),
        *_nowhere(look, width, signs),
        *_datastores(look, width, signs),
    ]
    for remark in words.lab_remarks(look):
        lines += [(), *(((line, "yellow"),) for line in wrapped("! ", "  ", remark, width))]
    return [cut(line, width, signs) for line in lines]


def plain(look: LabLook, signs: Signs) -> list[str]:
    """The same without colours, and as wide as it is."""
    return ["".join(text for text, _ in line).rstrip() for line in drawing(look, WIDEST, signs)]


def _api(look: LabLook, width: int, signs: Signs) -> list[Line]:
    vip, state = look.vip, words.answer_state(look.vip.answer)
    version = f"Kubernetes {vip.answer.version}, " if vip.answer.version else ""
    head: Line = (
        (f"{vip.address}:{vip.port}", "bold"),
        (f"  {vip.api_name}  ", ""),
        (state.word, STYLES[state.mood]),
        (f"  {version}{words.vip_holders(vip)}" if look.balancers else f"  {version}".rstrip(" ,"), ""),
    )
    lines = [head, *(_note(vip.answer.text, width) if state.mood != "good" else [])]
    balancers = [
        (row.name, words.balancer_state(row), words.balancer_version(row), row.problem) for row in look.balancers
    ]
    lines += _tree(balancers, width, signs)
    if look.api_servers:
        servers = [
            (row.name, words.server_state(row), row.answer.version or "", words.server_note(row))
            for row in look.api_servers
        ]
        lines += [(), (("API servers", "bold"),), *_tree(servers, width, signs)]
    return lines


def _host(row: HostRow, machines: Sequence[MachineRow], width: int, signs: Signs) -> list[Line]:
    state = words.host_state(row)
    told = "  ".join(filter(None, (row.address, words.host_version(row), words.host_memory(row), words.others(row))))
    head: Line = ((f"{row.name}  ", "bold"), (state.word, STYLES[state.mood]), (f"  {told}", ""))
    return [head, *(_note(row.problem, width) if row.problem else []), *_tree(_machines(machines), width, signs)]


def _machines(rows: Sequence[MachineRow]) -> list[Leaf]:
    return [
        (
            row.name,
            words.machine_state(row),
            f"{row.vm.address}  {row.role}, {words.machine_size(row)}",
            words.machine_note(row),
        )
        for row in rows
    ]


def _nowhere(look: LabLook, width: int, signs: Signs) -> list[Line]:
    leaves = _machines(look.on(None))
    return [(), ((words.nowhere(look), "bold"),), *_tree(leaves, width, signs)] if leaves else []


def _datastores(look: LabLook, width: int, signs: Signs) -> list[Line]:
    leaves = []
    for row in look.datastores:
        told = "  ".join(filter(None, (f"{row.kind} {row.source}", words.datastore_room(row))))
        leaves.append((row.name, words.datastore_state(row), told, words.datastore_hosts(row)))
    return [(), (("Datastores", "bold"),), *_tree(leaves, width, signs)] if leaves else []


def _tree(leaves: Sequence[Leaf], width: int, signs: Signs) -> list[Line]:
    """Leaves of a name, a state and what is told; a note of each stands below it."""
    name_width = max((len(name) for name, *_ in leaves), default=0)
    word_width = max((len(state.word) for _, state, *_ in leaves), default=0)
    lines: list[Line] = []
    for number, (name, state, told, note) in enumerate(leaves):
        is_last = number == len(leaves) - 1
        fork, stem = signs.last if is_last else signs.fork, "   " if is_last else signs.stem
        head = (
            (f" {fork}{name:<{name_width}}  ", ""),
            (f"{state.word:<{word_width}}  ", STYLES[state.mood]),
            (told, ""),
        )
        lines += [
            head,
            *(((line, "dim"),) for line in (wrapped(f" {stem}  ", f" {stem}  ", note, width) if note else ())),
        ]
    return lines


def _note(text: str, width: int) -> list[Line]:
    return [((line, "dim"),) for line in wrapped("   ", "   ", text, width)]
