"""The main job on hosts with the free licence: the API only reads, and everything goes over SSH."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homelab.rehearsal.outside.launch import guests_possible
from tests.helpers.served import Lab, events, failures, served, summary

pytestmark = [pytest.mark.e2e, pytest.mark.thorough, pytest.mark.timeout(900)]
VIP = "https://192.168.2.100:6443/readyz"
VMS = ("cp1", "cp2", "cp3", "lb1", "lb2")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if lack := guests_possible():
        pytest.skip(lack)
    with served(tmp_path_factory.mktemp("free"), "--fault", "free-licence") as made:
        yield made


def record(folder: Path) -> list[dict[str, Any]]:
    lines = [line for path in folder.rglob("record.jsonl") for line in path.read_text().splitlines()]
    return [entry for entry in map(json.loads, lines) if "what" in entry]


def test_bootstrap_brings_the_lab_up_over_ssh(lab: Lab) -> None:
    done = lab.homelab("--yes", "-o", "json", "bootstrap", timeout=880)
    assert done.returncode == 0, failures(done.stdout)
    end = summary(done.stdout)
    assert (end["failed"], end["blocked"], end["handed_over"], end["left_out"]) == (0, 0, 0, [])
    assert {e["target"] for e in events(done.stdout) if e["event"] == "changed" and e["step"] == "vm"} == set(VMS)
    answer = lab.enter("curl", "-sf", "-m", "2", "-k", VIP)
    assert (answer.returncode, answer.stdout) == (0, "ok")


def test_no_write_of_it_went_over_the_api(lab: Lab) -> None:
    found = [entry for entry in record(lab.folder) if entry["writes"] and entry["kind"] in ("soap", "http")]
    assert found == []
    seeds = [entry["what"] for entry in record(lab.folder) if entry["kind"] == "sftp" and "seed.iso" in entry["what"]]
    assert len(seeds) == 2 * len(VMS)


def test_a_second_run_changes_nothing(lab: Lab) -> None:
    done = lab.homelab("-o", "json", "bootstrap")
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary(done.stdout)["changed"] == 0
    checked = lab.homelab("-o", "json", "doctor")
    assert checked.returncode == 0, checked.stdout


def test_the_lab_goes_off_and_comes_on_again(lab: Lab) -> None:
    assert lab.homelab("--yes", "down", timeout=300).returncode == 0
    done = lab.homelab("--yes", "-o", "json", "up", timeout=600)
    assert done.returncode == 0, failures(done.stdout)
    rows = json.loads(lab.homelab("-o", "json", "vm", "list").stdout)["vms"]
    assert {row["name"]: row["power"] for row in rows} == dict.fromkeys(VMS, "on")
    # What was ejected while they ran is out of their drives now.
    planned = json.loads(lab.homelab("-o", "json", "plan").stdout)
    assert not [change for change in planned["changes"] if change["step"] in ("vm", "guest", "image")]


def test_destroy_leaves_nothing_of_the_lab_on_the_hosts(lab: Lab) -> None:
    done = lab.homelab("--yes", "-o", "json", "destroy", timeout=300)
    assert done.returncode == 0, failures(done.stdout)
    rows = json.loads(lab.homelab("-o", "json", "vm", "list").stdout)["vms"]
    assert {row["power"] for row in rows} == {"absent"}
