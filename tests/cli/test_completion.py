"""Completion as a shell asks for it: names of the inventory, quickly, and never a word on the terminal."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from homelab.ports.ansible.inventory import list_hosts
from homelab.ports.ansible.quick_names import group_names
from tests.helpers.checkout import INVENTORIES, ROOT

VMS = {"cp1", "cp2", "cp3", "lb1", "lb2"}


def completed(line: str, cwd: Path = ROOT, **environment: str) -> set[str]:
    """What bash would be told; click's own protocol: a line `TYPE,VALUE` for each."""
    more = {"_HOMELAB_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    argv = [sys.executable, "-m", "homelab"]
    inherited = {name: value for name, value in os.environ.items() if name != "HOMELAB_INVENTORY"}
    done = subprocess.run(
        argv, cwd=cwd, env={**inherited, **more, **environment}, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return {value.partition(",")[2] for value in done.stdout.splitlines()}


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("homelab vm destroy ", VMS),
        ("homelab vm destroy cp1 cp", {"cp2", "cp3"}),
        ("homelab vm move cp1 ", {"brix1", "brix2", "brix3", "brix4"}),
        ("homelab driver-fix BR", {"brix1", "brix2", "brix3", "brix4"}),
        ("homelab trust n", {"nas"}),
        ("homelab usb build brix4", {"brix4"}),
        ("homelab lb drain lb", {"lb1", "lb2"}),
        ("homelab plan -l esxi,!brix1", {"esxi,!brix1"}),
        ("homelab -l gb_x", {"gb_xm11_3337"}),
        ("homelab bootstrap --only driver", {"driver-fix"}),
        ("homelab lb st", {"status"}),
    ],
)
def test_names_are_completed(line: str, names: set[str]) -> None:
    assert completed(line) == names


def test_the_inventory_on_the_line_is_the_one(tmp_path: Path) -> None:
    named = INVENTORIES / "whole_names"
    assert completed(f"homelab -i {named} vm rebuild cp", tmp_path) == {"CP1", "cp2.lab.example"}
    assert completed("homelab vm rebuild lb2", tmp_path, HOMELAB_INVENTORY=f"{named},{named}") == {"lb2"}


@pytest.mark.thorough
@pytest.mark.parametrize("text", ["all: [", "\x00\x01", "all: &a\n  children: *a\n", "- 1\n", "plugin: x\n", "é: é"])
def test_what_cannot_be_read_has_no_names_and_makes_no_noise(tmp_path: Path, text: str) -> None:
    (tmp_path / "inventory").write_text(text)
    (tmp_path / "inventory.yml").write_text(text)
    assert completed("homelab vm destroy ", tmp_path) <= {""}
    assert completed(f"homelab -i {tmp_path}/inventory.yml vm destroy ", tmp_path) <= {""}


@pytest.mark.parametrize("source", [ROOT / "inventory", INVENTORIES / "whole_names"], ids=lambda path: path.name)
def test_the_names_are_those_that_ansible_reads(source: Path) -> None:
    raw = list_hosts([source])
    assert {group: set(names) for group, names in group_names([source]).items()} == {
        group: set(raw.members(group))
        for group in ("all", *raw.hosts_of)
        if raw.members(group) and group != "ungrouped"
    }


def test_names_of_ini_files_and_ranges(tmp_path: Path) -> None:
    (tmp_path / "hosts.ini").write_text("[esxi]\nbrix[01:02] ansible_user=root\n# brix9\n[all:vars]\nx=1\n")
    assert group_names([tmp_path / "hosts.ini"]) == {"esxi": ["brix01", "brix02"]}


def test_bash_itself_completes() -> None:
    if not shutil.which("bash"):
        pytest.skip("no bash")
    script = (
        'eval "$(_HOMELAB_COMPLETE=bash_source homelab)" || exit 1\n'
        "COMP_WORDS=(homelab vm destroy lb) COMP_CWORD=3\n"
        '_homelab_completion homelab; echo "${COMPREPLY[*]}"\n'
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.stderr) == (["lb1", "lb2"], "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_their_script(shell: str) -> None:
    argv = [sys.executable, "-m", "homelab"]
    environment = {**os.environ, "_HOMELAB_COMPLETE": f"{shell}_source"}
    script = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout
    assert f"_HOMELAB_COMPLETE={shell}_complete" in script
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=script, text=True, check=True)
