"""The page of the steps, from their classes."""

import sys
from collections.abc import Iterator
from typing import Any, get_args

from homelab.engine.step import AnyStep, Change
from homelab.steps.product import all_steps
from tools.reference.markdown import code, plain, table
from tools.reference.markdown import page as whole

INTRO = """What `homelab bootstrap` does, in this order; `--only`, `--from` and `--until` take these names, and JSON has
them as `step`. A step looks at its target, plans changes, and makes them; a target that is as it should be is
left alone. Disruptive changes reboot, power off, format or destroy: they are always shown and asked for."""


def page() -> str:
    """The page."""
    parts: list[str] = []
    for number, step in enumerate(all_steps(), 1):
        parts += [f"## {step.name}", f"Step {number}. {_what(step)}", _targets(step), _changes(step)]
    return whole("Every step", INTRO, *parts)


def _what(step: AnyStep) -> str:
    said = plain(sys.modules[type(step).__module__].__doc__).partition("\n")[0]
    if said.startswith(("The step", "Step")):
        said = said.partition(":")[2].strip()
    return said[:1].upper() + said[1:]


def _targets(step: AnyStep) -> str:
    turns = " Its targets go one after another." if step.row else ""
    return f"{first_sentence(type(step).__doc__)}{turns}"


def first_sentence(docstring: str | None) -> str:
    """What a docstring says before it goes into its own fields."""
    return plain(docstring).partition("\n")[0].partition(". ")[0].rstrip(".") + "."


def changes_of(step: AnyStep) -> list[type[Change]]:
    """The kinds of change that a step makes."""
    for base in getattr(type(step), "__orig_bases__", ()):
        if args := get_args(base):
            kinds = [kind for kind in _kinds(args[1]) if issubclass(kind, Change)]
            # A step that may make any change has its own ones beside it.
            own = type(step).__module__
            return [kind for kind in kinds if kind.__module__.startswith(own)] if args[1] is Change else kinds
    return []


def _kinds(kind: Any) -> Iterator[Any]:
    parts = get_args(kind)
    if parts:
        for part in parts:
            yield from _kinds(part)
    elif isinstance(kind, type):
        below: list[Any] = kind.__subclasses__()
        yield from ([kind] if not below else [one for sub in below for one in _kinds(sub)])


def _changes(step: AnyStep) -> str:
    rows = [
        (code(kind.__name__), first_sentence(kind.__doc__), "yes" if kind.disruptive else "")
        for kind in changes_of(step)
    ]
    return table(("change", "is", "disruptive"), rows)
