"""The one door to pycdlib for reading: the files of an ISO image, by the names that a system would show."""

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from homelab.errors import HomelabError
from homelab.ports.media.identity import identity

Names = tuple[str, ...]

SECTOR = 2048
DESCRIPTOR = 16 * SECTOR
CHUNK = 1 << 20


class Iso:
    """An open ISO: its volume's `label`; `files` are paths and sizes in bytes, in the order that the ISO has.

    `identity` tells which file it is, and that it was not changed.
    """

    def __init__(self, path: Path, iso: Any) -> None:
        self.identity = identity(path.stat())
        self._path = path
        self._iso = iso
        self._kind = "rr_path" if iso.has_rock_ridge() else "joliet_path" if iso.has_joliet() else "iso_path"
        self._records: dict[Names, Any] = {}
        self.files: dict[Names, int] = {}
        self.label: str = iso.pvd.volume_identifier.decode("ascii", "replace").strip()
        for folder, _, names in iso.walk(**{self._kind: "/"}):
            for name in names:
                self._add(folder, name)

    def _add(self, folder: str, name: str) -> None:
        raw = f"{folder.rstrip('/')}/{name}"
        record = self._iso.get_record(**{self._kind: raw})
        path = tuple(self._plain(part) for part in raw.strip("/").split("/"))
        if path in self.files:
            raise _unusable(self._path, f"it holds /{'/'.join(path)} twice")
        if self._kind == "rr_path" and record.rock_ridge is not None and record.rock_ridge.is_symlink():
            return
        self._records[path] = raw
        self.files[path] = record.get_data_length()

    def _plain(self, name: str) -> str:
        """ISO 9660's own names end with a version, before it a dot even without an extension; Joliet's may."""
        if self._kind == "rr_path":
            return name
        name = re.sub(r";\d+$", "", name)
        return name.rstrip(".") if self._kind == "iso_path" else name

    def chunks(self, path: Names) -> Iterator[bytes]:
        """The content of a file, in pieces of up to 1 MiB; HomelabError when the ISO ends inside it."""
        left = self.files[path]
        with _told(self._path), self._iso.open_file_from_iso(**{self._kind: self._records[path]}) as file:
            while left:
                piece = file.read(min(CHUNK, left))
                if not piece:
                    raise _unusable(self._path, f"it ends inside /{'/'.join(path)}")
                left -= len(piece)
                yield piece

    def read(self, path: Names) -> bytes:
        """A small file as a whole."""
        return b"".join(self.chunks(path))


@contextmanager
def open_iso(path: Path) -> Iterator[Iso]:
    """Open an ISO; HomelabError when there is none, it is cut off, or it cannot be read."""
    from pycdlib import PyCdlib

    iso = PyCdlib()
    with _told(path):
        _check_whole(path)
        iso.open(str(path))
    try:
        with _told(path):
            opened = Iso(path, iso)
        yield opened
    finally:
        iso.close()


def _check_whole(path: Path) -> None:
    """Compare the size that the first descriptor states with the file's own: pycdlib would only fail somewhere."""
    with path.open("rb") as file:
        file.seek(DESCRIPTOR)
        head = file.read(SECTOR)
        size = file.seek(0, 2)
    if len(head) < SECTOR or head[1:6] != b"CD001":
        raise _unusable(path, "it is no ISO 9660 image")
    stated = struct.unpack_from("<I", head, 80)[0] * SECTOR
    if stated > size:
        raise _unusable(path, f"it is cut off: it should have {stated} bytes, and has {size}")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except HomelabError:
        raise
    except FileNotFoundError:
        raise HomelabError(
            f"there is no ISO {path}",
            where="esxi_iso",
            advice="Download VMware's installer ISO, and write its path into esxi_iso: absolute, or as seen from the "
            "inventory's folder",
        ) from None
    except OSError as error:
        raise _unusable(path, f"it cannot be read ({error.strerror or error})") from None
    except Exception as error:  # on a damaged image pycdlib raises whatever its parsing meets
        raise _unusable(path, f"it is damaged ({error})") from None


def _unusable(path: Path, what: str) -> HomelabError:
    return HomelabError(
        f"the ISO cannot be used: {what}",
        where=str(path),
        advice="Download it again, and compare its SHA-256 with the one on VMware's page",
    )
