"""The page of the roles, from their argument specifications."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tools.reference.arguments import HEADS, rows, sentences
from tools.reference.markdown import page as whole
from tools.reference.markdown import table

INTRO = """`ansible-playbook -i INVENTORY playbooks/site.yml` runs these on the guests, as `homelab bootstrap` does. The
playbooks fill in the arguments from the inventory's [variables](variables.md); who uses a role in a playbook of
their own sets them."""
SPECS = "playbooks/**/roles/*/meta/argument_specs.yml"


def specifications(root: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every role of a checkout, and each further entry of it, as `name (entry)`."""
    for path in sorted(root.glob(SPECS), key=lambda path: path.parents[1].name):
        for entry, spec in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].items():
            yield path.parents[1].name + ("" if entry == "main" else f" ({entry})"), spec


def page(root: Path) -> str:
    """The page of the roles of a checkout."""
    parts: list[str] = []
    for name, spec in specifications(root):
        parts += [f"## {name}", f"**{spec['short_description']}.**", sentences(spec.get("description", []))]
        parts += [table(HEADS, rows(spec.get("options") or {}))]
    return whole("Every role", INTRO, *parts)
