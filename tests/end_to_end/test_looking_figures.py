"""What `plan`, `doctor` and `status` may cost as commands: the best of some, for a machine is busy now and then."""

import json
import subprocess
from typing import NamedTuple

import pytest

from homelab.checks.lab_watch import SECONDS
from tests.helpers.served import HOMELAB, Lab

STATUS_SECONDS = 2.5
DOCTOR_SECONDS = 3.0
# What a plan costs beside the network.
PLAN_SECONDS = 0.8
# The figures are meant for a machine on which Ansible alone reads the inventory so fast. A shared one is several times
# slower from one moment to the next, so that is measured right before each time.
ANSIBLE_SECONDS = 0.6
# Two hosts that are away cost one deadline and so much; not two deadlines.
MORE_SECONDS = 1.0
# Of the hosts in the rehearsal's overlay (esxi_api_timeout).
API_SECONDS = 10
# Prints seconds in all, seconds outside of the network (from the first question to the end of the last one), and those
# of Ansible, of a command in a lab whose logs are in the first argument.
PROGRAM = """
import json, pathlib, subprocess, sys, time
from datetime import datetime
logs, tries, *command = sys.argv[1:]
for _ in range(int(tries)):
    before = time.time()
    subprocess.run(["ansible-inventory", "--list"], stdout=subprocess.DEVNULL, check=True)
    began = time.time()
    subprocess.run(command, stdout=subprocess.DEVNULL)
    ended = time.time()
    record = max(pathlib.Path(logs).glob("*/record.jsonl"))
    rows = [json.loads(line) for line in record.read_text().splitlines()]
    times = [(datetime.fromisoformat(row["at"]).timestamp(), row["seconds"]) for row in rows]
    network = max(at + seconds for at, seconds in times) - min(at for at, _ in times)
    print(ended - began, ended - began - network, began - before)
"""


class Cost(NamedTuple):
    """One time, in seconds."""

    whole: float
    outside: float
    ansible: float

    @property
    def slow(self) -> float:
        """How many times slower this machine was just then."""
        return max(1.0, self.ansible / ANSIBLE_SECONDS)


def costs(lab: Lab, *command: str, tries: int = 4) -> list[Cost]:
    done = lab.enter("python", "-c", PROGRAM, str(lab.overlay.parent / "logs"), str(tries), *command)
    assert done.returncode == 0, done.stderr
    return [Cost(*map(float, line.split())) for line in done.stdout.splitlines()]


@pytest.mark.figures
@pytest.mark.thorough
@pytest.mark.timeout(240)
def test_looking_is_quick_and_a_host_that_is_away_costs_its_deadline_once(host_lab: Lab) -> None:
    plans, doctors, looks = (costs(host_lab, "homelab", command) for command in ("plan", "doctor", "status"))
    assert min(one.outside / one.slow for one in plans) < PLAN_SECONDS, plans
    assert min(one.whole / one.slow for one in doctors) < DOCTOR_SECONDS, doctors
    assert min(one.whole / one.slow for one in looks) < STATUS_SECONDS, looks
    ordered = [*HOMELAB, "rehearsal", "fault", "api-mute@brix3", "api-mute@brix4"]
    subprocess.run(ordered, cwd=host_lab.folder, check=True, capture_output=True)
    for command, deadline in (("status", SECONDS), ("doctor", API_SECONDS)):
        found = costs(host_lab, "homelab", command, tries=2)
        assert min((one.whole - deadline) / one.slow for one in found) < MORE_SECONDS, (command, found)
    told = json.loads(host_lab.homelab("-o", "json", "status").stdout)
    assert [row["answers"] for row in told["hosts"]] == [True, True, False, False]
    told = json.loads(host_lab.homelab("-o", "json", "doctor").stdout)
    assert {check["target"] for check in told["checks"] if not check["ok"]} >= {"brix3", "brix4"}
