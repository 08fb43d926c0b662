"""The values of variables: references followed, and what is wrong with a value said in the user's words. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from ipaddress import ip_network
from typing import Any

from pydantic import BaseModel

PREFIXES = (
    "lab_", "api_", "image_", "guest_", "kubernetes_", "esxi_", "vcenter_", "nfs_", "vm_", "load_balancer_",
)  # fmt: skip
REFERENCE = re.compile(r"\s*\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}\s*")
TEMPLATE = re.compile(r"\{\{|\{%|\{#")

# A right value for every variable that has no default, and for those whose form is not obvious.
EXAMPLES = {
    "ansible_host": "192.168.2.11",
    "ansible_password": '"{{ vault_esxi_password }}"',
    "api_name": "api.lab.home.arpa",
    "api_vip": "192.168.2.100",
    "esxi_management_nic": "vmnic0",
    "guest_user": "homelab",
    "image_sha256": "the 64 hexadecimal digits, in lower case, that sha256sum prints",
    "image_source": "a path or URL of an OVA, a VMDK or a qcow2",
    "kubernetes_pod_network": "10.244.0.0/16",
    "kubernetes_service_network": "10.96.0.0/12",
    "kubernetes_version": '"1.36.3"',
    "lab_domain": "lab.home.arpa",
    "lab_gateway": "192.168.2.1",
    "lab_nameservers": "[192.168.2.1]",
    "lab_name": "homelab",
    "lab_network": "192.168.2.0/24",
    "lab_ntp_servers": "[pool.ntp.org]",
    "load_balancer_stats_network": "192.168.2.0/24",
    "nfs_datastore": "nas",
    "nfs_export": "/volume1/homelab",
    "nfs_version": '"3"',
    "vm_mac": '"00:50:56:12:34:56"',
}


# What a form is, where an example does not tell.
LETTERS = "small letters, digits and hyphens"
DATASTORE = r"up to 42 characters, and none of / \ % [ ]"
FORMS = {
    "esxi_local_datastore": DATASTORE,
    "guest_user": "small letters, digits, hyphens and underscores",
    "kubernetes_version": "three numbers, in quotes",
    "lab_domain": f"{LETTERS}, with dots between",
    "lab_name": LETTERS,
    "nfs_datastore": DATASTORE,
    "nfs_export": "the path alone, from its first slash",
    "vm_datastore": DATASTORE,
}
UNITS = {"_mib": "MiB", "_gib": "GiB", "_timeout": "seconds"}


class BadReference(Exception):
    """A value cannot be followed. `trail`: the variables on the way; `undefined`: the name that leads nowhere."""

    def __init__(self, what: str, trail: tuple[str, ...], undefined: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.trail = trail
        self.undefined = undefined


class Resolver:
    """Follows the references of one host's variables; `decrypt` opens the inline `!vault` values that are needed."""

    def __init__(self, variables: Mapping[str, Any], decrypt: Callable[[str], str]) -> None:
        self._variables = variables
        self._decrypt = decrypt
        self.trails: dict[str, tuple[str, ...]] = {}
        self.secrets: set[str] = set()

    def value(self, variable: str) -> Any:
        """The plain value of a variable that is set; BadReference when it cannot be had."""
        self.trails[variable] = (variable,)
        return self._follow(variable, self._variables[variable], (variable,))

    def _follow(self, top: str, value: Any, trail: tuple[str, ...]) -> Any:
        if isinstance(value, list):
            return [self._follow(top, item, trail) for item in value]
        if isinstance(value, dict):
            return self._mapping(top, value, trail)
        if not isinstance(value, str) or not TEMPLATE.search(value):
            return value
        match = REFERENCE.fullmatch(value)
        if not match:
            raise BadReference("is a template, not a plain value", trail)
        name = match[1]
        if name in trail:
            raise BadReference(f"refers to itself: {' -> '.join((*trail, name))}", trail)
        if name not in self._variables:
            raise BadReference(f"refers to {name}, which is set nowhere", trail, undefined=name)
        if name.startswith("vault_"):
            self.secrets.add(top)
        self.trails[top] = (*trail, name)
        return self._follow(top, self._variables[name], (*trail, name))

    def _mapping(self, top: str, value: dict[str, Any], trail: tuple[str, ...]) -> Any:
        if set(value) == {"__ansible_vault"}:
            self.secrets.add(top)
            return self._decrypt(value["__ansible_vault"])
        if set(value) == {"__ansible_unsafe"}:  # `!unsafe`: braces are text
            return value["__ansible_unsafe"]
        return {key: self._follow(top, item, trail) for key, item in value.items()}


