"""The page of the JSON that commands print, and a schema file each, from their models."""

import json
from collections.abc import Iterator
from typing import Any

from homelab.output.shapes import DOCUMENTS, output_schema
from tools.reference.markdown import code, table
from tools.reference.markdown import page as whole

INTRO = """What commands print with `-o json`. Pass over keys that you do not know: later versions may add some. What
nobody could tell is null. Sentences are for people and may be worded otherwise. `homelab schema DOCUMENT`
prints each schema; the files below are the same."""
REF = "#/$defs/"


def page() -> str:
    """The page."""
    parts: list[str] = []
    for name, (_, commands) in DOCUMENTS.items():
        schema = output_schema(name)
        by = ", ".join(code(command) for command in commands) or code("--version -v")
        rows = [(code(path), kind, text) for path, kind, text in fields(schema)]
        parts += [f"## {name}", schema.get("description", ""), f"Printed by {by}. [Schema](schemas/{name}.json)"]
        parts.append(table(("key", "is", ""), rows))
    return whole("The JSON of commands", INTRO, *parts)


def schemas() -> dict[str, str]:
    """A file each."""
    return {f"schemas/{name}.json": json.dumps(output_schema(name), indent=1) + "\n" for name in DOCUMENTS}


def fields(schema: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Every key by its path (`changes[].step`), what it takes, and what is said of it."""
    return list(dict.fromkeys(_fields(schema, "", schema.get("$defs", {}))))


def _fields(form: dict[str, Any], path: str, defs: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    form = _followed(form, defs)
    if "oneOf" in form:
        for one in form["oneOf"]:
            inner = _followed(one, defs)
            kind = inner["properties"]["event"]["const"]
            for key, what, text in _fields(inner, path, defs):
                yield f"{kind}: {key}", what, text
        return
    for key, below in form.get("properties", {}).items():
        here = f"{path}.{key}" if path else key
        needed = "" if key in form.get("required", ()) else ", not always there"
        yield (
            here,
            _kind(below, defs) + needed,
            _followed(below, defs).get("description", "") if "$ref" not in below else "",
        )
        yield from _below(below, here, defs)


def _below(form: dict[str, Any], path: str, defs: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for one in form.get("anyOf", [form]):
        inner = _followed(one, defs)
        if inner.get("type") == "array":
            yield from _fields(inner["items"], f"{path}[]", defs)
        elif inner.get("properties"):
            yield from _fields(inner, path, defs)


def _kind(form: dict[str, Any], defs: dict[str, Any]) -> str:
    if "anyOf" in form:
        return " or ".join(dict.fromkeys(_kind(one, defs) for one in form["anyOf"]))
    form = _followed(form, defs)
    if "const" in form:
        return code(form["const"])
    if "enum" in form:
        return ", ".join(code(one) for one in form["enum"])
    if form.get("type") == "array":
        return f"list of {_kind(form['items'], defs)}"
    return str(form.get("type", "object"))


def _followed(form: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    return dict(defs[form["$ref"].removeprefix(REF)]) if "$ref" in form else form
