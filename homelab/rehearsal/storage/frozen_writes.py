"""What guests wrote, when their disks are frozen by a snapshot or put together again.

A guest's writes lie in the folder beside the disk, which may be a link to a file system of their own. While a guest
runs, that place stays where it is and only changes its name; WHOLE in it tells how many of the disks below it it holds
too.
"""

import shutil
from pathlib import Path

from homelab.rehearsal.storage.deltas import WHOLE, holds_below, layers_in
from homelab.rehearsal.storage.disk_files import copy_folder, writes_of


def freeze_writes(disk: Path, child: Path) -> None:
    """A guest that runs goes on in a child: the disk keeps a copy of what was written so far."""
    live, goes_on = writes_of(disk), writes_of(child)
    if not live.is_dir():
        return
    held = holds_below(live)
    live.rename(goes_on)
    live.mkdir()
    for layer in layers_in(goes_on):
        copy_folder(layer, live / layer.name)
    _hold(live, held)
    _hold(goes_on, held + 1)


def commit_writes(disk: Path, child: Path, *, running: bool) -> None:
    """What was written to a child lies on top of what was written to its disk, as that disk's own."""
    below, top = writes_of(disk), writes_of(child)
    if not top.is_dir():
        return
    held = holds_below(top)
    if held:
        _hold(top, held - 1)
    elif below.is_dir():
        if not (top / "upper").is_dir():
            (top / "upper").mkdir()
        first = sum(layer.name != "upper" for layer in layers_in(top))
        for number, layer in enumerate(layers_in(below), start=first):
            copy_folder(layer, top / f"below-{number}")
        _hold(top, holds_below(below))
    _drop(below, keep=running)
    top.rename(below)


def _hold(folder: Path, count: int) -> None:
    (folder / WHOLE).unlink(missing_ok=True)
    if count:
        (folder / WHOLE).write_text(f"{count}\n")


def _drop(folder: Path, *, keep: bool) -> None:
    """Take a disk's writes away; a guest that runs may still read what lies behind the link."""
    if folder.is_symlink():
        if not keep:
            shutil.rmtree(folder.resolve(), ignore_errors=True)
        folder.unlink()
    elif folder.is_dir() and keep:
        folder.rename(_unused(folder))
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _unused(folder: Path) -> Path:
    number = 0
    while (path := folder.with_name(f".{number}-{folder.name}")).exists():
        number += 1
    return path
