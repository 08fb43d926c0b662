"""What the role cluster_ca makes for balancers of layer 7, by the stand-in's kubeadm."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from homelab.rehearsal.kubernetes import FOLDER, make_bundle

from .conftest import PLAYBOOKS

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and a mount namespace of its own"
    ),
    pytest.mark.timeout(180),
]
BALANCERS = "etc/kubernetes/pki/homelab-balancers"
RECEIPT = {"role": "cluster_ca", "files": ["/etc/kubernetes/pki/homelab-balancers/kubeadm.yaml"]}
# What the role lays down before.
CONFIGURATION = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint:
  advertiseAddress: 192.168.2.21
nodeRegistration:
  name: cp1
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.3
controlPlaneEndpoint: api.lab.example:6443
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A first control plane, before `kubeadm init`; what is written to /etc and /var/lib lies in this folder."""
    with tarfile.open(make_bundle(tmp_path, "1.36.3")) as bundle:
        bundle.extractall(tmp_path, filter="data")
    for name in ("etc", "work", "lib"):
        (tmp_path / name).mkdir()
    shutil.copytree(PLAYBOOKS, tmp_path / "playbooks")
    (tmp_path / "hosts.yml").write_text("all: {hosts: {cp1: {ansible_connection: local}}}\n")
    role = {"ansible.builtin.import_role": {"name": "cluster_ca", "tasks_from": "balancers.yml"}}
    play = {"hosts": "all", "gather_facts": False, "tasks": [role, {"receipt": RECEIPT}]}
    (tmp_path / "playbooks" / "balancers.yml").write_text(yaml.safe_dump([play]))
    (tmp_path / "etc" / "kubernetes").mkdir()
    (tmp_path / "etc" / "kubernetes" / "kubeadm.yaml").write_text(CONFIGURATION)
    done = inside(tmp_path, "kubeadm", "init", "phase", "certs", "ca", "--config", "/etc/kubernetes/kubeadm.yaml")
    assert done.returncode == 0, done.stderr
    return tmp_path


def inside(machine: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    own = (
        f"mount -t overlay none -o lowerdir=/etc,upperdir={machine}/etc,workdir={machine}/work /etc && "
        f'mount --bind {machine}/lib /var/lib && exec "$@"'
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment["PATH"] = f"{machine / FOLDER / 'bin'}{os.pathsep}{environment['PATH']}"
    command = ["unshare", "--mount", "sh", "-c", own, "sh", *words]
    return subprocess.run(command, cwd=machine, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def make(machine: Path) -> Callable[[str], None]:
    """Runs the part of the role for an address of the API, to its end."""

    def made(address: str) -> None:
        given = {
            "cluster_ca_found": {"files": []},
            "cluster_ca_address": "192.168.2.21",
            "cluster_ca_api_name": "api.lab.example",
            "cluster_ca_api_address": address,
            "cluster_ca_version": "1.36.3",
            "ansible_python_interpreter": sys.executable,
        }
        command = [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.yml", "playbooks/balancers.yml"]
        done = inside(machine, *command, "-e", json.dumps(given))
        assert done.returncode == 0, done.stdout + done.stderr

    return made


def addresses(machine: Path) -> set[str]:
    certificate = x509.load_pem_x509_certificate((machine / BALANCERS / "apiserver.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(address) for address in names.get_values_for_type(x509.IPAddress)}


def test_a_certificate_of_other_names_is_made_anew_after_a_run_that_was_cut_off(
    machine: Path, make: Callable[[str], None]
) -> None:
    make("192.168.2.100")
    assert "192.168.2.100" in addresses(machine)
    # As a run leaves it that ended when no more than the new configuration lay there.
    configuration = machine / BALANCERS / "kubeadm.yaml"
    configuration.write_text(configuration.read_text().replace("192.168.2.100", "192.168.2.101"))
    make("192.168.2.101")
    assert "192.168.2.101" in addresses(machine)
    assert "192.168.2.100" not in addresses(machine)
