"""Each kind of balancer on a Debian host that is somebody's already, from its roles alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from homelab.ports.files.home import cache_folder
from tests.helpers.apart import NAMESPACES
from tests.helpers.balancer_guest import ROLES
from tests.helpers.checkout import ROOT


@pytest.mark.guests
@pytest.mark.thorough
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ROLES)
@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_debian_host_becomes_a_balancer(tmp_path: Path, suite: str, kind: str) -> None:
    if os.geteuid() != 0 or not all(map(shutil.which, ("mmdebstrap", "systemd-nspawn", "ssh"))):
        pytest.skip("real guests need root, mmdebstrap, systemd-nspawn and ssh")
    cache, environment = str(cache_folder()), {**os.environ, "PYTHONPATH": str(ROOT)}
    guest = [sys.executable, "-m", "tests.helpers.balancer_guest"]
    subprocess.run([*guest, "root", cache, suite], cwd=ROOT, env=environment, check=True)
    command = [*NAMESPACES, "--mount", "--net", "--pid", *guest, "story", str(tmp_path), cache, suite, kind]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
