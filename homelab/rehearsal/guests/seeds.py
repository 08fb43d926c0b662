"""Reads a NoCloud seed image as cloud-init would: by its label, and by the names of its files."""

import io
from pathlib import Path

import pycdlib
from pycdlib.pycdlibexception import PyCdlibException

LABELS = ("cidata", "CIDATA")
FILES = ("meta-data", "user-data", "network-config", "vendor-data")


def read_seed(image: Path) -> dict[str, bytes]:
    """The seed's files by name; empty when the image is no ISO 9660, or its label is not cloud-init's."""
    iso = pycdlib.PyCdlib()
    try:
        iso.open(str(image))
    except (PyCdlibException, OSError):
        return {}
    try:
        label = iso.pvd.volume_identifier.decode("ascii", "replace").strip()
        if label not in LABELS:
            return {}
        return {name: content for name in FILES if (content := _read(iso, name)) is not None}
    finally:
        iso.close()


def _read(iso: pycdlib.PyCdlib, name: str) -> bytes | None:
    """One file by its long name; plain ISO 9660 has no name with a hyphen in lower case, so Linux could not see it."""
    if not (iso.has_rock_ridge() or iso.has_joliet()):
        return None
    names = {"rr_path": f"/{name}"} if iso.has_rock_ridge() else {"joliet_path": f"/{name}"}
    content = io.BytesIO()
    try:
        iso.get_file_from_iso_fp(content, **names)
    except PyCdlibException:
        return None
    return content.getvalue()
