"""The folders that travel with the package."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from homelab import __version__
from homelab.ports.files.data import data_folder
from tests.helpers.checkout import ROOT


@pytest.mark.parametrize("name", ["playbooks", "inventory"])
def test_a_checkout_uses_its_own_folders(name: str) -> None:
    assert data_folder(name) == ROOT / name


@pytest.mark.thorough
def test_a_wheel_brings_the_folders(tmp_path: Path) -> None:
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, ROOT]
    subprocess.run(wheel, check=True)
    (archive,) = tmp_path.glob("homelab-*.whl")
    with zipfile.ZipFile(archive) as files:
        files.extractall(tmp_path / "site")
    assert archive.name.startswith(f"homelab-{__version__}-py3-none-any")
    # Checkers of other people's code read our types.
    assert (tmp_path / "site" / "homelab" / "py.typed").is_file()
    script = "from homelab.ports.files.data import data_folder as d; print(d('playbooks')); print(d('inventory'))"
    # They are links in a checkout.
    script += "; import homelab.formats.balancer.haproxy, homelab.formats.balancer.keepalived"
    answer = subprocess.run(
        [sys.executable, "-S", "-c", script], cwd=tmp_path / "site", capture_output=True, text=True, check=True
    )
    for line, name in zip(answer.stdout.splitlines(), ("playbooks", "inventory"), strict=True):
        inside = sorted(path.relative_to(line) for path in Path(line).rglob("*") if path.is_file())
        ours = ROOT / name
        assert Path(line).is_relative_to(tmp_path)
        assert inside
        assert all((ours / path).read_bytes() == (Path(line) / path).read_bytes() for path in inside)
