"""The files and the disks on datastores."""

import fnmatch
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyVmomi import vim

from homelab.rehearsal.soap.managed import Managed, ref, writes
from homelab.rehearsal.soap.objects.datastores import BROWSER, KIB
from homelab.rehearsal.state.refusals import FileNotFound
from homelab.rehearsal.storage.disk_files import flat_of
from homelab.rehearsal.storage.paths import join, split


class HostDatastoreBrowser(Managed):
    """Looking for files."""

    @classmethod
    def ids(cls, face: Any, caller: Any) -> Iterator[str]:
        """One a datastore, and the host's."""
        yield "ha-host-datastorebrowser"
        yield from (BROWSER + mount.moref for mount in face.host.datastores.mounts.values())

    def SearchDatastore_Task(self, datastorePath: str, searchSpec: Any) -> Any:
        """The files of one folder."""
        return self._search(datastorePath, searchSpec)

    def SearchDatastoreSubFolders_Task(self, datastorePath: str, searchSpec: Any) -> Any:
        """The files of a folder and of all below it."""
        top = self._folder(datastorePath)
        store, path = split(datastorePath)
        below = sorted(item for item in top.rglob("*") if item.is_dir() and not _hidden(item, top))
        paths = [path, *(f"{path}/{item.relative_to(top)}".lstrip("/") for item in below)]
        results = [self._search(join(store, item), searchSpec) for item in paths]
        return vim.host.DatastoreBrowser.SearchResults.Array(results)

    def _search(self, path: str, spec: Any) -> Any:
        folder = self._folder(path)
        patterns = list(spec.matchPattern or ()) if spec else []
        queries = list(spec.query or ()) if spec else []
        details = spec.details if spec else None
        files = []
        for item in sorted(folder.iterdir()):
            matches = not patterns or any(fnmatch.fnmatch(item.name, pattern) for pattern in patterns)
            if matches and not _hidden(item, folder):
                info = _file_info(item)
                if not queries or any(_answers(item, info, query) for query in queries):
                    files.append(_with_details(info, item, details))
        mount = self._host.datastores.mounts[split(path)[0]]
        return vim.host.DatastoreBrowser.SearchResults(
            datastore=ref("Datastore", mount.moref), folderPath=path, file=files
        )

    def _folder(self, path: str) -> Path:
        folder = self._host.datastores.path_of(path)
        if not folder.is_dir():
            raise FileNotFound(f"File {path} was not found", file=path)
        return folder


class FileManager(Managed):
    """Folders and files."""

    moid = "ha-nfc-file-manager"

    @writes
    def MakeDirectory(self, name: str, datacenter: Any, createParentDirectories: bool | None) -> None:
        """Make a folder."""
        path = self._host.datastores.path_of(name)
        self._host.datastores.volumes.make_directory(path, parents=bool(createParentDirectories), label=name)

    @writes
    def DeleteDatastoreFile_Task(self, name: str, datacenter: Any) -> None:
        """Delete a file, or a folder with all in it."""
        self._host.datastores.volumes.delete(self._host.datastores.path_of(name), label=name)

    @writes
    def MoveDatastoreFile_Task(
        self,
        sourceName: str,
        sourceDatacenter: Any,
        destinationName: str,
        destinationDatacenter: Any,
        force: bool | None,
    ) -> None:
        """Rename a file or a folder."""
        datastores = self._host.datastores
        source, target = datastores.path_of(sourceName), datastores.path_of(destinationName)
        label = sourceName if not source.exists() else destinationName
        datastores.volumes.move(source, target, force=bool(force), label=label)


class VirtualDiskManager(Managed):
    """Disks."""

    moid = "ha-vdiskmanager"

    @writes
    def CreateVirtualDisk_Task(self, name: str, datacenter: Any, spec: Any) -> str:
        """Make an empty disk."""
        path = self._host.datastores.path_of(name)
        self._host.datastores.volumes.create_disk(path, spec.capacityKb * KIB, thin=spec.diskType == "thin", label=name)
        return name

    @writes
    def CopyVirtualDisk_Task(
        self,
        sourceName: str,
        sourceDatacenter: Any,
        destName: str,
        destDatacenter: Any,
        destSpec: Any,
        force: bool | None,
    ) -> None:
        """Copy a disk; without a specification the copy is as the source is."""
        thin = destSpec is None or destSpec.diskType == "thin"
        datastores = self._host.datastores
        source, target = datastores.path_of(sourceName), datastores.path_of(destName)
        datastores.volumes.copy_disk(
            source, target, force=bool(force), thin=thin, label=sourceName, target_label=destName
        )

    @writes
    def ExtendVirtualDisk_Task(self, name: str, datacenter: Any, newCapacityKb: int, eagerZero: bool | None) -> None:
        """Grow a disk."""
        self._host.vms.extend_disk(name, newCapacityKb * KIB)

    @writes
    def DeleteVirtualDisk_Task(self, name: str, datacenter: Any) -> None:
        """Delete a disk."""
        self._host.datastores.volumes.delete_disk(self._host.datastores.path_of(name), label=name)


def _hidden(path: Path, top: Path) -> bool:
    # What the guest wrote lies beside its disk, and is no file of a real datastore.
    return any(part.endswith(".vmdk.d") for part in path.relative_to(top).parts)


def _file_info(path: Path) -> Any:
    browser = vim.host.DatastoreBrowser
    kinds = {".vmx": browser.VmConfigInfo, ".iso": browser.IsoImageInfo, ".log": browser.VmLogInfo}
    if path.is_dir():
        kind = browser.FolderInfo
    elif path.suffix == ".vmdk" and flat_of(path).exists():
        kind = browser.VmDiskInfo
    else:
        kind = kinds.get(path.suffix, browser.FileInfo)
    return kind(path=path.name)


def _answers(path: Path, info: Any, query: Any) -> bool:
    name = type(query)._wsdlName
    if name == "FileQuery":
        return True
    return bool(type(info)._wsdlName == name.replace("Query", "Info"))


def _with_details(info: Any, path: Path, details: Any) -> Any:
    stat = path.stat()
    size = flat_of(path).stat().st_blocks * 512 if type(info)._wsdlName == "VmDiskFileInfo" else stat.st_size
    if details and details.fileSize:
        info.fileSize = size
    if details and details.modification:
        info.modification = datetime.fromtimestamp(stat.st_mtime, UTC)
    if details and details.fileOwner:
        info.owner = "root"
    return info
