"""The door to disks: which there are, and one opened for reading and writing.

Linux by sysfs and /proc (their roots are parameters), macOS by diskutil. What must be refused is decided elsewhere.
"""

import contextlib
import errno
import fcntl
import os
import plistlib
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from xml.parsers.expat import ExpatError

from homelab.errors import HomelabError, Refused, UsageError
from homelab.formats.disk.contents import Part
from homelab.formats.disk.devices import Device, Use, from_diskutil, parts_from_diskutil
from homelab.formats.fat.volume import Batches
from homelab.ports import process
from homelab.ports.media import wipefs

SECTOR = 512
DISKUTIL_SECONDS = 120.0
# What the kernel makes up itself: no disk that one could hold in the hand.
MADE_UP = re.compile(r"(loop|ram|zram|dm-|md|nbd|sr|fd)\d*")
SYSTEM = ("/", "/boot", "/boot/efi", "/efi", "/usr", "/var", "/home")
BLKFLSBUF = 0x1261
UNCACHED = {errno.ENOTTY, errno.EINVAL, errno.ENOTSUP}
GONE = {errno.ENODEV, errno.ENXIO, errno.ENOMEDIUM if hasattr(errno, "ENOMEDIUM") else errno.ENODEV}


class Disks(Protocol):
    """The disks of one kind of system."""

    def all(self) -> list[Device]:
        """Every whole disk with a medium in it, in the order of names."""

    def parts(self, device: Device) -> list[Part]:
        """What the system recognises on a disk and on each of its partitions, the disk first."""

    def node(self, name: str) -> Path:
        """What is opened to read a disk or a partition."""

    def free(self, device: Device) -> None:
        """Have the system give up what it mounted by itself; HomelabError when it will not."""


@dataclass(frozen=True)
class LinuxDisks:
    """Disks as sysfs shows them."""

    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    dev: Path = Path("/dev")

    def all(self) -> list[Device]:
        """Every disk that is no invention of the kernel."""
        try:
            folders = sorted((self.sys / "block").glob("*"))
            found = [self._device(folder) for folder in folders if not MADE_UP.fullmatch(folder.name)]
        except OSError as error:
            what, advice = f"the disks cannot be listed: {error.strerror or error}", "See that /sys can be read"
            raise HomelabError(what, where=str(error.filename or self.sys), advice=advice) from None
        return [device for device in found if device.size]

    def parts(self, device: Device) -> list[Part]:
        """Asked of wipefs, node by node."""
        looked = ((name, wipefs.signs(self.node(name))) for name in (device.name, *device.parts))
        return [Part(name, signs, unknown=why) for name, (signs, why) in looked]

    def node(self, name: str) -> Path:
        """Its node in /dev."""
        return self.dev / name

    def free(self, device: Device) -> None:
        """Nothing to do: what is mounted on Linux, a person or the desktop mounted, and it is refused."""

    def _device(self, folder: Path) -> Device:
        above = [folder.resolve(), *folder.resolve().parents]
        usb = any(re.fullmatch(r"usb\d+", each.name) for each in above)
        port = next((each for each in above if (each / "idVendor").exists()), folder)
        parts = sorted(each.name for each in folder.glob("*") if (each / "partition").exists())
        names = (_text(folder / "device" / "vendor"), _text(folder / "device" / "model"))
        return Device(
            name=folder.name,
            path=str(self.node(folder.name)),
            model=" ".join(filter(None, names)),
            serial=_text(port / "serial") or _text(folder / "device" / "serial"),
            size=int(_text(folder / "size") or 0) * SECTOR,
            usb=usb,
            removable=_text(folder / "removable") == "1",
            read_only=_text(folder / "ro") == "1",
            sequence=_text(folder / "diskseq"),
            parts=tuple(parts),
            uses=tuple(self._uses(folder, parts)),
        )

    def _uses(self, folder: Path, parts: list[str]) -> Iterator[Use]:
        for name in (folder.name, *parts):
            place = folder if name == folder.name else folder / name
            numbers, node = _text(place / "dev"), str(self.node(name))
            for point in self._mounts(numbers, node):
                yield Use(name, f"holds the running system ({point})" if point in SYSTEM else f"is mounted at {point}")
            if node in self._swaps():
                yield Use(name, "is swap of the running system")
            for holder in sorted((place / "holders").glob("*")):
                title = _text(self.sys / "block" / holder.name / "dm" / "name") or holder.name
                yield Use(name, f"is part of {title} (LVM, encryption or RAID)")
            if any((self.sys / "fs" / "btrfs").glob(f"*/devices/{name}")) and not self._mounts(numbers, node):
                yield Use(name, "is part of a mounted btrfs")

    def _mounts(self, numbers: str, node: str) -> list[str]:
        """Where a block device is mounted, by its numbers or its path; the root may be called /dev/root."""
        points = []
        for line in _text(self.proc / "self" / "mountinfo").splitlines():
            left, _, right = line.partition(" - ")
            fields, source = left.split(), right.split()[1:2]
            if len(fields) > 4 and (fields[2] == numbers or source == [node]):
                points.append(_unescaped(fields[4]))
        return points

    def _swaps(self) -> set[str]:
        return {_unescaped(line.split()[0]) for line in _text(self.proc / "swaps").splitlines()[1:] if line.strip()}


