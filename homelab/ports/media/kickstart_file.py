"""A kickstart file of the user's own."""

from pathlib import Path

from homelab.errors import UsageError


def read_kickstart(path: Path) -> bytes:
    """Its content; UsageError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        advice = "Name a kickstart file that can be read"
        raise UsageError(f"{error.strerror}", where=str(path), advice=advice) from None
