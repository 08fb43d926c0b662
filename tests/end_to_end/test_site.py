"""The whole job by ansible-playbook on the sample lab with real guests. One lab, one story, in this order."""

import json
import time

import pytest
import yaml

from tests.helpers.checkout import ROOT
from tests.helpers.served import Lab, recap

pytestmark = [pytest.mark.e2e, pytest.mark.guests, pytest.mark.thorough, pytest.mark.timeout(900)]
VMS = {"cp1", "cp2", "cp3", "lb1", "lb2"}
COLLECTIONS = f"ANSIBLE_COLLECTIONS_PATH={ROOT / 'playbooks' / 'collections'}"


def test_the_hosts_and_their_vms_come_first(guest_lab: Lab) -> None:
    done = guest_lab.play("hosts_and_vms.yml", "-e", "homelab_consent=yes")
    assert done.returncode == 0, done.stdout
    assert {name for name, number in recap(done.stdout).items() if number} >= VMS


def test_a_check_of_bare_guests_fails_nowhere_and_names_what_comes(guest_lab: Lab) -> None:
    done = guest_lab.play("site.yml", "--check")
    assert done.returncode == 0, done.stdout
    assert "cp1: cluster-ca: would make the cluster's CA on cp1" in done.stderr
    assert guest_lab.ssh("lb1", "ls", "/var/lib/homelab/haproxy.json").returncode != 0


def test_the_first_run_brings_the_lab_up_and_the_plan_is_empty(guest_lab: Lab) -> None:
    done = guest_lab.play("site.yml", "-e", "homelab_consent=yes")
    assert done.returncode == 0, done.stdout
    assert {name for name, number in recap(done.stdout).items() if number} == VMS
    planned = guest_lab.homelab("-o", "json", "plan")
    assert planned.returncode == 0, planned.stdout


def test_a_second_run_changes_nothing_in_less_than_25_seconds(guest_lab: Lab) -> None:
    began = time.monotonic()
    done = guest_lab.play("site.yml")
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stdout
    assert set(recap(done.stdout).values()) == {0}
    assert len(recap(done.stdout)) == 11
    assert seconds < 25


def test_what_drifted_is_mended_and_nothing_else(guest_lab: Lab) -> None:
    assert guest_lab.ssh("lb2", "rm", "/etc/haproxy/haproxy.cfg").returncode == 0
    done = guest_lab.play("site.yml")
    assert done.returncode == 0, done.stdout
    assert {name for name, number in recap(done.stdout).items() if number} == {"lb2"}


def test_other_playbooks_use_the_vms_that_live_now(guest_lab: Lab) -> None:
    living = guest_lab.folder / "living.vms.yml"
    sources = [str(guest_lab.folder / "inventory"), str(guest_lab.overlay)]
    cache = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(guest_lab.folder / "c")}
    living.write_text(yaml.safe_dump({"plugin": "homelab.lab.vms", "lab": sources, **cache}))
    for _ in range(2):
        told = guest_lab.enter("env", COLLECTIONS, "ansible-inventory", "-i", living, "--list")
        assert told.returncode == 0, told.stderr
        listed = json.loads(told.stdout)
        assert set(listed["homelab_vms"]["hosts"]) == VMS
        assert listed["_meta"]["hostvars"]["lb1"]["homelab_answers"] is True
    logs = guest_lab.folder / ".homelab" / "rehearsal" / "logs"
    before = len(list(logs.iterdir()))
    pinged = guest_lab.enter("env", COLLECTIONS, "ansible", "-i", living, "homelab_vms", "-m", "ansible.builtin.ping")
    assert pinged.returncode == 0, pinged.stdout
    assert pinged.stdout.count('"pong"') == len(VMS)
    # From the cache: no host was asked.
    assert len(list(logs.iterdir())) == before


def test_nothing_is_destroyed_without_consent_and_only_what_is_named_with_it(guest_lab: Lab) -> None:
    refused = guest_lab.play("destroy.yml")
    assert refused.returncode != 0
    assert "nobody agreed to this, and it was not done" in refused.stdout
    one = guest_lab.play("destroy.yml", "-l", "cp3", "-e", "homelab_consent=cp3")
    assert one.returncode == 0, one.stdout
    rows = json.loads(guest_lab.homelab("-o", "json", "vm", "list").stdout)["vms"]
    assert {row["name"]: row["power"] for row in rows} == {name: "absent" if name == "cp3" else "on" for name in VMS}
