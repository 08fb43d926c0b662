"""Writes an image to a stick, reads it back, and leaves a half-written one so that everybody can tell.

The order: a mark into the first sector, the head and the end wiped, everything behind the head, read back,
the head but for the first sector, and last the first sector in the mark's place. Each is on the medium before the next.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import BinaryIO, Protocol

from homelab.errors import HomelabError
from homelab.formats.disk.stick_marker import Marker
from homelab.ports.media.download import Progress

SECTOR = 512
# What a partition table, a GPT among them, can take; partitions of ours begin there.
HEAD = 1 << 20
CHUNK = 4 << 20
# So often the data is forced out and the mark says how far it is.
STRIDE = 32 << 20
# What an earlier use left at the end: the copy of a GPT, heads of RAID and ZFS.
TAIL = 1 << 20


class Target(Protocol):
    """What is written to: `homelab.ports.media.devices.Medium`."""

    name: str
    size: int

    def read(self, offset: int, size: int, /) -> bytes:
        """Bytes at an offset."""

    def write(self, offset: int, content: bytes, /) -> None:
        """Write bytes at an offset."""

    def sync(self) -> None:
        """Return when everything is on the medium."""

    def forget(self) -> None:
        """Drop what the system keeps of the medium."""


@dataclass(frozen=True)
class Written:
    """How it went: seconds of writing (until all was on the medium) and of reading back."""

    bytes: int
    writing: float
    reading: float


def write_stick(file: BinaryIO, name: str, target: Target, report: Progress) -> Written:
    """Write an open image, called `name`, and read it back.

    HomelabError when they differ, or the stick fails; it carries the mark then. `report` counts every byte twice:
    written, and read back.
    """
    size = os.fstat(file.fileno()).st_size
    began = time.monotonic()
    mark = Marker(name, size, 0, datetime.now(UTC).isoformat(timespec="seconds"))
    target.write(0, mark.sector())
    target.sync()
    _wipe(target, size)
    _body(file, target, mark, report)
    middle = time.monotonic()
    target.forget()
    _compare(file, target, mark, (HEAD, size), lambda done: report(size + done, 2 * size))
    between = time.monotonic()
    head = _piece(file, 0, min(HEAD, size))
    target.write(SECTOR, head[SECTOR:])
    target.sync()
    target.write(0, head[:SECTOR])
    target.sync()
    target.forget()
    _compare(file, target, mark, (0, min(HEAD, size)), lambda done: report(2 * size, 2 * size))
    return Written(size, time.monotonic() - between + middle - began, between - middle)


def _wipe(target: Target, size: int) -> None:
    """Nothing of an earlier use may be taken for this stick's."""
    target.write(SECTOR, bytes(min(HEAD, target.size) - SECTOR))
    start = max(size, HEAD, (target.size - TAIL) // SECTOR * SECTOR)
    if start < target.size:
        target.write(start, bytes(target.size - start))
    target.sync()


def _body(file: BinaryIO, target: Target, mark: Marker, report: Progress) -> None:
    safe = HEAD
    for offset, piece in _pieces(file, HEAD, mark.size):
        target.write(offset, piece)
        done = offset + len(piece)
        if done - safe >= STRIDE or done == mark.size:
            target.sync()
            target.write(0, replace(mark, done=done - HEAD).sector())
            safe = done
        report(done, 2 * mark.size)


def _pieces(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    for offset in range(start, end, CHUNK):
        yield offset, _piece(file, offset, min(CHUNK, end - offset))


def _piece(file: BinaryIO, offset: int, size: int) -> bytes:
    try:
        file.seek(offset)
        content = file.read(size)
    except OSError as error:
        what = f"the image cannot be read any more: {error.strerror or error}"
        raise HomelabError(what, where=str(file.name), advice="See that its disk is there, then write again") from None
    if len(content) < size:
        raise HomelabError("the image became shorter while it was read", where=str(file.name), advice="Make it again")
    return content


def _compare(
    file: BinaryIO, target: Target, mark: Marker, span: tuple[int, int], report: Callable[[int], None]
) -> None:
    for offset, piece in _pieces(file, *span):
        found = target.read(offset, len(piece))
        if found != piece:
            at = next((n for n, (a, b) in enumerate(zip(found, piece, strict=False)) if a != b), len(found))
            fault = f"{target.name} gave back something else than was written, from byte {offset + at} on"
            target.write(0, replace(mark, fault=fault[:150]).sector())
            target.sync()
            advice = "Take another stick: this one is worn, or smaller than it says"
            raise HomelabError(fault, where=target.name, advice=advice)
        report(offset + len(piece))
