"""The module `homelab.lab.step` as ansible-playbook runs it, on simulated hosts: what it says, changes and leaves."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.checkout import HELPERS, ROOT
from tests.helpers.served import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
PLAYBOOKS = ROOT / "playbooks"
HOSTS = ("brix1", "brix2", "brix3", "brix4")


def play(lab: Lab, playbook: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return lab.enter("env", "ANSIBLE_NOCOLOR=1", "ansible-playbook", playbook, *options, timeout=280)


def recap(said: str) -> dict[str, dict[str, int]]:
    """HOST -> the numbers of its line in the recap."""
    lines = said.partition("PLAY RECAP")[2].splitlines()[1:]
    rows = [line.partition(":") for line in lines if ":" in line]
    return {
        name.strip(): {key: int(number) for key, number in re.findall(r"(\w+)=(\d+)", rest)} for name, _, rest in rows
    }


def hosts(lab: Lab) -> dict[str, Any]:
    done = lab.enter("python", HELPERS / "look_at_hosts.py", json.dumps(lab.ready["hosts"]))
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def runs(lab: Lab) -> int:
    """How often homelab looked at the lab: each time is a run with logs of its own."""
    return len(list((lab.folder / ".homelab" / "rehearsal" / "logs").glob("*")))


@pytest.mark.thorough
def test_hosts_step_by_step(host_lab: Lab, tmp_path: Path) -> None:
    """One lab, one story: a check, a refusal, a consent for one, consent for all, and nothing left."""
    before = hosts(host_lab)
    checked = play(host_lab, PLAYBOOKS / "site.yml", "--check", "--diff")
    assert checked.returncode == 0, checked.stdout
    assert hosts(host_lab) == before
    assert "brix3: driver-fix: would disable the driver ne1000 on brix3" in checked.stdout + checked.stderr
    assert "cp1: vm: would create the VM cp1" in checked.stdout + checked.stderr
    assert "+192.168.2.5:/volume1/homelab" in checked.stdout + checked.stderr
    assert "Balance the API servers: later, once the VM lb1 exists and is on" in checked.stdout + checked.stderr
    assert {name: row["changed"] for name, row in recap(checked.stdout).items() if name in HOSTS} == dict.fromkeys(
        HOSTS, 1
    )

    refused = play(host_lab, PLAYBOOKS / "driver_fix.yml")
    assert refused.returncode != 0
    assert "nobody agreed to this, and it was not done: disable the driver ne1000 on brix3" in refused.stdout
    assert "-e homelab_consent=brix3" in refused.stdout
    assert hosts(host_lab) == before
    assert {name: row["failed"] for name, row in recap(refused.stdout).items()} == {
        "brix1": 0,
        "brix2": 0,
        "brix3": 1,
        "brix4": 1,
    }

    one = play(host_lab, PLAYBOOKS / "driver_fix.yml", "-e", "homelab_consent=brix3")
    told = recap(one.stdout)
    assert (told["brix3"]["changed"], told["brix3"]["failed"], told["brix4"]["failed"]) == (1, 0, 1)
    after = hosts(host_lab)
    assert after["brix3"]["driver"] == "e1000e"
    assert after["brix4"] == before["brix4"]

    looked = runs(host_lab)
    done = play(host_lab, PLAYBOOKS / "nfs.yml", "-e", "homelab_consent=yes")
    assert done.returncode == 0, done.stdout
    assert {name: recap(done.stdout)[name]["changed"] for name in HOSTS} == dict.fromkeys(HOSTS, 1)
    # Four hosts, one look: the others find their answers there.
    assert runs(host_lab) == looked + 1
    again = play(host_lab, PLAYBOOKS / "nfs.yml")
    assert {row["changed"] for row in recap(again.stdout).values()} == {0}

    tagged = play(host_lab, PLAYBOOKS / "site.yml", "--tags", "nfs-datastore", "-l", "brix1,cp1")
    assert tagged.returncode == 0, tagged.stdout
    assert {row["changed"] for row in recap(tagged.stdout).values()} == {0}


def test_a_task_that_not_every_host_comes_to_touches_no_other(host_lab: Lab, tmp_path: Path) -> None:
    book = [
        {
            "hosts": "esxi",
            "gather_facts": False,
            "tasks": [
                {
                    "block": [
                        {"ansible.builtin.assert": {"that": "inventory_hostname != 'brix2'"}},
                        {"homelab.lab.step": {"name": ["nfs-datastore"]}},
                    ],
                    "rescue": [{"ansible.builtin.debug": {"msg": "left alone"}}],
                },
                {"homelab.lab.step": {"name": ["nfs-datastore"]}, "when": "inventory_hostname == 'brix4'"},
            ],
        }
    ]
    path = PLAYBOOKS.parent / "playbooks"
    (tmp_path / "book.yml").write_text(yaml.safe_dump(book))
    done = host_lab.enter(
        "env",
        f"ANSIBLE_COLLECTIONS_PATH={path / 'collections'}",
        "ansible-playbook",
        tmp_path / "book.yml",
        timeout=280,
    )
    assert done.returncode == 0, done.stdout
    mounted = {name: bool(state["mounts"]) for name, state in hosts(host_lab).items()}
    assert mounted == {"brix1": True, "brix2": False, "brix3": True, "brix4": True}
