"""A lab whose machines have whole names in DNS and capitals, from plan to destroy, by the commands that a person types.

Ansible's own example of an inventory has whole names (mail.example.com).
"""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.checkout import HELPERS, INVENTORIES
from tests.helpers.served import HOMELAB, Lab, events, served, summary

pytestmark = [pytest.mark.e2e, pytest.mark.thorough, pytest.mark.timeout(300)]
HOSTS = {"BRIX1.lab.example", "brix2.lab.example"}
VMS = {"CP1", "cp2.lab.example", "W1.Lab.Example", "LB1.lab.example", "lb2"}
NAMES = HOSTS | VMS | {"NAS.lab.example", "api", None}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with served(tmp_path, "--guests", "none", inventory=INVENTORIES / "whole_names") as lab:
        yield lab


def told(lab: Lab, *argv: str, status: int = 0) -> Any:
    """The JSON document of a command."""
    done = lab.homelab("-o", "json", *argv)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def targets(lab: Lab, *argv: str) -> set[str]:
    """Which machines a plan changes."""
    return {item["target"] for rows in told(lab, "plan", *argv, status=3).values() for item in rows}


def test_a_lab_of_whole_names_and_capitals_is_made_and_meant_by_either_name(lab: Lab) -> None:
    assert targets(lab) <= NAMES
    done = lab.homelab("--yes", "-o", "json", "bootstrap", "--until", "vm")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert {event["target"] for event in events(done.stdout)} <= NAMES
    found = json.loads(lab.enter(sys.executable, HELPERS / "look_at_hosts.py", json.dumps(lab.ready["hosts"])).stdout)
    assert set(found["BRIX1.lab.example"]["vms"]) == {"cp1", "lb1", "w1"}
    assert found["BRIX1.lab.example"]["scratch"].endswith("/homelab/whole/hosts/brix1")
    assert found["BRIX1.lab.example"]["name"] == "brix1.lab.example"
    # An export may have a blank in its path.
    assert found["brix2.lab.example"]["mounts"] == [["192.168.2.5", "/mnt/My Pool/lab", "nas"]]
    assert summary(lab.homelab("--yes", "-o", "json", "bootstrap", "--until", "vm").stdout)["changed"] == 0
    rows = told(lab, "vm", "list")["vms"]
    assert {row["name"] for row in rows} == VMS
    assert {row["host"] for row in rows} == HOSTS
    for pattern in ("cp2.lab.example", "CP2"):
        assert targets(lab, "-l", pattern) == {"cp2.lab.example"}, pattern
    assert told(lab, "trust", "brix1")["host"] == "BRIX1.lab.example"
    [balancer] = told(lab, "lb", "config", "-l", "lb1")["balancers"]
    assert balancer["name"] == "LB1.lab.example"
    assert "server cp1 192.168.2.21:6443" in balancer["files"]["/etc/haproxy/haproxy.cfg"]
    assert "router_id lb1" in balancer["files"]["/etc/keepalived/keepalived.conf"]
    assert all(check["ok"] for check in told(lab, "doctor")["checks"])
    assert lab.homelab("--yes", "driver-fix", "brix1", "BRIX2.lab.example").returncode == 0
    destroy_by_hand(lab, "cp2", "cp2")
    destroy_by_hand(lab, "lb1", "LB1.lab.example")
    absent = {row["name"] for row in told(lab, "vm", "list")["vms"] if row["power"] == "absent"}
    assert absent == {"cp2.lab.example", "LB1.lab.example"}
    unknown = lab.homelab("--yes", "vm", "destroy", "cp3")
    assert unknown.returncode == 2
    assert "Known VMs: CP1, cp2.lab.example" in unknown.stderr


def destroy_by_hand(lab: Lab, name: str, typed: str) -> None:
    """`vm destroy NAME` on a terminal, its name typed, and yes to the rest."""
    ours, theirs = pty.openpty()
    os.write(ours, f"{typed}\ny\n".encode())
    command = [*HOMELAB, "rehearsal", "enter", "--", "homelab", "vm", "destroy", name]
    done = subprocess.run(command, cwd=lab.folder, stdin=theirs, capture_output=True, text=True, timeout=60)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0, done.stderr
