"""The rules of the house (docs/decisions/0008-house.md), read from the source and from the classes."""

import ast
import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

import homelab.steps
from homelab.engine.events import Event
from homelab.engine.step import Change, Step
from tests.helpers.checkout import ROOT

for _module in pkgutil.walk_packages(homelab.steps.__path__, "homelab.steps."):
    importlib.import_module(_module.name)


def below(kind: type[Any]) -> Iterator[type[Any]]:
    for one in kind.__subclasses__():
        if one.__module__.startswith("homelab."):
            yield one
        yield from below(one)


def sources(*rooms: str) -> list[Path]:
    return [path for room in rooms for path in sorted((ROOT / "homelab" / room).rglob("*.py"))]


@pytest.mark.parametrize("path", sources("steps", "checks"), ids=lambda path: path.stem)
def test_the_world_is_never_asked_what_is_wanted(path: Path) -> None:
    asked = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in ("lab", "_known")
        and isinstance(node.value, ast.Name)
        and node.value.id == "world"
    ]
    assert not asked, f"{path}: lines {asked}"


@pytest.mark.parametrize("kind", sorted(below(Change), key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_a_change_names_things_and_carries_no_id_of_a_connection(kind: type[Any]) -> None:
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert not {field.name for field in dataclasses.fields(kind) if "moid" in field.name or field.name == "lab"}


@pytest.mark.parametrize("kind", sorted(below(Event), key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_an_event_is_frozen_and_no_dict(kind: type[Any]) -> None:
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    hints = get_type_hints(kind)
    loose = {name for name in hints if get_origin(hints[name]) in (dict, Mapping) or hints[name] is Any}
    assert not loose


@pytest.mark.parametrize("step", sorted(below(Step), key=lambda step: step.__name__), ids=lambda step: step.__name__)
def test_a_step_says_what_it_observes_and_what_it_changes(step: type[Any]) -> None:
    [base] = [base for base in step.__orig_bases__ if get_origin(base) is Step]
    observed, changes = base.__args__
    assert observed is not Any
    assert changes is not Any


def test_only_one_module_makes_json_of_events() -> None:
    made = [
        path.relative_to(ROOT).as_posix()
        for path in sources("")
        if '"hand_overs"' in (text := path.read_text(encoding="utf-8")) or '"handed_over"' in text
    ]
    assert made == ["homelab/engine/runner.py", "homelab/output/documents.py"]


@pytest.mark.parametrize("step", sorted(below(Step), key=lambda step: step.__name__), ids=lambda step: step.__name__)
def test_what_a_step_sees_is_called_its_state(step: type[Step[Any, Any]]) -> None:
    [base] = [base for base in step.__orig_bases__ if get_origin(base) is Step]  # type: ignore[attr-defined]
    seen = get_args(base.__args__[0]) or (base.__args__[0],)
    assert [kind.__name__ for kind in seen if not kind.__name__.endswith("State")] == []


def calls(names: set[str], *rooms: str) -> set[str]:
    """The modules in which something of one of these names is called; the rehearsal is a process of its own."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in sources(*rooms)
        if "rehearsal" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in names
    }


def test_people_are_asked_in_one_place_and_through_one_door() -> None:
    assert calls({"confirm", "typed"}, "") == {"homelab/engine/consent.py"}
    assert calls({"isatty"}, "") == {"homelab/output/ui.py"}
    assert calls({"agreed"}, "commands") == {"homelab/commands/carry_out.py", "homelab/commands/this_machine.py"}


def test_a_command_has_no_machinery_of_its_own() -> None:
    assert calls({"Runner"}, "") == {"homelab/commands/lab_run.py", "homelab/commands/this_machine.py"}
    assert not calls({"Started", "Changed", "Failed"}, "commands") - {"homelab/commands/carry_out.py"}
    assert not calls({"opened", "write_image", "write_stick", "part_of", "free"}, "commands")
