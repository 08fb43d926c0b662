"""The role nfs_server: what it lays down, and a real server in a guest."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.apart import NAMESPACES
from tests.helpers.checkout import HELPERS, ROOT

BODY = HELPERS / "nfs_guest.py"

Rendered = Callable[..., str]


def test_only_the_named_hosts_may_mount_and_their_root_stays_root(render: Rendered) -> None:
    text = render("nfs_server", "export.conf.j2", nfs_server_path="/srv/a", nfs_server_clients=["192.168.2.11", "b"])
    before, inside = text.split("CLIENT {")
    assert "Access_Type = None;" in before
    assert "Clients = 192.168.2.11, b;" in inside
    assert "Squash = No_Root_Squash;" in inside
    assert text.count("/srv/a") == 2


def ansible(*words: str) -> str:
    command = [sys.executable, "-m", "ansible", *words]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "1000"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_kernel_exports_to_every_named_host() -> None:
    role = "playbooks/roles/nfs_server"
    given = {"nfs_server_export": "/srv/a/", "nfs_server_clients": ["192.168.2.11", "192.168.2.12"]}
    words = ["-e", f"@{role}/defaults/main.yml", "-e", f"@{role}/vars/main.yml", "-e", json.dumps(given)]
    words += ["-m", "ansible.builtin.debug", "-a", "var=nfs_server_kinds.kernel.files"]
    said = ansible("adhoc", "localhost", "-c", "local", "-i", "localhost,", *words)
    files = json.loads(said.partition("=>")[2])["nfs_server_kinds.kernel.files"]
    assert [file["path"] for file in files] == ["/etc/nfs.conf.d/homelab.conf", "/etc/exports.d/homelab.exports"]
    options = "(rw,sync,no_root_squash,no_subtree_check,sec=sys)"
    assert files[1]["content"].splitlines()[1] == f"/srv/a 192.168.2.11{options} 192.168.2.12{options}"


@pytest.mark.thorough
@pytest.mark.parametrize(
    "groups",
    [
        {"esxi": {"hosts": {"brix1": {"ansible_host": "127.0.0.1"}}}},
        # Nothing answers there.
        {"nfs": {"hosts": {"nas": {"ansible_host": "127.0.0.1", "ansible_port": 1}}}},
        {"nfs": {"hosts": {"nas": {"ansible_host": "127.0.0.1", "ansible_port": 1, "nfs_managed": False}}}},
    ],
    ids=["without a NAS", "with a NAS of the user", "with a NAS that is said not to be ours"],
)
def test_what_is_not_ours_to_set_up_is_left_alone(tmp_path: Path, groups: dict[str, Any]) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"all": {"children": groups}}))
    said = ansible("playbook", "-i", str(inventory), "playbooks/nfs_server.yml")
    assert "TASK [nfs_server" not in said


# A root of its own makes this one slow.
@pytest.mark.guests
@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_a_debian_host_becomes_the_nas(tmp_path: Path) -> None:
    if os.geteuid() != 0 or not all(map(shutil.which, ("mmdebstrap", "systemd-nspawn", "ssh"))):
        pytest.skip("real guests need root, mmdebstrap, systemd-nspawn and ssh")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "homelab"
    # Here, because inside there is no way to Debian's mirror.
    code = "import sys, pathlib; from tests.helpers import nfs_guest; nfs_guest.make_root(pathlib.Path(sys.argv[1]))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code, str(cache)], env=environment, check=True)
    command = [*NAMESPACES, "--mount", "--net", "--pid", sys.executable, str(BODY), str(tmp_path), str(cache)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
