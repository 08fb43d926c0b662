"""The page of the inventory's variables, from the lab's models."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from homelab.inventory.reader import GROUPS, MODELS
from homelab.inventory.sentences import SENTENCES
from homelab.inventory.values import EXAMPLES, FORMS, UNITS, variables_of
from homelab.lab import Pool
from tools.reference.markdown import code, table
from tools.reference.markdown import page as whole

HEADS = ("variable", "is", "takes", "unless set")
INTRO = """Each stands in a file of the inventory, as Ansible reads it. `homelab schema` prints the same for your editor
([editors and shells](../../how-to/editors-and-shells.md)); what is said about a mistake is explained in
[Mistakes in an inventory](../mistakes.md); some variables have more said about them in
[Additions](../inventory-additions.md)."""
TITLES = {
    "esxi": "ESXi hosts (group `esxi`)",
    "vcenter": "vCenter (group `vcenter`)",
    "nfs": "The NAS (group `nfs`)",
    "control_plane": "Control planes (group `control_plane`)",
    "load_balancers": "Balancers (group `load_balancers`)",
    "workers": "Workers (group `workers`)",
}
ALL = "The whole lab (`group_vars/all.yml`)"
VMS = "All VMs (groups `control_plane`, `load_balancers`, `workers`)"


def page() -> str:
    """The page."""
    shared = set.intersection(
        *(set(variables_of(GROUPS[name])) for name in ("control_plane", "load_balancers", "workers"))
    )
    parts = [f"## {ALL}", table(HEADS, [row for model in MODELS for row in _rows(model, set())])]
    for group in ("esxi", "nfs", "vcenter"):
        parts += [f"## {TITLES[group]}", table(HEADS, _rows(GROUPS[group], set()))]
    parts += [f"## {VMS}", table(HEADS, _rows(GROUPS["workers"], set()))]
    for group in ("control_plane", "load_balancers"):
        parts += [f"## {TITLES[group]}", table(HEADS, _rows(GROUPS[group], shared))]
    parts += [
        "## Keys of a pool",
        "An entry of `load_balancer_pools`; each is explained in [Pools](../inventory-additions.md#pools).",
        table(HEADS[0:1] + HEADS[2:], _pool()),
    ]
    return whole("Every variable of the inventory", INTRO, *parts)


def forms(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """Variable -> its JSON Schema, for those that an inventory sets."""
    made = model.model_json_schema(mode="validation")
    return {name: form for name, form in made["properties"].items() if name in variables_of(model)}


def _rows(model: type[BaseModel], without: set[str]) -> Iterator[tuple[str, ...]]:
    for name, form in forms(model).items():
        if name not in without:
            yield code(name), SENTENCES[name], takes(name, form), unless_set(model, name, form)


def unless_set(model: type[BaseModel], name: str, form: dict[str, Any]) -> str:
    """What holds when the variable is not written."""
    if name in model.model_json_schema(mode="validation").get("required", ()):
        return "**required**"
    default = form.get("default")
    return code(str(default).lower() if isinstance(default, bool) else default) if default not in (None, [], ()) else ""


def takes(name: str, form: dict[str, Any]) -> str:
    """Which values it takes, in words, with an example where that helps."""
    words = [_kind(form)]
    words += [unit for ending, unit in UNITS.items() if name.endswith(ending)]
    if name in FORMS:
        words.append(FORMS[name])
    said = ", ".join(word for word in words if word)
    return f"{said}; as {code(EXAMPLES[name])}" if name in EXAMPLES and "`" not in said else said


def _kind(form: dict[str, Any]) -> str:
    if "anyOf" in form:
        return " or ".join(_kind(one) for one in form["anyOf"] if one.get("type") != "null")
    if "enum" in form or "const" in form:
        return ", ".join(code(one) for one in form.get("enum", [form.get("const")]))
    if form.get("type") == "array":
        return (
            f"a list of: {_kind(form['items'])}"
            if "$ref" not in form["items"]
            else "a list of [pools](#keys-of-a-pool)"
        )
    kind = {"ipv4": "an address", "ipv4network": "a network", "password": "a secret"}.get(form.get("format", ""))
    return kind or {"integer": f"a number{_range(form)}", "boolean": "`true`, `false`"}.get(form["type"], "a text")


def _range(form: dict[str, Any]) -> str:
    least = form.get("minimum", form.get("exclusiveMinimum", -1) + 1 if "exclusiveMinimum" in form else None)
    if least is None:
        return ""
    most = form.get("maximum")
    steps = f", in steps of {form['multipleOf']}" if "multipleOf" in form else ""
    return f", {least} to {most}{steps}" if most is not None else f" from {least} on{steps}"


def _pool() -> Iterator[tuple[str, ...]]:
    for name, form in Pool.model_json_schema(mode="validation")["properties"].items():
        yield code(name), _kind(form), unless_set(Pool, name, form)
