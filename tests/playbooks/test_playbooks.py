"""The playbooks as Ansible and its linter read them, and what they refuse before they touch a host."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.checkout import ROOT

from .conftest import PLAYBOOKS

LAB: dict[str, Any] = {"lab_network": "192.168.2.0/24", "api_vip": "192.168.2.100"}
# Nothing answers there; a play that gets as far as a host fails by another sentence.
NOBODY = {"ansible_host": "127.0.0.1", "ansible_port": 1}


def ansible(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs one of Ansible's programs from the checkout, with its ansible.cfg."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "1000"}
    environment.pop("ANSIBLE_INVENTORY", None)
    command = [sys.executable, "-m", program, *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def play(folder: Path, balancers: dict[str, Any], **variables: Any) -> subprocess.CompletedProcess[str]:
    """Runs load_balancer.yml on an inventory made up for it."""
    groups = {"control_plane": {"hosts": {"cp1": NOBODY}}, "load_balancers": {"hosts": balancers}}
    inventory = folder / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"all": {"vars": LAB | variables, "children": groups}}), encoding="utf-8")
    return ansible("ansible", "playbook", "-i", str(inventory), str(PLAYBOOKS / "load_balancer.yml"))


@pytest.mark.thorough
@pytest.mark.parametrize("playbook", sorted(path.name for path in PLAYBOOKS.glob("*.yml")))
def test_ansible_can_read(playbook: str) -> None:
    answer = ansible("ansible", "playbook", "-i", "inventory", "--syntax-check", f"playbooks/{playbook}")
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_a_group_without_hosts_is_refused(tmp_path: Path) -> None:
    answer = play(tmp_path, {})
    assert answer.returncode != 0
    assert "The inventory's group load_balancers has no host" in answer.stdout + answer.stderr


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"api_vip": "192.168.3.100"}, "api_vip 192.168.3.100 does not lie in lab_network 192.168.2.0/24"),
        ({"load_balancer_kind": "ipvs"}, "Supported are load_balancer_kind haproxy"),
        ({"load_balancer_layer": 3}, "Supported are load_balancer_kind haproxy"),
        ({"load_balancer_kind": "nginx", "load_balancer_layer": 3}, "Supported are load_balancer_kind haproxy"),
        ({"load_balancer_kind": "nftables"}, "Supported are load_balancer_kind haproxy"),
        ({"load_balancer_algorithm": "random"}, "Supported are load_balancer_kind haproxy"),
    ],
)
def test_what_cannot_be_done_is_refused_before_a_host_is_touched(
    tmp_path: Path, variables: dict[str, Any], sentence: str
) -> None:
    answer = play(tmp_path, {"lb1": NOBODY}, **variables)
    assert answer.returncode != 0
    assert sentence in answer.stdout + answer.stderr
    assert "unreachable=0" in answer.stdout


def test_a_mistyped_inventory_is_no_success(tmp_path: Path) -> None:
    answer = ansible("ansible", "playbook", "-i", str(tmp_path / "missing"), "playbooks/load_balancer.yml")
    assert answer.returncode != 0


def tasks(found: Any) -> list[dict[str, Any]]:
    """All tasks and handlers of a list, those in blocks too."""
    inner = [task for part in found for name in ("block", "rescue", "always") for task in tasks(part.get(name) or [])]
    return [*(part for part in found if "block" not in part), *inner]


def all_tasks() -> list[tuple[str, dict[str, Any]]]:
    files = [path for part in ("tasks", "handlers") for path in sorted(PLAYBOOKS.glob(f"roles/*/{part}/*.yml"))]
    return [
        (f"{path.relative_to(PLAYBOOKS)}: {task['name']}", task)
        for path in files
        for task in tasks(yaml.safe_load(path.read_text(encoding="utf-8")))
    ]


def test_every_wait_of_a_role_has_an_end() -> None:
    waits = [(name, task) for name, task in all_tasks() if "until" in task]
    assert waits
    assert [name for name, task in waits if not {"retries", "delay"} <= task.keys()] == []


SLOW = {"kubeadm", "ctr", "kubectl", "{{ kubernetes_node_programs }}/kubeadm"}


def test_nothing_that_a_role_starts_can_hang() -> None:
    for name, task in all_tasks():
        if uri := task.get("ansible.builtin.uri"):
            assert "timeout" in uri, name
        if apt := task.get("ansible.builtin.apt"):
            assert "lock_timeout" in apt, name
            assert "timeout" in task, name
        argv = (task.get("ansible.builtin.command") or {}).get("argv", [])
        words = argv if isinstance(argv, list) else argv.replace("'", " ").replace(",", " ").split()
        # Asking a program for its own version ends by itself.
        if SLOW & set(map(str, words)) and "version" not in words:
            assert "timeout" in words, name


def lists(value: Any) -> list[list[Any]]:
    """All lists in a value, itself included."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [*([value] if isinstance(value, list) else []), *(found for one in inner for found in lists(one))]


def test_no_command_that_a_role_keeps_in_a_variable_can_hang() -> None:
    """Tasks put together what they run of these."""
    paths = sorted(PLAYBOOKS.glob("roles/*/vars/main.yml"))
    kept = [(path, words) for path in paths for words in lists(yaml.safe_load(path.read_text(encoding="utf-8")))]
    commands = [(path.parents[1].name, words) for path, words in kept if SLOW & set(map(str, words))]
    assert commands
    assert [name for name, words in commands if words[0] != "timeout"] == []
