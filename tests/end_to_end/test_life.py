"""VMs come and go: created, destroyed, rebuilt, all off and all on again; by the commands that a person types."""

import json
import os
import pty
import subprocess

import pytest

from tests.helpers.served import HOMELAB, Lab, events, summary, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def listed(lab: Lab) -> dict[str, dict[str, object]]:
    """What `vm list` says of each VM."""
    done = lab.homelab("-o", "json", "vm", "list")
    assert done.returncode == 0, done.stderr
    return {vm["name"]: vm for vm in json.loads(done.stdout)["vms"]}


def power(lab: Lab) -> dict[str, object]:
    return {name: vm["power"] for name, vm in listed(lab).items()}


def run(lab: Lab, *argv: str) -> list[tuple[str, str]]:
    """A command that ends well; what it changed."""
    done = lab.homelab("--yes", "-o", "json", *argv)
    assert done.returncode == 0, done.stdout + done.stderr
    return [(e["target"], e["sentence"].split()[0]) for e in events(done.stdout) if e["event"] == "changed"]


def calls(lab: Lab) -> list[dict[str, object]]:
    """What the last run called."""
    last = sorted((lab.overlay.parent / "logs").iterdir())[-1]
    lines = [json.loads(line) for line in (last / "record.jsonl").read_text().splitlines()]
    return [line for line in lines if "what" in line]


@pytest.mark.thorough
def test_vms_come_and_go(host_lab: Lab) -> None:
    for step in ("nfs-datastore", "image"):
        assert host_lab.homelab("--yes", "bootstrap", "--only", step).returncode == 0
    assert set(power(host_lab).values()) == {"absent"}
    assert run(host_lab, "vm", "create", "cp2") == [("cp2", "create"), ("cp2", "switch")]
    waits = {"CreateFilter", "WaitForUpdatesEx", "DestroyPropertyFilter", "CreatePropertyCollector"}
    writes = [call["what"] for call in calls(host_lab) if call["writes"] and call["kind"] == "soap"]
    assert len([what for what in writes if what not in waits]) <= 6, writes  # one of them has it start with its host
    assert run(host_lab, "vm", "create", "cp2", "lb1") == [("lb1", "create"), ("lb1", "switch")]
    assert power(host_lab) == {"cp1": "absent", "cp2": "on", "cp3": "absent", "lb1": "on", "lb2": "absent"}
    refused = host_lab.homelab("vm", "destroy", "cp2")
    assert refused.returncode == 2
    assert "the VM cp2 would be destroyed, and nobody is there to agree" in refused.stderr
    assert power(host_lab)["cp2"] == "on"
    assert run(host_lab, "vm", "destroy", "cp2") == [("cp2", "shut"), ("cp2", "destroy")]
    assert run(host_lab, "vm", "destroy", "cp2") == []
    unknown = host_lab.homelab("--yes", "vm", "destroy", "cp9")
    assert unknown.returncode == 2
    assert "Known VMs: cp1, cp2, cp3, lb1, lb2" in unknown.stderr
    stored = json.loads(host_lab.homelab("-o", "json", "image", "list").stdout)["images"]
    assert [(image["current"], [vm.split()[0] for vm in image["vms"]]) for image in stored] == [(True, ["lb1"])]
    assert run(host_lab, "image", "prune") == []
    assert run(host_lab, "vm", "move", "lb1", "brix1") == [("lb1", "move")]
    assert listed(host_lab)["lb1"]["host"] == "brix1"
    nowhere = host_lab.homelab("--yes", "vm", "move", "lb1", "brix9")
    assert nowhere.returncode == 2
    assert "Known hosts: brix1" in nowhere.stderr
    for command in (["vm", "create", "cp1"], ["down"], ["vm", "rebuild", "cp1"], ["destroy"]):
        run(host_lab, *command)
    assert set(power(host_lab).values()) == {"absent"}


@pytest.mark.thorough
def test_a_person_types_the_name_of_what_is_destroyed(host_lab: Lab) -> None:
    for step in ("nfs-datastore", "image"):
        assert host_lab.homelab("--yes", "bootstrap", "--only", step).returncode == 0
    run(host_lab, "vm", "create", "cp1")
    run(host_lab, "down")
    command = [*HOMELAB, "rehearsal", "enter", "--", "homelab", "vm", "destroy", "cp1"]
    for typed, code, left in (("y", 2, "off"), ("cp2", 2, "off"), ("cp1", 0, "absent")):
        ours, theirs = pty.openpty()
        os.write(ours, f"{typed}\n".encode())
        done = subprocess.run(command, cwd=host_lab.folder, stdin=theirs, capture_output=True, text=True, timeout=60)
        os.close(ours)
        os.close(theirs)
        assert done.returncode == code, done.stderr
        assert "Type its name (cp1)" in done.stderr
        assert power(host_lab)["cp1"] == left


@pytest.mark.thorough
@pytest.mark.timeout(900)
def test_a_lab_goes_off_and_on_and_a_rebuilt_vm_keeps_its_name_and_address(guest_lab: Lab) -> None:
    done = guest_lab.homelab("--yes", "-o", "json", "bootstrap", timeout=600)
    assert done.returncode == 0, done.stdout
    old = machine_id(guest_lab, "lb2")
    assert old
    address = listed(guest_lab)["lb2"]["address"]
    run(guest_lab, "vm", "rebuild", "lb2")
    again = guest_lab.homelab("--yes", "-o", "json", "bootstrap", timeout=600)
    assert again.returncode == 0, again.stdout
    new = machine_id(guest_lab, "lb2")
    assert new
    assert new != old
    assert "lb2" in guest_lab.ssh("lb2", "hostname").stdout
    assert listed(guest_lab)["lb2"]["address"] == address
    move_and_look(guest_lab, "lb2")
    run(guest_lab, "down")
    assert set(power(guest_lab).values()) == {"off"}
    up = guest_lab.homelab("--yes", "-o", "json", "up", timeout=600)
    assert up.returncode == 0, up.stdout
    assert summary(up.stdout)["failed"] == 0
    assert set(power(guest_lab).values()) == {"on"}
    told = [e["sentence"] for e in events(up.stdout) if e["event"] == "unchanged" and e["step"] == "verify"]
    assert any("the Kubernetes API answers on the VIP" in sentence for sentence in told)
    until(lambda: guest_lab.homelab("verify").returncode == 0, 120, "the lab is as it is wanted")


def move_and_look(lab: Lab, name: str) -> None:
    """A guest on another host has what was written to its disk."""
    assert lab.ssh(name, "echo kept > moved.txt && sync").returncode == 0
    source = listed(lab)[name]["host"]
    other = next(host for host in ("brix1", "brix2", "brix3", "brix4") if host != source)
    assert run(lab, "vm", "move", name, other) == [(name, "move")]
    assert listed(lab)[name]["host"] == other
    until(lambda: machine_id(lab, name), 120, f"{name} answers on {other}")
    assert "kept" in lab.ssh(name, "cat moved.txt").stdout


def machine_id(lab: Lab, name: str) -> str:
    """The machine id of a guest; empty when it does not answer."""
    said = lab.ssh(name, "cat", "/etc/machine-id")
    return said.stdout.strip().splitlines()[-1] if said.returncode == 0 else ""
