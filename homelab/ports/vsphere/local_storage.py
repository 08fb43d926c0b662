"""Disks of a host: what they are and what is on them, VMFS datastores, host cache."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from homelab.errors import HostFault, Refused
from homelab.ports.vsphere.esxcli import esxcli
from homelab.ports.vsphere.host_look import DiskLook
from homelab.ports.vsphere.session import Session, parsed
from homelab.ports.vsphere.tasks import Progress, wait_for

GIB = 1 << 30
DEVICES = "/vmfs/devices/disks/"
# The modules that drive USB disks: the one of vmklinux, and the native one of 6.5 and later.
USB_DRIVERS = ("usb-storage", "vmkusb")
USB_DISPLAY = "Local USB "


@dataclass(frozen=True)
class PartitionLook:
    """A partition of a disk; `kind` is what ESXi calls it, sizes in bytes."""

    number: int
    kind: str
    size: int


@dataclass(frozen=True)
class DiskContents:
    """What is on a disk, as far as it can be told without changing anything.

    `table` is what ESXi calls its partition table: `unknown` where it finds none. `data` is what its first and last
    megabyte say: empty when they are zero, None when they were not read. `boots` is the disk that the host boots from.
    """

    partitions: tuple[PartitionLook, ...] = ()
    table: str = "unknown"
    data: str | None = None
    boots: bool = False

    @property
    def empty(self) -> bool:
        """Whether it is known that nothing is on it."""
        return not self.partitions and self.data == ""

    @property
    def has_vmfs(self) -> bool:
        """Whether a VMFS is on it, mounted or not."""
        return any(partition.kind == "vmfs" for partition in self.partitions)

    def __str__(self) -> str:
        if self.partitions:
            return ", ".join(f"{one.kind} ({one.size / GIB:.1f} GiB)" for one in self.partitions)
        if self.data is None:
            table = "no partition table" if self.table == "unknown" else f"a partition table ({self.table}), empty"
            return (
                f"{table}; its bytes were not read, so encryption, LVM, ZFS or a file system on all of it is not seen"
            )
        return self.data or "nothing: its first and its last megabyte are zero"


def disks_of(luns: Sequence[Any] | None, adapters: Sequence[Any] | None, topology: Any) -> tuple[DiskLook, ...]:
    """The disks of HostStorageDeviceInfo; what the host did not tell of one yet is empty or 0."""
    usb = set(_on_usb(adapters or [], topology.adapter if topology else []))
    return tuple(_disk(lun, lun.key in usb) for lun in luns or [] if isinstance(lun, vim.host.ScsiDisk))


def _on_usb(adapters: Sequence[Any], interfaces: Sequence[Any]) -> Iterator[str]:
    """The keys of what hangs on an adapter whose driver is one for USB."""
    ours = {adapter.key for adapter in adapters if (adapter.driver or "") in USB_DRIVERS}
    for interface in interfaces:
        if interface.adapter in ours:
            yield from (lun.scsiLun for target in interface.target or [] for lun in target.lun or [])


def _disk(lun: Any, on_usb: bool) -> DiskLook:
    capacity, name = lun.capacity, lun.canonicalName or ""
    return DiskLook(
        name=name,
        model=f"{(lun.vendor or '').strip()} {(lun.model or '').strip()}".strip(),
        size=capacity.block * capacity.blockSize if capacity else 0,
        ssd=bool(lun.ssd),
        path=lun.devicePath or f"{DEVICES}{name}",
        usb=on_usb or (lun.displayName or "").startswith(USB_DISPLAY),
    )


def contents_of(session: Session, disk: DiskLook) -> DiskContents:
    """The partitions of a disk, and whether the host boots from it; its bytes are not to be had over the API."""
    with parsed(session.where, f"what is on {disk.name}"):
        [info] = session.managers.storageSystem.RetrieveDiskPartitionInfo([disk.path])
        spec = info.spec
        found = tuple(
            PartitionLook(p.partition, p.type or "unknown", (p.endSector - p.startSector + 1) * 512)
            for p in (spec.partition if spec else None) or []
        )
        table = (spec.partitionFormat if spec else None) or "unknown"
    return DiskContents(found, table, boots=disk.name in boot_disks(session))


def boot_disks(session: Session) -> frozenset[str]:
    """The names of the disks that the host booted from, as `esxcli storage core device list` marks them."""
    rows = [{key.lower(): value for key, value in row.items()} for row in esxcli(session, "storage core device list")]
    marks = ("isbootdevice", "isbootusbdevice")
    marked = (row for row in rows if any(row.get(mark) == "true" for mark in marks))
    return frozenset(row.get("devfspath", "").rpartition("/")[2] or row.get("device", "") for row in marked)


def create_vmfs(session: Session, disk: DiskLook, contents: DiskContents, datastore: str) -> None:
    """Make one VMFS datastore of a whole disk; what is on the disk is gone.

    Raises Refused when by now it is another disk, or something else is on it (its bytes are not looked at); HostFault.
    """
    _check_same(session, disk, contents)
    system = session.managers.datastoreSystem
    options = system.QueryVmfsDatastoreCreateOptions(disk.path)
    whole = next((one for one in options or [] if _takes_all(one)), None)
    if whole is None or whole.spec.vmfs.extent.diskName != disk.name:
        raise HostFault(
            f"the host does not offer {disk.path} for a datastore",
            where=session.where,
            advice="The disk may be the one that it boots from, or in use; look at it in the host's web page",
        )
    whole.spec.vmfs.volumeName = datastore
    system.CreateVmfsDatastore(whole.spec)


def _check_same(session: Session, disk: DiskLook, contents: DiskContents) -> None:
    """A name such as mpx.vmhba1:C0:T0:L0 is a place, and after a boot another disk may hang there."""
    with parsed(session.where, "its disks"):
        info = session.managers.storageSystem.storageDeviceInfo
        found = disks_of(info.scsiLun, info.hostBusAdapter, info.scsiTopology)
    now = next((one for one in found if one.name == disk.name), None)
    seen = contents_of(session, now) if now else None
    if (
        now == disk
        and seen
        and (seen.partitions, seen.table, seen.boots)
        == (
            contents.partitions,
            contents.table,
            contents.boots,
        )
    ):
        return
    told = f"{now.model}, {now.size / GIB:.0f} GiB: {seen}" if now else "gone"
    raise Refused(
        f"the disk {disk.name} is not what was agreed to, so it was not formatted; it is now: {told}",
        where=session.where,
        advice="Run again and look at the new plan",
    )


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
