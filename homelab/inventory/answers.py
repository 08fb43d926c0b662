"""What a new inventory is made of: the answers, and what is wrong with them. Pure but for the file that is named.

The keys are the inventory's own variables and groups, so an answers file reads like a small inventory, and the reader
of inventories judges it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from homelab.errors import InventoryError, Mistake
from homelab.inventory.lines import INLINE_HOST, Lines, at, pairs, read_variables
from homelab.inventory.reader import WHOLE_LAB, Reader, in_order
from homelab.inventory.values import EXAMPLES
from homelab.ports.ansible.inventory import RawInventory

# The groups that are asked for, and what a machine without a name is called there.
GROUPS = {"esxi": "esxi", "nfs": "nas", "control_plane": "cp", "load_balancers": "lb"}
NAS = ("nfs_export", "nfs_datastore", "nfs_version")
KEYS = (*WHOLE_LAB, *NAS, *GROUPS)
# Without these there is no inventory.
REQUIRED = (
    "lab_network", "esxi", "nfs", "nfs_export", "nfs_datastore", "lab_gateway", "api_vip", "control_plane",
    "load_balancers", "lab_name", "lab_domain", "image_source", "image_sha256", "kubernetes_version",
)  # fmt: skip
EXAMPLE = {
    "esxi": "{brix1: 192.168.2.11, brix2: 192.168.2.12}",
    "nfs": "{nas: 192.168.2.5}",
    "control_plane": "{cp1: 192.168.2.21, cp2: 192.168.2.22, cp3: 192.168.2.23}",
    "load_balancers": "{lb1: 192.168.2.31, lb2: 192.168.2.32}",
}
KIND = "answers"
HIDDEN = "not known yet"
Values = Mapping[str, Any]


@dataclass
class AnswersFile:
    """The answers of a file: plain values by key, groups as NAME -> ADDRESS; where they stand, and what is wrong."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: Lines = field(default_factory=lambda: Lines((Path("the answers"),)))
    mistakes: list[Mistake] = field(default_factory=list)
    # Keys whose mistake is told already; nothing is proposed in their place.
    broken: set[str] = field(default_factory=set)


def read_answers(path: Path) -> AnswersFile:
    """The answers of a YAML file; every mistake of its form is in it."""
    lines = read_variables(path)
    found = AnswersFile(lines=lines, mistakes=[] if not lines.broken else list(lines.mistakes))
    if lines.broken:
        return found
    for key, node in lines.variables_of("all"):
        where = at(str(path), key)
        name = str(key.value)
        if name not in KEYS:
            found.mistakes.append(Mistake(where, f"{name} is not a key of an answers file", _instead(name), KIND))
            continue
        try:
            value = yaml.constructor.SafeConstructor().construct_document(node)
        except yaml.YAMLError:
            found.mistakes.append(Mistake(where, f"{name} has a value with a tag", "write it as plain text", KIND))
            found.broken.add(name)
            continue
        if name in GROUPS:
            _read_group(found, name, value, where, node)
        else:
            found.values[name] = value
    return found


def _instead(name: str) -> str:
    if "pass" in name or "secret" in name:
        return "delete it: passwords come from VMWARE_PASSWORD, from Ansible's vault settings, or by a prompt"
    close = get_close_matches(name, KEYS, 1, 0.7)
    return f"did you mean {close[0]}?" if close else "delete it; docs/reference/init.md lists the keys"


def _read_group(found: AnswersFile, group: str, value: Any, where: str, node: yaml.Node) -> None:
    machines = named(group, value)
    if machines is None:
        what = f"{group} is no list of machines"
        found.mistakes.append(Mistake(where, what, f"write {group}: {EXAMPLE[group]}", KIND))
        found.broken.add(group)
        return
    found.values[group] = machines
    listed = node.value if isinstance(node, yaml.SequenceNode) else [node]
    places = list(pairs(node)) or [(item, item) for item in listed]
    for name, (key, address) in zip(machines, places, strict=False):
        found.lines.hosts.setdefault(name, at(str(found.lines.sources[0]), key))
        found.lines.define_one(key, address, "ansible_host", name, INLINE_HOST)


def named(group: str, value: Any) -> dict[str, Any] | None:
    """NAME -> ADDRESS, from that, from a list of addresses or from one; None when it is nothing of the kind."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list):
        one = len(value) == 1 and group == "nfs"
        value = {f"{GROUPS[group]}{'' if one else number}": address for number, address in enumerate(value, 1)}
    if not isinstance(value, dict) or not all(isinstance(each, str) for pair in value.items() for each in pair):
        return None
    return value or None


def understood(key: str, text: str) -> Any:
    """What a person typed for a key: `NAME=ADDRESS` or addresses, parted by commas or blanks, or the text itself."""
    if key not in GROUPS:
        return text
    words = text.replace(",", " ").split()
    machines: dict[str, str] = {}
    for number, word in enumerate(words, 1):
        name, equals, address = word.rpartition("=")
        one = len(words) == 1 and key == "nfs"
        machines[name if equals else f"{GROUPS[key]}{'' if one else number}"] = address
    return machines


def shown(value: Any) -> str:
    """A value as it may be typed again."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={address}" for name, address in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def missing(values: Values, where: str, broken: Collection[str] = ()) -> list[Mistake]:
    """A mistake for each key without which there is no inventory."""
    return [
        Mistake(
            where,
            f"{key} is missing, and nothing that was found proposes one",
            f"write {key}: {_example(key)}",
            KIND,
        )
        for key in REQUIRED
        if key not in values and key not in broken
    ]


def _example(key: str) -> str:
    return EXAMPLE.get(key) or EXAMPLES.get(key, "...")


def wrong(values: Values, lines: Lines | None = None) -> list[Mistake]:
    """What the reader of inventories says of the answers that are there; what is missing is no mistake yet."""
    if not any(values.get(group) for group in GROUPS):
        return []
    # What nobody answered yet is stood for by something that no rule minds.
    filled = {"nfs_export": "/", "nfs_datastore": "nas", **values}
    filled |= {group: {f"the-{group}": "127.0.0.1"} for group in ("esxi", "nfs") if not values.get(group)}
    try:
        Reader(raw_of(filled), lines or AnswersFile().lines, lambda text: text).read()
    except InventoryError as error:
        return in_order([one for one in error.mistakes if " is missing" not in one.what])
    return []


def raw_of(values: Values) -> RawInventory:
    """The answers as Ansible would list them; the password has a placeholder."""
    whole = {key: value for key, value in values.items() if key in WHOLE_LAB}
    own: dict[str, dict[str, Any]] = {
        "esxi": {"ansible_user": "root", "ansible_password": HIDDEN},
        "nfs": {key: values[key] for key in NAS if key in values},
    }
    groups = {group: values.get(group) or {} for group in GROUPS}
    return RawInventory(
        hosts_of={"all": (), **{group: tuple(machines) for group, machines in groups.items()}},
        children_of={"all": tuple(groups)},
        hostvars={
            name: {**whole, **own.get(group, {}), "ansible_host": address}
            for group, machines in groups.items()
            for name, address in machines.items()
        },
    )


def addresses(values: Values) -> set[str]:
    """Every address that the answers give to somebody."""
    mine = {str(values[key]) for key in ("api_vip", "lab_gateway") if key in values}
    return mine.union(*(machines.values() for group in GROUPS if (machines := values.get(group))))
