"""What the steps write to datastores: files and disks; over the API or, where that only reads, over SSH.

`ApiDatastoreWriter` speaks vSphere. `ShellDatastoreWriter` types the same in the host's shell and writes files by SFTP.
Both read over the API, which every licence allows. Datastore paths are `[DATASTORE] a/b`; a `path` beside a `datastore`
is `a/b`.
"""

from collections.abc import Sequence
from typing import BinaryIO, Protocol

from homelab.ports.vsphere.folders import Folder
from homelab.ports.vsphere.storage import Transferred
from homelab.ports.vsphere.tasks import Progress


class DatastoreWriter(Protocol):
    """Writes to the datastores of one host. Every method raises HostFault with the host's own words, or Unreachable."""

    # -- reads that a write begins with

    def list_folder(self, datastore: str, path: str, *, seconds: float, progress: Progress) -> Folder | None:
        """What lies in a folder; None when there is no such folder."""

    def small_file(self, datastore: str, path: str) -> bytes | None:
        """What a small file holds; None when there is none."""

    def file_size(self, datastore: str, path: str) -> int | None:
        """The size of a file in bytes; None when there is none."""

    def disk_whole(self, datastore: str, path: str) -> bool:
        """Whether a disk lies there, with all its data."""

    # -- files

    def make_folder(self, datastore: str, path: str) -> None:
        """Make a folder and its parents; nothing happens when it is there."""

    def upload(self, datastore: str, path: str, file: BinaryIO, size: int, progress: Transferred | None = None) -> None:
        """Write a file into a folder that is there, over one of that name: whose it is, the caller knows."""

    def delete_file(
        self, datastore: str, path: str, *, seconds: float, progress: Progress, beside: Folder | None = None
    ) -> None:
        """Delete one file; nothing happens when it is not there. Raises Refused for a folder.

        Also Refused for the .vmx of a VM that the host has. `beside` is what was just seen in the file's folder.
        """

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
        """The same for several files of one folder, all at once where that can be."""

    def withdraw(self, datastore: str, path: str) -> None:
        """Delete a small file that we laid there, and that is known to be a file; nothing happens when it is gone."""

    def delete_empty_folder(self, datastore: str, path: str, *, seconds: float, progress: Progress) -> Folder:
        """Delete a folder in which there is nothing; what is in it, and then it stays."""

    # -- disks

    def copy_disk(self, source: str, target: str, *, seconds: float, progress: Progress) -> None:
        """A thin copy of a disk; both are datastore paths. HostFault when the target is there already."""

    def move_disk(self, source: str, target: str, *, seconds: float, progress: Progress) -> None:
        """Give a disk another name; both are datastore paths. HostFault when the target is there already."""

    def extend_disk(self, path: str, size_gib: int, *, seconds: float, progress: Progress) -> None:
        """Grow a disk to so many GiB without zeroing."""

    def delete_disk(self, datastore: str, path: str, *, seconds: float, progress: Progress) -> None:
        """Delete a disk, its descriptor and its data; nothing happens when it is not there."""
