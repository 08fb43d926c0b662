"""The page of the roles, from their argument specifications."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.reference.markdown import angled, code, table
from tools.reference.markdown import page as whole

INTRO = """`ansible-playbook -i INVENTORY playbooks/site.yml` runs these on the guests, as `homelab bootstrap` does. The
playbooks fill in the arguments from the inventory's [variables](variables.md); who uses a role in a playbook of
their own sets them."""
SPECS = "playbooks/**/roles/*/meta/argument_specs.yml"


def page(root: Path) -> str:
    """The page of the roles of a checkout."""
    parts: list[str] = []
    for path in sorted(root.glob(SPECS), key=lambda path: path.parents[1].name):
        for entry, spec in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].items():
            name = path.parents[1].name
            parts += [f"## {name}" + ("" if entry == "main" else f" ({entry})"), f"**{spec['short_description']}.**"]
            parts += [" ".join(_lines(spec.get("description", []))), table(HEADS, _rows(spec.get("options") or {}))]
    return whole("Every role", INTRO, *parts)


HEADS = ("argument", "is", "takes", "unless set")


def _lines(said: Any) -> list[str]:
    return [angled(line) for line in ([said] if isinstance(said, str) else said)]


def _rows(options: dict[str, Any], before: str = "") -> Iterator[tuple[str, ...]]:
    for name, one in options.items():
        kind = str(one.get("type", "str")) + (f" of {one['elements']}" if "elements" in one else "")
        choices = ": " + ", ".join(code(choice) for choice in one["choices"]) if "choices" in one else ""
        told = (
            "**required**"
            if one.get("required")
            else code(one["default"])
            if one.get("default") not in ("", None, [])
            else ""
        )
        yield code(before + name), " ".join(_lines(one.get("description", ""))), kind + choices, told
        yield from _rows(one.get("options") or {}, f"{before}{name}.")
