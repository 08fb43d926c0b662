"""Runs side by side on a served lab: one writes, the others look on."""

import json
import subprocess
from typing import Any

import pytest

from tests.helpers.served import HOMELAB, Lab, summary

pytestmark = [pytest.mark.e2e, pytest.mark.thorough, pytest.mark.timeout(180)]


def begin(lab: Lab, *argv: str, **more: Any) -> "subprocess.Popen[str]":
    command = [*HOMELAB, "rehearsal", "enter", "--", "homelab", *argv]
    return subprocess.Popen(command, cwd=lab.folder, stdout=subprocess.PIPE, text=True, **more)


def test_one_run_writes_and_others_look_on(host_lab: Lab) -> None:
    """Everything pins at once: the run that writes, and the three that only look."""
    with begin(host_lab, "--yes", "-o", "json", "bootstrap", "--until", "vm") as first:
        assert first.stdout
        said = [next(line for line in first.stdout if json.loads(line)["event"] == "start")]
        beside = {look: begin(host_lab, "-o", "json", look) for look in ("plan", "doctor", "verify")}
        second = begin(host_lab, "--yes", "bootstrap", stderr=subprocess.PIPE)
        _, told = second.communicate()
        said += first.stdout
    assert second.returncode == 2, told
    assert "another run is at work: `homelab bootstrap`, process " in told
    assert {look: process.wait(60) for look, process in beside.items() if process.wait(60) not in (0, 1, 3, 4)} == {}
    assert summary("".join(said))["failed"] == 0
    assert host_lab.homelab("--yes", "bootstrap", "--only", "image").returncode == 0
