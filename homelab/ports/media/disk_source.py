"""The disk that a file holds, whatever format it has: its size, and what is on it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, cast

from homelab.errors import HomelabError
from homelab.formats.disk.partition_tables import NoGpt, end_of
from homelab.ports import process
from homelab.ports.media import ova, qcow2, vmdk

CHUNK = 1 << 20
SECTOR = 512
HEAD = 0x8800
MBR, GPT, ISO = b"\x55\xaa", b"EFI PART", b"CD001"
ARCHIVES = {b"\x1f\x8b": "gzip", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2"}
# The type in a VHD's footer, which such a disk has at its beginning as well (Microsoft's VHD specification 1.0).
VHD, DIFFERENCING = b"conectix", b"\0\0\0\4"
# ESXi's redo logs; QEMU reads such a file without the disk below it, unless it is told the descriptor.
DELTA = b"COWD"
# What QEMU's tool reads and we do not: magic -> its name for the format, and what people call it.
FOREIGN = {
    VHD: ("vpc", "VHD"),
    b"vhdxfile": ("vhdx", "VHDX"),
    b"<<< ": ("vdi", "VDI"),
}
QEMU_SECONDS = 3600.0
CLOUD_IMAGE = "Name a cloud image of a distribution: qcow2, VMDK or OVA"
JOIN = "join its pieces by their descriptor: `qemu-img convert -O qcow2 DESCRIPTOR.vmdk image.qcow2`"
FOR_X86 = (
    "Name the publisher's image for x86-64, which Debian and Ubuntu call amd64 "
    "(debian-13-generic-amd64.qcow2, noble-server-cloudimg-amd64.img), and its SHA-256"
)
NAME_IT = "; then name image.qcow2 in image_source and its SHA-256 in image_sha256"

Extents = Iterator[tuple[int, bytes]]


@dataclass(frozen=True)
class DiskSource:
    """A disk of `size` bytes; `extents` yields (place, data) in rising order, what it leaves out is zero."""

    size: int
    extents: Callable[[], Extents]


class Unusable(Exception):
    """No disk can be read from the file: what is wrong, and what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.advice = advice


@contextmanager
def disk_in(file: BinaryIO, path: Path | str, room: Path) -> Iterator[DiskSource]:
    """The disk of an open file: qcow2, VMDK, raw, or an OVA's; by QEMU's tool what only that reads. Raises Unusable.

    `room` is a folder where a copy of the whole disk may lie meanwhile.
    """
    with _translated(path):
        found = _own(file, path)
        if isinstance(found, DiskSource):
            yield found
            return
    with _by_qemu(path, room, *found) as made:
        yield made


def _own(file: BinaryIO, path: Path | str) -> "DiskSource | tuple[str, str]":
    """By our own readers; else QEMU's name for the format and what is in our way."""
    file.seek(0)
    start = file.read(HEAD)
    if start.startswith(qcow2.MAGIC):
        try:
            header = qcow2.read_header(file)
        except qcow2.ByHand:
            raise
        except qcow2.Unsupported as error:
            return "qcow2", str(error)
        return DiskSource(header.size, lambda: qcow2.extents(file, header))
    if start.startswith(vmdk.MAGIC):
        sparse = vmdk.read_header(file)
        return DiskSource(sparse.size, lambda: vmdk.extents(file, sparse))
    if ova.is_ova(start):
        member = ova.disk_of(file)
        inside = _own(cast(BinaryIO, ova.Window(file, member.offset, member.size)), member.name)
        if not isinstance(inside, DiskSource):
            raise Unusable(
                f"its disk {member.name} cannot be read: {inside[1]}", f"Unpack it: `tar -xf {path}`{NAME_IT}"
            )
        return inside
    if start.startswith(VHD) and start[60:64] == DIFFERENCING:
        raise Unusable("it is a differencing VHD, which is only a part of a disk", f"Merge it with its parent{NAME_IT}")
    if start.startswith(DELTA):
        what = "it is a VMDK of a snapshot (COWD), which is only a part of a disk"
        raise Unusable(what, f"Consolidate the snapshot, or {JOIN}{NAME_IT}")
    for magic, (name, spoken) in FOREIGN.items():
        if start.startswith(magic):
            return name, f"it is {spoken}"
    return _raw(file, start, path)


