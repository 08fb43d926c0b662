"""Making datastores and taking them away, and the host cache on one of them."""

from typing import Any

from pyVmomi import vim

from homelab.rehearsal.soap.managed import Managed, ref, writes
from homelab.rehearsal.soap.objects import disks
from homelab.rehearsal.soap.taken import refuse_rest
from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.state.disks import GPT_GUIDS, SECTOR, Disk, Partition
from homelab.rehearsal.state.mounts import NasMount, VmfsMount
from homelab.rehearsal.state.refusals import HostConfigFault, InvalidArgument

NEWEST, VERSIONS = 6, (5, 6)
# What is taken of each specification; all else is refused by its name.
NAS = ("remoteHost", "remotePath", "localPath", "accessMode", "type")
VMFS = (
    *("diskUuid", "extent", "vmfs.extent", "vmfs.majorVersion", "vmfs.volumeName"),
    *(f"partition.partition.{name}" for name in ("partition", "startSector", "endSector", "type")),
)
# What clients send unasked, and what is so anyway; blocks of 1 MiB, told in KiB as well, and slow unmap.
PLAIN_NAS = {"securityType": ("AUTH_SYS",), "connections": (1,), "vmknicBound": (False,)}
PLAIN_VMFS = {
    "partition.partitionFormat": ("gpt",),
    "partition.sectorSize": (SECTOR,),
    "partition.partition.guid": (GPT_GUIDS["vmfs"],),
    "partition.partition.logical": (False,),
    "partition.partition.attributes": (0,),
    "partition.partition.partitionAlignment": (0,),
    "vmfs.blockSizeMb": (1,),
    "vmfs.blockSize": (1024,),
    "vmfs.unmapGranularity": (1024,),
    "vmfs.unmapPriority": ("low",),
}


class HostDatastoreSystem(Managed):
    """Mounting, formatting, and the opposite."""

    moid = "ha-datastoresystem"

    @property
    def datastore(self) -> Any:
        """The datastores that are mounted."""
        return [ref("Datastore", mount.moref) for mount in self._host.datastores.mounts.values()]

    @property
    def capabilities(self) -> Any:
        """What the host can do about datastores."""
        return vim.host.DatastoreSystem.Capabilities(
            nfsMountCreationRequired=True,
            nfsMountCreationSupported=True,
            localDatastoreSupported=False,
            vmfsExtentExpansionSupported=True,
        )

    @writes
    def CreateNasDatastore(self, spec: Any) -> Any:
        """Mount an NFS export."""
        old = (spec.type or "NFS").upper() == "NFS"
        # NFS 4.1 takes the server from remoteHostNames; remoteHost must be filled and is not looked at.
        servers = list(spec.remoteHostNames or ())
        refuse_rest(spec, NAS, harmless=PLAIN_NAS | {"remoteHostNames": ([spec.remoteHost] if old else servers[:1],)})
        if (spec.type or "NFS").upper() not in ("NFS", "NFS41"):
            raise InvalidArgument("A specified parameter was not correct: type", invalidProperty="spec.type")
        if spec.accessMode not in ("readWrite", "readOnly"):
            raise InvalidArgument(
                "A specified parameter was not correct: accessMode", invalidProperty="spec.accessMode"
            )
        mount = self._host.datastores.mount_nas(
            spec.remoteHost if old or not servers else servers[0],
            spec.remotePath,
            spec.localPath,
            read_only=spec.accessMode == "readOnly",
            kind=(spec.type or "NFS").upper(),
        )
        return ref("Datastore", mount.moref)

    @writes
    def RemoveDatastore(self, datastore: Any) -> None:
        """Unmount an NFS datastore, whose files stay; delete a VMFS with all on it."""
        found = next((item for item in self._host.datastores.mounts.values() if item.moref == datastore._moId), None)
        if isinstance(found, NasMount):
            self._host.datastores.unmount_nas(found.name)
        elif isinstance(found, VmfsMount):
            self._host.datastores.remove_vmfs(found.name)
        else:
            raise fault("ManagedObjectNotFound", "The datastore is gone", obj=datastore)

    def QueryAvailableDisksForVmfs(self, datastore: Any) -> Any:
        """The disks on which a VMFS could be made: not the stick, and none that has one."""
        if datastore is not None:
            raise fault("NotSupported", "Extending a VMFS is not part of the rehearsal")
        free = (disk for disk in self._host.disks.values() if not (disk.vmfs or disk.boot or disk.model.usb))
        return [disks.lun(disk) for disk in free]

    def QueryVmfsDatastoreCreateOptions(self, devicePath: str, vmfsMajorVersion: int | None) -> Any:
        """The ways to make a VMFS on a disk: over all of it, and in what is free beside its partitions."""
        disk = disks.at(self._host, devicePath)
        version = _version(vmfsMajorVersion)
        if disk.vmfs or disk.boot or disk.model.usb:
            raise HostConfigFault(f"Unable to use {disk.canonical_name} for VMFS: Device or resource busy")
        options = [_option(disk, [disk.whole], disk.whole, version)]
        free = disk.free() if disk.partitions else None
        if free:
            options.append(_option(disk, [*disk.partitions, free], free, version))
        return options

    def QueryVmfsDatastoreExpandOptions(self, datastore: Any) -> Any:
        """The ways to make a VMFS larger: none where its disk is full; what could be done is not simulated."""
        found = [one for one in self._host.datastores.vmfs_mounts() if one.moref == datastore._moId]
        if found and self._host.disks[found[0].disk].free():
            raise fault("NotSupported", "Expanding a VMFS is not part of the rehearsal")
        return []

    @writes
    def CreateVmfsDatastore(self, spec: Any) -> Any:
        """Lay down the partitions that the specification names, and make a VMFS on one of them."""
        found = [disk for disk in self._host.disks.values() if disk.uuid == spec.diskUuid]
        if not found:
            raise InvalidArgument("A specified parameter was not correct: diskUuid", invalidProperty="spec.diskUuid")
        [disk] = found
        vmfs = spec.vmfs
        refuse_rest(spec, VMFS, now=_as_it_is(disk), harmless=PLAIN_VMFS)
        if vmfs.extent.diskName != disk.canonical_name or spec.extent:
            raise InvalidArgument("A specified parameter was not correct: extent", invalidProperty="spec.vmfs.extent")
        if not vmfs.volumeName or "/" in vmfs.volumeName:
            raise fault("InvalidName", f"The name '{vmfs.volumeName}' is not valid.", name=vmfs.volumeName)
        wanted = [
            Partition(one.partition, one.startSector, one.endSector, one.type) for one in spec.partition.partition
        ]
        mount = self._host.datastores.create_vmfs(
            disk, wanted, vmfs.extent.partition, vmfs.volumeName, _version(vmfs.majorVersion)
        )
        return ref("Datastore", mount.moref)


