"""Files of this machine that an inventory names, relative to its own folder."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homelab.errors import UsageError


def named_file(inventory: Path, path: str) -> Path:
    """Where a file lies that an inventory names."""
    return (inventory if inventory.is_dir() else inventory.parent) / Path(path).expanduser()


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file in hexadecimal. Raises UsageError."""
    with _readable(file), file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def text_of(file: Path) -> str:
    """The text of a file, its line ends as they are; bytes that are no UTF-8 are shown escaped. Raises UsageError."""
    with _readable(file):
        return file.read_bytes().decode(errors="backslashreplace")


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"the file cannot be read: {error.strerror}", where=str(file), advice="Mend the path in the inventory"
        ) from error
