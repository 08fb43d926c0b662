"""The files and the disks on datastores."""

import fnmatch
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyVmomi import vim

from homelab.rehearsal.soap import reflection
from homelab.rehearsal.soap.managed import Managed, ref, writes
from homelab.rehearsal.soap.objects.datastores import BROWSER, KIB
from homelab.rehearsal.soap.taken import refuse_rest
from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.state.refusals import FileNotFound, InvalidArgument
from homelab.rehearsal.storage import disk_changes, disk_files
from homelab.rehearsal.storage.disk_files import flat_of
from homelab.rehearsal.storage.paths import join, split

# Of the thick ones nobody keeps whether they were zeroed.
FORMATS = ("thin", "preallocated", "thick", "eagerZeroedThick")
ADAPTERS = ("ide", "busLogic", "lsiLogic")


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
        spec = spec or vim.host.DatastoreBrowser.SearchSpec()
        for query in spec.query or ():
            refuse_rest(query, ("details",))
        queries = list(spec.query or ())
        details = spec.details
        files = []
        for item in sorted(folder.iterdir(), key=lambda one: (bool(spec.sortFoldersFirst) and one.is_file(), one)):
            if _matches(item.name, spec) and not _hidden(item, folder):
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
        self._carry(disk_changes.move_file, sourceName, destinationName, force)

    @writes
    def CopyDatastoreFile_Task(
        self,
        sourceName: str,
        sourceDatacenter: Any,
        destinationName: str,
        destinationDatacenter: Any,
        force: bool | None,
    ) -> None:
        """Copy a file, or a folder with all in it."""
        self._carry(disk_changes.copy_file, sourceName, destinationName, force)

    def _carry(self, act: Any, source: str, target: str, force: bool | None) -> None:
        datastores = self._host.datastores
        places = datastores.path_of(source), datastores.path_of(target)
        act(datastores.volumes, *places, force=bool(force), label=source, target_label=target)


class VirtualDiskManager(Managed):
    """Disks."""

    moid = "ha-vdiskmanager"

    @writes
    def CreateVirtualDisk_Task(self, name: str, datacenter: Any, spec: Any) -> str:
        """Make an empty disk."""
        _check_spec(spec)
        path = self._host.datastores.path_of(name)
        self._host.datastores.volumes.create_disk(path, spec.capacityKb * KIB, thin=spec.diskType == "thin", label=name)
        disk_changes.set_adapter(path, spec.adapterType)
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
        datastores = self._host.datastores
        source, target = datastores.path_of(sourceName), datastores.path_of(destName)
        if destSpec:
            _check_spec(destSpec)
        thin = destSpec.diskType == "thin" if destSpec else disk_files.is_thin(source)
        datastores.volumes.copy_disk(
            source, target, force=bool(force), thin=thin, label=sourceName, target_label=destName
        )
        if destSpec:
            disk_changes.set_adapter(target, destSpec.adapterType)

    @writes
    def MoveVirtualDisk_Task(
        self,
        sourceName: str,
        sourceDatacenter: Any,
        destName: str,
        destDatacenter: Any,
        force: bool | None,
        profile: Any,
    ) -> None:
        """Move a disk with all its files."""
        _check_profile(profile, "MoveVirtualDisk_Task")
        datastores = self._host.datastores
        places = datastores.path_of(sourceName), datastores.path_of(destName)
        disk_changes.move_disk(datastores.volumes, *places, force=bool(force), label=sourceName, target_label=destName)

    @writes
    def ExtendVirtualDisk_Task(self, name: str, datacenter: Any, newCapacityKb: int, eagerZero: bool | None) -> None:
        """Grow a disk."""
        if eagerZero:
            raise fault("NotSupported", "ExtendVirtualDisk_Task.eagerZero is not part of the rehearsal")
        self._host.vms.extend_disk(name, newCapacityKb * KIB)

    @writes
    def InflateVirtualDisk_Task(self, name: str, datacenter: Any) -> None:
        """Make a thin disk a thick one."""
        disk_changes.inflate(self._host.datastores.volumes, self._host.datastores.path_of(name), label=name)

    @writes
    def ShrinkVirtualDisk_Task(self, name: str, datacenter: Any, copy: bool | None) -> None:
        """Give back what holds zeros; in place or by way of a copy, the end is the same."""
        disk_changes.shrink(self._host.datastores.volumes, self._host.datastores.path_of(name), label=name)

    @writes
    def DeleteVirtualDisk_Task(self, name: str, datacenter: Any) -> None:
        """Delete a disk."""
        self._host.datastores.volumes.delete_disk(self._host.datastores.path_of(name), label=name)

    def QueryVirtualDiskInfo_Task(self, name: str, datacenter: Any, includeParents: bool) -> Any:
        """Format and parent of a disk, and of the disks below it when asked."""
        datastores = self._host.datastores
        found = disk_changes.chain(datastores.volumes, datastores.path_of(name), label=name)
        names = [name, *(datastores.label_of(path) for path in found[1:])]
        parents = [*names[1:], None]
        rows = [_disk_info(path, label, below) for path, label, below in zip(found, names, parents, strict=True)]
        return reflection.DISK_INFOS(rows if includeParents else rows[:1])


def _check_spec(spec: Any) -> None:
    """What is taken of a disk's specification."""
    refuse_rest(spec, ("diskType", "adapterType", "capacityKb"), harmless={"sectorFormat": ("native_512",)})
    if spec.diskType not in FORMATS:
        raise fault("NotSupported", f"A disk of the type {spec.diskType} is not part of the rehearsal")
    if spec.adapterType not in ADAPTERS:
        raise InvalidArgument("A specified parameter was not correct: adapterType", invalidProperty="spec.adapterType")


def _check_profile(profile: Any, method: str) -> None:
    if profile:
        raise fault("NotSupported", f"{method}.profile is not part of the rehearsal")


def _disk_info(path: Path, label: str, parent: str | None) -> Any:
    unit = reflection.DISK_UNIT(name=label)
    return reflection.DISK_INFO(unit=unit, diskType=disk_changes.disk_type(path), parent=parent)


def _matches(name: str, spec: Any) -> bool:
    """Whether a name is one that a search asks for; capitals count unless it says otherwise."""
    patterns = list(spec.matchPattern or ())
    if spec.searchCaseInsensitive:
        name, patterns = name.lower(), [pattern.lower() for pattern in patterns]
    return not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


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
