"""What a write to a datastore begins with: reads, over the vSphere API, which every licence allows."""

from homelab.ports.vsphere import folders, storage
from homelab.ports.vsphere.folders import Folder
from homelab.ports.vsphere.session import Session
from homelab.ports.vsphere.tasks import Progress


class DatastoreReads:
    """The reads of a `DatastoreWriter`, on one session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def list_folder(self, datastore: str, path: str, *, seconds: float, progress: Progress) -> Folder | None:
        """SearchDatastore_Task."""
        return folders.list_folder(self.session, datastore, path, seconds=seconds, progress=progress)

    def small_file(self, datastore: str, path: str) -> bytes | None:
        """GET below /folder."""
        return storage.small_file(self.session, datastore, path)

    def file_size(self, datastore: str, path: str) -> int | None:
        """HEAD below /folder."""
        return storage.file_size(self.session, datastore, path)

    def disk_whole(self, datastore: str, path: str) -> bool:
        """GET and HEAD below /folder."""
        return storage.disk_whole(self.session, datastore, path)
