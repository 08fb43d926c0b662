"""Datastores, their files and their disks."""

import fnmatch
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.host.parts import Mount, NasMount, VmfsMount
from homelab.rehearsal.host.refusals import FileNotFound
from homelab.rehearsal.soap.managed import Managed, ref, writes
from homelab.rehearsal.soap.objects.inventory import Entity
from homelab.rehearsal.storage.mounts import VOLUMES, uses
from homelab.rehearsal.storage.storage import flat_of, join, split

KIB = 1024
MAX_FILE_SIZE = 64 * 1024**4
BROWSER = "datastoreBrowser-"
VMFS_VERSIONS = {5: "5.61", 6: "6.81"}


class Datastore(Entity):
    """A mounted datastore."""

    @classmethod
    def ids(cls, face: Any, caller: Any) -> Iterator[str]:
        """Server and share of an NFS volume, the id of a VMFS."""
        yield from (mount.moref for mount in face.host.mounts.values())

    @property
    def _mount(self) -> Mount:
        return next(mount for mount in self._host.mounts.values() if mount.moref == self._moid)

    @property
    def name(self) -> str:
        """The name it was mounted under."""
        return self._mount.name

    @property
    def parent(self) -> Any:
        """The datastore folder."""
        return ref("Folder", "ha-folder-datastore")

    @property
    def _url(self) -> str:
        return f"{VOLUMES}/{self._mount.volume.directory}/"

    @property
    def summary(self) -> Any:
        """Name, space and whether it can be reached."""
        mount = self._mount
        capacity, free = space(self._host, mount)
        return vim.Datastore.Summary(
            datastore=self._ref,
            name=mount.name,
            url=self._url,
            capacity=capacity,
            freeSpace=free,
            uncommitted=0,
            accessible=self._host.accessible(mount),
            multipleHostAccess=False,
            type=mount.kind,
            maintenanceMode="normal",
        )

    @property
    def info(self) -> Any:
        """The NAS or the disk behind it."""
        mount = self._mount
        common = {"name": mount.name, "url": self._url, "freeSpace": space(self._host, mount)[1]}
        common |= dict.fromkeys(("maxFileSize", "maxMemoryFileSize"), MAX_FILE_SIZE)
        if isinstance(mount, NasMount):
            return vim.host.NasDatastoreInfo(**common, nas=volume(self._host, mount))
        common |= dict.fromkeys(("maxPhysicalRDMFileSize", "maxVirtualRDMFileSize"), MAX_FILE_SIZE)
        return vim.host.VmfsDatastoreInfo(**common, vmfs=volume(self._host, mount))

    @property
    def host(self) -> Any:
        """How this host has it mounted."""
        return [
            vim.Datastore.HostMount(key=ref("HostSystem", "ha-host"), mountInfo=mount_info(self._host, self._mount))
        ]

    @property
    def vm(self) -> Any:
        """The VMs with files on it."""
        return [ref("VirtualMachine", vm.moid) for vm in self._host.vms.values() if uses(vm, self.name)]

    @property
    def browser(self) -> Any:
        """Its file browser."""
        return ref("HostDatastoreBrowser", BROWSER + self._moid)

    @property
    def capability(self) -> Any:
        """What NFS or VMFS can do."""
        return vim.Datastore.Capability(
            directoryHierarchySupported=True,
            rawDiskMappingsSupported=isinstance(self._mount, VmfsMount),
            perFileThinProvisioningSupported=True,
            storageIORMSupported=True,
            nativeSnapshotSupported=False,
        )

    @writes
    def DestroyDatastore(self) -> None:
        """Delete a VMFS with all on it, or unmount an NFS datastore."""
        mount = self._mount
        if isinstance(mount, VmfsMount):
            self._host.remove_vmfs(mount.name)
        else:
            self._host.unmount_nas(mount.name)

    def RefreshDatastore(self) -> None:
        """Nothing to read anew."""

    def RefreshDatastoreStorageInfo(self) -> None:
        """Nothing to read anew."""


