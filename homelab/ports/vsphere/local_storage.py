"""Disks of a host: what is on them, VMFS datastores, host cache."""

from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from homelab.errors import HostFault
from homelab.ports.vsphere.session import Session, parsed
from homelab.ports.vsphere.tasks import Progress, wait_for


@dataclass(frozen=True)
class PartitionLook:
    """A partition of a disk; `kind` is what ESXi calls it, sizes in bytes."""

    number: int
    kind: str
    size: int


def partitions_of(session: Session, device_path: str) -> tuple[PartitionLook, ...]:
    """The partitions of a disk; empty for a disk without any."""
    with parsed(session.where, f"the partitions of {device_path}"):
        [info] = session.managers.storageSystem.RetrieveDiskPartitionInfo([device_path])
        table = info.spec.partition if info.spec else None
        return tuple(PartitionLook(p.partition, p.type, (p.endSector - p.startSector + 1) * 512) for p in table or [])


def create_vmfs(session: Session, device_path: str, datastore: str) -> None:
    """Make one VMFS datastore of a whole disk; what is on the disk is gone. Raises HostFault."""
    system = session.managers.datastoreSystem
    options = system.QueryVmfsDatastoreCreateOptions(device_path)
    whole = next((one for one in options or [] if _takes_all(one)), None)
    if whole is None:
        raise HostFault(
            f"the host does not offer {device_path} for a datastore",
            where=session.where,
            advice="The disk may be the one that it boots from, or in use; look at it in the host's web page",
        )
    whole.spec.vmfs.volumeName = datastore
    system.CreateVmfsDatastore(whole.spec)


def _takes_all(option: Any) -> bool:
    return isinstance(option.info, vim.host.VmfsDatastoreOption.AllExtentInfo)


def set_host_cache(session: Session, datastore: str, mib: int, *, seconds: float, progress: Progress) -> None:
    """Let the host swap to a datastore on an SSD; 0 MiB ends that."""
    ref = next((one for one in session.host_system.datastore if one.name == datastore), None)
    if ref is None:
        raise HostFault(f"there is no datastore {datastore}", where=session.where, advice="Run again")
    spec = vim.host.CacheConfigurationManager.CacheConfigurationSpec(datastore=ref, swapSize=mib)
    task = session.managers.cacheConfigurationManager.ConfigureHostCache_Task(spec)
    wait_for(session, task, f"setting the host cache on {datastore}", seconds=seconds, progress=progress)
