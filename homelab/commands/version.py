"""`--version -v`: the versions that a report of a fault should have."""

import platform
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires
from importlib.metadata import version as version_of
from pathlib import Path

from homelab import __version__
from homelab.errors import DONE, HomelabError
from homelab.output.ui import Ui
from homelab.ports.process import Child, run

NAME = re.compile(r"[\w.-]+")
# What it runs that is no Python package, and how each tells its version.
PROGRAMS = {
    "ssh": ("ssh", "-V"),
    "systemd-nspawn": ("systemd-nspawn", "--version"),
    "qemu": ("qemu-system-x86_64", "--version"),
}
SECONDS = 10.0
ABSENT = "not here"


def show_versions(ui: Ui) -> int:
    """Print them: a line each, or one document."""
    found = versions()
    if ui.json:
        ui.document(found)
    else:
        for name, text in found.items():
            ui.say(f"{name} {text}")
    return DONE


def versions() -> dict[str, str]:
    """Homelab, Python, the system, every library that the package asks for, and the programs that it may run."""
    found = {"homelab": __version__, "python": platform.python_version(), "system": platform.platform()}
    found["installed"] = str(Path(__file__).parents[1])
    found["interpreter"] = sys.executable
    for name in _libraries():
        try:
            found[name] = version_of(name)
        except PackageNotFoundError:
            found[name] = ABSENT
    return found | {name: _told(argv) for name, argv in PROGRAMS.items()}


def _libraries() -> list[str]:
    """The package's own dependencies, as its metadata has them; none where it was never installed."""
    try:
        wanted = requires("homelab") or []
    except PackageNotFoundError:
        return []
    names = [NAME.match(text) for text in wanted if "extra ==" not in text]
    return sorted((match[0] for match in names if match), key=str.lower)


def _told(argv: tuple[str, ...]) -> str:
    if shutil.which(argv[0]) is None:
        return ABSENT
    try:
        done = run(Child(argv[0], argv, SECONDS))
    except HomelabError as error:
        return error.what
    return (done.stdout + done.stderr).strip().partition("\n")[0] or "no answer"
