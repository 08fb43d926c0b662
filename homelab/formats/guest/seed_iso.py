"""The NoCloud seed as an ISO image that cloud-init finds by its label. Pure: bytes in memory."""

import re
from collections.abc import Mapping
from io import BytesIO

LABEL = "cidata"


def seed_iso(files: Mapping[str, str]) -> bytes:
    """Return an ISO 9660 image labelled `cidata` with Joliet and Rock Ridge names, all files in its root.

    `files` maps names to texts, as render.cloud_init.seed gives them. The image carries the time of its making: compare
    seeds by their files, never by these bytes.
    """
    from pycdlib import PyCdlib

    iso = PyCdlib()
    iso.new(interchange_level=3, vol_ident=LABEL, joliet=3, rock_ridge="1.09")
    try:
        for name, text in files.items():
            content = text.encode()
            iso.add_fp(BytesIO(content), len(content), f"/{plain_name(name)}.;1", rr_name=name, joliet_path=f"/{name}")
        image = BytesIO()
        iso.write_fp(image)
        return image.getvalue()
    finally:
        iso.close()


def plain_name(name: str) -> str:
    """Return the name in the letters that ISO 9660 itself allows: capitals, digits and underscores."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())
