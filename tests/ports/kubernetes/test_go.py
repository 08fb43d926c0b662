"""Built by a real Go: the one program whose source is ours, for the others come from a module proxy."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from homelab.errors import HomelabError
from homelab.formats.kubernetes.source import Module, pause_module
from homelab.ports.kubernetes.go import bring_together, build

pytestmark = [
    pytest.mark.skipif(shutil.which("go") is None, reason="needs Go"),
    pytest.mark.thorough,
    pytest.mark.timeout(600),
]
T = TypeVar("T")
# Children of somebody who is gone; the last one ends when the program listens for sure.
ORPHANS = "for i in 0.1 0.2 3; do (sleep $i &) ; done"


def until(holds: Callable[[], T]) -> T:
    end = time.monotonic() + 20
    while not (found := holds()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture(scope="module")
def pause(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pause")
    bring_together(pause_module(), folder)
    build(pause_module(), "pause", folder, folder / "pause")
    return folder / "pause"


def test_pause_waits_for_orphans_and_leaves_when_told(pause: Path) -> None:
    # As the first process of a PID namespace it inherits what a shell leaves behind there.
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *as_root, "--pid", "--fork", "--kill-child", "sh", "-c", f"{ORPHANS}; exec {pause}"]
    running = subprocess.Popen(command)
    try:
        first = until(lambda: next((one for one in children(running.pid) if name(one) == "pause"), 0))
        assert children(first)
        until(lambda: not children(first))
        os.kill(first, signal.SIGTERM)
        assert running.wait(20) == 0
    finally:
        # What it started ends with it (--kill-child).
        running.kill()
        running.wait()


def test_go_s_last_words_are_told(tmp_path: Path) -> None:
    files = {"go.mod": "module broken\n\ngo 1.24\n", "main.go": "package main\n\nfunc main() { x }\n"}
    broken = Module("broken", files, {"it": "."})
    bring_together(broken, tmp_path)
    with pytest.raises(HomelabError, match=r"building it failed: .*undefined: x") as failed:
        build(broken, "it", tmp_path, tmp_path / "it")
    assert "go -C" in failed.value.where
