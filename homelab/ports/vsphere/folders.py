"""What lies in a folder of a datastore, and the only deletions: a file, a disk, an empty folder, by its name."""

from dataclasses import dataclass
from typing import Any

from pyVmomi import vim, vmodl

from homelab.errors import HostFault, Refused
from homelab.ports.vsphere.session import DATACENTER, Session
from homelab.ports.vsphere.tasks import Progress, wait_for


@dataclass(frozen=True)
class Folder:
    """What lies right in a folder, by name; hidden files too."""

    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Everything in it."""
        return (*self.files, *self.folders)


def list_folder(session: Session, datastore: str, path: str, *, seconds: float, progress: Progress) -> Folder | None:
    """What lies in a folder of a datastore; None when there is no such folder."""
    place = f"[{datastore}] {path}".rstrip()
    browser = vim.host.DatastoreBrowser
    # Without this flag a host need not tell a folder from a file (FileQueryFlags).
    details = browser.FileInfo.Details(fileType=True, fileSize=False, modification=False, fileOwner=False)
    task = _browser(session, datastore).SearchDatastore_Task(place, browser.SearchSpec(details=details))
    try:
        found = wait_for(session, task, f"looking into {place}", seconds=seconds, progress=progress)
    except HostFault as error:
        if isinstance(error.__cause__, vim.fault.FileNotFound):
            return None
        raise
    items = [(item.path, isinstance(item, browser.FolderInfo)) for item in found.file or []]
    return Folder(
        tuple(sorted(name for name, folder in items if not folder)),
        tuple(sorted(name for name, folder in items if folder)),
    )


def _browser(session: Session, datastore: str) -> Any:
    """The file browser of a datastore, by its name. Raises HostFault when the host has no such datastore."""
    collector = vmodl.query.PropertyCollector
    stores = collector.TraversalSpec(name="datastore", type=vim.HostSystem, path="datastore")
    spec = collector.FilterSpec(
        propSet=[collector.PropertySpec(type=vim.Datastore, pathSet=["name", "browser"])],
        objectSet=[collector.ObjectSpec(obj=session.host_system, skip=True, selectSet=[stores])],
    )
    found = session.content.propertyCollector.RetrievePropertiesEx([spec], collector.RetrieveOptions())
    rows = [{p.name: p.val for p in item.propSet} for item in (found.objects if found else [])]
    for row in rows:
        if row.get("name") == datastore:
            return row["browser"]
    raise HostFault(
        f"there is no datastore {datastore}",
        where=session.where,
        advice="Run again: nfs-datastore and local-datastore come first; see `homelab plan`",
    )


def delete_file(
    session: Session, datastore: str, path: str, *, seconds: float, progress: Progress, beside: Folder | None = None
) -> None:
    """Delete one file; nothing happens when it is not there. Raises Refused for a folder: others put things there too.

    DeleteDatastoreFile_Task takes a folder as well, with all in it, without asking. `beside` is what was just seen in
    the file's folder, when somebody looked.
    """
    parent, _, name = path.rpartition("/")
    beside = beside or list_folder(session, datastore, parent, seconds=seconds, progress=progress)
    if beside and name in beside.folders:
        raise Refused(
            f"[{datastore}] {path} is a folder, and only files are deleted",
            where=session.where,
            advice="Look what is in it, and move or delete it yourself",
        )
    _delete(session, f"[{datastore}] {path}", seconds, progress)


def delete_empty_folder(session: Session, datastore: str, path: str, *, seconds: float, progress: Progress) -> Folder:
    """Delete a folder in which there is nothing; what is in it, and then it stays. Looked at right before.

    The API of a host has no call that refuses a folder with something in it.
    """
    found = list_folder(session, datastore, path, seconds=seconds, progress=progress)
    if found is not None and not found.names:
        _delete(session, f"[{datastore}] {path}", seconds, progress)
    return found or Folder()


def _delete(session: Session, place: str, seconds: float, progress: Progress) -> None:
    task = session.content.fileManager.DeleteDatastoreFile_Task(place, session.managed(vim.Datacenter, DATACENTER))
    _gone(session, task, f"deleting {place}", seconds, progress)


def delete_disk(session: Session, datastore: str, path: str, *, seconds: float, progress: Progress) -> None:
    """Delete a disk, its descriptor and its data; nothing happens when it is not there."""
    disk = f"[{datastore}] {path}"
    task = session.content.virtualDiskManager.DeleteVirtualDisk_Task(disk, session.managed(vim.Datacenter, DATACENTER))
    _gone(session, task, f"deleting the disk {disk}", seconds, progress)


def _gone(session: Session, task: Any, sentence: str, seconds: float, progress: Progress) -> None:
    try:
        wait_for(session, task, sentence, seconds=seconds, progress=progress)
    except HostFault as error:
        if not isinstance(error.__cause__, vim.fault.FileNotFound):
            raise
