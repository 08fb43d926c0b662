"""What is wrong with the words on the command line is told at once: below half a second, as a command."""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

SECONDS = 0.5
TRIES = 3
# No inventory and no lab are here: each of these ends before anything is read or asked.
QUICK = [
    "bake",
    "plan --bake",
    "plan",
    "vm destroy",
    "vm creat cp1",
    "vm create cp1",
    "bootstrap --only vmm",
    "lb drain cp1",
    "usb build brix1",
    "init",
    "init --answers none.yml",
    "trust brix1",
    "driver-fix brix1",
    "usb lint none.cfg",
    "rehearsal enter -- true",
    "rehearsal fault nas",
    "-i none rehearse",
]


def cost(line: str, folder: Path) -> tuple[float, float]:
    """Seconds of the clock and of the processor of a command that ends with exit code 2."""
    before, began = os.times(), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "homelab", *shlex.split(line)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds, after = time.monotonic() - began, os.times()
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, used


@pytest.mark.parametrize("line", QUICK)
def test_a_usage_error_costs_little(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOMELAB_INVENTORY", raising=False)
    # Of the processor, and with room: other tests run beside this one, and share its caches.
    assert min(cost(line, tmp_path)[1] for _ in range(TRIES)) < 2 * SECONDS


@pytest.mark.figures
@pytest.mark.parametrize("line", QUICK)
def test_a_usage_error_comes_at_once(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOMELAB_INVENTORY", raising=False)
    assert min(cost(line, tmp_path)[0] for _ in range(TRIES)) < SECONDS


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("bootstrap --only drver-fix", "there is no step 'drver-fix'. Did you mean driver-fix?"),
        ("bootstrap --until clusterca", "Did you mean cluster-ca?"),
        ("docto", "Did you mean 'doctor'?"),
        ("bootstrap --onyl vm", "--only"),
    ],
)
def test_what_was_meant_is_asked(line: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "homelab", *shlex.split(line)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
