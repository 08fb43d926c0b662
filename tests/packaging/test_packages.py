"""The wheel and the archive of sources as somebody installs them: in an environment of their own, apart from others.

In short: tests/house/test_data.py. That installs from a package index, as pip here is set up.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from homelab import __version__
from tests.helpers.checkout import HELPERS, ROOT
from tools.parts import parts

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(600)]

# What is promised for an installation and its first plan, together.
FIRST_PLAN_SECONDS = 60
OUTSIDE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
# Where `make test-all` puts them; else one of this machine.
PLACES = os.pathsep.join((str(ROOT / ".venv" / "release" / "bin"), os.environ.get("PATH", os.defpath)))


def done(*argv: str | Path, cwd: Path, status: int = 0, **variables: str) -> str:
    """What a program printed that ended so, outside of the checkout."""
    ended = subprocess.run(
        [*map(str, argv)], cwd=cwd, env=OUTSIDE | variables, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert ended.returncode == status, ended.stderr[-3000:]
    return ended.stdout


def built(source: Path, into: Path, *kinds: str) -> dict[str, Path]:
    """The packages of a tree of sources, by the ends of their names."""
    targets = [word for kind in kinds for word in ("-t", kind)]
    done(sys.executable, "-m", "hatchling", "build", *targets, "-d", into, cwd=source)
    return {"".join(path.suffixes[-2:]) if path.name.endswith("gz") else path.suffix: path for path in into.iterdir()}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return built(ROOT, tmp_path_factory.mktemp("dist"), "wheel", "sdist")


@pytest.fixture(scope="module")
def archive(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked archive of sources, with other times and modes than the checkout has."""
    folder = tmp_path_factory.mktemp("sources")
    with tarfile.open(packages[".tar.gz"]) as files:
        files.extractall(folder, filter="data")
    [root] = folder.iterdir()
    for path in root.rglob("*.py"):
        path.touch()
        if not path.is_symlink():
            path.chmod(0o600)
    return root


def test_built_twice_from_other_places_they_are_the_same_bytes(
    packages: dict[str, Path], archive: Path, tmp_path: Path
) -> None:
    again = built(archive, tmp_path / "again", "wheel", "sdist")
    assert {kind: digest(path) for kind, path in again.items()} == {
        kind: digest(path) for kind, path in packages.items()
    }


def test_they_hold_the_product_and_nothing_of_this_machine(packages: dict[str, Path], archive: Path) -> None:
    with zipfile.ZipFile(packages[".whl"]) as files:
        names = set(files.namelist())
        metadata = files.read(f"homelab-{__version__}.dist-info/METADATA").decode()
    assert {"homelab/py.typed", "homelab/_data/playbooks/site.yml", "homelab/_data/inventory/hosts.yml"} <= names
    assert not [name for name in names if re.search(r"__pycache__|\.pyc$|/\.homelab/|^tests/|^tools/", name)]
    assert f"\nVersion: {__version__}\n" in metadata
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    there = {str(path.relative_to(archive)) for path in archive.rglob("*")}
    assert {
        "pyproject.toml",
        "tests/conftest.py",
        "scripts/setup",
        "requirements.lock",
        "mkdocs.yml",
        "LICENSE",
    } <= there


def first_plan(command: Sequence[str | Path], folder: Path) -> str:
    folder.mkdir()
    return done(*command, "rehearse", "--guests", "none", "--", "plan", cwd=folder, status=3)


