"""Images of sticks on the disk: written whole or not at all, mode 0600."""

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from homelab.errors import HomelabError, UsageError
from homelab.formats.disk.contents import laid_on, shown
from homelab.formats.fat.layout import OEM, PARTITION_START, SECTOR, Layout
from homelab.formats.fat.layout import Path as Names
from homelab.formats.fat.read import Fat32, NoFat32
from homelab.ports.files.whole import whole_file
from homelab.ports.media.devices import opened
from homelab.ports.media.download import Progress

Chunks = Callable[[Names], Iterator[bytes]]
"""The content of a file of the stick, piece by piece."""
CHUNK = 1 << 20
ZEROS = bytes(CHUNK)


def write_image(path: Path, plan: Layout, content: Chunks, report: Progress) -> None:
    """Write the image; the file gets its name when all of it is on the disk, and what was there before is replaced.

    UsageError when `path` is a device, a folder, or a file that is no image of ours; HomelabError when it cannot be
    written, or another process is writing it. Nothing of it is left behind then, nor after Ctrl-C; what a kill left
    behind is used again.
    """
    check_target(path)
    part = path.with_name(f".{path.name}.part")

    def check(file: BinaryIO) -> None:
        _lock(file, part, path)
        _check_part(file, part)

    # Minutes may pass until then: what has the name at that moment counts.
    with _told(path), whole_file(path, part, check=check, last=partial(check_target, path)) as file:
        _write(file, plan, content, report)


def _lock(file: BinaryIO, part: Path, path: Path) -> None:
    """Hold the file; the kernel lets go of it however this process ends."""
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = part.exists() and os.path.samestat(part.stat(), os.fstat(file.fileno()))
    except BlockingIOError:
        free = False
    if not free:
        advice = "Wait until it is done, or end it; then run the same command again"
        raise HomelabError("another homelab process writes this file", where=str(path), advice=advice)


def _check_part(file: BinaryIO, part: Path) -> None:
    """Refuse to use a file that nothing of ours began: an image in the making is zero until our mark is in it."""
    is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    if not is_file or not (_has_mark(file) or _is_zero(file)):
        advice = "Remove it, or name another file with -O"
        raise UsageError("this file is there already, and was not made by homelab", where=str(part), advice=advice)


def _has_mark(file: BinaryIO) -> bool:
    file.seek(PARTITION_START * SECTOR + 3)
    return file.read(len(OEM)) == OEM


def _is_zero(file: BinaryIO) -> bool:
    file.seek(0)
    return all(piece == ZEROS[: len(piece)] for piece in iter(partial(file.read, CHUNK), b""))


def _write(file: BinaryIO, plan: Layout, content: Chunks, report: Progress) -> None:
    file.truncate(plan.size)
    # The partition before the table that leads to it: its first sector has our mark.
    for offset, data in sorted(plan.metadata, key=lambda one: one[0] == 0):
        file.seek(offset)
        file.write(data)
    total, done = sum(place.size for place in plan.files), 0
    for place in plan.files:
        file.seek(place.offset)
        for piece in content(place.path):
            file.write(piece)
            done += len(piece)
            report(done, total)


def check_target(path: Path) -> None:
    """Refuse to write an image over anything but an image of ours, on which nobody keeps a file."""
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        if path.parent.is_dir():
            return
        raise UsageError(
            f"there is no folder {path.parent}", where=str(path), advice="Make it, or name another"
        ) from None
    except OSError as error:
        raise UsageError(str(error.strerror), where=str(path), advice="Name another file with -O") from None
    if stat.S_ISBLK(kind) or stat.S_ISCHR(kind):
        advice = "Name a file with -O, then write it: homelab usb write HOST DEVICE"
        raise UsageError("this is a device, and an image is a file", where=str(path), advice=advice)
    if not stat.S_ISREG(kind):
        raise UsageError("this is no file", where=str(path), advice="Name a file with -O")
    advice = "Name another file with -O, or remove this one"
    if not _is_ours(path):
        raise UsageError("this file is there already, and is no image made by homelab", where=str(path), advice=advice)
    if laid := _laid_on(path):
        what = f"this image was made by homelab, and somebody keeps {shown(laid)} on it"
        raise UsageError(what, where=str(path), advice=advice)


def _laid_on(path: Path) -> list[str]:
    """What would be lost with an image of ours; one that is cut or damaged is made again, as people are told."""
    with suppress(NoFat32), opened(path.name, path, write=False) as medium:
        return laid_on(Fat32(medium.read, medium.size))
    return []


def _is_ours(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return _has_mark(file)
    return False


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """The one door where the operating system's errors are translated."""
    try:
        yield
    except OSError as error:
        what = f"{error.strerror or error}"
        advice = "See that the path is right, that you may use it, and that there is room for the image"
        raise HomelabError(what, where=str(path), advice=advice) from None
