"""What lies in a folder of a datastore, and the only deletions: a file, a disk, an empty folder, by its name."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim, vmodl

from homelab.errors import HostFault, Refused
from homelab.ports.vsphere.session import DATACENTER, Session
from homelab.ports.vsphere.tasks import Progress, wait_for, wait_for_all


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
    task = _searching(session, datastore, place, browser.SearchSpec(details=details))
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


def _searching(session: Session, datastore: str, place: str, spec: Any) -> Any:
    """The task; what a session knows of a datastore is asked anew where it was mounted anew."""
    if browser := session.browsers.get(datastore):
        with suppress(vmodl.fault.ManagedObjectNotFound):
            return browser.SearchDatastore_Task(place, spec)
    session.browsers[datastore] = browser = _browser(session, datastore)
    return browser.SearchDatastore_Task(place, spec)


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


def delete_file(session: Session, datastore: str, path: str, *, seconds: float, progress: Progress) -> None:
    """Delete one file; nothing happens when it is not there. Raises Refused for a folder."""
    folder, _, name = path.rpartition("/")
    delete_files(session, datastore, folder, [name], seconds=seconds, progress=progress)


def delete_files(
    session: Session,
    datastore: str,
    folder: str,
    names: Sequence[str],
    *,
    seconds: float,
    progress: Progress,
    beside: Folder | None = None,
) -> None:
    """Delete files of one folder, all at once; nothing happens when they are not there.

    Raises Refused for a folder, before anything is deleted: others put things there too, and DeleteDatastoreFile_Task
    takes a folder as well, with all in it, without asking. `beside` is what was just seen in the files' folder, when
    somebody looked.
    """
    beside = beside or list_folder(session, datastore, folder, seconds=seconds, progress=progress)
    for name in names:
        if beside and name in beside.folders:
            raise Refused(
                f"[{datastore}] {folder}/{name} is a folder, and only files are deleted",
                where=session.where,
                advice="Look what is in it, and move or delete it yourself",
            )
    tasks = [_deleting(session, f"[{datastore}] {f'{folder}/{name}'.lstrip('/')}") for name in names]
    told = f"deleting {', '.join(names)} in [{datastore}] {folder}".rstrip()
    if tasks:
        wait_for_all(session, tasks, told, seconds=seconds, progress=progress, well=(vim.fault.FileNotFound,))


def delete_empty_folder(session: Session, datastore: str, path: str, *, seconds: float, progress: Progress) -> Folder:
    """Delete a folder in which there is nothing; what is in it, and then it stays. Looked at right before.

    The API of a host has no call that refuses a folder with something in it.
    """
    found = list_folder(session, datastore, path, seconds=seconds, progress=progress)
    if found is not None and not found.names:
        place = f"[{datastore}] {path}"
        _gone(session, _deleting(session, place), f"deleting {place}", seconds, progress)
    return found or Folder()


def _deleting(session: Session, place: str) -> Any:
    return session.content.fileManager.DeleteDatastoreFile_Task(place, session.managed(vim.Datacenter, DATACENTER))


def delete_disk(session: Session, datastore: str, path: str, *, seconds: float, progress: Progress) -> None:
    """Delete a disk, its descriptor and its data; nothing happens when it is not there."""
    disk = f"[{datastore}] {path}"
    task = session.content.virtualDiskManager.DeleteVirtualDisk_Task(disk, session.managed(vim.Datacenter, DATACENTER))
    _gone(session, task, f"deleting the disk {disk}", seconds, progress)


def _gone(session: Session, task: Any, sentence: str, seconds: float, progress: Progress) -> None:
    wait_for_all(session, [task], sentence, seconds=seconds, progress=progress, well=(vim.fault.FileNotFound,))
