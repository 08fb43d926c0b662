"""A folder that is whole or absent: written beside, and renamed at the end. What is there already is never touched."""

import errno
import os
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from homelab.errors import UsageError
from homelab.ports.files.private import told

THERE = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR}


def require_new(folder: Path) -> None:
    """UsageError where something lies at that name already; an empty folder is nothing."""
    with told(folder, "made"):
        empty = folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir())
        if os.path.lexists(folder) and not empty:
            raise _is_there(folder)


def write_new_folder(
    folder: Path, files: Mapping[str, str], check: Callable[[Path], None], *, private: Collection[str] = ()
) -> None:
    """Write all files into a folder that is new; `check` looks at them before they get the name, and raises to stop.

    The `private` ones get the mode 0600.
    HomelabError when it cannot be written. Who is interrupted finds nothing, neither there nor beside it.
    """
    require_new(folder)
    with told(folder, "made"):
        above = folder.absolute().parent
        above.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.absolute().name}.", dir=above) as beside:
            whole = Path(beside) / folder.absolute().name
            _fill(whole, files, private)
            check(whole)
            _rename(whole, folder)


def _fill(whole: Path, files: Mapping[str, str], private: Collection[str]) -> None:
    whole.mkdir()
    for name, text in files.items():
        path = whole / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o600 if name in private else 0o666
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())


def _rename(whole: Path, folder: Path) -> None:
    try:
        # Never over a folder with anything in it: rename(2) refuses that by itself.
        whole.rename(folder)
    except OSError as error:
        if error.errno in THERE:
            raise _is_there(folder) from None
        raise


def _is_there(folder: Path) -> UsageError:
    return UsageError(
        "there is something already, and nothing is overwritten",
        where=str(folder),
        advice="Name another folder: homelab init DIR; or move this one away",
    )
