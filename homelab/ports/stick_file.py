"""Images of sticks in the making: FILE.part until it is whole, mode 0600, holes kept."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homelab.errors import HomelabError, UsageError
from homelab.ports.download import Progress

CHUNK = 1 << 20
ZEROS = bytes(CHUNK)


def check_new(path: Path) -> None:
    """Refuse a file that is there already, and one without a folder."""
    if path.exists():
        raise UsageError("this file is there already", where=str(path), advice="Name another, or remove it")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", where=str(path), advice="Make it, or name another")


@contextmanager
def part_of(path: Path) -> Iterator[Path]:
    """FILE.part, new and empty; it becomes FILE when the block ends well, else it is removed."""
    part = path.with_name(f"{path.name}.part")
    check_new(path)
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.rename(path)
    except OSError as error:
        advice = "See that there is room, and that you may write there"
        raise HomelabError(str(error.strerror or error), where=str(path), advice=advice) from None
    finally:
        part.unlink(missing_ok=True)


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
