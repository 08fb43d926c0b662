"""Writes to datastores over the vSphere API."""

from collections.abc import Sequence
from typing import BinaryIO

from homelab.ports.vsphere import folders, storage, vms
from homelab.ports.vsphere.datastore_reads import DatastoreReads
from homelab.ports.vsphere.folders import Folder
from homelab.ports.vsphere.storage import Transferred
from homelab.ports.vsphere.tasks import Progress


class ApiDatastoreWriter(DatastoreReads):
    """A `DatastoreWriter` on one session."""

    def make_folder(self, datastore: str, path: str) -> None:
        """MakeDirectory."""
        storage.make_folder(self.session, datastore, path)

    def upload(self, datastore: str, path: str, file: BinaryIO, size: int, progress: Transferred | None = None) -> None:
        """PUT below /folder."""
        storage.upload(self.session, datastore, path, file, size, progress)

    def delete_file(
        self, datastore: str, path: str, *, seconds: float, progress: Progress, beside: Folder | None = None
    ) -> None:
        """DeleteDatastoreFile_Task, after a look that it is no folder."""
        folder, _, name = path.rpartition("/")
        self.delete_files(datastore, folder, [name], seconds=seconds, progress=progress, beside=beside)

    def delete_files(
        self,
        datastore: str,
        folder: str,
        names: Sequence[str],
        *,
        seconds: float,
        progress: Progress,
        beside: Folder | None = None,
    ) -> None:
        """One DeleteDatastoreFile_Task each, and one wait."""
        for name in names:
            vms.check_not_registered(self.session, f"[{datastore}] {folder}/{name}")
        folders.delete_files(self.session, datastore, folder, names, seconds=seconds, progress=progress, beside=beside)

    def withdraw(self, datastore: str, path: str) -> None:
        """DELETE below /folder."""
        storage.withdraw(self.session, datastore, path)

    def delete_empty_folder(self, datastore: str, path: str, *, seconds: float, progress: Progress) -> Folder:
        """DeleteDatastoreFile_Task, after a look that there is nothing in it."""
        return folders.delete_empty_folder(self.session, datastore, path, seconds=seconds, progress=progress)

    def copy_disk(self, source: str, target: str, *, seconds: float, progress: Progress) -> None:
        """CopyVirtualDisk_Task."""
        storage.copy_disk(self.session, source, target, seconds=seconds, progress=progress)

    def move_disk(self, source: str, target: str, *, seconds: float, progress: Progress) -> None:
        """MoveVirtualDisk_Task."""
        storage.move_disk(self.session, source, target, seconds=seconds, progress=progress)

    def extend_disk(self, path: str, size_gib: int, *, seconds: float, progress: Progress) -> None:
        """ExtendVirtualDisk_Task."""
        storage.extend_disk(self.session, path, size_gib, seconds=seconds, progress=progress)

    def delete_disk(self, datastore: str, path: str, *, seconds: float, progress: Progress) -> None:
        """DeleteVirtualDisk_Task."""
        folders.delete_disk(self.session, datastore, path, seconds=seconds, progress=progress)
