"""Where playbooks/ and inventory/ are: beside the package in a checkout, inside it in an installed wheel."""

from pathlib import Path
from typing import Literal

PACKAGE = Path(__file__).resolve().parents[2]


def data_folder(name: Literal["playbooks", "inventory"]) -> Path:
    """The folder of that name, as an absolute path; in an installed wheel it is read-only."""
    packaged = PACKAGE / "_data" / name
    return packaged if packaged.is_dir() else PACKAGE.parent / name
