"""What users' scripts rely on: as it is today, as it was recorded, and what a change of it breaks.

docs/reference/promised.json is the record. `make reference` adds what is new; what is gone or other stays in it, and a
test says so, until somebody takes that line out by hand and writes it into the changelog.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from homelab import errors
from homelab.cli import cli
from homelab.cli.options import GLOBAL_NAMES
from homelab.inventory.reader import GROUPS, MODELS
from homelab.output.shapes import DOCUMENTS, output_schema
from homelab.steps.product import STEP_NAMES
from tools.reference import ROOT, collection, roles
from tools.reference.arguments import flat, kind, unless_given
from tools.reference.commands import leaves
from tools.reference.json_pages import fields
from tools.reference.variables import forms, unless_set

# Section -> what is recorded: a name and what it is.
Promise = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Words:
    """What breaks when an entry is gone, and when it is other."""

    gone: str
    other: str


WORDS = {
    "commands": Words(
        "the command `homelab {name}` is gone: scripts that call it end with exit code 2",
        "`homelab {name}` takes {now}, and took {was}: lines that were right are not any more",
    ),
    "options": Words(
        "the option `homelab {name}` is gone: scripts that give it end with exit code 2",
        "the option `homelab {name}` takes {now}, and took {was}",
    ),
    "exit codes": Words(
        "no command ends with {name} ({was}) any more: scripts that wait for it wait for ever",
        "exit code {name} means {now}, and meant {was}",
    ),
    "steps": Words(
        "the step {name} is gone: `--only {name}` is refused, and JSON does not name it any more",
        "the step {name} comes after {now}, and came after {was}",
    ),
    "variables": Words(
        "the variable {name} is gone: inventories that set it are refused",
        "the variable {name} is now {now}, and was {was}: inventories that say nothing of it mean something else, or "
        "are refused",
    ),
    "choices": Words(
        "{name} is no choice any more: inventories that say it are refused",
        "the choice {name} is now {now}, and was {was}",
    ),
    "playbooks": Words(
        "playbooks/{name} is gone: scripts and job templates that run it fail",
        "playbooks/{name} is now {now}, and was {was}",
    ),
    "arguments": Words(
        "the argument {name} is gone: playbooks that give it fail",
        "the argument {name} is now {now}, and was {was}: playbooks that use it may fail, or mean something else",
    ),
    "results": Words(
        "the result {name} is gone: playbooks that read it fail",
        "the result {name} is {now}, and was {was}: playbooks that read it may fail",
    ),
    "json": Words(
        "the key {name} is gone: scripts that read it fail",
        "the key {name} is {now}, and was {was}: scripts that read it may fail",
    ),
}


def today() -> Promise:
    """What the code is now."""
    found: Promise = {section: {} for section in WORDS}
    for path, command in leaves():
        found["commands"][path] = _arguments(command)
        found["options"] |= _options(path, command, without=GLOBAL_NAMES)
    # They stand before or after every command.
    found["options"] |= _options("", cli)
    codes = {value: name for name, value in vars(errors).items() if isinstance(value, int) and name.isupper()}
    found["exit codes"] = {str(number): codes[number] for number in errors.EXIT_CODES}
    found["steps"] = dict.fromkeys(STEP_NAMES, "")
    for where, model in [*(("all", model) for model in MODELS), *GROUPS.items()]:
        for name, form in forms(model).items():
            found["variables"][f"{where} {name}"] = unless_set(model, name, form) or "unset"
            found["choices"] |= {f"{where} {name}: {choice}": "" for choice in _choices(form)}
    found["playbooks"] = {path.name: "" for path in sorted((ROOT / "playbooks").glob("*.yml"))}
    for name, said in collection.documented(ROOT):
        found["arguments"] |= _given(f"{name}:", said["doc"]["options"])
        found["results"] |= {f"{name}: {key}": kind(one) for key, one in said["returns"].items()}
    for name, spec in roles.specifications(ROOT):
        found["arguments"] |= _given(f"role {name}:", spec.get("options") or {})
    for name in DOCUMENTS:
        found["json"] |= {f"{name}: {key}": kind for key, kind, _ in fields(output_schema(name))}
    return found


def _arguments(command: click.Command) -> str:
    context = click.Context(command)
    taken = [one.make_metavar(context) for one in command.params if isinstance(one, click.Argument)]
    return " ".join(taken) or "nothing"


def _options(path: str, command: click.Command, without: Collection[str] = ()) -> dict[str, str]:
    own = [one for one in command.params if isinstance(one, click.Option) and one.name not in without]
    return {
        f"{path} {name}".strip(): "nothing" if one.is_flag else "a value"
        for one in own
        for name in (*one.opts, *one.secondary_opts)
    }


def _given(where: str, options: Mapping[str, Any]) -> dict[str, str]:
    return {f"{where} {name}": f"{kind(one)}, {unless_given(one)}" for name, one in flat(options)}


def _choices(form: Mapping[str, Any]) -> Iterator[str]:
    for one in form.get("anyOf", [form]):
        yield from map(str, one.get("enum", ()))
        if "const" in one:
            yield str(one["const"])


def broken(recorded: Promise, now: Promise) -> list[str]:
    """What users' scripts and inventories rely on and do not get any more, a sentence each."""
    said = []
    for section, words in WORDS.items():
        for name, was in recorded.get(section, {}).items():
            if name not in now[section]:
                said.append(words.gone.format(name=name, was=was))
            elif now[section][name] != was and not (section == "commands" and _grown(was, now[section][name])):
                said.append(words.other.format(name=name, was=was, now=now[section][name]))
    if not _in_order(recorded, now):
        order = ", ".join(now["steps"])
        said.append(f"the steps come in another order, {order}: `--from` and `--until` choose others")
    return said


def _in_order(recorded: Promise, now: Promise) -> bool:
    was, steps = recorded.get("steps", {}), now["steps"]
    return [name for name in steps if name in was] == [name for name in was if name in steps]


def _grown(was: str, now: str) -> bool:
    """Whether a command takes all that it took, and what it takes beside that may be left out."""
    before, after = ([] if one == "nothing" else one.split() for one in (was, now))
    return after[: len(before)] == before and all(word.startswith("[") for word in after[len(before) :])


def new(recorded: Promise, now: Promise) -> list[str]:
    """What is there now and not recorded."""
    return [f"{section}: {name}" for section in WORDS for name in now[section] if name not in recorded.get(section, {})]


def with_new(recorded: Promise, now: Promise) -> Promise:
    """The record with what is new; what is recorded stays as it is, in today's order where there is one."""
    found: Promise = {}
    for section in WORDS:
        was = recorded.get(section, {})
        gone = {name: value for name, value in was.items() if name not in now[section]}
        found[section] = {name: _kept(section, was.get(name), value) for name, value in now[section].items()} | gone
    if not _in_order(recorded, now):
        found["steps"] = recorded["steps"] | found["steps"]
    return found


def _kept(section: str, was: str | None, now: str) -> str:
    grown = was is not None and section == "commands" and _grown(was, now)
    return now if was is None or grown else was


def read(path: Path) -> Promise:
    """The record."""
    found: Promise = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def write(path: Path, recorded: Promise) -> None:
    """The record, a line an entry, so that a difference shows what was promised."""
    path.write_text(json.dumps(recorded, indent=1) + "\n", encoding="utf-8")
