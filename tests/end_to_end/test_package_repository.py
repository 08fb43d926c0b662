"""Kubernetes out of a repository of packages, as labs with internet have it: a signed one, inside the rehearsal."""

import json
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from homelab.ports.files.home import cache_folder
from homelab.rehearsal.kubernetes import make_bundle
from homelab.rehearsal.outside.launch import guests_possible
from tests.helpers.checkout import ROOT
from tests.helpers.package_repository import packages, sign
from tests.helpers.served import Lab, failures, served, until

TOOLS = ("gpg", "dpkg-deb", "dpkg-scanpackages")
pytestmark = [
    pytest.mark.guests,
    pytest.mark.thorough,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}"),
]
VERSION, GATEWAY, PORT = "1.36.3", "192.168.2.1", 8099
URL = f"http://{GATEWAY}:{PORT}/"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The sample lab with its guests, and a repository at its gateway."""
    if lack := guests_possible():
        pytest.skip(lack)
    folder = tmp_path_factory.mktemp("packages")
    packages(folder / "repository", make_bundle(cache_folder(), VERSION), VERSION)
    sign(folder / "repository", folder / "keys", "kubernetes")
    with served(folder / "lab") as running:
        done = running.homelab("--yes", "-o", "json", "bootstrap", "--until", "guest")
        assert done.returncode == 0, failures(done.stdout) or done.stderr
        server = running.begin(sys.executable, "-m", "http.server", str(PORT), "--directory", folder / "repository")
        until(lambda: running.enter("curl", "-sf", f"{URL}InRelease").returncode == 0, 20, "the repository is served")
        # Debian's own servers are out of reach, and apt would complain of them.
        for name in ("cp1", "cp2"):
            running.ssh(name, "rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*")
        yield running
        server.send_signal(signal.SIGTERM)
        server.wait(10)


def play(lab: Lab, limit: str, *more: str) -> str:
    """Prepares a node by the playbook that makes the CA, or the one that makes the cluster; what was said."""
    values = {"kubernetes_bundle": "", "kubernetes_node_repository": URL}
    playbook = "cluster_ca.yml" if limit == "cp1" else "kubernetes.yml"
    words = ("-e", json.dumps(values), "-l", limit, *more)
    done = lab.enter("ansible-playbook", ROOT / "playbooks" / playbook, *words)
    return done.stdout + done.stderr


def test_the_programs_come_from_there_are_held_and_the_second_run_changes_nothing(lab: Lab) -> None:
    said = play(lab, "cp1")
    assert "failed=0" in said, said[-3000:]
    # The stand-in adds a word of its own.
    assert lab.ssh("cp1", "/usr/bin/kubeadm version -o short").stdout.startswith(f"v{VERSION}")
    assert lab.ssh("cp1", "apt-mark showhold").stdout.split() == ["kubeadm", "kubectl", "kubelet"]
    assert lab.ssh("cp1", "test -s /etc/kubernetes/pki/ca.crt").returncode == 0
    again = play(lab, "cp1")
    assert "failed=0" in again
    assert not re.findall(r"^TASK \[(.*?)\] \**\n(?:(?!TASK).*\n)*?changed: ", again, re.MULTILINE)
    assert "changed=0" in again


def test_packages_that_somebody_else_signed_are_not_installed(lab: Lab, tmp_path: Path) -> None:
    """The key that a node has is not the one of what it is served."""
    lab.ssh("cp2", "mkdir -p /etc/apt/keyrings")
    key = (lab.folder.parent / "repository" / "Release.key").read_text()
    sign(lab.folder.parent / "repository", tmp_path / "keys", "somebody else")
    (lab.folder.parent / "repository" / "Release.key").write_text(key)
    said = play(lab, "cp2", "--tags", "kubernetes_node")
    assert "failed=1" in said
    assert "NO_PUBKEY" in said or "not signed" in said, said[-2000:]
    assert lab.ssh("cp2", "test -e /usr/bin/kubeadm").returncode != 0
