"""`init` as a process: answers for scripts, passwords, what is there already, and being cut off half-way."""

import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from homelab.inventory import read_lab
from homelab.ports.ansible.inventory import Vault
from tests.helpers.served import until

# Everything is answered, so nobody is asked anything on any network.
ANSWERS = """\
lab_network: 192.168.2.0/24
lab_gateway: 192.168.2.1
esxi: {brix1: 192.168.2.11, brix2: 192.168.2.12}
nfs: 192.168.2.5
nfs_export: /volume1/homelab
api_vip: 192.168.2.100
control_plane: [192.168.2.21, 192.168.2.22, 192.168.2.23]
load_balancers: {lb1: 192.168.2.31}
"""
INIT = (sys.executable, "-m", "homelab", "init", "lab", "--answers", "answers.yml")
SECONDS = 60


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "answers.yml").write_text(ANSWERS)
    (tmp_path / "password").write_text("of-the-vault\n")
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("VMWARE_PASSWORD", "of-the-hosts")
    return tmp_path


def init(folder: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*INIT, *more], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_script_gets_an_inventory_that_is_read_without_a_mistake(folder: Path) -> None:
    done = init(folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "next: homelab -i lab doctor"
    reading = read_lab([folder / "lab"])
    assert [host.name for host in reading.lab.esxi] == ["brix1", "brix2"]
    assert reading.lab.esxi[0].password.get_secret_value() == "of-the-hosts"
    vault = folder / "lab" / "group_vars" / "esxi" / "vault.yml"
    assert vault.read_text().startswith("$ANSIBLE_VAULT;1.1;AES256\n")
    assert vault.stat().st_mode & 0o777 == 0o600
    assert "of-the-hosts" not in "".join(path.read_text() for path in (folder / "lab").rglob("*") if path.is_file())


def test_what_is_there_is_never_overwritten(folder: Path) -> None:
    (folder / "lab").mkdir()
    (folder / "lab" / "mine.txt").write_text("mine")
    done = init(folder)
    assert done.returncode == 2
    assert "nothing is overwritten" in done.stderr
    assert names(folder / "lab") == {"mine.txt"}


def test_mistakes_leave_nothing(folder: Path) -> None:
    (folder / "answers.yml").write_text(ANSWERS.replace("192.168.2.100", "192.168.9.100") + "lab_nam: x\n")
    before = names(folder)
    done = init(folder)
    assert done.returncode == 2
    assert "answers.yml:6: api_vip: 192.168.9.100 is not a host's address" in done.stderr
    assert "answers.yml:9: lab_nam is not a key of an answers file; did you mean lab_name?" in done.stderr
    assert names(folder) == before


@pytest.mark.thorough
@pytest.mark.parametrize("variable", ["ANSIBLE_VAULT_PASSWORD_FILE", "VMWARE_PASSWORD"])
def test_without_a_password_and_a_terminal_both_ways_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv(variable)
    done = init(folder)
    assert done.returncode == 2
    assert variable in done.stderr
    assert "lab" not in names(folder)


@pytest.mark.thorough
def test_cut_off_half_way_it_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vault's password program answers once, and hangs when the files that were written are read."""
    program = folder / "program"
    program.write_text('#!/bin/sh\nif [ -e "$0.used" ]; then touch "$0.hangs"; exec sleep 600; fi\n')
    with program.open("a") as file:
        file.write('touch "$0.used"\necho of-the-vault\n')
    program.chmod(0o755)
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(program))
    before = names(folder)
    child = subprocess.Popen(INIT, cwd=folder, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    until((folder / "program.hangs").exists, SECONDS, "the files are written beside")
    assert any(name.startswith(".lab.") for name in names(folder))
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=SECONDS)
    assert child.returncode == 130
    assert "nothing was written" in said
    assert names(folder) - before == {"program.used", "program.hangs"}


@pytest.mark.thorough
def test_passwords_are_typed_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("ANSIBLE_VAULT_PASSWORD_FILE", "VMWARE_PASSWORD"):
        monkeypatch.delenv(variable)
    ours, theirs = pty.openpty()
    child = subprocess.Popen(INIT, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    answers = ["one", "another", "root's", "root's", "vault's", "vault's"]
    said = ""
    while select.select([ours], [], [], SECONDS)[0]:
        try:
            said += os.read(ours, 4096).decode(errors="replace")
        except OSError:
            break
        if said.endswith(": ") and answers:
            os.write(ours, f"{answers.pop(0)}\n".encode())
            said += "\n"
    os.close(ours)
    assert child.wait(SECONDS) == 0, said
    assert "these two differ" in said
    assert not answers
    assert "root's\r" not in said
    lab = read_lab([folder / "lab"], Vault(lambda: "vault's")).lab
    assert lab.esxi[0].password.get_secret_value() == "root's"


def test_without_a_terminal_and_without_answers_it_says_how(folder: Path) -> None:
    done = subprocess.run(INIT[:4], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--answers" in done.stderr
