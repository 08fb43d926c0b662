"""The page of the collection homelab.lab: its module and its inventory plugin, from their own documentation."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tools.reference.arguments import HEADS, kind, rows, sentences
from tools.reference.markdown import code, fenced, table
from tools.reference.markdown import page as whole

INTRO = """What `homelab.lab` has beside the [roles](roles.md). [Playbooks](../../how-to/playbooks.md) says how it is
used, and `ansible-doc homelab.lab.step` says the same as this page."""
PLUGINS = "playbooks/collections/ansible_collections/homelab/lab/plugins"
DOCUMENTED = {"module step": "modules/step.py", "inventory plugin vms": "inventory/vms.py"}


def documented(root: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What each plugin says of itself: `doc`, `examples` and `returns`."""
    for name, path in DOCUMENTED.items():
        said = dict(_texts((root / PLUGINS / path).read_text(encoding="utf-8")))
        returns = yaml.safe_load(said.get("RETURN", "")) or {}
        yield name, {"doc": yaml.safe_load(said["DOCUMENTATION"]), "examples": said["EXAMPLES"], "returns": returns}


def _texts(source: str) -> Iterator[tuple[str, str]]:
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from ((name.id, node.value.value) for name in node.targets if isinstance(name, ast.Name))


def page(root: Path) -> str:
    """The page of the collection of a checkout."""
    parts: list[str] = []
    for name, said in documented(root):
        doc, results = said["doc"], said["returns"]
        parts += [f"## The {name}", f"**{doc['short_description']}.**", sentences(doc["description"])]
        parts += [table(HEADS, rows(doc["options"])), fenced(said["examples"].strip(), "yaml")]
        told = ((code(key), sentences(one["description"]), kind(one)) for key, one in results.items())
        parts += [table(("result", "is", "type"), told)]
    return whole("The collection", INTRO, *parts)
