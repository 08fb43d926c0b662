"""A run that is killed at any of its writes is completed by the next one."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from homelab.lab import Lab
from homelab.rehearsal.host.host import Host
from tests.helpers.checkout import ROOT
from tests.helpers.one_host import bring, lab_of, standing

WRITES = 30


@dataclass
class Run:
    """A run in a process of its own."""

    status: int
    said: dict[str, object]


def run(lab: Lab, folder: Path, number: int, moment: str) -> Run:
    spec = folder / "lab.json"
    spec.write_text(json.dumps(plain(lab)))
    command = [sys.executable, "-m", "tests.helpers.one_host", str(spec), str(folder / "home"), str(number), moment]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)
    return Run(done.returncode, json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr})


def plain(lab: Lab) -> dict[str, object]:
    data = lab.model_dump(mode="json")
    data["esxi"][0]["password"] = lab.esxi[0].password.get_secret_value()
    return data


def writes_of_a_whole_run(folder: Path) -> list[str]:
    """What a run writes on a fresh host, from its record."""
    lab = lab_of()
    with standing(lab, folder):
        bring(lab, folder / "home")
    [path] = [path for path in (folder / "home").glob("logs/*/record.jsonl") if '"counts"' in path.read_text()]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [f"{line['step']}: {line['what']}" for line in lines if line.get("writes") and "what" in line]


def converges(folder: Path, number: int, moment: str) -> bool:
    """Kill at one write, run again, and look; False when there is no such write any more."""
    lab = lab_of()
    with standing(lab, folder) as served:
        killed = run(lab, folder, number, moment)
        if killed.status == 0:
            return False
        assert killed.status == -9, killed.said
        again = run(lab, folder, 0, moment)
        assert again.status == 0, again.said
        assert not again.said["failed"], (number, moment, again.said)
        assert not any(again.said["left"].values()), (number, moment, again.said)  # type: ignore[attr-defined]
        settled(served.host)
    return True


def settled(host: Host) -> None:
    assert host.nics[0].driver == "e1000e"
    assert not host.drivers.modules["ne1000"].enabled
    assert not host.in_maintenance
    assert host.advanced["ScratchConfig.CurrentScratchLocation"].startswith("/vmfs/volumes/")


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path


def test_two_reasons_to_reboot_are_one_reboot(tmp_path: Path) -> None:
    lab = lab_of()
    with standing(lab, tmp_path) as served:
        ended = bring(lab, tmp_path / "home")
        assert not ended.counts.failed, ended.events
        assert ended.plan.empty
        assert served.host.power.boots == 2
        [reboot] = ended.said("changed", "reboot")
        assert "ne1000 is disabled" in reboot["reason"]
        assert "scratch is configured" in reboot["reason"]
        settled(served.host)


@pytest.mark.parametrize("moment", [pytest.param("before", marks=pytest.mark.thorough), "after"])
@pytest.mark.timeout(180)
def test_a_run_that_is_killed_while_it_sets_the_module_is_completed(tmp_path: Path, moment: str) -> None:
    writes = writes_of_a_whole_run(tmp_path / "whole")
    number = 1 + next(n for n, what in enumerate(writes) if "module set" in what)
    (tmp_path / "killed").mkdir()
    assert converges(tmp_path / "killed", number, moment)


@pytest.mark.thorough
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_that_is_killed_at_any_write_is_completed(tmp_path: Path, moment: str) -> None:
    writes = writes_of_a_whole_run(tmp_path / "whole")
    assert 10 < len(writes) < 60, writes
    for number in range(1, len(writes) + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert converges(folder, number, moment), writes[number - 1]
