"""`init` on a served rehearsal's network: it finds what is there, and what it writes leads to a plan."""

import json
import os
import pty
import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.helpers.served import HOMELAB, Lab, served
from tests.helpers.terminal import terminal

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
SECONDS = 120


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with served(tmp_path_factory.mktemp("lab"), "--guests", "none") as lab:
        (lab.folder / "vault-password").write_text("of-the-vault\n")
        yield lab


@pytest.fixture(autouse=True)
def _secrets(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(lab.folder / "vault-password"))
    monkeypatch.setenv("VMWARE_PASSWORD", "of-the-hosts")


def hosts_of(folder: Path) -> dict[str, dict[str, str]]:
    groups = yaml.safe_load((folder / "hosts.yml").read_text())["all"]["children"]
    return {
        group: {name: variables["ansible_host"] for name, variables in content["hosts"].items()}
        for group, content in groups.items()
    }


def test_everything_is_found_and_proposed(lab: Lab) -> None:
    done = lab.homelab("--yes", "-o", "json", "init", "found")
    assert done.returncode == 0, done.stderr
    assert hosts_of(lab.folder / "found") == {
        "esxi": {f"esxi{number}": f"192.168.2.1{number}" for number in range(1, 5)},
        "nfs": {"nas": "192.168.2.5"},
        "control_plane": {f"cp{number}": f"192.168.2.2{number}" for number in range(1, 4)},
        "load_balancers": {f"lb{number}": f"192.168.2.3{number}" for number in range(1, 3)},
    }
    assert "VMware ESXi 6.5.0" in done.stderr
    assert "192.168.2.5: NFS server (/volume1/homelab)" in done.stderr
    told = json.loads(done.stdout)
    assert told["next"] == "homelab -i found doctor"
    assert told["doubts"] == []


def test_answers_lead_to_a_plan(lab: Lab) -> None:
    names = {f"brix{number}": f"192.168.2.1{number}" for number in range(1, 5)}
    (lab.folder / "answers.yml").write_text(yaml.safe_dump({"lab_network": "192.168.2.0/24", "esxi": names}))
    done = lab.homelab("init", "mine", "--answers", "answers.yml")
    assert done.returncode == 0, done.stderr
    # A rehearsal's hosts have passwords of their own, and an image that is there without a network.
    planned = lab.homelab("-o", "json", "-i", "mine", "-i", str(lab.overlay), "plan")
    assert planned.returncode == 3, planned.stderr
    assert {change["target"] for change in json.loads(planned.stdout)["changes"]} >= set(names)


def test_a_person_is_asked_and_presses_enter(lab: Lab) -> None:
    ours, theirs = pty.openpty()
    command = [*HOMELAB, "rehearsal", "enter", "--", "homelab", "init", "typed"]
    child = subprocess.Popen(command, cwd=lab.folder, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = ""
    answered = 0
    typed = {1: "esxi1=192.168.2.11 brix_2=192.168.2.12", 2: "brix1=192.168.2.11"}
    while select.select([ours], [], [], SECONDS)[0]:
        try:
            said += os.read(ours, 4096).decode(errors="replace")
        except OSError:
            break
        if said.endswith("]: "):
            os.write(ours, f"{typed.get(answered, '')}\n".encode())
            answered += 1
            said += "\n"
    os.close(ours)
    assert child.wait(SECONDS) == 0, said
    assert "brix_2 has an underscore" in said
    assert answered == 9
    assert hosts_of(lab.folder / "typed")["esxi"] == {"brix1": "192.168.2.11"}


@pytest.mark.thorough
def test_what_was_written_is_rehearsed_by_who_types_the_vaults_password(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lab.homelab("--yes", "init", "mylab").returncode == 0
    shutil.copytree(lab.folder / "mylab", tmp_path / "mylab")
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE")
    command = (*HOMELAB, "-i", "mylab", "rehearse", "--guests", "none", "--", "vm", "list")
    with terminal(*command, folder=tmp_path) as shown:
        for asked in range(1, 3):
            shown.until(lambda screen, asked=asked: screen.count("Vault password:") == asked)
            shown.type("of-the-vault\n")
        assert shown.end(SECONDS) == 0, shown.all
        assert "cp1" in shown.all
