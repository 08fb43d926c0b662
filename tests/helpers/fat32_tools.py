"""The FAT32 that we lay out, on the disk, and what programs by others say about it."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from homelab.formats.fat.layout import PARTITION_START, SECTOR, Layout
from homelab.formats.fat.read import Fat32

Names = tuple[str, ...]
START = PARTITION_START * SECTOR
# fsck.fat lies in a folder that only root has in its PATH.
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
FSCK, MCOPY, MDIR = (shutil.which(name, path=PATH) for name in ("fsck.fat", "mcopy", "mdir"))


def write(path: Path, plan: Layout, contents: Mapping[Names, bytes], start: int = 0) -> Path:
    """Write the image, or with `start` what follows that offset: the partition alone."""
    with path.open("wb") as file:
        file.truncate(plan.size - start)
        pieces = [*plan.metadata, *((place.offset, contents[place.path]) for place in plan.files)]
        for offset, data in pieces:
            if offset >= start:
                file.seek(offset - start)
                file.write(data)
    return path


def read(path: Path) -> Fat32:
    """Read an image with our own reader."""

    def at(offset: int, size: int) -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    return Fat32(at, path.stat().st_size)


def files_of(path: Path) -> dict[Names, bytes]:
    """Every file as our own reader sees it."""
    found = read(path)
    return {name: b"".join(found.content(name)) for name in found.files}


def fsck(partition: Path) -> str:
    """What fsck.fat says, and its exit status when that is not 0; it changes nothing."""
    assert FSCK
    done = subprocess.run([FSCK, "-n", str(partition)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr + (f"exit status {done.returncode}" if done.returncode else "")


def mtools(image: Path, path: str) -> bytes:
    """A file's bytes as mtools reads them from the partition inside an image."""
    assert MCOPY
    argv = [MCOPY, "-i", f"{image}@@{START}", f"::{path}", "-"]
    return subprocess.run(argv, capture_output=True, check=True).stdout
