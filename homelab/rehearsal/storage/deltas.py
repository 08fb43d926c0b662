"""Child disks: a descriptor that names its parent, a delta NAME-delta.vmdk, and the chain down to the base.

What a guest writes to a child lies in the child's own folder, on top of what guests wrote to its parents. A copy of a
child has no parent; it keeps its parents' writes in folders `below-0`, `below-1`, nearest first.
"""

import os
import re
import secrets
from pathlib import Path

SECTOR = 512
MODIFIED = (
    "The parent virtual disk has been modified since the child was created. The content ID of the parent virtual disk "
    "does not match the corresponding parent content ID in the child"
)


def delta_of(path: Path) -> Path:
    """The data of a child disk."""
    return path.with_name(f"{path.stem}-delta.vmdk")


def parent_of(path: Path) -> Path | None:
    """The disk that a child sits on, whether it is there or not; None for a disk without a parent."""
    hint = _field(path, "parentFileNameHint").strip('"') if delta_of(path).is_file() else ""
    return Path(os.path.normpath(path.parent / hint)) if hint else None


def ancestors(path: Path) -> list[Path]:
    """The parents of a disk, nearest first, the base last; empty for a disk without a parent."""
    found: list[Path] = []
    here = parent_of(path)
    while here is not None and here not in found:
        found.append(here)
        here = parent_of(here)
    return found


def is_modified(path: Path) -> bool:
    """Whether the parent of a child was written to since: it shows another content id."""
    parent = parent_of(path)
    return parent is not None and _field(parent, "CID") != _field(path, "parentCID")


def renew_content_id(path: Path) -> None:
    """A disk is about to be written to."""
    text = path.read_text(errors="replace")
    path.write_text(re.sub(r"(?m)^CID=\w+$", f"CID={secrets.token_hex(4)}", text, count=1))


def child_descriptor(path: Path, parent: Path, capacity: int) -> str:
    """The text of a child's descriptor."""
    lines = [
        "# Disk DescriptorFile",
        "version=1",
        'encoding="UTF-8"',
        "CID=fffffffe",
        f"parentCID={_field(parent, 'CID')}",
        'createType="vmfsSparse"',
        f'parentFileNameHint="{os.path.relpath(parent, path.parent)}"',
        "",
        "# Extent description",
        f'RW {capacity // SECTOR} VMFSSPARSE "{delta_of(path).name}"',
        "",
        "# The Disk Data Base",
        "#DDB",
        "",
    ]
    return "\n".join(lines)


def layers_of(path: Path) -> list[Path]:
    """The folders with what was written below a disk's own writes, the topmost first."""
    found = []
    for disk in (path, *ancestors(path)):
        writes = disk.with_name(f"{disk.name}.d")
        if disk != path and (writes / "upper").is_dir():
            found.append(writes / "upper")
        found += sorted(writes.glob("below-*"), key=lambda layer: int(layer.name.removeprefix("below-")))
    return found


def _field(path: Path, name: str) -> str:
    if not path.is_file():
        return ""
    found = re.search(rf"(?m)^{name}=(.*)$", path.read_text(errors="replace"))
    return found[1].strip() if found else ""
