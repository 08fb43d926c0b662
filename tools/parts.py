"""What is installed with the package: every library that it needs, by its metadata, and where that is locked.

`python -m tools.parts FOLDER` writes two files for scripts/sbom: the part of requirements.lock that a user gets, which
is without what only builds the package, and a pyproject.toml with the version and without what is optional.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from homelab import __version__

ROOT = Path(__file__).resolve().parents[1]
# The same on every machine that makes the page.
PLACE = {"python_version": "3.11", "python_full_version": "3.11.9", "sys_platform": "linux", "platform_system": "Linux"}
LICENCE = re.compile(r"License :: (?:OSI Approved :: )?(.+)")


@dataclass(frozen=True)
class Part:
    """A library: its licence as its own metadata has it, and who asks for it."""

    name: str
    version: str
    licence: str
    asked_by: tuple[str, ...]


def parts() -> list[Part]:
    """Every library that is installed with the package here, by name."""
    asked: dict[str, set[str]] = {}
    waiting = [("homelab", "")]
    seen = set()
    while waiting:
        here = waiting.pop()
        if here in seen:
            continue
        seen.add(here)
        for need in _needs(*here):
            name = canonicalize_name(need.name)
            asked.setdefault(name, set()).add(here[0])
            waiting += [(name, extra) for extra in ("", *need.extras)]
    return [_part(name, asked[name]) for name in sorted(asked)]


def _needs(package: str, extra: str) -> Iterator[Requirement]:
    try:
        wanted = Distribution.from_name(package).requires or []
    except PackageNotFoundError:
        return
    for need in map(Requirement, wanted):
        if need.marker is None or need.marker.evaluate({**PLACE, "extra": extra}):
            yield need


def _part(name: str, asked_by: set[str]) -> Part:
    found = Distribution.from_name(name)
    told = found.metadata
    classes = [match[1] for line in told.get_all("Classifier") or [] if (match := LICENCE.fullmatch(line))]
    said = [
        *(told.get_all("License-Expression") or []),
        "; ".join(dict.fromkeys(classes)),
        *(told.get_all("License") or []),
    ]
    licence = next(filter(None, said), "not told")
    return Part(name, found.version, licence.partition("\n")[0], tuple(sorted(asked_by)))


def locked(lock: str, names: set[str]) -> str:
    """The entries of a lock file for these packages, with their hashes."""
    blocks = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]
    return "".join(block for block in blocks if canonicalize_name(block.partition("==")[0]) in names)


def project() -> str:
    """The project as an installation has it."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    kept = {name: told[name] for name in ("name", "description", "license", "dependencies")} | {"version": __version__}
    # A text or a list of texts is the same in JSON and in TOML.
    return "[project]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in kept.items())


def main(folder: Path) -> None:
    """Write both files."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    (folder / "shipped.lock").write_text(locked(lock, {part.name for part in parts()}), encoding="utf-8")
    (folder / "pyproject.toml").write_text(project(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
