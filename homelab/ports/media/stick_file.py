"""Files that are images of sticks: read as they were shown; in the making FILE.part, mode 0600, holes kept."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from homelab.errors import HomelabError, UsageError
from homelab.formats.boot.stick_image import NotOurs, StickImage, recognise
from homelab.formats.fat.volume import Read
from homelab.ports.media.devices import opened
from homelab.ports.media.download import Progress
from homelab.ports.media.identity import identity

CHUNK = 1 << 20
ZEROS = bytes(CHUNK)


@dataclass(frozen=True)
class Image:
    """An image as it was when it was looked at: what it is, and which file (device, number, size, time of change)."""

    path: Path
    known: StickImage
    file: tuple[int, ...]


@contextmanager
def opened_image(path: Path) -> Iterator[tuple[Image, BinaryIO]]:
    """Open an image for reading; UsageError when it is missing, may not be read, is cut, or is none of ours."""
    if kind_of(path) is None:
        advice = "Make it with `homelab usb build HOST`, or name it with --image FILE"
        raise UsageError("there is no such image", where=str(path), advice=advice)
    if kind_of(path) != stat.S_IFREG:
        raise UsageError("this is no file", where=str(path), advice="Name the image with --image FILE")
    with (
        opened(path.name, path, write=False) as medium,
        open(path, "rb", opener=lambda *_: os.dup(medium.descriptor)) as file,
    ):
        try:
            known = recognise(medium.read, medium.size)
        except NotOurs as error:
            advice = "Make it again with `homelab usb build HOST`"
            raise UsageError(str(error), where=str(path), advice=advice) from None
        yield Image(path, known, identity(os.fstat(file.fileno()))), file


def image_of(path: Path) -> Image:
    """An image, looked at and closed again."""
    with opened_image(path) as (image, _):
        return image


@contextmanager
def open_medium(path: Path) -> Iterator[tuple[Read, int | None]]:
    """Open an image or a device to compare it: (read at an offset, its size in bytes or None).

    Raw disks of macOS do not tell their end.
    """
    with opened(path.name, path, write=False) as medium:
        yield medium.read, medium.size or None


def kind_of(path: Path) -> int | None:
    """The kind of what has this name (`stat.S_IFREG`, ...), None when nothing has; UsageError when none can tell."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        advice = "See that the name is right, and that you may look into its folder"
        raise UsageError(f"it cannot be looked at: {error.strerror}", where=str(path), advice=advice) from None


def check_new(path: Path) -> None:
    """Refuse a file that is there already, and one without a folder.

    So is a FILE.part: browsers call their downloads so, and another run may be writing it.
    """
    if kind_of(path) is not None or path.is_symlink():
        raise UsageError("this file is there already", where=str(path), advice="Name another, or remove it")
    if kind_of(path.parent) != stat.S_IFDIR:
        raise UsageError(f"there is no folder {path.parent}", where=str(path), advice="Make it, or name another")
    part = _part(path)
    if kind_of(part) is not None or part.is_symlink():
        advice = "If a run that was killed left it, remove it; else name another FILE"
        raise UsageError("this file is there already", where=str(part), advice=advice)


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


@contextmanager
def part_of(path: Path) -> Iterator[Path]:
    """FILE.part, new and empty; it becomes FILE when the block ends well, else it is removed."""
    part = _part(path)
    check_new(path)
    try:
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise _not_written(path, error) from None
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        taken = kind_of(path) is not None
        if not taken:
            part.rename(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _not_written(path, error) from None
        raise
    if taken:
        what = f"a file of this name was made meanwhile; the image stays in {part.name}"
        raise HomelabError(what, where=str(path), advice=f"Give {part.name} another name")


def _not_written(path: Path, error: OSError) -> HomelabError:
    advice = "See that there is room, and that you may write there"
    return HomelabError(str(error.strerror or error), where=str(path), advice=advice)


def copy(image: Path, part: Path, size: int, report: Progress) -> None:
    """Copy an image into the larger, empty file `part` of `size` bytes; zeros become holes."""
    total, done = image.stat().st_size, 0
    with image.open("rb") as source, part.open("r+b") as target:
        while piece := source.read(CHUNK):
            if piece != ZEROS[: len(piece)]:
                target.seek(done)
                target.write(piece)
            done += len(piece)
            report(done, total)
        target.truncate(size)
