"""Storage as the host sees it: its disks, their partitions, and the mounted volumes."""

from typing import Any

from pyVmomi import vim

from homelab.rehearsal.soap.managed import Managed, writes
from homelab.rehearsal.soap.objects import disks
from homelab.rehearsal.soap.objects.datastores import mount_info, volume
from homelab.rehearsal.state.refusals import NotFound


class HostStorageSystem(Managed):
    """Disks and volumes."""

    moid = "storageSystem"

    @property
    def storageDeviceInfo(self) -> Any:
        """Disks, adapters, and which hangs on which."""
        return disks.devices(self._host)

    @property
    def fileSystemVolumeInfo(self) -> Any:
        """Every mounted volume."""
        host = self._host
        rows = [
            vim.host.FileSystemMountInfo(
                mountInfo=mount_info(host, mount),
                volume=volume(host, mount),
                vStorageSupport="vStorageUnsupported",
            )
            for mount in host.datastores.mounts.values()
        ]
        return vim.host.FileSystemVolumeInfo(volumeTypeList=["VMFS", "NFS", "NFS41"], mountInfo=rows)

    def RetrieveDiskPartitionInfo(self, devicePath: Any) -> Any:
        """The partitions of disks."""
        return [disks.partitions(disks.at(self._host, path)) for path in devicePath]

    @writes
    def MarkAsSsd_Task(self, scsiDiskUuid: str) -> None:
        """Take a disk for an SSD, whatever it says."""
        self._mark(scsiDiskUuid, ssd=True)

    @writes
    def MarkAsNonSsd_Task(self, scsiDiskUuid: str) -> None:
        """Take a disk for none."""
        self._mark(scsiDiskUuid, ssd=False)

    def _mark(self, uuid: str, *, ssd: bool) -> None:
        with self._host.lock:
            found = next((disk for disk in self._host.disks.values() if disk.uuid == uuid), None)
            if found is None:
                raise NotFound("The object or item referred to could not be found.")
            found.ssd = ssd
            self._host.touch()

    def RefreshStorageSystem(self) -> None:
        """Nothing to read anew."""

    def RescanAllHba(self) -> None:
        """Nothing to find anew: no disk comes while a host runs."""

    def RescanHba(self, hbaDevice: str) -> None:
        """Nothing to find anew."""

    def RescanVmfs(self) -> None:
        """Nothing to find anew."""
