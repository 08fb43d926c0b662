"""The role nginx beside the machine's own nginx: whose service that is, and when it is switched off."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .conftest import PLAYBOOKS

PROGRAMS = ("/usr/sbin/nginx", "/usr/lib/nginx/modules/ngx_stream_module.so", "/usr/sbin/nft")
pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("unshare") is None or not all(map(os.path.exists, PROGRAMS)),
        reason="needs root, a mount namespace of its own, nginx with its stream module, and nft",
    ),
    pytest.mark.timeout(120),
]
# There is no systemd here: of nginx.service it tells that it runs, and it notes what it is told to do.
SYSTEMCTL = """\
#!/bin/sh
case "$*" in
    show*) printf 'LoadState=loaded\\nActiveState=active\\n' ;;
    is-enabled*) echo enabled ;;
    *) echo "$*" >>{noted} ;;
esac
"""
NOTE = "homelab-nginx/brought-along"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine with nginx; what is written to /etc and /var/lib lies in this folder."""
    for name in ("etc/homelab-nginx", "work", "lib", "bin"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copytree(PLAYBOOKS, tmp_path / "playbooks")
    role = {"ansible.builtin.import_role": {"name": "nginx", "tasks_from": "install.yml"}}
    (tmp_path / "playbooks" / "install.yml").write_text(
        yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [role]}])
    )
    hosts = {"lb1": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    (tmp_path / "bin" / "systemctl").write_text(SYSTEMCTL.format(noted=tmp_path / "noted"))
    (tmp_path / "bin" / "systemctl").chmod(0o755)
    return tmp_path


def switched(machine: Path) -> list[str]:
    """Runs the part of the role; what systemd was told to do."""
    noted = machine / "noted"
    noted.unlink(missing_ok=True)
    own = (
        f"mount -t overlay none -o lowerdir=/etc,upperdir={machine}/etc,workdir={machine}/work /etc && "
        f'mount --bind {machine}/lib /var/lib && exec "$@"'
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment["PATH"] = f"{machine}/bin{os.pathsep}{environment['PATH']}"
    play = [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.yml", "playbooks/install.yml"]
    words = ["unshare", "--mount", "sh", "-c", own, "sh", *play]
    done = subprocess.run(words, cwd=machine, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return noted.read_text().splitlines() if noted.exists() else []


def test_nginx_that_came_by_homelab_is_switched_off_once_and_is_its_owner_s_from_then_on(machine: Path) -> None:
    """Without a receipt, as when the balancer was of another kind meanwhile."""
    (machine / "etc" / NOTE).write_text("# Managed by homelab.\n")
    assert switched(machine) == ["disable nginx.service", "stop nginx.service"]
    assert switched(machine) == []
