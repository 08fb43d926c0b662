"""Commands that touch this machine's devices run outside of rehearsals only, however they are called."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from homelab.ports.rehearsed import sign_of_rehearsal
from tests.helpers.checkout import ROOT
from tests.helpers.stick_tools import boot_cfg, installed, installer
from tests.helpers.sysfs_tools import Machine

GB = 10**9
COMMANDS = {
    "usb write": ("usb", "write", "brix3", "sdb"),
    "usb write, listing": ("usb", "write", "brix3"),
    "usb install": ("usb", "install", "brix3", "whole.img"),
    "driver-fix --stick": ("driver-fix", "brix3", "--stick", "stick.img"),
    "driver-fix --stick=": ("driver-fix", "--stick=stick.img", "brix3"),
}
REFUSED = "outside of a rehearsal"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    lab = Machine(tmp_path)
    lab.disk("sdb", 8 * GB)
    installer(tmp_path / "brix3.img")
    installed(tmp_path / "stick.img", {5: boot_cfg(), 6: None})
    (tmp_path / "mylab").mkdir()
    (tmp_path / ".homelab/rehearsal/inventory").mkdir(parents=True)
    return lab


def refused(machine: Machine, *argv: str, **variables: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in (*machine.root.glob("*.img"), machine.node("sdb"))}
    done = machine.homelab(*argv, **variables)
    assert done.returncode == 2, done.stderr
    assert REFUSED in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not (machine.root / "whole.img").exists()


@pytest.mark.thorough
@pytest.mark.parametrize("argv", COMMANDS.values(), ids=COMMANDS)
def test_the_overlay_is_a_sign_wherever_it_is_named(machine: Machine, argv: tuple[str, ...]) -> None:
    refused(machine, "-y", "-i", "mylab", "-i", ".homelab/rehearsal/inventory", *argv)


@pytest.mark.thorough
@pytest.mark.parametrize("argv", COMMANDS.values(), ids=COMMANDS)
def test_an_inventory_of_ones_own_does_not_get_around_it(machine: Machine, argv: tuple[str, ...]) -> None:
    overlay = f"{machine.root}/mylab,{machine.root}/.homelab/rehearsal/inventory"
    refused(machine, *argv, "--yes", "-i", "mylab", HOMELAB_INVENTORY=overlay)


def test_a_shell_that_sets_its_own_inventory_does_not_get_around_it(machine: Machine) -> None:
    variables = {"HOMELAB_INVENTORY": "mylab", "ANSIBLE_INVENTORY": "mylab", "HOMELAB_REHEARSAL": "/somewhere/lab"}
    refused(machine, "-o", "json", *COMMANDS["usb write"], **variables)


def test_a_link_to_the_overlay_is_the_overlay(machine: Machine) -> None:
    (machine.root / "short").symlink_to(".homelab/rehearsal/inventory")
    refused(machine, "-i", "short", *COMMANDS["usb write"])


@pytest.mark.thorough
@pytest.mark.parametrize("argv", COMMANDS.values(), ids=COMMANDS)
def test_a_rehearsal_is_not_even_begun_for_such_a_command(machine: Machine, argv: tuple[str, ...]) -> None:
    refused(machine, "rehearse", "--guests", "none", "--", "-q", "-l", "brix3", *argv, "-o", "json", "--yes")
    assert not (machine.root / ".homelab/rehearsal.lock").exists()


def test_the_lab_s_own_mount_is_a_sign_that_sudo_cannot_take_away(tmp_path: Path) -> None:
    table = tmp_path / "self/mountinfo"
    table.parent.mkdir()
    line = "410 300 0:55 / {} rw,relatime shared:9 - tmpfs {} rw,mode=700"
    table.write_text(line.format("/srv/lab/.homelab/rehearsal/lab", "rehearsal") + "\n")
    assert "is mounted" in str(sign_of_rehearsal([Path("mylab")], {}, tmp_path))
    for point, source in (("/srv/lab", "rehearsal"), ("/srv/.homelab/rehearsal/lab", "tmpfs")):
        table.write_text(line.format(point, source) + "\n")
        assert sign_of_rehearsal([Path("mylab")], {}, tmp_path) is None


def test_outside_of_a_rehearsal_nothing_is_a_sign() -> None:
    environment = {"HOMELAB_INVENTORY": "mylab,rehearsal/inventory", "HOMELAB_REHEARSAL": ""}
    assert sign_of_rehearsal([Path("inventory"), Path("/a/.homelab/inventory")], environment) is None


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_inside_a_served_lab_they_are_refused_whatever_the_environment(machine: Machine, tmp_path: Path) -> None:
    from tests.helpers.served import served

    folder = tmp_path / "served"
    folder.mkdir()
    with served(folder, "--guests", "none") as lab:
        for argv in (COMMANDS["usb write"], COMMANDS["driver-fix --stick"]):
            for around in (("homelab",), ("env", "-i", f"PATH={os.environ['PATH']}", sys.executable, "-m", "homelab")):
                words = [*around, "-i", str(ROOT / "inventory"), *argv, "--yes"]
                done: subprocess.CompletedProcess[str] = lab.enter("env", f"PYTHONPATH={ROOT}", *words)
                assert done.returncode == 2, done.stderr
                assert REFUSED in " ".join(done.stderr.split())
