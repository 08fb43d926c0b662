"""A copy of the bundle where somebody wants it."""

import shutil
import stat
from pathlib import Path

from homelab.errors import HomelabError, UsageError
from homelab.formats.kubernetes.bundle import FOLDER, LIST
from homelab.ports.files.whole import whole_file
from homelab.ports.kubernetes.contents import FOR_ALL

PIECE = 1 << 20
ADVICE = "Name another file with -O"
# A tar begins with the name of its first file.
BEGINS = f"{FOLDER}/{LIST}\0".encode()


def check_target(file: Path) -> None:
    """Refuse to write a bundle over anything but a bundle. UsageError."""
    try:
        kind = file.stat().st_mode
        if not stat.S_ISREG(kind):
            raise UsageError("this is no file", where=str(file), advice=ADVICE)
        with file.open("rb") as there:
            if there.read(len(BEGINS)) not in (BEGINS, b""):
                advice = f"{ADVICE}, or remove this one"
                raise UsageError("this file is there already, and is no bundle", where=str(file), advice=advice)
    except FileNotFoundError:
        if not file.parent.is_dir():
            advice = "Make it, or name another"
            raise UsageError(f"there is no folder {file.parent}", where=str(file), advice=advice) from None
    except OSError as error:
        raise UsageError(error.strerror or str(error), where=str(file), advice=ADVICE) from None


def copy_bundle(bundle: Path, file: Path) -> None:
    """Write the bundle to a file as well, whole or not at all. HomelabError when it cannot be written."""
    try:
        with (
            bundle.open("rb") as source,
            whole_file(file, file.with_name(f".{file.name}.part"), mode=FOR_ALL) as target,
        ):
            shutil.copyfileobj(source, target, PIECE)
    except OSError as error:
        raise HomelabError(
            f"the bundle cannot be written: {error.strerror or error}",
            where=str(file),
            advice=f"{ADVICE}; the bundle itself is {bundle}",
        ) from None
