"""The one door for small files of our own: folders and files for our eyes only, written whole, told in words."""

import errno
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homelab.errors import HomelabError, UsageError
from homelab.ports.files.whole import whole_file

FULL = {errno.ENOSPC, errno.EDQUOT}
BARRED = {errno.EACCES, errno.EPERM, errno.EROFS}
OTHERS = 0o077


def write_private(path: Path, content: str | bytes) -> None:
    """Write a file of mode 0600 whole or not at all, and see it to the disk. Raises OSError."""
    data = content if isinstance(content, bytes) else content.encode(errors="surrogateescape")
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with whole_file(path, part) as file:
        file.write(data)


@contextmanager
def told(path: Path, doing: str) -> Iterator[None]:
    """Turn an OSError into what could not be done (`made`, `read`, `written`), where, and what to do."""
    try:
        yield
    except OSError as error:
        raise _in_words(error, path, doing) from error


def _in_words(error: OSError, path: Path, doing: str) -> HomelabError:
    what = f"{path.name} cannot be {doing}: {error.strerror or error}"
    if error.errno in FULL:
        return HomelabError(what, where=str(path), advice="Make room on that disk, and run again")
    if error.errno in BARRED:
        advice = (
            f"Look with `ls -ld {path.parent}`: take the right to write there, or copy the inventory to a folder of "
            "your own and name it with -i"
        )
        return UsageError(what, where=str(path), advice=advice)
    return HomelabError(what, where=str(path), advice=f"Look with `ls -ld {path.parent}`, and run again")


def close_to_others(path: Path) -> bool:
    """Take a file's or folder's access from group and others; whether there was any. Links are left. Raises OSError."""
    try:
        state = path.lstat()
        if stat.S_ISLNK(state.st_mode) or not state.st_mode & OTHERS:
            return False
        path.chmod(stat.S_IMODE(state.st_mode) & ~OTHERS)
    except FileNotFoundError:
        return False  # another run's, gone meanwhile
    return True


def is_open(path: Path) -> bool:
    """Whether group or others may do something with it."""
    return bool(path.stat().st_mode & OTHERS)
