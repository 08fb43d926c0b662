"""`doctor`: what it asks, and what it answers on a lab that is well and on one that is not."""

import json
import subprocess

import pytest

from tests.helpers.served import HOMELAB, Lab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def doctor(lab: Lab, *options: str) -> tuple[int, dict[str, dict[str, object]]]:
    done = lab.homelab(*options, "-o", "json", "doctor")
    document = json.loads(done.stdout)
    assert document["ok"] == (done.returncode == 0)
    return done.returncode, {check["sentence"]: check for check in document["checks"]}


def test_a_fresh_lab_is_fit_and_nothing_is_changed(host_lab: Lab) -> None:
    status, checks = doctor(host_lab)
    assert status == 0, [check for check in checks.values() if not check["ok"]]
    assert checks["brix3 answers and takes the password"]["answer"] == "ESXi 6.7.0 build 8169922, Evaluation Mode"
    assert "held by ne1000; driver-fix changes that" in str(
        checks["the NIC of brix3 has a driver, or can get the right one"]["answer"]
    )
    assert checks["the configuration of brix1 is kept here"]["answer"].startswith("not yet")  # type: ignore[attr-defined]
    assert checks["every host runs from a stick of its own"]["answer"] == "4 sticks, 4 ids"
    record = max(host_lab.folder.glob(".homelab/rehearsal/logs/*/record.jsonl"))
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert not [line for line in lines if line.get("writes") and line["kind"] != "file"]


@pytest.mark.thorough
def test_doctor_tells_every_mistake_at_once_with_what_to_do(host_lab: Lab) -> None:
    assert host_lab.homelab("--yes", "bootstrap", "--only", "first-boot").returncode == 0
    _, checks = doctor(host_lab)
    assert "0 day(s) old" in str(checks["the configuration of brix1 is kept here"]["answer"])
    for fault in ("clock-skew@brix1", "wrong-password@brix2", "nas-vanishes"):
        ordered = subprocess.run([*HOMELAB, "rehearsal", "fault", fault], cwd=host_lab.folder, check=False)
        assert ordered.returncode == 0
    options = host_lab.variant("greedy", brix3={}, cp3={"vm_memory_mib": 40000, "vm_host": "brix3"})
    status, checks = doctor(host_lab, *options)
    assert status == 1
    assert checks["the clock of brix1 is right"]["answer"] == "3600 s ahead compared with this machine's"
    assert "login of root was refused" in str(checks["brix2 answers and takes the password"]["answer"])
    assert not checks["the memory of brix3 suffices for its VMs"]["ok"]
    assert "cp3 wants 39.06 GiB of memory" in str(checks["every VM has a host with room for it"]["answer"])
    assert "does not answer" in str(checks["nas exports /volume1/homelab"]["answer"])
    assert all(check["advice"] for check in checks.values() if not check["ok"])
