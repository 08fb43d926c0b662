"""Tells whether this process belongs to a rehearsal: what reaches real devices must not run there.

Three signs, each enough, because options, a shell's own settings and sudo take some of them away: the variables that
`rehearsal enter` sets, an inventory below `.homelab/rehearsal/`, and the lab's folder mounted in this mount namespace.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# Set by the rehearsal, with the lab's folder as its value.
VARIABLE = "HOMELAB_REHEARSAL"
# The last two folders above everything that only a rehearsal has.
FOLDERS = (".homelab", "rehearsal")


def sign_of_rehearsal(
    inventories: Sequence[Path], environment: Mapping[str, str] = os.environ, proc: Path = Path("/proc")
) -> str | None:
    """What shows that this process runs inside a rehearsal; None when nothing does."""
    return next(_signs(inventories, environment, proc), None)


def _signs(inventories: Sequence[Path], environment: Mapping[str, str], proc: Path) -> Iterator[str]:
    if environment.get(VARIABLE):
        yield f"{VARIABLE}={environment[VARIABLE]}"
    for name in ("HOMELAB_INVENTORY", "ANSIBLE_INVENTORY"):
        if any(_overlaid(Path(each)) for each in environment.get(name, "").split(",") if each):
            yield f"{name}={environment[name]}"
    yield from (str(path) for path in inventories if _overlaid(path))
    yield from (f"the rehearsal's folder is mounted: {point}" for point in _mounts(proc))


def _overlaid(path: Path) -> bool:
    """Whether a path lies below `.homelab/rehearsal/`, links followed or not."""
    absolute = path.absolute()
    with contextlib.suppress(OSError, RuntimeError):
        absolute = path.resolve()
    return any(FOLDERS in zip(each.parts, each.parts[1:], strict=False) for each in (path, absolute))


def _mounts(proc: Path) -> Iterator[str]:
    """Where a tmpfs called "rehearsal" is mounted below `.homelab/rehearsal/`; the lab's mount namespace has one."""
    with contextlib.suppress(OSError):
        for line in (proc / "self" / "mountinfo").read_text(errors="replace").splitlines():
            left, _, right = line.partition(" - ")
            point = left.split()[4:5]
            if right.split()[:2] == ["tmpfs", "rehearsal"] and point and _overlaid(Path(point[0])):
                yield point[0]
