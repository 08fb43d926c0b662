"""The volumes that a host has mounted."""

from typing import Any

from pyVmomi import vim

from homelab.rehearsal.soap.managed import Managed, ref


class HostStorageSystem(Managed):
    """Storage as the host sees it; of it, the mounted volumes."""

    moid = "storageSystem"

    @property
    def fileSystemVolumeInfo(self) -> Any:
        """Every mounted volume, as its datastore tells it."""
        rows = []
        for mount in self._host.mounts.values():
            datastore = self._face.find(ref("Datastore", mount.moref), self._caller)
            assert datastore is not None
            volume, [how] = datastore._read("info.nas"), datastore._read("host")
            rows.append(vim.host.FileSystemMountInfo(mountInfo=how.mountInfo, volume=volume))
        return vim.host.FileSystemVolumeInfo(volumeTypeList=["VMFS", "NFS", "NFS41"], mountInfo=rows)
