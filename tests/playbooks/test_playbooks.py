"""The playbooks as Ansible and its linter read them, and what they refuse before they touch a host."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import CHECKOUT, PLAYBOOKS

LAB: dict[str, Any] = {"lab_network": "192.168.2.0/24", "api_vip": "192.168.2.100"}
# Nothing answers there; a play that gets as far as a host fails by another sentence.
NOBODY = {"ansible_host": "127.0.0.1", "ansible_port": 1}


def ansible(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs one of Ansible's programs from the checkout, with its ansible.cfg."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "1000"}
    environment.pop("ANSIBLE_INVENTORY", None)
    command = [sys.executable, "-m", program, *words]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=120)


def play(folder: Path, balancers: dict[str, Any], **variables: Any) -> subprocess.CompletedProcess[str]:
    """Runs load_balancer.yml on an inventory made up for it."""
    groups = {"control_plane": {"hosts": {"cp1": NOBODY}}, "load_balancers": {"hosts": balancers}}
    inventory = folder / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"all": {"vars": LAB | variables, "children": groups}}), encoding="utf-8")
    return ansible("ansible", "playbook", "-i", str(inventory), str(PLAYBOOKS / "load_balancer.yml"))


@pytest.mark.parametrize("playbook", sorted(path.name for path in PLAYBOOKS.glob("*.yml")))
def test_ansible_can_read(playbook: str) -> None:
    answer = ansible("ansible", "playbook", "-i", "inventory", "--syntax-check", f"playbooks/{playbook}")
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_a_group_without_hosts_is_refused(tmp_path: Path) -> None:
    answer = play(tmp_path, {})
    assert answer.returncode != 0
    assert "The inventory's group load_balancers has no host" in answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"api_vip": "192.168.3.100"}, "api_vip 192.168.3.100 does not lie in lab_network 192.168.2.0/24"),
        ({"load_balancer_kind": "nginx"}, "Supported are load_balancer_kind haproxy"),
        ({"load_balancer_layer": 7}, "Supported are load_balancer_kind haproxy"),
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
