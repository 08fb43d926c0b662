"""The JSON of commands is as `homelab schema DOCUMENT` says; tests/helpers/served.py holds what needs a lab to it."""

import json
import subprocess
import sys
from typing import Any

import click
import pytest
from pydantic import BaseModel

from homelab.cli import cli
from homelab.engine.events import Counts, HandedOver, Summary
from homelab.output.documents import event_document, plan_document
from homelab.output.shapes import DOCUMENTS, output_schema
from homelab.output.shapes.looks import LbStatus, Status
from homelab.output.shapes.runs import Event, Plan
from tests.helpers.lab_looks import faulty, one_host_away, well
from tests.helpers.shapes import fits, printed_fits, shapes_of
from tests.output.test_timeline import BEGAN, MOUNT, documents, story


def homelab(*argv: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "homelab", *argv]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def paths(command: click.Command = cli, path: str = "") -> list[str]:
    if not isinstance(command, click.Group):
        return [path]
    return [one for name, below in command.commands.items() for one in paths(below, f"{path} {name}".strip())]


def test_every_command_says_what_it_prints_and_no_other_does() -> None:
    told = {command for _, commands in DOCUMENTS.values() for command in commands}
    assert told - set(paths()) == set()
    # They print a schema itself, or whatever another program does.
    assert set(paths()) - told == {"schema", "rehearsal enter"}


@pytest.mark.parametrize("look", [well, faulty, one_host_away])
def test_how_a_lab_stands(look: Any) -> None:
    document = json.loads(json.dumps(look().document()))
    fits(document, Status)
    fits({"balancers": document["balancers"], "servers": [row.fields() for row in look().balance.servers]}, LbStatus)


def test_the_events_of_a_run() -> None:
    own = [
        HandedOver(node=MOUNT, do="plug it in", at=BEGAN),
        Summary(counts=Counts(1, 2, 0, 1, 1), seconds=2.5, left_out=("vm",), at=BEGAN),
    ]
    told = [json.loads(json.dumps(event_document(event))) for event in (*story(), *own)]
    kinds = {document["event"] for document in told}
    assert kinds == {"plan", "start", "waiting", "changed", "unchanged", "failed", "blocked", "hand_over", "summary"}
    for document in (*told, *documents(story())):
        fits(document, Event)
    fits(plan_document(story()[0].plan), Plan)  # type: ignore[attr-defined]


def test_a_key_that_is_not_promised_is_seen() -> None:
    with pytest.raises(AssertionError, match="extra"):
        fits({"changes": [], "blocked": [], "hand_overs": [], "extra": 1}, Plan)
    with pytest.raises(AssertionError, match="hand_overs"):
        fits({"changes": [], "blocked": []}, Plan)
    assert shapes_of(["-o", "json", "vm", "rebuild", "cp2"]) == [Event]


def test_a_command_that_needs_no_lab() -> None:
    done = homelab("-o", "json", "rehearsal", "fault", "--list")
    assert printed_fits(["json", "rehearsal", "fault"], done.stdout) == 1, done.stderr


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_schema_allows_what_versions_to_come_may_add(name: str) -> None:
    schema = output_schema(name)
    assert 'additionalProperties": false' not in json.dumps(schema)
    shape: type[BaseModel] = DOCUMENTS[name][0]
    assert schema["description"] == " ".join((shape.__doc__ or "").split())


def test_schema_knows_what_was_meant() -> None:
    wrong = homelab("schema", "vmlist")
    assert wrong.returncode == 2
    assert "Did you mean vm-list?" in wrong.stderr