class HostCacheConfigurationManager(Managed):
    """Swapping to SSD."""

    moid = "cacheConfigManager"

    @property
    def cacheConfigurationInfo(self) -> Any:
        """How much of which datastore, in MiB."""
        return disks.cache(self._host)

    @writes
    def ConfigureHostCache_Task(self, spec: Any) -> None:
        """Take so many MiB of a datastore for it; 0 gives them back."""
        mount = next((one for one in self._host.datastores.mounts.values() if one.moref == spec.datastore._moId), None)
        if mount is None:
            raise fault("ManagedObjectNotFound", "The datastore is gone", obj=spec.datastore)
        self._host.system_files.configure_cache(mount.name, spec.swapSize)


def _as_it_is(disk: Disk) -> Any:
    """What a specification says of a disk's size and shape, and of the partitions that are there."""
    spec = disks.specification(disk, disk.partitions, "gpt")
    return vim.host.VmfsDatastoreCreateSpec(partition=spec)


def _version(number: int | None) -> int:
    if number not in (None, *VERSIONS):
        raise InvalidArgument("A specified parameter was not correct: majorVersion", invalidProperty="majorVersion")
    return number or NEWEST


def _option(disk: Disk, wanted: list[Partition], chosen: Partition, version: int) -> Any:
    kind = vim.host.VmfsDatastoreOption
    layout = disks.layout(disk, wanted)
    whole = wanted == [chosen]
    info = (kind.AllExtentInfo if whole else kind.SingleExtentInfo)(
        layout=layout,
        # What is no GPT becomes one.
        partitionFormatChange=disk.format != "gpt",
        vmfsExtent=next(one for one in layout.partition if one.partition == chosen.number),
    )
    spec = vim.host.VmfsDatastoreCreateSpec(
        diskUuid=disk.uuid,
        partition=disks.specification(disk, wanted, "gpt"),
        vmfs=vim.host.VmfsVolume.Specification(
            extent=vim.host.ScsiDisk.Partition(diskName=disk.canonical_name, partition=chosen.number),
            majorVersion=version,
            volumeName="",
        ),
    )
    return kind(info=info, spec=spec)
