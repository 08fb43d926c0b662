"""The certificates of the roles haproxy and nginx: root's alone, their keys shown nowhere, a wrong pair refused."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from homelab.rehearsal.soap.certificate import self_signed

from .conftest import PLAYBOOKS

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and a mount namespace of its own"
)
# The part of each role, the file's name on the balancer, and the handler.
ROLES = {
    "haproxy": ("certificates.yml", "homelab-certificate.pem", ""),
    "nginx": ("certificates.yml", "certificate.pem", "Have nginx take its certificates"),
}


class Machine:
    """This machine as a balancer: its own /var/lib, and a folder for /etc/haproxy or /etc/homelab-nginx."""

    def __init__(self, folder: Path, role_name: str) -> None:
        self.folder, self.role = folder, role_name
        self.target = folder / "etc"
        self.lib = folder / "lib"
        self.lib.mkdir()
        (folder / "hosts.yml").write_text("all: {hosts: {lb1: {ansible_connection: local}}}\n")
        tasks, self.laid, handler = ROLES[role_name]
        role = {"name": role_name, "tasks_from": tasks}
        play = {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.import_role": role}]}
        copy = folder / "playbooks"
        shutil.copytree(PLAYBOOKS, copy)
        (copy / "certificates.yml").write_text(yaml.safe_dump([play]))
        if handler:
            # It would reload a balancer.
            told = [{"name": handler, "ansible.builtin.debug": {"msg": "reloaded"}}]
            (copy / f"roles/{role_name}/handlers/main.yml").write_text(yaml.safe_dump(told))

    def run(self, file: str) -> "subprocess.CompletedProcess[str]":
        """The role's part that lays a certificate down."""
        given = {"haproxy_folder": str(self.target), "nginx_etc": str(self.target)}
        given |= {"ansible_python_interpreter": sys.executable, f"{self.role}_certificate_file": file}
        command = [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.yml", "playbooks/certificates.yml"]
        command += ["-vvv", "--diff", "-e", json.dumps(given)]
        own = f'mount --bind {self.lib} /var/lib && exec "$@"'
        words = ["unshare", "--mount", "sh", "-c", own, "sh", *command]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        environment["ANSIBLE_PIPELINING"] = "1"
        return subprocess.run(words, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(params=["haproxy", pytest.param("nginx", marks=pytest.mark.thorough)])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    return Machine(tmp_path, request.param)


def secret_lines(pem: bytes) -> list[str]:
    return [line for line in pem.decode().splitlines() if not line.startswith("-----")]


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_a_pair_is_root_s_alone_shown_nowhere_and_a_wrong_one_leaves_it(machine: Machine) -> None:
    certificate, key = self_signed("example.com", "192.168.2.31")
    (machine.folder / "clients.pem").write_bytes(certificate + key)
    laid = machine.target / machine.laid

    done = machine.run("clients.pem")
    assert done.returncode == 0, done.stdout + done.stderr
    assert laid.read_bytes() == certificate + key
    assert (laid.stat().st_mode & 0o7777, laid.stat().st_uid) == (0o600, 0)
    assert sorted(path.name for path in machine.target.iterdir()) == [laid.name]

    made = laid.stat()
    again = machine.run("clients.pem")
    assert (laid.stat().st_ino, laid.stat().st_mtime_ns) == (made.st_ino, made.st_mtime_ns)

    _, other = self_signed("example.com", "192.168.2.31")
    (machine.folder / "clients.pem").write_bytes(certificate + other)
    refused = machine.run("clients.pem")
    assert refused.returncode != 0
    assert "lb1 does not get clients.pem" in refused.stdout
    assert "its key without a password" in refused.stdout
    assert laid.read_bytes() == certificate + key

    said = "".join(one.stdout + one.stderr for one in (done, again, refused))
    kept = "".join(path.read_text() for path in machine.lib.rglob("*.json"))
    assert [line for line in secret_lines(key) + secret_lines(other) if line in said + kept] == []


@pytest.mark.timeout(120)
def test_a_file_that_is_not_there_is_named(machine: Machine) -> None:
    done = machine.run("nowhere.pem")
    assert done.returncode != 0
    assert "nowhere.pem" in done.stdout
