"""The page of the errors with what to do, read from the places that raise them."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from homelab import errors
from tools.reference.markdown import angled, code, plain, table
from tools.reference.markdown import page as whole

INTRO = """Every error says what happened, where, and what to do. This page has all of them as the code has them; what
stands for something else is written in capitals. [Troubleshooting](../../troubleshooting.md) goes by what you
see; mistakes of an inventory have [a page of their own](../mistakes.md)."""
AREAS = {
    "commands": "Commands",
    "engine": "Runs",
    "steps": "Steps",
    "ports": "Hosts, guests, files and programs",
    "formats": "Sticks, images and files",
    "inventory": "The inventory",
    "rehearsal": "The rehearsal",
    "checks": "Checks",
    "output": "Output",
}
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.HomelabError)]


@dataclass(frozen=True)
class Raised:
    """One place that makes an error."""

    kind: str
    what: str
    advice: str


def page(package: Path) -> str:
    """The page, of the sources below that folder."""
    codes = table(("code", "means"), [(code(number), text) for number, text in errors.EXIT_CODES.items()])
    kinds = table(
        ("kind", "means", "exit code"),
        [(code(kind.__name__), plain(kind.__doc__).partition("\n")[0], code(kind.exit_code)) for kind in KINDS],
    )
    parts = ["## Exit codes", "When several hold: 1 before 4 before 3.", codes, "## Kinds", kinds]
    for area, title in AREAS.items():
        rows = sorted(set(_of(package / area)), key=lambda one: (one.what.lower(), one.what, one.kind, one.advice))
        told = table(
            ("it says", "to do", "kind"), [(angled(one.what), angled(one.advice), code(one.kind)) for one in rows]
        )
        parts += [f"## {title}", told] if told else []
    return whole("Every error, with what to do", INTRO, *parts)


def _of(folder: Path) -> Iterator[Raised]:
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = _assigned(tree.body)
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                known = constants | _assigned(list(ast.walk(function)))
                yield from (one for node in ast.walk(function) if (one := _raised(node, known)))


def _assigned(nodes: Sequence[ast.AST]) -> dict[str, list[ast.expr]]:
    """Name -> what is assigned to it."""
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
    return found


def _raised(node: ast.AST, known: Mapping[str, list[ast.expr]]) -> Raised | None:
    names = {kind.__name__ for kind in KINDS}
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in names:
        return None
    advice = next((word.value for word in node.keywords if word.arg == "advice"), None)
    if not node.args or advice is None:
        return None
    what = _sentence(node.args[0], known)
    # One that hands on what another one said is that other one.
    return Raised(node.func.id, what, _sentence(advice, known)) if re.search("[a-z]{2}", what) else None


def _sentence(node: ast.expr, known: Mapping[str, list[ast.expr]]) -> str:
    """The sentence of an argument; of a name what was assigned to it."""
    if isinstance(node, ast.Name) and (said := [_text(one) for one in known.get(node.id, ())]):
        return " / ".join(dict.fromkeys(said))
    return _text(node)


# What some functions of ours say.
SAID = {
    "known_names": "Did you mean ...? Known: ...",
    "did_you_mean": "Did you mean ...? ",
    "join": "NAMES",
    "human": "SIZE",
    "len": "NUMBER",
}


def _text(node: ast.expr) -> str:
    """A text of the source; what is filled in as its last name in capitals."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _text(node.value)
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.IfExp):
        return f"{_text(node.body)} / {_text(node.orelse)}"
    if isinstance(node, ast.Call):
        name = _name(node.func)
        return SAID.get(name) or (_text(node.args[0]) if name in ("str", "quote") and node.args else "...")
    return _name(node).upper().strip("_") or "..."


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
