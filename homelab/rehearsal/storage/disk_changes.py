"""What becomes of files and disks that are there: copies and moves of files, moves of disks, other formats."""

import os
import re
import shutil
from pathlib import Path

from homelab.rehearsal.state.refusals import (
    DiskHasParent,
    FileAlreadyExists,
    FileNotFound,
    InvalidArgument,
    InvalidDatastorePath,
    NotSimulated,
)
from homelab.rehearsal.storage.deltas import ancestors, parent_of
from homelab.rehearsal.storage.disk_files import (
    SECTOR,
    copy_folder,
    copy_sparse,
    flat_of,
    is_thin,
    size_of,
    used,
    writes_of,
)
from homelab.rehearsal.storage.volumes import Volumes, are_together, is_root

EXTENT = re.compile(r'(?m)^((?:RW|RDONLY|NOACCESS) \d+ \w+ )"([^"/]+)"')
WRITES = "*.vmdk.d"
FLAT = "-flat.vmdk"
THIN = 'ddb.thinProvisioned = "1"\n'


def copy_file(volumes: Volumes, source: Path, target: Path, *, force: bool, label: str, target_label: str) -> None:
    """Copy a file, or a folder with all in it; a disk's descriptor does not take its data along."""
    _check(volumes, source, target, force=force, label=label, target_label=target_label)
    if not source.is_dir():
        volumes.check_space(target, label=target_label, size=source.stat().st_size)
        copy_sparse(source, target)
        return
    volumes.check_space(target, label=target_label, size=used(source))
    plain = shutil.ignore_patterns(WRITES)
    shutil.copytree(source, target, ignore=plain, copy_function=lambda one, other: copy_sparse(Path(one), Path(other)))
    for writes in source.rglob(WRITES):
        copy_folder(writes.resolve(), target / writes.relative_to(source))


def move_file(volumes: Volumes, source: Path, target: Path, *, force: bool, label: str, target_label: str) -> None:
    """Rename a file or folder; a disk's descriptor does not take its data along."""
    _check(volumes, source, target, force=force, label=label, target_label=target_label)
    volumes.check_writable(source, label=label)
    volumes.check_writable(target, label=target_label)
    _check_room(volumes, [source], target, label=target_label)
    if target.is_file():
        volumes.forget_writes(target)
    source.rename(target)


def _check(volumes: Volumes, source: Path, target: Path, *, force: bool, label: str, target_label: str) -> None:
    volumes.must_exist(source, label=label)
    volumes.check_unlocked(source, label=label)
    volumes.check_unlocked(target, label=target_label)
    if is_root(volumes, source) or target.is_relative_to(source):
        raise InvalidDatastorePath(f"Invalid datastore path '{target_label}'.", datastorePath=target_label)
    if source.name.endswith(FLAT) and writes_of(source.with_name(source.name.replace(FLAT, ".vmdk"))).exists():
        raise NotSimulated("Data of a disk that a guest wrote to, without the disk, is not part of the rehearsal")
    _check_target(target, force=force and target.is_file() and source.is_file(), label=target_label)


def _check_room(volumes: Volumes, files: list[Path], target: Path, *, label: str) -> None:
    """What moves to another volume is copied there."""
    if not are_together(volumes, files[0], target):
        volumes.check_space(target, label=label, size=sum(map(size_of, files)))


def _check_target(target: Path, *, force: bool, label: str) -> None:
    if target.exists() and not force:
        raise FileAlreadyExists(
            f"Cannot complete the operation because the file or folder {label} already exists", file=label
        )
    if not target.parent.is_dir():
        raise FileNotFound(f"File {label} was not found", file=label)