def unknown(variables: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """The variables with one of our prefixes that nobody reads, each with what to do."""
    names = sorted(known)
    found = {}
    for variable in variables:
        spelled = variable.lower().replace("-", "_")
        if spelled != variable and spelled in names:
            found[variable] = f"did you mean {spelled}?"
        elif variable.startswith(PREFIXES) and variable not in names:
            close = get_close_matches(variable, names, 1, 0.8)
            close = close or [name for name in names if name.startswith(f"{variable}_")]
            found[variable] = f"did you mean {close[0]}?" if close else "delete it, or give it another prefix"
    return found


def misread(model: type[BaseModel], variable: str, value: Any, text: str | None) -> tuple[str, str] | None:
    """What YAML made of a value that was meant as text or as a number, and how to write it; None when all is well.

    `text` is the value as it stands in the file, when that is known.
    """
    types = wanted_types(model)[variable]
    if value is None and "null" not in types:
        return f"{variable} has no value", "write one, or delete the line"
    if isinstance(value, bool):
        if "boolean" in types:
            return None
        shown = "true" if value else "false"
    elif isinstance(value, int | float) and not types & {"integer", "number"} and "string" in types:
        shown = str(value)
    else:
        return None
    if variable == "vm_mac" and isinstance(value, int) and not isinstance(value, bool):
        text = mac_of(value)
    written = text or shown
    what = f"{variable}: YAML reads {written} as {shown}" if written != shown else f"{variable}: YAML reads {shown}"
    what += ", a truth value" if isinstance(value, bool) else ", a number"
    if "string" not in types:
        return what, "write a whole number" if "integer" in types else "write a list"
    if variable == "kubernetes_version":
        return what, 'write all three parts, in quotes, such as kubernetes_version: "1.36.3"'
    if "ipv4" in types:
        return what, f"write {variable}: {EXAMPLES.get(variable, '192.168.2.11')}, with an address of yours"
    return what, f'write {variable}: "{written}"'


def mac_of(number: int) -> str:
    """The MAC that YAML 1.1 read as a number to the base of 60: 41135085296 is 52:54:00:12:34:56."""
    parts: list[int] = []
    for _ in range(5):
        number, part = divmod(number, 60)
        parts.append(part)
    return ":".join(f"{part:02}" for part in (number, *reversed(parts)))


def explain(variable: str, error: Mapping[str, Any], shown: str | None) -> tuple[str, str]:
    """One error of pydantic's as what is wrong and what to write. `shown` is the value, None when it is secret."""
    kind, context = error["type"], error.get("ctx", {})
    value = "its value" if shown is None else shown
    example = EXAMPLES.get(variable)
    like = f"write something like {variable}: {example}" if example else "write it another way"
    like += f" ({FORMS[variable]})" if variable in FORMS else ""
    if kind.startswith("ip_v4") and _is_ipv6(shown):
        what = f"{variable}: {value} is IPv6, which is not supported"
        return what, f"write {example or 'an IPv4 address or network, such as 192.168.2.11'}"
    if kind.startswith("ip_v4_address"):
        return f"{variable}: {value} is not an IPv4 address", "write four numbers from 0 to 255, such as 192.168.2.11"
    if kind.startswith("ip_v4_network"):
        return f"{variable}: {value} is not a network", f"write {_network(shown) or example or '192.168.2.0/24'}"
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"]) or [context["expected"]]
        close = get_close_matches(shown or "", choices, 1, 0.6)
        fix = f"did you mean {close[0]}?" if close else f"choose from: {', '.join(map(_as_text, choices))}"
        return f"{variable}: {value} is not one of its values", fix
    if variable == "load_balancer_pools" and kind == "tuple_type":
        return f"{variable}: {value} is not a list", "write a list of pools, each with name, port and members"
    if kind == "missing":
        return f"{variable} is missing", "write it"
    if kind == "too_short":
        return f"{variable} is empty", "write at least one"
    if kind == "tuple_type":
        return f"{variable}: {value} is not a list", f"write it in brackets: {variable}: [{shown or '...'}]"
    if variable == "vm_mac" and kind == "string_pattern_mismatch":
        what = f"vm_mac: {value} is not a MAC that ESXi takes from a person"
        return what, 'write one from "00:50:56:00:00:00" to "00:50:56:3f:ff:ff", or leave it out: each VM gets its own'
    if kind in ("string_pattern_mismatch", "string_too_short"):
        return f"{variable}: {value} is not valid", f"write {example}" if example and " " in example else like
    if kind == "string_type":
        return f"{variable}: {value} is not text", "write it in quotes"
    if kind.startswith(("int_", "bool_")):
        noun = "a whole number" if kind.startswith("int_") else "true or false"
        unit = next((f" of {unit}, and no unit" for end, unit in UNITS.items() if variable.endswith(end)), "")
        return f"{variable}: {value} is not {noun}", f"write {noun}{unit}"
    rest = str(error["msg"]).removeprefix("Input should be ")
    return f"{variable}: {value} is out of range" if context else f"{variable}: {value}", f"it must be {rest}"


def _as_text(choice: str) -> str:
    """In quotes what YAML would not read as text."""
    return f'"{choice}"' if re.fullmatch(r"[\d.]+|on|off|yes|no|true|false", choice) else choice


def heading_of(variable: str, error: Mapping[str, Any], shown: str | None) -> str:
    """The heading of docs/reference/mistakes.md that tells of such an error of pydantic's."""
    kind = error["type"]
    if kind.startswith("ip_v4"):
        return "ipv6" if _is_ipv6(shown) else "addresses-and-networks"
    if variable == "vm_mac":
        return "macs"
    if variable == "load_balancer_pools":
        return "pools"
    return {"literal_error": "choices", "missing": "missing", "string_type": "quotes"}.get(kind, "values")


def _is_ipv6(text: str | None) -> bool:
    try:
        return ip_network(text or "", strict=False).version == 6
    except ValueError:
        return False


def _network(text: str | None) -> str | None:
    """The network that an address with a prefix length lies in: 192.168.2.1/24 lies in 192.168.2.0/24."""
    try:
        return str(ip_network(text, strict=False)) if text and "/" in text else None
    except ValueError:
        return None


def variables_of(model: type[BaseModel]) -> dict[str, bool]:
    """The inventory's variables that a model reads, and whether each is required."""
    return {field.alias: field.is_required() for field in model.model_fields.values() if field.alias}


@cache
def wanted_types(model: type[BaseModel]) -> Mapping[str, frozenset[str]]:
    """For each variable the JSON types that it may have, and `ipv4` for an address or network."""
    schema = model.model_json_schema(mode="validation")
    return {name: frozenset(_types(part)) for name, part in schema["properties"].items()}


def _types(part: Mapping[str, Any]) -> set[str]:
    found = {str(part["type"])} if "type" in part else set()
    if str(part.get("format", "")).startswith("ipv4"):
        found.add("ipv4")
    for one in part.get("anyOf", ()):
        found |= _types(one)
    return found
