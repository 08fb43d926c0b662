"""From Ansible's variables to the frozen models: collects every mistake on the way, each at its place."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from homelab.errors import InventoryError, Mistake
from homelab.inventory import rules
from homelab.inventory.facts import Facts, HostFacts
from homelab.inventory.keys import keys_of, shown
from homelab.inventory.lines import Definition, Lines
from homelab.inventory.names import wrong_name
from homelab.inventory.values import (
    EXAMPLES,
    BadReference,
    Resolver,
    explain,
    heading_of,
    misread,
    unknown,
    variables_of,
)
from homelab.lab import (
    Api,
    ControlPlane,
    EsxiHost,
    Guests,
    Image,
    Kubernetes,
    Lab,
    LoadBalancer,
    NfsServer,
    Vcenter,
    Worker,
    meant,
)
from homelab.ports.ansible.inventory import RawInventory
from homelab.ports.kubernetes.manifest_files import mistakes as manifest_mistakes

GROUPS: dict[str, type[BaseModel]] = {
    "esxi": EsxiHost,
    "vcenter": Vcenter,
    "nfs": NfsServer,
    "control_plane": ControlPlane,
    "load_balancers": LoadBalancer,
    "workers": Worker,
}
PARTS: dict[str, type[BaseModel]] = {"api": Api, "image": Image, "guests": Guests, "kubernetes": Kubernetes}
MODELS: tuple[type[BaseModel], ...] = (Lab, *PARTS.values())
WHOLE_LAB = {name: model for model in MODELS for name in variables_of(model)}
KNOWN = {*WHOLE_LAB, *(name for model in GROUPS.values() for name in variables_of(model))}


@dataclass
class _Host:
    """One host while it is read: `values` are plain, `failed` names variables that have their mistake already."""

    name: str
    group: str
    groups: Mapping[str, int]
    variables: Mapping[str, Any]
    resolver: Resolver
    values: dict[str, Any] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)


class Reader:
    """Collects mistakes while it turns hosts into models. Used once."""

    def __init__(self, raw: RawInventory, lines: Lines, decrypt: Callable[[str], str]) -> None:
        self._raw = raw
        self._lines = lines
        self._mistakes = list(lines.mistakes)
        self._missing: dict[tuple[str, str], list[str]] = {}
        depths = raw.depths()
        members = {group: set(raw.members(group)) for group in depths}
        # As they are written: Ansible puts a group's own hosts before those of its children.
        rank = {name: index for index, name in enumerate(lines.hosts)}
        self._hosts = [
            _Host(
                name=name,
                group=group,
                groups={one: depth for one, depth in depths.items() if name in members[one]},
                variables={**raw.hostvars.get(name, {}), "inventory_hostname": name},
                resolver=Resolver({**raw.hostvars.get(name, {}), "inventory_hostname": name}, decrypt),
            )
            for group in GROUPS
            for name in sorted(raw.members(group), key=lambda name: rank.get(name, len(rank)))
        ]

    def read(self) -> tuple[Lab, list[Mistake]]:
        """The lab and warnings; InventoryError with all mistakes."""
        self._check_groups()
        if not self._hosts:
            raise InventoryError(in_order(self._mistakes))
        for host in self._hosts:
            self._check_unknown(host)
            for variable in (*WHOLE_LAB, *variables_of(GROUPS[host.group])):
                if variable in host.variables:
                    self._resolve(host, variable)
        self._name_hosts()
        whole = self._whole_lab()
        parts = {name: self._built(model, whole, None) for name, model in PARTS.items()}
        groups = {
            group: [self._built(GROUPS[group], host.values, host) for host in self._of(group)] for group in GROUPS
        }
        # A part that has mistakes of its own must not hide those of the lab around it.
        placeholders = {name: part or PARTS[name].model_construct() for name, part in parts.items()}
        lab = self._built(Lab, {**whole, **placeholders}, None)
        facts = Facts(
            hosts=[HostFacts(host.name, host.group, host.values) for host in self._hosts],
            lab={**{name: str(_default(name)) for name in WHOLE_LAB if _default(name) is not None}, **whole},
            where=self._place,
        )
        self._mistakes += [*self._of_missing(), *rules.check(facts)]
        guests = self._with_keys(parts["guests"])
        self._check_manifests(parts["kubernetes"])
        if self._mistakes or not isinstance(lab, Lab):
            raise InventoryError(in_order(self._mistakes))
        filled = lab.model_copy(update={**{name: tuple(hosts) for name, hosts in groups.items()}, "guests": guests})
        return filled, in_order(rules.advise(facts))

    def _name_hosts(self) -> None:
        """A vm_host is said as its host is called in the inventory, where only its short name was written."""
        known = [host.name for host in self._of("esxi")]
        for host in self._hosts:
            if isinstance(written := host.values.get("vm_host"), str):
                host.values["vm_host"] = meant(written, known) or written

    def _with_keys(self, guests: BaseModel | None) -> Guests | None:
        """The guests with every key that the inventory holds or names."""
        if not isinstance(guests, Guests):
            return None
        keys = keys_of(guests, self._lines.folder())
        for variable, what, fix in shown(keys.wrong):
            self._add(self._place(None, variable), what, fix, "keys")
        return guests.model_copy(update={"authorized_keys": tuple(keys.lines)})

    def _check_manifests(self, kubernetes: BaseModel | None) -> None:
        """Manifests that cannot be applied, whether or not there is a cluster yet."""
        if not isinstance(kubernetes, Kubernetes):
            return
        definition = self._origin(self._hosts[0], "kubernetes_manifests") if kubernetes.manifests else None
        for index, mistake in manifest_mistakes(self._lines.sources[0], kubernetes.manifests):
            where = definition.item([index]) if definition else self._lines.fallback
            what = mistake.what if mistake.where else f"kubernetes_manifests[{index + 1}]: {mistake.what}"
            self._add(mistake.where or where, what, mistake.fix, "manifests")

    def _of(self, group: str) -> list[_Host]:
        return [host for host in self._hosts if host.group == group]

    def _check_groups(self) -> None:
        """Groups with nearly one of our names, whose hosts would be passed over without a word."""
        ours = {host.name for host in self._hosts}
        for group, where in self._lines.groups.items():
            close = get_close_matches(group.lower(), GROUPS, 1, 0.8)
            if close and group not in GROUPS and set(self._raw.members(group)) - ours:
                self._add(where, f"{group} is not a group of homelab's", f"did you mean {close[0]}?", "groups")
        if not self._hosts and not self._mistakes:
            what = "no host is in a group that homelab knows"
            self._add(str(self._lines.sources[0]), what, f"put the hosts into the groups {', '.join(GROUPS)}", "groups")

    def _check_unknown(self, host: _Host) -> None:
        for variable, fix in unknown(host.variables, KNOWN).items():
            self._add(
                self._where(host, variable), f"{variable} is not a variable of homelab's", fix, "unknown-variables"
            )

    def _resolve(self, host: _Host, variable: str) -> None:
        """Put a plain value into the host, or a mistake into the list."""
        try:
            value = host.resolver.value(variable)
        except BadReference as error:
            host.failed.add(variable)
            culprit = error.trail[-1]
            fix = "write a plain value, or exactly one reference to a variable that holds one"
            if error.undefined:
                fix = self._definition_of(error.undefined, self._definition(host, culprit), host)
            self._add(self._where(host, culprit), f"{culprit} {error.what}", fix, "templates")
            return
        model = WHOLE_LAB.get(variable, GROUPS[host.group])
        definition = self._origin(host, variable)
        wrong = misread(model, variable, value, definition.text if definition else None)
        if wrong:
            host.failed.add(variable)
            where = definition.where if definition else self._lines.fallback
            what, fix = self._hidden(wrong, host, variable)
            # An INI file takes the quotes away and reads a number again.
            quoted = re.fullmatch(r'write (\w+): "(.*)"', fix) if definition is None and self._lines.opaque else None
            fix = f"in an INI file write {quoted[1]}='\"{quoted[2]}\"'" if quoted else fix
            self._add(where, what, fix, "missing" if what.endswith("has no value") else "quotes")
            return
        host.values[variable] = value

    def _hidden(self, wrong: tuple[str, str], host: _Host, variable: str) -> tuple[str, str]:
        if wrong[0].endswith("has no value") or not self._is_secret(host, variable):
            return wrong
        return f"{variable}: YAML reads its value as a number or a truth value", "write it in quotes"

    def _whole_lab(self) -> dict[str, Any]:
        """The values that every host must agree on; missing ones are noted."""
        whole: dict[str, Any] = {}
        first = self._hosts[0]
        for variable in WHOLE_LAB:
            if any(variable in host.failed for host in self._hosts):
                continue
            for host in self._hosts[1:]:
                if host.values.get(variable) != first.values.get(variable):
                    what = f"{variable} is not the same for {first.name} and {host.name}"
                    odd = max((first, host), key=lambda one: _level(self._definition(one, variable)))
                    fix = f"it holds for the whole lab: set it in {self._file_for('all')} only"
                    self._add(self._where(odd, variable), what, fix, "one-value-for-the-whole-lab")
                    break
            if variable in first.values:
                whole[variable] = first.values[variable]
        return whole

    def _built(self, model: type[BaseModel], values: Mapping[str, Any], host: _Host | None) -> BaseModel | None:
        """The model, or its mistakes in the list."""
        name = {"name": host.name} if host else {}
        mine = {key: value for key, value in values.items() if key in variables_of(model) or key in PARTS}
        try:
            return model.model_validate({**mine, **name})
        except ValidationError as error:
            for one in error.errors(include_url=False):
                self._note(one, host)
            return None

    def _note(self, error: Any, host: _Host | None) -> None:
        variable, *item = error["loc"]
        one = host or self._hosts[0]
        if variable == "name" and host:
            self._add(self._where(host, ""), *wrong_name(host.name), "names")
        elif error["type"] == "missing" and not item:
            failed = host.failed if host else {name for each in self._hosts for name in each.failed}
            if variable not in failed:
                self._missing.setdefault((host.group if host else "all", variable), []).append(one.name)
        else:
            shown = None if self._is_secret(one, variable) else _shown(error["input"])
            subject = f"{variable}{''.join(f'[{step + 1}]' if isinstance(step, int) else f'.{step}' for step in item)}"
            definition = self._origin(one, variable)
            where = definition.item(item) if definition else self._lines.fallback
            what, fix = explain(variable, error, shown)
            self._add(where, what.replace(variable, subject, 1), fix, heading_of(variable, error, shown))

    def _of_missing(self) -> Iterator[Mistake]:
        for (group, variable), names in self._missing.items():
            example = EXAMPLES.get(variable, "...")
            if variable == "ansible_host":
                for host in (one for one in self._of(group) if one.name in names):
                    fix = f"write ansible_host: and its address below {host.name}"
                    yield Mistake(self._where(host, ""), f"{host.name} has no ansible_host", fix, "missing")
                continue
            everyone = group == "all" or len(names) == len(self._of(group))
            what = f"{variable} is missing" + ("" if everyone else f" for {', '.join(names)}")
            fix = f"write {variable}: {example}" if " " not in example or "{{" in example else f"set it to {example}"
            yield Mistake(self._file_for(group), what, fix, "missing")

    def _definition_of(self, name: str, user: Definition | None, host: _Host) -> str:
        """How to set a variable that is referred to; for a secret the one command that makes its file."""
        group = user.scope if user and user.scope in self._raw.hosts_of else host.group
        if not name.startswith("vault_"):
            return f"write {name}: and its value into {self._file_for(group)}"
        folder = self._lines.folder() / "group_vars" / group
        for vault in self._lines.encrypted:
            if vault.parent in (folder, folder.parent / "all"):
                return f"add it: ansible-vault edit {vault}"
        command = f"ansible-vault create {folder}/vault.yml"
        plain = folder.with_name(f"{group}.yml")
        if plain.is_file():  # Ansible would pass over the file once the folder exists
            command = f"mkdir {folder} && mv {plain} {folder}/ && {command}"
        return f"run `{command}` and write {name}: and the secret into it"

    def _file_for(self, group: str) -> str:
        """The file where a group's variable would go."""
        folder = self._lines.folder() / "group_vars" / group
        if folder.is_dir():
            plain = [path for path in sorted(folder.glob("*.y*ml")) if path not in self._lines.encrypted]
            return str(plain[0] if plain else folder / f"{group}.yml")
        other = folder.with_name(f"{group}.yaml")
        return str(other if other.is_file() else folder.with_name(f"{group}.yml"))

    def _definition(self, host: _Host, variable: str) -> Definition | None:
        found = self._lines.find(host.name, host.groups, variable)
        without_lines = self._lines.opaque or self._lines.encrypted
        return None if found and without_lines and not found.holds(host.variables.get(variable)) else found

    def _origin(self, host: _Host, variable: str) -> Definition | None:
        """Where a value comes from: the last definition on the way of its references that has a line."""
        found = (self._definition(host, name) for name in reversed(host.resolver.trails[variable]))
        return next((one for one in found if one), None)

    def _where(self, host: _Host, variable: str) -> str:
        """FILE:LINE of a variable that is set; of the host itself for ""."""
        if not variable:
            return self._lines.hosts.get(host.name, self._lines.fallback)
        definition = self._definition(host, variable)
        return definition.where if definition else self._lines.fallback

    def _place(self, name: str | None, variable: str) -> str:
        host = next(one for one in self._hosts if name in (None, one.name))
        return self._where(host, variable) if not variable or variable in host.variables else ""

    def _is_secret(self, host: _Host, variable: str) -> bool:
        """Whether a value must not be shown: a password, or one that may stand in an encrypted file."""
        hidden = self._lines.encrypted and not self._definition(host, host.resolver.trails[variable][-1])
        return variable == "ansible_password" or variable in host.resolver.secrets or bool(hidden)

    def _add(self, where: str, what: str, fix: str, kind: str) -> None:
        self._mistakes.append(Mistake(where, what, fix, kind))


def in_order(mistakes: Sequence[Mistake]) -> list[Mistake]:
    """Mistakes by file and line, each once."""

    def place(mistake: Mistake) -> tuple[str, int]:
        path, _, line = mistake.where.rpartition(":")
        return (path, int(line)) if line.isdigit() else (mistake.where, 0)

    return sorted(dict.fromkeys(mistakes), key=place)


def _shown(value: Any) -> str:
    """A value as YAML would have it, on one short line."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _default(variable: str) -> Any:
    """The default of a variable of the whole lab, None when it has none."""
    fields = WHOLE_LAB[variable].model_fields.values()
    return next((one.default for one in fields if one.alias == variable and not one.is_required()), None)


def _level(definition: Definition | None) -> int:
    return definition.level if definition else -1
