"""Datastores."""

from collections.abc import Iterator
from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap.managed import ref, writes
from homelab.rehearsal.soap.objects.inventory import Entity
from homelab.rehearsal.state.mounts import Mount, NasMount, VmfsMount
from homelab.rehearsal.storage.datastores import VOLUMES, uses

KIB = 1024
MAX_FILE_SIZE = 64 * 1024**4
BROWSER = "datastoreBrowser-"
VMFS_VERSIONS = {5: "5.61", 6: "6.81"}


class Datastore(Entity):
    """A mounted datastore."""

    @classmethod
    def ids(cls, face: Any, caller: Any) -> Iterator[str]:
        """Server and share of an NFS volume, the id of a VMFS."""
        yield from (mount.moref for mount in face.host.datastores.mounts.values())

    @property
    def _mount(self) -> Mount:
        return next(mount for mount in self._host.datastores.mounts.values() if mount.moref == self._moid)

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
            accessible=self._host.datastores.accessible(mount),
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
        return [ref("VirtualMachine", vm.moid) for vm in self._host.registered_vms.values() if uses(vm, self.name)]

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
            self._host.datastores.remove_vmfs(mount.name)
        else:
            self._host.datastores.unmount_nas(mount.name)

    def RefreshDatastore(self) -> None:
        """Nothing to read anew."""

    def RefreshDatastoreStorageInfo(self) -> None:
        """Nothing to read anew."""


def space(host: Host, mount: Mount) -> tuple[int, int]:
    """Capacity and free space; nothing while its server is away."""
    return host.datastores.volumes.space(mount.volume) if host.datastores.accessible(mount) else (0, 0)


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
        accessible=host.datastores.accessible(mount),
    )