@pytest.mark.figures
def test_pip_installs_the_wheel_and_the_first_plan_comes_soon(packages: dict[str, Path], tmp_path: Path) -> None:
    done(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    began = time.monotonic()
    done(tmp_path / "venv" / "bin" / "pip", "install", "--quiet", packages[".whl"], cwd=tmp_path)
    homelab = tmp_path / "venv" / "bin" / "homelab"
    plan = first_plan([homelab], tmp_path / "empty")
    assert time.monotonic() - began < FIRST_PLAN_SECONDS
    assert re.search(r"^ +nfs-datastore +mount ", plan, re.MULTILINE)
    told = done(homelab, "--version", "-v", cwd=tmp_path)
    assert f"installed {tmp_path / 'venv'}" in told
    # The whole job on the simulated hosts, and a second inventory from there.
    rehearsed = done(homelab, "rehearse", "--guests", "none", cwd=tmp_path / "empty")
    assert " 0 failed" in rehearsed
    assert "kubernetes_version" in done(homelab, "schema", cwd=tmp_path)


def test_pip_installs_the_archive_of_sources(packages: dict[str, Path], tmp_path: Path) -> None:
    done(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    done(tmp_path / "venv" / "bin" / "pip", "install", "--quiet", packages[".tar.gz"], cwd=tmp_path)
    assert "24 changes" in first_plan([tmp_path / "venv" / "bin" / "homelab"], tmp_path / "empty")


def test_as_on_a_mac_the_hosts_are_rehearsed_on_ports_of_this_machine(
    packages: dict[str, Path], tmp_path: Path
) -> None:
    done(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    done(tmp_path / "venv" / "bin" / "pip", "install", "--quiet", packages[".whl"], cwd=tmp_path)
    (tmp_path / "bin").mkdir()
    for name in ("bash", "cat", "env", "id", "ls", "sh", "ssh", "ssh-agent", "ssh-keygen", "ssh-keyscan", "uname"):
        if found := shutil.which(name):
            (tmp_path / "bin" / name).symlink_to(found)
    mac = {"PYTHONPATH": str(HELPERS / "as_on_a_mac"), "PATH": str(tmp_path / "bin")}
    homelab = tmp_path / "venv" / "bin" / "homelab"
    (tmp_path / "empty").mkdir()
    said = done(homelab, "rehearse", cwd=tmp_path / "empty", **mac)
    assert " 0 failed" in said
    assert "left out: guest," in said
    # Its disks are asked for by its own program, which is not here.
    refused = subprocess.run(
        [homelab, "usb", "write", "brix3"], cwd=tmp_path, env=OUTSIDE | mac, capture_output=True, text=True, check=False
    )
    assert "diskutil list cannot be started" in refused.stderr


@pytest.mark.skipif(not (ROOT / ".venv" / "release" / "bin").exists(), reason="make sbom sets it up")
def test_the_list_of_parts_has_all_of_them_and_is_the_same_each_time() -> None:
    file = ROOT / "build" / "homelab.cdx.json"
    made = []
    for _ in range(2):
        done(ROOT / "scripts" / "sbom", cwd=ROOT)
        made.append(file.read_bytes())
    assert made[0] == made[1]
    listed = json.loads(made[0])
    assert (listed["bomFormat"], listed["metadata"]["component"]["version"]) == ("CycloneDX", __version__)
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for part in listed["components"]:
        assert re.search(rf"^{canonicalize_name(part['name'])}=={re.escape(part['version'])} ", lock, re.MULTILINE)
        assert part["licenses"], part["name"]
    assert {canonicalize_name(part["name"]) for part in listed["components"]} == {part.name for part in parts()}


@pytest.mark.parametrize("tool", ["uv", "pipx"])
def test_a_tool_for_tools_installs_the_checkout(tool: str, archive: Path, tmp_path: Path) -> None:
    program = shutil.which(tool, path=PLACES)
    if program is None:
        pytest.skip(f"no {tool} here")
    programs = {"UV_TOOL_BIN_DIR": str(tmp_path / "bin"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    homes = {"UV_TOOL_DIR": str(tmp_path / "home"), "PIPX_HOME": str(tmp_path / "home")}
    words = ("tool", "install", "--python", sys.executable, ".") if tool == "uv" else ("install", ".")
    done(program, *words, cwd=archive, **programs, **homes)
    assert "24 changes" in first_plan([tmp_path / "bin" / "homelab"], tmp_path / "empty")


def test_checkers_of_other_peoples_code_read_our_types(packages: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(packages[".whl"]) as files:
        files.extractall(tmp_path / "site")
    (tmp_path / "theirs.py").write_text(
        "from homelab.output.shapes.runs import Plan\n"
        "def disruptive(plan: Plan) -> list[str]:\n    return [one.target for one in plan.changes if one.disruptive]\n"
        "reveal_type(Plan.model_validate_json('{}').changes)\n"
    )
    said = done(sys.executable, "-m", "mypy", "--strict", "theirs.py", cwd=tmp_path, MYPYPATH=str(tmp_path / "site"))
    assert "list[homelab.output.shapes.runs.Change]" in said
