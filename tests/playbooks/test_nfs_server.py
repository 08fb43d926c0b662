"""The role nfs_server: what it lays down, and a real server in a guest."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
BODY = Path(__file__).with_name("nfs_guest.py")
NAMESPACES = ["setpriv", "--pdeathsig", "KILL", "unshare", "--fork", "--mount-proc", "--kill-child"]

Rendered = Callable[..., str]


def test_only_the_named_hosts_may_mount_and_their_root_stays_root(render: Rendered) -> None:
    text = render("nfs_server", "export.conf.j2", nfs_server_path="/srv/a", nfs_server_clients=["192.168.2.11", "b"])
    before, inside = text.split("CLIENT {")
    assert "Access_Type = None;" in before
    assert "Clients = 192.168.2.11, b;" in inside
    assert "Squash = No_Root_Squash;" in inside
    assert text.count("/srv/a") == 2


@pytest.mark.guests
@pytest.mark.timeout(600)
def test_a_debian_host_becomes_the_nas(tmp_path: Path) -> None:
    if os.geteuid() != 0 or not all(map(shutil.which, ("mmdebstrap", "systemd-nspawn", "ssh"))):
        pytest.skip("real guests need root, mmdebstrap, systemd-nspawn and ssh")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "homelab"
    # Here, because inside there is no way to Debian's mirror.
    code = "import sys, pathlib; from tests.playbooks import nfs_guest; nfs_guest.make_root(pathlib.Path(sys.argv[1]))"
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    subprocess.run([sys.executable, "-c", code, str(cache)], env=environment, check=True)
    command = [*NAMESPACES, "--mount", "--net", "--pid", sys.executable, str(BODY), str(tmp_path), str(cache)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