@dataclass(frozen=True)
class MacDisks:
    """Disks as diskutil tells them; `run` takes its arguments and returns what it prints."""

    run: Callable[[list[str]], bytes] = field(default=lambda argv: _diskutil(argv))

    def all(self) -> list[Device]:
        """Every physical disk."""
        with _understood():
            listing: dict[str, Any] = plistlib.loads(self.run(["list", "-plist"]))
            infos = [plistlib.loads(self.run(["info", "-plist", name])) for name in listing.get("WholeDisks", ())]
            return [device for device in from_diskutil(listing, infos) if device.size]

    def parts(self, device: Device) -> list[Part]:
        """As `diskutil list` tells them."""
        with _understood():
            return parts_from_diskutil(plistlib.loads(self.run(["list", "-plist"])), device.name)

    def node(self, name: str) -> Path:
        """Its raw node, as for the whole disk."""
        return Path("/dev") / f"r{name}"

    def free(self, device: Device) -> None:
        """Unmount every volume of it, which macOS mounts by itself."""
        self.run(["unmountDisk", device.name])


@contextmanager
def _understood() -> Iterator[None]:
    """The one door where what diskutil prints is made sense of."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, ExpatError) as error:
        advice = "Run `diskutil list` by hand, and see whether it works"
        raise HomelabError("what diskutil tells cannot be read", where="this machine", advice=advice) from error


def _diskutil(argv: list[str]) -> bytes:
    done = process.run(process.Child(f"diskutil {argv[0]}", ["diskutil", *argv], DISKUTIL_SECONDS))
    if done.status:
        what = (done.stderr or done.stdout).strip() or f"exit {done.status}"
        advice = "Close what uses the disk, then run it again"
        raise HomelabError(f"diskutil {argv[0]} failed: {what}", where=" ".join(argv[1:]), advice=advice)
    return done.stdout.encode()


def here() -> Disks:
    """The disks of this machine."""
    return MacDisks() if sys.platform == "darwin" else LinuxDisks()


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(errors="replace").strip()
    return ""


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


# --- one opened


@dataclass
class Medium:
    """An opened disk or image file; every error of the system becomes a sentence. `size` in bytes."""

    name: str
    path: Path
    descriptor: int
    size: int
    place: int = 0

    def read(self, offset: int, size: int) -> bytes:
        """Bytes at an offset, whatever its border; fewer at the end, none beyond it."""
        if self.size and offset >= self.size:
            return b""
        first, last = offset // SECTOR * SECTOR, -(-(offset + size) // SECTOR) * SECTOR
        pieces, at = [], first
        with self._told("reading", offset):
            while at < last and (piece := os.pread(self.descriptor, last - at, at)):
                pieces.append(piece)
                at += len(piece)
            if at < min(last, self.size):
                # So ends a disk that is no longer there.
                raise OSError(errno.ENXIO, "it ends early")
        return b"".join(pieces)[offset - first : offset - first + size]

    def write(self, offset: int, content: bytes) -> None:
        """Write bytes; where they do not fill a sector, the rest of it stays."""
        head, tail = offset % SECTOR, -(offset + len(content)) % SECTOR
        if head or tail:
            before = self.read(offset - head, head)
            content = before + content + self.read(offset + len(content), tail)
            offset -= head
        view = memoryview(content)
        with self._told("writing", offset):
            while view:
                count = os.pwrite(self.descriptor, view, offset)
                if not count:
                    raise OSError(errno.ENXIO, "it takes no more")
                view, offset = view[count:], offset + count

    def sync(self) -> None:
        """Return when all that was written is on the medium."""
        with self._told("writing", self.place):
            try:
                os.fsync(self.descriptor)
            except OSError as error:
                # A raw disk of macOS has no cache to force out, and may say so.
                if not stat.S_ISCHR(os.fstat(self.descriptor).st_mode) or error.errno not in UNCACHED:
                    raise

    def put(self, batches: Batches) -> None:
        """Write batches, each on the medium before the next."""
        for batch in batches:
            for offset, content in batch:
                self.write(offset, content)
            self.sync()

    def forget(self) -> None:
        """Have the system drop what it keeps of the medium, so that reading asks the medium itself."""
        with contextlib.suppress(OSError):
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(self.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        with contextlib.suppress(OSError):
            if sys.platform == "linux" and stat.S_ISBLK(os.fstat(self.descriptor).st_mode):
                fcntl.ioctl(self.descriptor, BLKFLSBUF)

    @contextmanager
    def _told(self, what: str, offset: int) -> Iterator[None]:
        self.place = offset
        try:
            yield
        except OSError as error:
            far = f"{what} stopped at {offset / 1e6:.0f} MB"
            if error.errno in GONE or not self.path.exists():
                advice = "Plug it in again, into another port, and run it again; take another stick if it happens twice"
                raise HomelabError(f"{self.name} vanished: {far}", where=str(self.path), advice=advice) from None
            advice = "Take another stick: this one, or its port, does not work"
            sentence = f"{self.name} failed: {far} ({error.strerror})"
            raise HomelabError(sentence, where=str(self.path), advice=advice) from None


@contextmanager
def opened(name: str, path: Path, *, write: bool, size: int = 0) -> Iterator[Medium]:
    """Open a disk or an image file; for writing nobody else may hold any part of a disk.

    `size` in bytes is for raw disks of macOS, which do not tell their end.
    """
    is_disk, descriptor = True, -1
    try:
        is_disk = not stat.S_ISREG(path.stat().st_mode)
        # On Linux O_EXCL fails as long as the kernel uses any part: mounts, swap, LVM, ZFS.
        exclusive = os.O_EXCL if write and is_disk and sys.platform == "linux" else 0
        descriptor = os.open(path, (os.O_RDWR if write else os.O_RDONLY) | exclusive | os.O_CLOEXEC)
        found = os.lseek(descriptor, 0, os.SEEK_END) or size
    except OSError as error:
        if descriptor >= 0:
            os.close(descriptor)
        raise _not_opened(name, path, error, is_disk=is_disk) from None
    try:
        yield Medium(name, path, descriptor, found)
    finally:
        os.close(descriptor)


def _not_opened(name: str, path: Path, error: OSError, *, is_disk: bool) -> HomelabError:
    if error.errno == errno.EBUSY:
        return Refused(f"{name} is in use", where=str(path), advice="Unmount it, and stop what else uses it")
    if error.errno in (errno.EACCES, errno.EPERM):
        advice = "Run it with sudo" if is_disk else "See whose file it is, and its mode (ls -l), or run it with sudo"
        return UsageError(f"you may not use {name}", where=str(path), advice=advice)
    if error.errno in (*GONE, errno.ENOENT):
        return UsageError(f"{name} is not there", where=str(path), advice="Look at its name; plug the stick in")
    advice = "Take another stick" if is_disk else "Name another file"
    return HomelabError(f"{name} cannot be opened: {error.strerror or error}", where=str(path), advice=advice)
