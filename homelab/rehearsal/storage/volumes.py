"""Datastores as folders: NFS volumes that all hosts see, VMFS volumes of one host each, disks, copies, locks.

A disk is a descriptor NAME.vmdk, its data NAME-flat.vmdk (a child's: NAME-delta.vmdk, see deltas) and, once a VM booted
from it, a folder NAME.vmdk.d with the guest's writes. Sizes in bytes. `label` is the datastore path in a refusal.
"""

import copy
import re
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from homelab.formats.nfs.volume import volume_directory
from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.state.mounts import Volume
from homelab.rehearsal.state.refusals import (
    CannotDelete,
    FileAlreadyExists,
    FileLocked,
    FileNotFound,
    InvalidDatastorePath,
    NoDiskSpace,
)
from homelab.rehearsal.storage.deltas import ancestors, child_descriptor, delta_of, layers_of, parent_of
from homelab.rehearsal.storage.disk_files import (
    SECTOR,
    copy_folder,
    copy_sparse,
    descriptor,
    flat_of,
    used,
    writes_of,
)
from homelab.rehearsal.storage.paths import split

LOCAL = ".local"


class Volumes:
    """All volumes of a rehearsal, below `root`; hosts that mount the same export see the same folder."""

    def __init__(self, root: Path, nas: Nas | None = None) -> None:
        self.root = root
        self.nas = nas or Nas()
        self.lock = threading.RLock()
        self.client = ""
        self._owners: dict[Path, str] = {}
        self._local: dict[Path, Volume] = {}
        self._readers: dict[Path, set[str]] = {}

    def seen_by(self, client: str) -> "Volumes":
        """The same volumes as one host meets them."""
        view = copy.copy(self)
        view.client = client
        return view

    def mount(self, server: str, share: str, *, client: str = "") -> Volume:
        """The volume of an export; NasRefused with ESXi's sysinfo text when the NAS would not serve it."""
        # A server drops a trailing slash; to ESXi it is another volume all the same.
        export = share.rstrip("/")
        self.nas.check_mount(server, export, client, self.client)
        path = self.root / export.strip("/").replace("/", "_")
        path.mkdir(parents=True, exist_ok=True)
        return Volume(path, volume_directory(server, share))

    def format_local(self, directory: str, capacity: int, overhead: int) -> Volume:
        """A new, empty file system on a disk of the host that these volumes are seen by."""
        volume = Volume(self.root / LOCAL / self.client / directory, directory, capacity, overhead)
        volume.path.mkdir(parents=True)
        self._local[volume.path] = volume
        return volume

    def wipe_local(self, volume: Volume) -> None:
        """A file system on a disk is gone, with all on it."""
        del self._local[volume.path]
        shutil.rmtree(volume.path)

    def space(self, volume: Volume) -> tuple[int, int]:
        """Capacity and free space."""
        if volume.capacity is not None:
            return volume.capacity, max(0, volume.capacity - volume.overhead - used(volume.path))
        usage = shutil.disk_usage(volume.path)
        return usage.total, 0 if self.nas.full else usage.free

    def resolve(self, folder: Path, path: str) -> Path:
        """The file behind a path inside a datastore; InvalidDatastorePath when it leads out of it."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise InvalidDatastorePath(f"Invalid datastore path '{path}'.", datastorePath=path)
        return folder.joinpath(*parts)

    def check_writable(self, path: Path, *, label: str) -> None:
        """ReadOnly when the NAS exports the volume read-only, RootSquashed when it does not take root for root."""
        if self._on_nas(path):
            self.nas.check_write(self.client, label=label)

    def check_space(self, path: Path, *, label: str, size: int = 0) -> None:
        """What `check_writable` says, and NoDiskSpace when the volume is full, or has no room for `size` bytes."""
        self.check_writable(path, label=label)
        local = next((one for folder, one in self._local.items() if path.is_relative_to(folder)), None)
        full = self.space(local)[1] < size if local else self.nas.full and self._on_nas(path)
        if full:
            name = split(label)[0]
            raise NoDiskSpace(f"Insufficient disk space on datastore '{name}'.", datastore=name, file=label)

    def _on_nas(self, path: Path) -> bool:
        return path.is_relative_to(self.root) and not path.is_relative_to(self.root / LOCAL)

    def lock_files(self, paths: list[Path], *, owner: str, reads: Sequence[Path] = ()) -> None:
        """Take all locks or none, shared ones on what is only read; FileLocked when another VM holds one."""
        with self.lock:
            for path in (*paths, *reads):
                self.check_unlocked(path, label=path.name, but=owner, reading=path not in paths)
            self._owners.update(dict.fromkeys(paths, owner))
            for path in reads:
                self._readers.setdefault(path, set()).add(owner)

    def unlock_files(self, *, owner: str) -> None:
        """Give up every lock of an owner."""
        with self.lock:
            for path in [path for path, holder in self._owners.items() if holder == owner]:
                del self._owners[path]
            for path, readers in list(self._readers.items()):
                readers.discard(owner)
                if not readers:
                    del self._readers[path]

    def pass_lock(self, held: Path, instead: Path, *, owner: str) -> None:
        """A running VM writes to another disk from now on; it may still read the first, while that is there."""
        with self.lock:
            if self._owners.get(held) == owner:
                del self._owners[held]
                self._readers.setdefault(held, set()).add(owner)
            self._readers.get(instead, set()).discard(owner)
            self._owners[instead] = owner

    def move_children(self, parent: Path, instead: Path, disks: set[Path]) -> None:
        """Have those of some disks that sit on one sit on another."""
        for disk in disks:
            if parent_of(disk) == parent:
                text = child_descriptor(disk, instead, self.capacity(disk, label=disk.name))
                disk.write_text(text)

    def check_unlocked(self, path: Path, *, label: str, but: str = "", reading: bool = False) -> None:
        """FileLocked when a running VM holds the disk, its data or a file below it.

        A disk that is only the parent of a running VM's may be read.
        """
        with self.lock:
            shared = {held for held, owners in self._readers.items() if owners - {but}}
            for held in {held for held, owner in self._owners.items() if owner != but} | (set() if reading else shared):
                if path in (held, flat_of(held), delta_of(held)) or held.is_relative_to(path):
                    raise FileLocked(f"Unable to access file {label} since it is locked", file=label)

    def make_directory(self, path: Path, *, parents: bool, label: str) -> None:
        """Make a folder; FileAlreadyExists, FileNotFound."""
        self.check_space(path, label=label)
        if path.exists():
            raise FileAlreadyExists(
                f"Cannot complete the operation because the file or folder {label} already exists", file=label
            )
        if not parents and not path.parent.is_dir():
            raise FileNotFound(f"File {label} was not found", file=label)
        path.mkdir(parents=True)

    def delete(self, path: Path, *, label: str) -> None:
        """Delete a file, or a folder with all in it; CannotDelete for the root of a datastore."""
        self.must_exist(path, label=label)
        if is_root(self, path):
            raise CannotDelete(f"Cannot delete file {label}", file=label)
        self.check_writable(path, label=label)
        self.check_unlocked(path, label=label)
        if path.is_dir():
            for writes in path.rglob("*.vmdk.d"):
                _forget(writes)
            shutil.rmtree(path)
        else:
            path.unlink()
            self.forget_writes(path)

    def forget_writes(self, path: Path) -> None:
        """A disk or its data is gone or new: what a guest wrote on top of it goes as well."""
        _forget(writes_of(path.with_name(path.name.replace("-flat.vmdk", ".vmdk"))))

    def create_disk(self, path: Path, capacity: int, *, thin: bool = True, label: str) -> None:
        """Make an empty disk."""
        self.check_space(path, label=label, size=0 if thin else capacity)
        if path.exists():
            raise FileAlreadyExists(
                f"Cannot complete the operation because the file or folder {label} already exists", file=label
            )
        if not path.parent.is_dir():
            raise FileNotFound(f"File {label} was not found", file=label)
        path.write_text(descriptor(path.stem, capacity, thin=thin))
        with flat_of(path).open("wb") as file:
            file.truncate(capacity)

    def create_child(self, path: Path, parent: Path, *, label: str, parent_label: str, owner: str = "") -> None:
        """Make an empty disk on top of another one, which `owner` may have locked."""
        self.must_exist(parent, label=parent_label)
        self.check_unlocked(parent, label=parent_label, but=owner, reading=True)
        self.create_disk(path, 0, label=label)
        flat_of(path).rename(delta_of(path))
        path.write_text(child_descriptor(path, parent, self.capacity(parent, label=parent_label)))

    def copy_disk(self, source: Path, target: Path, *, force: bool, thin: bool, label: str, target_label: str) -> None:
        """Copy descriptor, data (sparse) and the guest's writes; `force` overwrites."""
        chain = [source, *ancestors(source)]
        for disk in chain:
            self.must_exist(disk, label=label)
            self.check_unlocked(disk, label=label, reading=True)
        self.must_exist(flat_of(chain[-1]), label=label)
        size = flat_of(chain[-1]).stat()
        self.check_space(target, label=target_label, size=size.st_blocks * SECTOR if thin else size.st_size)
        if not target.parent.is_dir():
            raise FileNotFound(f"File {target_label} was not found", file=target_label)
        if target.exists():
            if not force:
                raise FileAlreadyExists(
                    f"Cannot complete the operation because the file or folder {target_label} already exists",
                    file=target_label,
                )
            self.delete_disk(target, label=target_label)
        copy_sparse(flat_of(chain[-1]), flat_of(target))
        layers = [writes_of(source) / "upper", *layers_of(source)]
        for name, layer in zip(("upper", *(f"below-{n}" for n in range(len(layers)))), layers, strict=False):
            if layer.is_dir():
                writes_of(target).mkdir(exist_ok=True)
                copy_folder(layer, writes_of(target) / name)
        target.write_text(descriptor(target.stem, flat_of(target).stat().st_size, thin=thin))

    def delete_disk(self, path: Path, *, label: str) -> None:
        """Delete descriptor, data and the guest's writes; CannotDelete for a folder."""
        self.must_exist(path, label=label)
        if path.is_dir():
            raise CannotDelete(f"Cannot delete file {label}", file=label)
        self.check_unlocked(path, label=label)
        self.check_writable(path, label=label)
        path.unlink()
        flat_of(path).unlink(missing_ok=True)
        delta_of(path).unlink(missing_ok=True)
        self.forget_writes(path)

    def capacity(self, path: Path, *, label: str) -> int:
        """A disk's size as its descriptor tells it; FileNotFound without descriptor or data."""
        self.must_exist(path, label=label)
        self.must_exist(delta_of(path) if parent_of(path) else flat_of(path), label=label)
        found = re.search(r"(?m)^RW (\d+) ", path.read_text(errors="replace"))
        return int(found[1]) * SECTOR if found else flat_of(path).stat().st_size

    def must_exist(self, path: Path, *, label: str) -> None:
        """FileNotFound for what is not there."""
        if not path.exists():
            raise FileNotFound(f"File {label} was not found", file=label)


def is_root(volumes: Volumes, path: Path) -> bool:
    """Whether a path is the root of a volume."""
    return path.parent == volumes.root or path.parent == volumes.root / LOCAL / volumes.client


def are_together(volumes: Volumes, path: Path, other: Path) -> bool:
    """Whether two files lie on one volume."""
    return _volume_of(volumes, path) == _volume_of(volumes, other)


def _volume_of(volumes: Volumes, path: Path) -> tuple[str, ...]:
    parts = path.relative_to(volumes.root).parts
    return parts[: 3 if parts[0] == LOCAL else 1]


def _forget(writes: Path) -> None:
    """Real guests' writes lie on a file system of their own, and what is beside the disk is a link to it."""
    shutil.rmtree(writes.resolve(), ignore_errors=True)
    if writes.is_symlink():
        writes.unlink()
