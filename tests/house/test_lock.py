"""The lock files hold for every Python and system that is promised, not only for the one that made them."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from itertools import product

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.helpers.checkout import ROOT

PIN = re.compile(r"^(?P<name>[a-z0-9.-]+)==(?P<version>[^ ;]+)", re.MULTILINE)
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
SYSTEMS = {"linux": "Linux", "darwin": "Darwin"}
MACHINES = ("x86_64", "arm64")


def pins(*files: str) -> dict[str, str]:
    """The locked version of each package, by its normal name."""
    text = "".join((ROOT / file).read_text(encoding="utf-8") for file in files)
    return {canonicalize_name(match["name"]): match["version"] for match in PIN.finditer(text)}


def missing(locked: dict[str, str], environment: dict[str, str]) -> list[str]:
    """What the packages reached from homelab ask for in that environment and the lock does not give."""
    wrong, seen, waiting = [], set(), [("homelab", extra) for extra in ("", environment["extra"])]
    while waiting:
        package, extra = waiting.pop()
        if (package, extra) in seen:
            continue
        seen.add((package, extra))
        try:
            requirements = [Requirement(text) for text in requires(package) or []]
        except PackageNotFoundError:
            continue  # a package that this system does not need has no metadata to read here
        for need in requirements:
            if need.marker and not need.marker.evaluate({**environment, "extra": extra}):
                continue
            name = canonicalize_name(need.name)
            if name not in locked or not need.specifier.contains(locked[name], prereleases=True):
                wrong.append(f"{package} needs {need}, locked is {locked.get(name, 'nothing')}")
            waiting += [(name, each) for each in ("", *need.extras)]
    return wrong


@pytest.mark.parametrize(("python", "system", "machine"), list(product(PYTHONS, SYSTEMS, MACHINES)))
def test_lock_is_complete(python: str, system: str, machine: str) -> None:
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": system,
        "platform_system": SYSTEMS[system],
        "platform_machine": machine,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    assert not missing(pins("requirements.lock"), {**environment, "extra": ""})
    both = pins("requirements.lock", "requirements-dev.lock")
    assert not missing(both, {**environment, "extra": "dev"})


def test_locks_agree() -> None:
    run, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert run
    assert {name: version for name, version in run.items() if dev.get(name, version) != version} == {}


@pytest.mark.parametrize("extra", ["docs", "release"])
def test_what_is_installed_apart_has_its_own_lock(extra: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = [Requirement(text) for text in project["optional-dependencies"][extra]]
    locked = pins(f"requirements-{extra}.lock")
    assert needs
    assert all(need.specifier.contains(locked[canonicalize_name(need.name)]) for need in needs)
    # What `make test` sets up does not grow by it.
    assert not {canonicalize_name(need.name) for need in needs} & set(pins("requirements-dev.lock"))


@pytest.mark.parametrize("file", sorted(path.name for path in ROOT.glob("requirements*.lock")))
def test_every_pin_has_hashes_and_nothing_else_stands_there(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert all(PIN.match(line) or re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in lines)
    for block in re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block, block.splitlines()[0]
