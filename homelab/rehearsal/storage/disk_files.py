"""The files that a disk is made of: their names, the descriptor, how much room they take, and how they are copied."""

import os
import subprocess
from pathlib import Path

SECTOR = 512
BLOCK = 1 << 16


def flat_of(path: Path) -> Path:
    """The data of a disk."""
    return path.with_name(f"{path.stem}-flat.vmdk")


def writes_of(path: Path) -> Path:
    """The folder with the guest's writes."""
    return path.with_name(f"{path.name}.d")


def descriptor(stem: str, capacity: int, *, thin: bool) -> str:
    """The text of a VMDK descriptor for a flat extent."""
    lines = [
        "# Disk DescriptorFile",
        "version=1",
        'encoding="UTF-8"',
        "CID=fffffffe",
        "parentCID=ffffffff",
        'createType="vmfs"',
        "",
        "# Extent description",
        f'RW {capacity // SECTOR} VMFS "{stem}-flat.vmdk"',
        "",
        "# The Disk Data Base",
        "#DDB",
        "",
        'ddb.adapterType = "lsilogic"',
        'ddb.virtualHWVersion = "13"',
    ]
    return "\n".join([*lines, *(['ddb.thinProvisioned = "1"'] if thin else []), ""])


def is_thin(path: Path) -> bool:
    """Whether a disk's descriptor says that it is thin."""
    return path.is_file() and 'ddb.thinProvisioned = "1"' in path.read_text(errors="replace")


def used(folder: Path) -> int:
    """The bytes that the files below a folder take: thin disks what was written, all else its whole size."""
    total = 0
    for entry in os.scandir(folder):
        # What a guest wrote beside its disk lives in the rehearsal's memory, not on the datastore.
        if not entry.name.endswith(".vmdk.d"):
            total += size_of(Path(entry.path))
    return total


def size_of(path: Path) -> int:
    """The bytes that a file takes, or a folder with all in it."""
    if path.is_dir():
        return used(path)
    name = str(path).removesuffix("-flat.vmdk")
    thin = path.name.endswith("-delta.vmdk") or (name != str(path) and is_thin(Path(f"{name}.vmdk")))
    return path.stat().st_blocks * SECTOR if thin else path.stat().st_size


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file; blocks of zeros become holes."""
    with source.open("rb") as data, target.open("wb") as copy:
        while block := data.read(BLOCK):
            if block.strip(b"\0"):
                copy.write(block)
            else:
                copy.seek(len(block), os.SEEK_CUR)
        copy.truncate(data.tell())


def copy_folder(source: Path, target: Path) -> None:
    """Copy a guest's writes, which are made of device nodes and extended attributes too: only cp keeps them all."""
    subprocess.run(["cp", "-a", "--", str(source), str(target)], check=True, capture_output=True)
