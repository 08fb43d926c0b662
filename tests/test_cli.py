"""The command as a process: help, usage, exit codes."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from homelab import cli
from homelab.errors import UsageError
from homelab.run import Choice, exit_code
from homelab.steps import STEP_NAMES

INVALID = Path(__file__).parent / "inventories" / "invalid"
HEAVY = {"pyVmomi", "paramiko", "ansible", "rich", "pydantic", "yaml", "homelab.lab"}


def homelab(*argv: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "homelab", *argv]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    def seconds() -> float:
        began = time.monotonic()
        assert homelab("--help").returncode == 0
        return time.monotonic() - began

    assert min(seconds() for _ in range(5)) < 0.25
    code = "import sys, homelab.cli; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY.isdisjoint(loaded)


def test_the_steps_that_can_be_named_are_the_steps_there_are() -> None:
    assert cli.STEPS == STEP_NAMES


def test_without_a_vault_the_sample_names_the_command_that_makes_one() -> None:
    done = homelab("plan", cwd=Path(__file__).parent.parent)
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
    assert Choice(only="vm").steps(STEP_NAMES) == ("vm",)
    assert Choice(start="usb-housekeeping", until="driver-fix").steps(STEP_NAMES) == ("usb-housekeeping", "driver-fix")
    assert Choice(start="kubernetes").steps(STEP_NAMES) == ("kubernetes",)
    with pytest.raises(UsageError, match="--from vm comes after --until reboot"):
        Choice(start="vm", until="reboot").steps(STEP_NAMES)


@pytest.mark.parametrize(
    ("failed", "blocked", "handed_over", "code"),
    [(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 1, 4), (0, 0, 1, 4), (0, 1, 0, 1)],
)
def test_exit_codes(failed: int, blocked: int, handed_over: int, code: int) -> None:
    assert exit_code({"failed": failed, "blocked": blocked, "handed_over": handed_over}) == code


def test_json_stays_json_for_a_usage_mistake() -> None:
    done = homelab("-o", "json", "verify", cwd=INVALID)
    assert done.returncode == 2
    assert done.stdout == "" or json.loads(done.stdout)
