"""The one door for a file that is whole or absent, whatever happens while it is written."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

Check = Callable[[BinaryIO], None]


def _nothing(*_: object) -> None: ...


@contextmanager
def whole_file(
    path: Path, part: Path, *, mode: int = 0o600, check: Check = _nothing, last: Callable[[], None] = _nothing
) -> Iterator[BinaryIO]:
    """Open `part`, empty; it takes the name `path` once all of it is on the disk, and is gone when anything goes wrong.

    `check` looks at what lies at `part` already, before it is emptied, and raises to leave it alone. `last` looks at
    what has the name `path`, right before that is replaced, and raises to leave it. Raises OSError.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    with _new_one_gone(part), os.fdopen(os.open(part, flags, mode), "w+b") as file:
        check(file)
        try:
            file.truncate(0)
            _close_to_others(file, mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
            last()
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    _sync_folder(path.parent)


@contextmanager
def _new_one_gone(part: Path) -> Iterator[None]:
    """Ctrl-C may come right after a part was made, before it was looked at: a new one is gone then, too."""
    there = os.path.lexists(part)
    try:
        yield
    except BaseException as error:
        if not there and not isinstance(error, Exception):
            part.unlink(missing_ok=True)
        raise


def _close_to_others(file: BinaryIO, mode: int) -> None:
    """A part that lay there may have had another mode; some file systems (SMB, FUSE) have one mode for all files."""
    if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & ~mode:
        with suppress(PermissionError):
            os.fchmod(file.fileno(), mode)


def _sync_folder(folder: Path) -> None:
    # The name is in the folder: without this a power cut may bring the old file back. Some file systems (SMB, FUSE)
    # know no fsync of folders, and not every folder that one may write into may be read.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
