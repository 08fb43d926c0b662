"""An OVA: a tar archive of an OVF, its disks and checksums (DMTF DSP0243). It is read in place, never unpacked."""

import io
import tarfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import BinaryIO

MOST_OVF = 4 << 20
MAGIC, MAGIC_AT = b"ustar", 257


class OvaError(Exception):
    """The archive cannot be used. Its text is a clause with no full stop."""


class SparseMember(OvaError):
    """The disk is packed with holes, as `tar -S` does it: its bytes do not lie in one piece."""


class OtherArchitecture(OvaError):
    """The description names a guest that no x86-64 host can run."""


@dataclass(frozen=True)
class Member:
    """The one disk of an OVA: its name, and where its bytes lie in the archive."""

    name: str
    offset: int
    size: int


class Window(io.RawIOBase):
    """A part of an open file, read as a file of its own. It shares the file's position: one reader at a time."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        self._file, self._offset, self._size, self._at = file, offset, size, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of any file."""
        self._at = max(0, (0, self._at, self._size)[whence] + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """As of any file; nothing beyond the part."""
        left = max(0, self._size - self._at)
        count = left if size < 0 else min(size, left)
        self._file.seek(self._offset + self._at)
        data = self._file.read(count)
        self._at += len(data)
        return data


def is_ova(start: bytes) -> bool:
    """Whether a file that begins so is a tar archive."""
    return start[MAGIC_AT : MAGIC_AT + len(MAGIC)] == MAGIC


def disk_of(file: BinaryIO) -> Member:
    """The disk that the OVF names; OvaError when there is none, more than one, or the archive is damaged.

    SparseMember when it is packed with holes.
    """
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            members = {entry.name.removeprefix("./"): entry for entry in archive if entry.isfile()}
            described = [name for name in members if name.lower().endswith(".ovf")]
            if len(described) != 1:
                raise OvaError(f"it holds {len(described) or 'no'} descriptions (.ovf)")
            if members[described[0]].size > MOST_OVF:
                raise OvaError("its description (.ovf) is too large")
            content = archive.extractfile(members[described[0]])
            text = content.read() if content else b""
    except tarfile.TarError as error:
        raise OvaError(f"it is no whole tar archive ({error})") from None
    name = _disk_name(text)
    if name not in members:
        raise OvaError(f"its description names the disk {name}, which is not in it")
    if members[name].issparse():
        raise SparseMember(f"its disk {name} is packed with holes (tar -S)")
    return Member(name, members[name].offset_data, members[name].size)


def _disk_name(text: bytes) -> str:
    """The file of the only disk: Disk's fileRef is a File's id, whose href is its name."""
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise OvaError("its description (.ovf) declares a document type, which none needs")
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise OvaError(f"its description (.ovf) is no XML ({error})") from None
    _check_guest(root)
    files = {_of(one, "id"): one for one in root.iter() if _tag(one) == "File"}
    named = [_of(one, "fileRef") for one in root.iter() if _tag(one) == "Disk" and _of(one, "fileRef")]
    if len(named) != 1:
        raise OvaError(f"it has {len(named) or 'no'} disks with content, and a VM of the lab has one")
    file = files.get(named[0])
    if file is None:
        raise OvaError(f"its description refers to the file {named[0]}, which it does not list")
    if _of(file, "compression") not in ("", "identity"):
        raise OvaError(f"its disk is packed by {_of(file, 'compression')}")
    name = _of(file, "href")
    if "/" in name or name in ("", ".", ".."):
        raise OvaError(f"its description names a file outside of it: {name or 'none'}")
    return name


def _check_guest(root: ET.Element) -> None:
    """VMware's word for the guest tells Arm (`armUbuntu64Guest`, `arm-debian-64`); DMTF's numbers tell no architecture.

    Nor does the hardware section: `vmx-20` is Arm's and x86's.
    """
    for section in root.iter():
        if _tag(section) == "OperatingSystemSection" and _of(section, "osType").lower().startswith("arm"):
            guest = _of(section, "osType")
            raise OtherArchitecture(f"its description is of a guest for Arm ({guest}), and ESXi hosts are x86-64")


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _of(element: ET.Element, name: str) -> str:
    return next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == name), "")