def space(host: Host, mount: Mount) -> tuple[int, int]:
    """Capacity and free space; nothing while its server is away."""
    return host.volumes.space(mount.volume) if host.accessible(mount) else (0, 0)


def volume(host: Host, mount: Mount) -> Any:
    """The NAS volume or the VMFS behind a datastore."""
    capacity = space(host, mount)[0]
    if isinstance(mount, NasMount):
        return vim.host.NasVolume(
            type=mount.kind,
            name=mount.name,
            capacity=capacity,
            remoteHost=mount.server,
            remotePath=mount.share,
            remoteHostNames=[mount.server],
        )
    assert isinstance(mount, VmfsMount)
    return vim.host.VmfsVolume(
        type=mount.kind,
        name=mount.name,
        capacity=capacity,
        blockSizeMb=1,
        blockSize=KIB,
        maxBlocks=63963136,
        majorVersion=mount.version,
        version=VMFS_VERSIONS[mount.version],
        uuid=mount.volume.directory,
        extent=[vim.host.ScsiDisk.Partition(diskName=mount.disk, partition=mount.partition)],
        vmfsUpgradable=False,
        ssd=host.disks[mount.disk].ssd,
        local=True,
        scsiDiskType="native512",
    )


def mount_info(host: Host, mount: Mount) -> Any:
    """How a host has a datastore mounted."""
    return vim.host.MountInfo(
        path=f"{VOLUMES}/{mount.volume.directory}",
        accessMode=mount.access_mode,
        mounted=True,
        accessible=host.accessible(mount),
    )


class HostDatastoreBrowser(Managed):
    """Looking for files."""

    @classmethod
    def ids(cls, face: Any, caller: Any) -> Iterator[str]:
        """One a datastore, and the host's."""
        yield "ha-host-datastorebrowser"
        yield from (BROWSER + mount.moref for mount in face.host.mounts.values())

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
        mount = self._host.mounts[split(path)[0]]
        return vim.host.DatastoreBrowser.SearchResults(
            datastore=ref("Datastore", mount.moref), folderPath=path, file=files
        )

    def _folder(self, path: str) -> Path:
        folder = self._host.path_of(path)
        if not folder.is_dir():
            raise FileNotFound(f"File {path} was not found", file=path)
        return folder


class FileManager(Managed):
    """Folders and files."""

    moid = "ha-nfc-file-manager"

    @writes
    def MakeDirectory(self, name: str, datacenter: Any, createParentDirectories: bool | None) -> None:
        """Make a folder."""
        self._host.volumes.make_directory(self._host.path_of(name), parents=bool(createParentDirectories), label=name)

    @writes
    def DeleteDatastoreFile_Task(self, name: str, datacenter: Any) -> None:
        """Delete a file, or a folder with all in it."""
        self._host.volumes.delete(self._host.path_of(name), label=name)

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
        source, target = self._host.path_of(sourceName), self._host.path_of(destinationName)
        label = sourceName if not source.exists() else destinationName
        self._host.volumes.move(source, target, force=bool(force), label=label)


class VirtualDiskManager(Managed):
    """Disks."""

    moid = "ha-vdiskmanager"

    @writes
    def CreateVirtualDisk_Task(self, name: str, datacenter: Any, spec: Any) -> str:
        """Make an empty disk."""
        path = self._host.path_of(name)
        self._host.volumes.create_disk(path, spec.capacityKb * KIB, thin=spec.diskType == "thin", label=name)
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
        source, target = self._host.path_of(sourceName), self._host.path_of(destName)
        self._host.volumes.copy_disk(
            source, target, force=bool(force), thin=thin, label=sourceName, target_label=destName
        )

    @writes
    def ExtendVirtualDisk_Task(self, name: str, datacenter: Any, newCapacityKb: int, eagerZero: bool | None) -> None:
        """Grow a disk."""
        self._host.extend_disk(name, newCapacityKb * KIB)

    @writes
    def DeleteVirtualDisk_Task(self, name: str, datacenter: Any) -> None:
        """Delete a disk."""
        self._host.volumes.delete_disk(self._host.path_of(name), label=name)


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
