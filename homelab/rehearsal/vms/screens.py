"""Pictures of VMs' consoles. Knows no protocol. Guests here draw nothing, so a screen is a dark text console."""

import struct
import zlib
from pathlib import Path

# The text mode that a virtual graphics card starts in.
WIDTH, HEIGHT = 720, 400


def lay_picture(folder: Path, name: str) -> Path:
    """Write the picture of a VM's console into its folder, as NAME-N.png with the first N that is free."""
    number = 1
    while (path := folder / f"{name}-{number}.png").exists():
        number += 1
    path.write_bytes(dark())
    return path


def dark() -> bytes:
    """A dark picture as PNG (RFC 2083): one grey byte a pixel, each row after its filter's."""
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1 + WIDTH) * HEIGHT)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
