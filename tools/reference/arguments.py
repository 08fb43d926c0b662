"""The options of a role, a module or a plugin: Ansible says them all in the same form."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tools.reference.markdown import angled, code

HEADS = ("argument", "is", "takes", "unless set")
# What Ansible's own documentation has for code: options, their values, results.
MARKED = re.compile(r"\b(?:C|O|V|RV)\(([^)]*)\)")


def sentences(said: Any) -> str:
    """A description as one paragraph."""
    lines = [said] if isinstance(said, str) else said
    return " ".join(MARKED.sub(r"`\1`", angled(line)) for line in lines)


def rows(options: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The rows of a table, those of inner options after the one that they belong to."""
    for name, one in flat(options):
        choices = ": " + ", ".join(code(choice) for choice in one["choices"]) if "choices" in one else ""
        told = code(one["default"]) if one.get("default") not in ("", None, []) else ""
        holds = "**required**" if one.get("required") else told
        yield code(name), sentences(one.get("description", "")), kind(one) + choices, holds


def flat(options: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every option by its whole name, `pools.port`, and what is said of it."""
    for name, one in options.items():
        yield before + name, one
        yield from flat(one.get("options") or {}, f"{before}{name}.")


def kind(one: Mapping[str, Any]) -> str:
    """What it takes: `list of str`."""
    return str(one.get("type", "str")) + (f" of {one['elements']}" if "elements" in one else "")


def unless_given(one: Mapping[str, Any]) -> str:
    """What holds where nobody gives it."""
    return "required" if one.get("required") else str(one.get("default", "unset"))
