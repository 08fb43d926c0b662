"""The command as a process: help, usage, exit codes."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from homelab import cli
from homelab.commands.selection import chosen_steps
from homelab.engine.events import Counts
from homelab.errors import UsageError
from homelab.steps.product import STEP_NAMES
from tests.helpers.checkout import INVENTORIES, ROOT

INVALID = INVENTORIES / "invalid"
HEAVY = {"pyVmomi", "paramiko", "ansible", "rich", "pydantic", "yaml", "homelab.lab"}


def homelab(*argv: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "homelab", *argv]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    def seconds() -> float:
        """Of the processor: how long a busy machine lets a process wait is not our matter."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert homelab("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.25
    code = "import sys, homelab.cli; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY.isdisjoint(loaded)


def test_the_steps_that_can_be_named_are_the_steps_there_are() -> None:
    assert cli.STEPS == STEP_NAMES


def test_without_a_vault_the_sample_names_the_command_that_makes_one() -> None:
    done = homelab("plan", cwd=ROOT)
    assert done.returncode == 2
    assert "ansible-vault create" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("argv", [["-o", "json", "plan"], ["plan", "-o", "json"]])
def test_global_options_stand_before_or_after_the_command(argv: list[str], tmp_path: Path) -> None:
    done = homelab("-i", str(tmp_path / "none"), *argv)
    assert done.returncode == 2
    assert str(tmp_path / "none") in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_command_is_a_usage_mistake() -> None:
    assert homelab("bake").returncode == 2


def test_no_lab_is_served(tmp_path: Path) -> None:
    done = homelab("rehearsal", "enter", "--", "true", cwd=tmp_path)
    assert done.returncode == 2
    assert "homelab rehearsal serve" in done.stderr


def test_parts_of_the_list() -> None:
    assert chosen_steps(STEP_NAMES, "vm", None, None) == ("vm",)
    assert chosen_steps(STEP_NAMES, None, "usb-housekeeping", "driver-fix") == ("usb-housekeeping", "driver-fix")
    assert chosen_steps(STEP_NAMES, None, "kubernetes", None) == ("kubernetes",)
    with pytest.raises(UsageError, match="--from vm comes after --until reboot"):
        chosen_steps(STEP_NAMES, None, "vm", "reboot")


@pytest.mark.parametrize(
    ("failed", "blocked", "handed_over", "code"),
    [(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 1, 4), (0, 0, 1, 4), (0, 1, 0, 1)],
)
def test_exit_codes(failed: int, blocked: int, handed_over: int, code: int) -> None:
    assert Counts(failed=failed, blocked=blocked, handed_over=handed_over).exit_code == code


def test_json_stays_json_for_a_usage_mistake() -> None:
    done = homelab("-o", "json", "verify", cwd=INVALID)
    assert done.returncode == 2
    assert done.stdout == "" or json.loads(done.stdout)
