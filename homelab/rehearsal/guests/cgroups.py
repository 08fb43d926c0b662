"""A control group of its own for each guest, in every hierarchy that this machine has, v1, v2 or both.

Without one, the systemd of every guest would take the same groups for its own, and so would every kubelet. The groups
of a rehearsal outlive it when it is killed, empty; the next one removes them.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
PREFIX = "homelab-rehearsal-"


class ControlGroups:
    """The groups of one rehearsal: one folder `homelab-rehearsal-TOKEN` at the top of every writable hierarchy."""

    def __init__(self) -> None:
        name = f"{PREFIX}{secrets.token_hex(6)}"
        self._folders: list[Path] = []
        self._locks: list[int] = []
        for top in _hierarchies():
            if os.access(top, os.W_OK):
                self._start(top / name)

    def _start(self, folder: Path) -> None:
        with _locked(folder.parent, fcntl.LOCK_EX):
            for stale in folder.parent.glob(f"{PREFIX}*"):
                _remove_stale(stale)
            _make(folder)
            # Held for as long as this process lives: that is how the next rehearsal knows what is stale.
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(handle, fcntl.LOCK_SH)
        self._folders.append(folder)
        self._locks.append(handle)

    def add(self, name: str) -> list[Path]:
        """Make one guest's groups; the files to write a process id to, so that it moves there."""
        groups = [folder / name for folder in self._folders]
        for group in groups:
            _make(group)
        return [group / "cgroup.procs" for group in groups]

    def freeze(self, name: str, *, frozen: bool) -> bool:
        """Stop all processes of a guest, or let them go on; False where no hierarchy can."""
        done = False
        for folder in self._folders:
            for file, words in (("cgroup.freeze", ("0", "1")), ("freezer.state", ("THAWED", "FROZEN"))):
                if (folder / name / file).exists():
                    (folder / name / file).write_text(words[frozen])
                    done = True
        return done

    def remove(self, name: str) -> None:
        """Remove one guest's groups, and those that it made in them; none may hold a process any more."""
        for folder in self._folders:
            _remove_tree(folder / name)

    def close(self) -> None:
        """Remove all groups of this rehearsal."""
        for folder in self._folders:
            _remove_tree(folder)
        for lock in self._locks:
            os.close(lock)
        self._folders, self._locks = [], []


def _hierarchies() -> list[Path]:
    """Where control group file systems are mounted; the fields of a line are device, folder, type, options."""
    lines = [line.split() for line in MOUNTS.read_text().splitlines()]
    return [Path(fields[1]) for fields in lines if fields[2] in ("cgroup", "cgroup2")]


def _make(group: Path) -> None:
    group.mkdir(exist_ok=True)
    for setting in ("cpuset.cpus", "cpuset.mems"):
        # A new cpuset of v1 is empty, and takes no process before it was given something.
        if (group / "notify_on_release").exists() and (group / setting).exists():
            (group / setting).write_text((group.parent / setting).read_text())
    above = group.parent
    if (above / "cgroup.controllers").exists():
        for controller in (above / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):
                (above / "cgroup.subtree_control").write_text(f"+{controller}")


@contextlib.contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def _remove_stale(folder: Path) -> None:
    with contextlib.suppress(OSError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
        _remove_tree(folder)


def _remove_tree(folder: Path) -> None:
    """Remove groups from the leaves up; their files are the kernel's, and one that is in use stays."""
    for path, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            Path(path).rmdir()
