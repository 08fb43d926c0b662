"""Writes to datastores in a host's own shell and by SFTP, where no licence forbids them; read is over the API."""

from collections.abc import Sequence
from typing import BinaryIO

from homelab.ports.esxi import vm_commands as commands
from homelab.ports.esxi.typed import Typed
from homelab.ports.sftp import RemoteFiles
from homelab.ports.vsphere import vms
from homelab.ports.vsphere.datastore_reads import DatastoreReads
from homelab.ports.vsphere.folders import Folder
from homelab.ports.vsphere.session import Session
from homelab.ports.vsphere.storage import Transferred
from homelab.ports.vsphere.tasks import Progress


class ShellDatastoreWriter(DatastoreReads):
    """A `DatastoreWriter` on one session, which reads, and one SSH connection, which writes."""

    def __init__(self, session: Session, typed: Typed, remote: RemoteFiles) -> None:
        super().__init__(session)
        self.remote, self._typed = remote, typed

    def make_folder(self, datastore: str, path: str) -> None:
        """SFTP."""
        self.remote.make_folder(commands.volume_path(f"[{datastore}] {path}"))

    def upload(self, datastore: str, path: str, file: BinaryIO, size: int, progress: Transferred | None = None) -> None:
        """SFTP, readable by root alone."""
        self.remote.write(commands.volume_path(f"[{datastore}] {path}"), file, size, progress)

    def delete_file(
        self, datastore: str, path: str, *, seconds: float, progress: Progress, beside: Folder | None = None
    ) -> None:
        """SFTP, which takes no folder for a file."""
        vms.check_not_registered(self.session, f"[{datastore}] {path}")
        self.remote.remove(commands.volume_path(f"[{datastore}] {path}"))

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
        """SFTP, one after another, in their order."""
        for name in names:
            self.delete_file(datastore, f"{folder}/{name}", seconds=seconds, progress=progress, beside=beside)

    def withdraw(self, datastore: str, path: str) -> None:
        """SFTP."""
        self.remote.remove(commands.volume_path(f"[{datastore}] {path}"))

    def delete_empty_folder(self, datastore: str, path: str, *, seconds: float, progress: Progress) -> Folder:
        """SFTP, which removes no folder with something in it."""
        if self.remote.remove_folder(commands.volume_path(f"[{datastore}] {path}")):
            return Folder()
        return self.list_folder(datastore, path, seconds=seconds, progress=progress) or Folder()

    def copy_disk(self, source: str, target: str, *, seconds: float, progress: Progress) -> None:
        """`vmkfstools -i`."""
        self._typed.must(commands.clone_disk(source, target), seconds, progress)

    def move_disk(self, source: str, target: str, *, seconds: float, progress: Progress) -> None:
        """`vmkfstools -E`."""
        self._typed.must(commands.rename_disk(source, target), seconds, progress)

    def extend_disk(self, path: str, size_gib: int, *, seconds: float, progress: Progress) -> None:
        """`vmkfstools -X`."""
        self._typed.must(commands.extend_disk(path, size_gib), seconds, progress)

    def delete_disk(self, datastore: str, path: str, *, seconds: float, progress: Progress) -> None:
        """`vmkfstools -U`; what it says of a disk that is not there was never recorded, so that is looked at."""
        output = self._typed.run(commands.delete_disk(f"[{datastore}] {path}"), seconds, progress)
        if output.status != 0 and self.file_size(datastore, path) is not None:
            raise self._typed.refused(f"the disk [{datastore}] {path} was not deleted", output)
