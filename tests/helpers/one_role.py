"""A part of a role on this machine, as Ansible runs it: what it writes to /etc and /var/lib lies in a folder."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.helpers.checkout import ROOT

CAN_RUN = os.geteuid() == 0 and shutil.which("unshare") is not None
# There is no systemd here. It notes what it is told to do; its units run, but for those that it does not know.
SYSTEMCTL = """\
#!/bin/sh
case "$*" in
    *{unknown}*) echo LoadState=not-found ;;
    show*) printf 'LoadState=loaded\\nActiveState=active\\n' ;;
    is-enabled*) echo enabled ;;
    *) echo "$*" >>{noted} ;;
esac
"""


class OneRole:
    """This machine with some tasks of a role; `more` tasks follow them. Its network is one of its own, and empty."""

    namespaces: tuple[str, ...] = ("--mount", "--net")

    def __init__(self, folder: Path, name: str, tasks: str, *more: dict[str, Any], unknown: str = "unknown") -> None:
        self.folder, self.etc, self.lib = folder, folder / "etc", folder / "lib"
        for made in (self.etc, self.lib, folder / "work", folder / "bin"):
            made.mkdir(parents=True)
        shutil.copytree(ROOT / "playbooks", folder / "playbooks")
        role = {"ansible.builtin.import_role": {"name": name, "tasks_from": tasks}}
        play = {"hosts": "all", "gather_facts": False, "tasks": [role, *more]}
        (folder / "playbooks" / "part.yml").write_text(yaml.safe_dump([play]))
        hosts = {"here": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}
        (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
        (folder / "bin" / "systemctl").write_text(SYSTEMCTL.format(noted=folder / "noted", unknown=unknown))
        (folder / "bin" / "systemctl").chmod(0o755)

    @property
    def told(self) -> list[str]:
        """What systemd was told to do."""
        noted = self.folder / "noted"
        return noted.read_text().splitlines() if noted.exists() else []

    def inside(self, *words: str, before: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a program where those folders are laid over this machine's; `before` is a command for the shell."""
        own = (
            f"mount -t overlay none -o lowerdir=/etc,upperdir={self.etc},workdir={self.folder}/work /etc && "
            f'mount --bind {self.lib} /var/lib && {before or ":"} && exec "$@"'
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        environment |= {"PATH": f"{self.folder}/bin{os.pathsep}{environment['PATH']}", "ANSIBLE_NOCOLOR": "1"}
        environment["COLUMNS"] = "1000"
        # As homelab has it: one process a task, and not five.
        environment["ANSIBLE_PIPELINING"] = "1"
        command = ["unshare", *self.namespaces, "sh", "-c", own, "sh", *words]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=100)

    def run(self, before: str = "", **variables: Any) -> "subprocess.CompletedProcess[str]":
        """Run the tasks."""
        play = [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.yml", "playbooks/part.yml"]
        return self.inside(*play, "-e", json.dumps(variables), before=before)
