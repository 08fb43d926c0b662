"""A served rehearsal as a user has it: processes, their output, their exit codes."""

import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from homelab.ports.ansible.inventory import list_hosts
from homelab.ports.files.data import data_folder
from tests.helpers.checkout import ROOT
from tests.helpers.shapes import printed_fits

HOMELAB = (sys.executable, "-m", "homelab")
START_SECONDS = 240


@dataclass
class Lab:
    """A lab that is served from `folder`; `ready` is its ready line."""

    folder: Path
    process: "subprocess.Popen[str]"
    ready: dict[str, Any] = field(default_factory=dict)

    @property
    def overlay(self) -> Path:
        """The overlay inventory."""
        return self.folder / ".homelab" / "rehearsal" / "inventory"

    def enter(self, *argv: str | Path, timeout: float = 300) -> "subprocess.CompletedProcess[str]":
        """Run a program inside the lab."""
        command = [*HOMELAB, "rehearsal", "enter", "--", *map(str, argv)]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=timeout, check=False)

    def begin(self, *argv: str | Path) -> "subprocess.Popen[str]":
        """Begin a program inside the lab; its output is read while it runs."""
        command = [*HOMELAB, "rehearsal", "enter", "--", *map(str, argv)]
        return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, text=True)

    def homelab(self, *argv: str, timeout: float = 300) -> "subprocess.CompletedProcess[str]":
        """Run homelab inside the lab; JSON that it prints has to be as it is promised."""
        done = self.enter("homelab", *argv, timeout=timeout)
        printed_fits(argv, done.stdout)
        return done

    def play(self, name: str, *options: str) -> "subprocess.CompletedProcess[str]":
        """Run one of the playbooks inside the lab."""
        command = ("env", "ANSIBLE_NOCOLOR=1", "ansible-playbook", ROOT / "playbooks" / name, *options)
        return self.enter(*command, timeout=800)

    def ssh(self, name: str, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command on a guest, as root; what it says on either stream is in stdout."""
        told, (options, key) = self._variables[name], self.login(name)
        login = [*options, "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-i", key]
        shell = f"sudo sh -c {shlex.quote(' '.join(command))} 2>&1"
        return self.enter("ssh", *login, f"{told['guest_user']}@{told['ansible_host']}", shell, timeout=240)

    def login(self, name: str) -> tuple[list[str], str]:
        """The options of SSH for a guest, and the file of the key."""
        told = self._variables[name]
        return shlex.split(told["ansible_ssh_common_args"]), told["ansible_ssh_private_key_file"]

    @cached_property
    def _variables(self) -> Mapping[str, Mapping[str, Any]]:
        """What Ansible knows of every host; asked once, for Ansible itself takes a second to start."""
        return list_hosts([self.folder / "inventory", self.overlay]).hostvars

    def variant(self, name: str, **hosts: dict[str, Any]) -> list[str]:
        """The options for the lab's inventories with other variables for some hosts, as a third source."""
        folder = self.folder / name
        (folder / "host_vars").mkdir(parents=True)
        (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": dict.fromkeys(hosts)}}))
        for host, variables in hosts.items():
            (folder / "host_vars" / f"{host}.yml").write_text(yaml.safe_dump(variables))
        return ["-i", str(self.folder / "inventory"), "-i", str(self.overlay), "-i", str(folder)]


@contextmanager
def served(folder: Path, *options: str, inventory: Path | None = None, **hosts: dict[str, Any]) -> Iterator[Lab]:
    """Serve the sample lab, or another, from a folder of its own, with further variables of `hosts`; until SIGTERM."""
    shutil.copytree(inventory or data_folder("inventory"), folder / "inventory")
    for host, variables in hosts.items():
        (folder / "inventory" / "host_vars").mkdir(exist_ok=True)
        (folder / "inventory" / "host_vars" / f"{host}.yml").write_text(yaml.safe_dump(variables))
    kubernetes = () if "--kubernetes" in options else ("--kubernetes", "stand-in")
    command = [*HOMELAB, "-o", "json", "rehearsal", "serve", *kubernetes, *options]
    with (folder / "serve.err").open("w") as errors:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        lab = Lab(folder, process)
        lab.ready = json.loads(_line(process, START_SECONDS) or _failed(folder))
        yield lab
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _line(process: "subprocess.Popen[str]", seconds: float) -> str:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], seconds)
    return process.stdout.readline() if readable else ""


def _failed(folder: Path) -> str:
    raise AssertionError((folder / "serve.err").read_text())


def until(condition: Callable[[], bool], seconds: float, sentence: str) -> float:
    """Poll a condition; how many seconds it took. Fails with the sentence after the deadline."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {sentence}"
        select.select([], [], [], 0.1)
    return time.monotonic() - began


def events(output: str) -> list[dict[str, Any]]:
    """The JSON lines of a run."""
    return [json.loads(line) for line in output.splitlines()]


def failures(output: str) -> dict[tuple[str, str], dict[str, str]]:
    """The failed events of a run by step and target."""
    return {(e["step"], e["target"]): e for e in events(output) if e["event"] == "failed"}


def summary(output: str) -> dict[str, Any]:
    """The last event of a run."""
    last = events(output)[-1]
    assert last["event"] == "summary"
    return last


def recap(said: str) -> dict[str, int]:
    """HOST -> changed, of every line of a playbook's recap."""
    lines = said.partition("PLAY RECAP")[2]
    return {name: int(number) for name, number in re.findall(r"^(\S+) +: .*changed=(\d+)", lines, re.MULTILINE)}


def processes_with(word: str) -> list[int]:
    """The processes of this machine whose command line holds a word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word in path.read_text().replace("\0", " ") and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
