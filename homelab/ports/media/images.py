"""The image that every VM is copied from: fetched, checked and laid out as ESXi takes it, once for all checkouts."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from homelab.errors import DeadlinePassed, HomelabError
from homelab.formats.disk.architecture import other_architecture
from homelab.formats.disk.vmdk import descriptor
from homelab.lab import Image
from homelab.ports.files.locks import LockHeld, waited_lock
from homelab.ports.files.whole import whole_file
from homelab.ports.media.disk_source import FOR_X86, Unusable, disk_in
from homelab.ports.media.download import Progress, download, is_url

__all__ = ["PreparedImage", "Progress", "prepare_image"]

CHUNK = 1 << 20
# Zeros are looked for in pieces of this size; a smaller hole saves nothing worth a look.
BLOCK = 1 << 16
ZEROS = bytes(BLOCK)
# The vSphere API counts a disk in KiB.
KIB = 1024
# Another process may fetch and convert the same image meanwhile.
LOCK_SECONDS = 3600.0
FOR_ALL = 0o644
FETCHED = ".source"


@dataclass(frozen=True)
class PreparedImage:
    """The pair that is uploaded side by side: `descriptor` a small text, `flat` a sparse file of `size_bytes`."""

    descriptor: Path
    flat: Path
    size_bytes: int


def prepare_image(image: Image, cache: Path, report: Progress) -> PreparedImage:
    """Return the image as `SHA256.vmdk` and `SHA256-flat.vmdk` in cache/images/, made only when they are not there.

    `report` counts from zero in each of three stages: fetch (URLs only), check, convert. The SHA-256 is checked before
    a byte is interpreted. HomelabError when the source is missing, is another file than was meant, or cannot be read;
    Unreachable when a server does not answer; DeadlinePassed when another process holds the image for an hour.
    """
    folder = cache / "images"
    flat, text = folder / f"{image.sha256}-flat.vmdk", folder / f"{image.sha256}.vmdk"
    with _faults_told(image.source):
        folder.mkdir(parents=True, exist_ok=True)
        if not _is_whole(flat, text):
            _check_source(image.source)
            with _alone(folder / f"{image.sha256}.lock", image.source):
                if not _is_whole(flat, text):
                    _make(image, flat, text, report)
        return PreparedImage(text, flat, flat.stat().st_size)


def _is_whole(flat: Path, text: Path) -> bool:
    """Tell whether both files are there and belong together; the descriptor is always written last."""
    try:
        return text.read_text() == descriptor(text.stem, flat.stat().st_size)
    except (FileNotFoundError, ValueError):
        return False


def _make(image: Image, flat: Path, text: Path, report: Progress) -> None:
    fetched = text.with_suffix(FETCHED) if is_url(image.source) else None
    path = fetched or Path(image.source).expanduser()
    if fetched and not fetched.exists():
        download(image.source, fetched, report)
    with path.open("rb") as file:
        found = _digest(file, report)
        if found != image.sha256:
            if fetched:
                fetched.unlink()
            raise _mismatch(image, found, "removed from the cache" if fetched else "left unused")
        _convert(file, path, image.source, flat, text, report)
    if fetched:
        fetched.unlink()


# --- where it comes from


def _check_source(source: str) -> None:
    """Refuse what can be told from the name alone, before anything is fetched."""
    if "://" in source and not is_url(source):
        raise _unusable("this kind of address is not known", source, "Set image_source to a path or an http(s) URL")


def _digest(file: BinaryIO, report: Progress) -> str:
    total, done = os.fstat(file.fileno()).st_size, 0
    digest = hashlib.sha256()
    while piece := file.read(CHUNK):
        digest.update(piece)
        done += len(piece)
        report(done, total)
    return digest.hexdigest()


def _mismatch(image: Image, found: str, fate: str) -> HomelabError:
    return HomelabError(
        f"the image's SHA-256 is {found}, but image_sha256 says {image.sha256}; it was {fate}",
        where=image.source,
        advice="Compare both with the checksum that the publisher shows: correct image_sha256, or get the image again",
    )


# --- what it becomes


def _convert(file: BinaryIO, path: Path, source: str, flat: Path, text: Path, report: Progress) -> None:
    """Write the flat file, then the descriptor."""
    try:
        with disk_in(file, path, flat.parent) as disk:
            size = -(-disk.size // KIB) * KIB
            with _whole(flat) as target:
                target.truncate(size)
                for place, data in disk.extents():
                    _write_sparsely(target, place, data)
                    report(place + len(data), size)
                report(size, size)
                _check_architecture(target, size)
    except Unusable as error:
        raise _unusable(str(error), source, error.advice) from None
    with _whole(text) as target:
        target.write(descriptor(text.stem, size).encode("ascii"))


def _check_architecture(disk: BinaryIO, size: int) -> None:
    """Raises Unusable for a disk that no host of ours could start."""

    def read(place: int, length: int) -> bytes:
        disk.seek(max(0, place))
        return disk.read(length)

    if found := other_architecture(read, size):
        raise Unusable(f"its system is for {found}, and ESXi hosts are x86-64", FOR_X86)


def _write_sparsely(target: BinaryIO, place: int, data: bytes) -> None:
    """Write the data but for blocks of zeros, which the fresh file already has as holes."""
    for start in range(0, len(data), BLOCK):
        block = data[start : start + BLOCK]
        if block != ZEROS[: len(block)]:
            target.seek(place + start)
            target.write(block)


def _unusable(what: str, source: str, advice: str) -> HomelabError:
    return HomelabError(f"the image cannot be used: {what}", where=source, advice=advice)


# --- the cache


def _whole(path: Path) -> AbstractContextManager[BinaryIO]:
    return whole_file(path, path.with_name(f"{path.name}.part"), mode=FOR_ALL)


@contextmanager
def _alone(path: Path, source: str) -> Iterator[None]:
    """The only process that makes this image."""
    try:
        with waited_lock(path, LOCK_SECONDS):
            yield
    except LockHeld:
        raise DeadlinePassed(
            f"another homelab process has held {path} for {LOCK_SECONDS:g} s",
            where=source,
            advice="End that process, then run the same command again",
        ) from None


@contextmanager
def _faults_told(source: str) -> Iterator[None]:
    """The one door where the operating system's errors are translated."""
    try:
        yield
    except FileNotFoundError as error:
        raise HomelabError(
            f"there is no file {error.filename}",
            where=source,
            advice=f"Set image_source to a URL or to a path, absolute or as seen from {Path.cwd()}",
        ) from None
    except OSError as error:
        raise HomelabError(
            f"{error.strerror or error} ({error.filename or 'in the cache'})",
            where=source,
            advice="See that the file can be read, and that the cache has room for the image",
        ) from None