def _raw(file: BinaryIO, start: bytes, path: Path | str) -> DiskSource:
    """A disk as it is, known by its partition table."""
    for magic, kind in ARCHIVES.items():
        if start.startswith(magic):
            raise Unusable(f"it is packed by {kind}", f"Unpack it{NAME_IT}")
    if start.startswith(vmdk.DESCRIPTOR):
        advice = "Name the file that holds the data (NAME-flat.vmdk), and its SHA-256: that is what a checksum is for"
        if not vmdk.is_one_flat_file(start.decode("latin-1")):
            advice = _convert(path)
        raise Unusable("it is the descriptor of a VMDK, a text without the data", advice)
    size = file.seek(0, 2)
    if start[0x8001 : 0x8001 + len(ISO)] == ISO:
        raise Unusable(
            "it is an ISO image, which has an installer and no system", "Name a cloud image: qcow2, VMDK or OVA"
        )
    if start[510:512] != MBR and start[SECTOR : SECTOR + len(GPT)] != GPT:
        raise Unusable(
            "it is no disk image that is known: no qcow2, VMDK or OVA, and no partition table", _convert(path)
        )
    if size % SECTOR:
        raise Unusable("it is cut: its size is no whole number of sectors", "Get the image again from its publisher")
    _check_whole(file, size)
    return DiskSource(size, lambda: _pieces(file, size))


def _check_whole(file: BinaryIO, size: int) -> None:
    """Refuse the beginning of a disk, whose partitions end behind it."""

    def read(place: int, length: int) -> bytes:
        file.seek(max(0, place))
        return file.read(length)

    try:
        end = end_of(read, size)
    except NoGpt as error:
        what = f"its partition table is of no use: {error}"
        raise Unusable(what, "Get the image again from its publisher") from None
    if end > size:
        what = f"it is cut, or one piece of a split disk: its partitions end at {end} bytes, and it has {size}"
        raise Unusable(what, f"Get the image again from its publisher, or {JOIN}{NAME_IT}")


def _pieces(file: BinaryIO, size: int) -> Extents:
    for place in range(0, size, CHUNK):
        file.seek(place)
        yield place, file.read(CHUNK)


def _convert(path: Path | str) -> str:
    return f"Convert it: `qemu-img convert -O qcow2 {path} image.qcow2`{NAME_IT}"


@contextmanager
def _translated(path: Path | str) -> Iterator[None]:
    try:
        yield
    except qcow2.Unsupported as error:
        raise Unusable(str(error), _convert(path)) from None
    except vmdk.Piece as error:
        raise Unusable(str(error), f"Get the whole disk, or {JOIN}{NAME_IT}") from None
    except vmdk.VmdkError as error:
        raise Unusable(str(error), f"Get it again; or convert it with all its files{_convert(path)[10:]}") from None
    except ova.OtherArchitecture as error:
        raise Unusable(str(error), FOR_X86) from None
    except ova.SparseMember as error:
        advice = f"Unpack it: `tar -xf {path}`; then name its disk, and the disk's SHA-256, in their place"
        raise Unusable(str(error), advice) from None
    except (qcow2.Qcow2Error, ova.OvaError) as error:
        raise Unusable(str(error), "Get the image again from its publisher, or name another one") from None


@contextmanager
def _by_qemu(path: Path | str, room: Path, form: str, why: str) -> Iterator[DiskSource]:
    """What only QEMU's tool reads, through a raw file that is gone afterwards; its zeros are holes."""
    tool = shutil.which("qemu-img")
    if tool is None:
        advice = f"Install qemu-utils here; or: {_convert(path)}"
        raise Unusable(f"{why}, and qemu-img, which reads it, is not installed", advice)
    source = Path(path)
    with TemporaryDirectory(prefix="homelab-image-", dir=room) as folder:
        made = Path(folder) / "disk.raw"
        child = process.Child(
            name="qemu-img",
            argv=[tool, "convert", "-f", form, "-O", "raw", "-S", "64k", str(source), str(made)],
            seconds=QEMU_SECONDS,
            where=str(source),
            advice="Run it by hand to see more",
        )
        done = process.run(child)
        if done.status:
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[0]
            raise HomelabError(f"qemu-img cannot convert the image: {said}", where=str(source), advice=_convert(path))
        with made.open("rb") as file:
            size = made.stat().st_size
            yield DiskSource(size, lambda: _pieces(file, size))
