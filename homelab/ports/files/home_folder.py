"""The folder `.homelab/` itself: where it lies, that it is made for one's own eyes, and that it stays so."""

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from homelab.ports.files.private import close_to_others, is_open, told, write_private

HOME = ".homelab"
# Names the folder itself: for engines whose own folders do not outlive a job.
VARIABLE = "HOMELAB_HOME"
# What a run leaves there; the rehearsal's folder beside them is the rehearsal's own, with whole systems in it.
FILES = ("trust.json", "known_hosts", "id_ed25519", "id_ed25519.pub", "lock", "files.lock", "rehearsal.lock")
FOLDERS = ("logs", "backups", "maintenance", "ssh")


def home_of(inventories: Sequence[Path], packaged: Path) -> Path:
    """Where `.homelab/` lies: beside the first inventory, in the working directory for the packaged sample.

    When the last inventory is a rehearsal's overlay (`.homelab/rehearsal/inventory`), its own folder takes the place.
    """
    last = inventories[-1].resolve()
    if last.name == "inventory" and last.parent.name == "rehearsal" and last.parent.parent.name == HOME:
        return last.parent
    if inventories[0].resolve() == packaged.resolve():
        return Path.cwd() / HOME
    return inventories[0].resolve().parent / HOME


def home_now(inventories: Sequence[Path], packaged: Path) -> Path:
    """The same, or the folder that HOMELAB_HOME names; a rehearsal's own folder stays its own."""
    found, told = home_of(inventories, packaged), os.environ.get(VARIABLE)
    return Path(told).expanduser().absolute() if told and found.name != "rehearsal" else found


def make_home(home: Path) -> None:
    """Make the folder, mode 0700, and have git pass it over: it holds keys. Raises HomelabError, UsageError."""
    for folder in (home.parent, home) if home.parent.name == HOME else (home,):
        if folder.is_dir():
            continue
        with told(folder, "made"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(folder / ".gitignore", "*\n")


def close_home(home: Path) -> list[str]:
    """Make the folder where it is missing, and close it and what is ours in it; a sentence for a person if it was open.

    Raises HomelabError, UsageError when it cannot be written to.
    """
    make_home(home)
    with told(home, "written to"):
        if not os.access(home, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    with told(home, "closed to others"):
        was_open = close_to_others(home)
        for path in _ours(home):
            close_to_others(path)
        if not (home / ".gitignore").exists():
            write_private(home / ".gitignore", "*\n")
        if is_open(home):
            # FAT, some network mounts: the modes are what the mount says.
            return [f"{home} is open to others of this machine: its file system keeps no modes; use another one"]
    return [f"{home} was open to others of this machine; it is closed now, and all that is ours in it"] * was_open


def _ours(home: Path) -> Iterator[Path]:
    """What is known to be ours."""
    yield from (home / name for name in FILES if (home / name).exists())
    for name in FOLDERS:
        for folder, _, files in os.walk(home / name):
            yield Path(folder)
            yield from (Path(folder) / file for file in files)
