"""Answers -> the files of a new inventory, in the form of the packaged sample, with its comments. Pure."""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

import yaml

from homelab.inventory.answers import GROUPS, NAS, Values
from homelab.inventory.reader import WHOLE_LAB
from homelab.inventory.schema import FILE, modeline, schema_text

# The sample's files that are taken over with other values.
FROM_SAMPLE = (
    "group_vars/all.yml",
    "group_vars/nfs.yml",
    "group_vars/control_plane.yml",
    "group_vars/load_balancers.yml",
)
ESXI_FILE, VAULT = "group_vars/esxi/esxi.yml", "group_vars/esxi/vault.yml"
TEMPLATE = re.compile(r"\{\{|\{%|\{#")
KEY = re.compile(r"^([A-Za-z_]\w*):(.*)$")
HOSTS = """\
{modeline}
---
# Who is in the lab. What holds for a whole group stands in group_vars/, passwords in a vault.
# Look at all of it as Ansible sees it: ansible-inventory -i {folder} --list
all:
  children:
"""
COMMENTS = {
    "esxi": "The mini-PCs. What is true of one only stands below its name, such as esxi_board: GB-BRi7-8550.",
    "nfs": "The NAS that all of them mount.",
    "control_plane": "The VMs. Without a vm_host they are placed so that peers do not share a mini-PC.",
    "load_balancers": "",
}
ESXI = """\
{modeline}
---
# The password stands in vault.yml beside this file; change it with
#   ansible-vault edit {vault}
# A host with a password of its own gets a line of its own below its name in hosts.yml:
#   ansible_password: "{{{{ vault_NAME_password }}}}"
ansible_user: root
ansible_password: "{{{{ vault_esxi_password }}}}"
"""


def inventory_files(values: Values, sample: Mapping[str, str], folder: str) -> dict[str, str]:
    """Every file but the vault, by its path below `folder`, which comments name; `sample` are the packaged files."""
    vault = shlex.quote(f"{folder}/{VAULT}")
    plain = {key: value for key, value in values.items() if key in WHOLE_LAB or key in NAS}
    files = {
        FILE: schema_text(),
        "hosts.yml": _hosts(values, shlex.quote(folder)),
        ESXI_FILE: ESXI.format(vault=vault, modeline=modeline(ESXI_FILE)),
    }
    for name in FROM_SAMPLE:
        scope = NAS if name.endswith("nfs.yml") else WHOLE_LAB if name.endswith("all.yml") else ()
        files[name] = with_values(sample[name], {key: value for key, value in plain.items() if key in scope})
    return files


def vault_text(password: str) -> str:
    """What the vault holds, before it is encrypted; a password with braces is no template."""
    unsafe = "!unsafe " if TEMPLATE.search(password) else ""
    return f"---\nvault_esxi_password: {unsafe}{json.dumps(password, ensure_ascii=False)}\n"


def with_values(text: str, values: Values) -> str:
    """A file of variables with other values for its keys, its comments kept; what it does not have yet comes last."""
    left, lines, skip = dict(values), [], False
    for line in text.splitlines():
        found = KEY.match(line)
        skip = skip and not found and line.startswith((" ", "-"))
        if found and found[1] in left:
            lines.append(_written(found[1], left.pop(found[1]), quoted=found[2].strip().startswith('"')))
            skip = True
        elif not skip:
            lines.append(line)
    more = [_written(key, value) for key, value in left.items()]
    return "\n".join([*lines, *(["", *more] if more else [])]) + "\n"


def _hosts(values: Values, folder: str) -> str:
    text = HOSTS.format(folder=folder, modeline=modeline("hosts.yml"))
    for group in GROUPS:
        comment = f"    # {COMMENTS[group]}\n" if COMMENTS[group] else ""
        text += f"{'' if group == 'esxi' or not comment else chr(10)}{comment}    {group}:\n      hosts:\n"
        for name, address in values[group].items():
            text += f"        {_scalar(name)}:\n          ansible_host: {_scalar(address)}\n"
    return text


def _written(key: str, value: Any, *, quoted: bool = False) -> str:
    if isinstance(value, list | tuple):
        return "\n".join([f"{key}:", *(f"  - {_scalar(item)}" for item in value)]) if value else f"{key}: []"
    return f"{key}: {json.dumps(value, ensure_ascii=False) if quoted else _scalar(value)}"


def _scalar(value: Any) -> str:
    """A value on one line, in quotes where YAML would read something else."""
    if not isinstance(value, str):
        return json.dumps(value)
    plain = yaml.safe_dump(value, width=10**6, allow_unicode=True).splitlines()[0]
    return plain if plain == value else json.dumps(value, ensure_ascii=False)