def move_disk(volumes: Volumes, source: Path, target: Path, *, force: bool, label: str, target_label: str) -> None:
    """Move a disk with its extents and what a guest wrote to it; its descriptor names them as they are called then."""
    volumes.must_exist(source, label=label)
    volumes.check_unlocked(source, label=label)
    volumes.check_writable(source, label=label)
    volumes.check_space(target, label=target_label)
    _check_target(target, force=force and target != source, label=target_label)
    text = source.read_text(errors="surrogateescape") if is_descriptor(source) else ""
    names = {name: _renamed(name, source, target) for _, name in EXTENT.findall(text)}
    for name in names:
        volumes.must_exist(source.with_name(name), label=label)
    _check_room(volumes, [source, *map(source.with_name, names)], target, label=target_label)
    parent = parent_of(source)
    if target.exists():
        volumes.delete_disk(target, label=target_label)
    for old, new in names.items():
        source.with_name(old).replace(target.with_name(new))
    source.rename(target)
    if names:
        text = EXTENT.sub(lambda found: f'{found[1]}"{names[found[2]]}"', text)
        if parent:
            hint = f'parentFileNameHint="{os.path.relpath(parent, target.parent)}"'
            text = re.sub(r"(?m)^parentFileNameHint=.*$", lambda _: hint, text)
        target.write_text(text, errors="surrogateescape")
    if writes_of(source).exists():
        writes_of(source).rename(writes_of(target))


def is_descriptor(path: Path) -> bool:
    """Whether a file is a descriptor by itself, and not a disk with one inside of it."""
    with path.open("rb") as file:
        return file.read(21) == b"# Disk DescriptorFile"


def disk_type(path: Path) -> str:
    """The API's word for the format of a disk; which thick disks were zeroed, nobody keeps."""
    if not is_descriptor(path):
        return "sparseMonolithic"
    return "delta" if parent_of(path) else "thin" if is_thin(path) else "preallocated"


def chain(volumes: Volumes, path: Path, *, label: str) -> list[Path]:
    """A disk and the disks that it sits on, nearest first; FileNotFound."""
    volumes.must_exist(path, label=label)
    return [path, *ancestors(path)]


def extend(volumes: Volumes, path: Path, capacity: int, *, label: str, owner: str = "") -> None:
    """Grow a disk; InvalidArgument when it would shrink. Who holds its lock may do so."""
    check_extend(volumes, path, capacity, label=label, owner=owner)
    with flat_of(path).open("r+b") as file:
        file.truncate(capacity)
    text = path.read_text()
    path.write_text(re.sub(r"(?m)^RW \d+ ", f"RW {capacity // SECTOR} ", text, count=1))


def check_extend(volumes: Volumes, path: Path, capacity: int, *, label: str, owner: str = "") -> None:
    """What speaks against growing a disk: see `extend`."""
    volumes.must_exist(path, label=label)
    volumes.check_unlocked(path, label=label, but=owner)
    volumes.check_writable(path, label=label)
    if parent_of(path):
        raise DiskHasParent(f"The disk {label} has a parent and cannot be extended")
    more = capacity - flat_of(path).stat().st_size
    if more < 0:
        raise InvalidArgument("A specified parameter was not correct: capacity", invalidProperty="newCapacityKb")
    volumes.check_space(path, label=label, size=0 if is_thin(path) else more)


def inflate(volumes: Volumes, path: Path, *, label: str) -> None:
    """Make a thin disk a thick one: it takes all of its space."""
    _check_own(volumes, path, label=label)
    data = flat_of(path).stat()
    if is_thin(path):
        volumes.check_space(path, label=label, size=max(0, data.st_size - data.st_blocks * SECTOR))
        path.write_text(path.read_text().replace(THIN, ""))


def shrink(volumes: Volumes, path: Path, *, label: str) -> None:
    """Give back the blocks that hold zeros: the disk is a thin one then, as after `vmkfstools --punchzero`."""
    _check_own(volumes, path, label=label)
    fresh = flat_of(path).with_suffix(".new")
    copy_sparse(flat_of(path), fresh)
    fresh.replace(flat_of(path))
    if not is_thin(path):
        path.write_text(path.read_text() + THIN)


def set_adapter(path: Path, kind: str) -> None:
    """Write down the adapter that a disk is for."""
    text = path.read_text()
    path.write_text(re.sub(r'ddb\.adapterType = "\w+"', f'ddb.adapterType = "{kind.lower()}"', text))


def _check_own(volumes: Volumes, path: Path, *, label: str) -> None:
    volumes.capacity(path, label=label)
    volumes.check_unlocked(path, label=label)
    volumes.check_writable(path, label=label)
    if parent_of(path):
        raise DiskHasParent(f"The disk {label} has a parent and keeps its format")


def _renamed(extent: str, source: Path, target: Path) -> str:
    """An extent's name beside its disk's new one: what follows the disk's name stays."""
    stem = source.stem
    return target.stem + extent[len(stem) :] if extent.startswith(stem) else extent
