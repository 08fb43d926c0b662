"""`--version`, in one place; with -v what a report of a fault should have."""

import json
import re
import subprocess
import sys

import pytest

from homelab import __version__
from tests.helpers.checkout import ROOT


def homelab(*argv: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "homelab", *argv]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def test_the_version_alone() -> None:
    done = homelab("--version")
    assert (done.returncode, done.stdout) == (0, f"homelab, version {__version__}\n")


@pytest.mark.parametrize("argv", [["--version", "-v"], ["-v", "-o", "json", "--version"]])
def test_with_v_every_library_that_the_package_asks_for(argv: list[str]) -> None:
    done = homelab(*argv)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    told = json.loads(done.stdout) if "json" in argv else lines
    assert told["homelab"] == __version__
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    asked = re.search(r"^dependencies = \[\n(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert asked
    names = {name.lower() for name in re.findall(r'"([\w-]+)', asked[1])}
    assert len(names) == 9
    assert names <= {name.lower() for name in told}
    assert re.match(r"\d+\.\d+", told["ansible-core"])


def test_the_version_stands_in_one_place() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in project
    assert not re.search(r'^version\s*=\s*"', project, re.MULTILINE)
