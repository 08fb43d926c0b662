"""The JSON Schema of the inventory's variables, made from the lab's models. Pure.

One schema serves every file: in a file of hosts the first keys are groups, in a file of variables they are variables.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from homelab.inventory.reader import GROUPS, KNOWN, MODELS
from homelab.inventory.sentences import SENTENCES
from homelab.inventory.values import EXAMPLES, PREFIXES, variables_of

INDENT = 1
DIALECT = "http://json-schema.org/draft-07/schema#"
# Beside the inventory's files; Ansible passes over names that begin with a dot.
FILE = ".schema.json"
REFERENCE = {"type": "string", "pattern": r"^\s*\{\{.*\}\}\s*$"}
REF = "#/$defs/"


def schema_text() -> str:
    """The schema as it is printed and written."""
    return json.dumps(inventory_schema(), indent=INDENT) + "\n"


def modeline(path: str) -> str:
    """The comment by which editors find the schema of a file of the inventory; `path` is the file's own."""
    return f"# yaml-language-server: $schema={'../' * path.count('/')}{FILE}"


def inventory_schema() -> dict[str, Any]:
    """The schema: known variables with their forms, unknown ones with our prefixes refused, groups of hosts."""
    definitions: dict[str, Any] = {}
    variables = _variables(definitions)
    definitions["variables"] = {
        "type": ["object", "null"],
        "properties": variables,
        "propertyNames": {"$ref": f"{REF}name"},
    }
    definitions["name"] = {"anyOf": [{"enum": sorted(KNOWN)}, {"not": {"pattern": f"^({'|'.join(PREFIXES)})"}}]}
    definitions["group"] = {
        "type": ["object", "null"],
        "properties": {
            "hosts": _each("variables"),
            "children": _each("group"),
            "vars": {"$ref": f"{REF}variables"},
        },
        "additionalProperties": False,
    }
    groups = {name: {"$ref": f"{REF}group"} for name in ("all", *GROUPS)}
    return {
        "$schema": DIALECT,
        "title": "An inventory of homelab's: its hosts and their variables",
        "type": ["object", "null"],
        "properties": {**variables, **groups},
        "propertyNames": {"$ref": f"{REF}name"},
        "$defs": definitions,
    }


def _each(definition: str) -> dict[str, Any]:
    return {"type": ["object", "null"], "additionalProperties": {"$ref": f"{REF}{definition}"}}


def _variables(definitions: dict[str, Any]) -> dict[str, Any]:
    """Every variable with each form that one of its models gives it."""
    forms: dict[str, list[tuple[str, Any]]] = {}
    for where, model in [*(("the whole lab", model) for model in MODELS), *GROUPS.items()]:
        for name, form in _forms(model, definitions).items():
            forms.setdefault(name, []).append((where, form))
    return {name: _joined(name, found) for name, found in sorted(forms.items())}


def _forms(model: type[BaseModel], definitions: dict[str, Any]) -> Mapping[str, Any]:
    made = model.model_json_schema(mode="validation", ref_template=REF + "{model}")
    used = {key: _plain(value) for key, value in made.get("$defs", {}).items() if key == "Pool"}
    definitions.update(used)
    return {name: _plain(form) for name, form in made["properties"].items() if name in variables_of(model)}


def _joined(name: str, found: list[tuple[str, Any]]) -> dict[str, Any]:
    kinds = [{key: value for key, value in form.items() if key != "default"} for _, form in found]
    kinds = [kind for number, kind in enumerate(kinds) if kind not in kinds[:number]]
    choices = [one for kind in kinds for one in kind.get("anyOf", [kind])]
    described = f"{SENTENCES[name]} For {', '.join(dict.fromkeys(where for where, _ in found))}."
    if name in EXAMPLES:
        described += f" Example: {EXAMPLES[name]}"
    joined: dict[str, Any] = {"description": described, "anyOf": [*choices, REFERENCE]}
    defaults = [form["default"] for _, form in found if form.get("default") is not None]
    return joined | ({"default": defaults[0]} if defaults and all(one == defaults[0] for one in defaults) else {})


def _plain(form: Any) -> Any:
    """Without pydantic's titles, and with patterns that every editor's regular expressions know."""
    if isinstance(form, list):
        return [_plain(item) for item in form]
    if not isinstance(form, dict):
        return form
    found = {key: _plain(value) for key, value in form.items() if key != "title" or not isinstance(value, str)}
    if isinstance(pattern := found.get("pattern"), str) and "(?i:" in pattern:
        found["pattern"] = pattern.replace("(?i:", "(?:").replace("a-z", "A-Za-z")
    if found.get("format") in ("ipv4network", "password"):
        del found["format"]
    return found
