"""Disks, adapters and partitions as the API tells them, built from the host's state."""

from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap.managed import ref
from homelab.rehearsal.state.disks import FIRST_SECTOR, SECTOR, Disk, Partition
from homelab.rehearsal.state.refusals import NotFound


def at(host: Host, path: str) -> Disk:
    """The disk of a device path, or of a canonical name; NotFound."""
    found = next((disk for disk in host.disks.values() if path in (disk.device_path, disk.canonical_name)), None)
    if found is None:
        raise NotFound("The object or item referred to could not be found.")
    return found


def lun(disk: Disk) -> Any:
    """One disk."""
    return vim.host.ScsiDisk(
        deviceName=disk.device_path,
        deviceType="disk",
        key=_key(disk),
        uuid=disk.uuid,
        descriptor=[vim.host.ScsiLun.Descriptor(quality="highQuality", id=disk.canonical_name)],
        canonicalName=disk.canonical_name,
        displayName=disk.display_name,
        lunType="disk",
        # The inquiry has 8, 16 and 4 places.
        vendor=disk.model.vendor.ljust(8)[:8],
        model=disk.model.name.ljust(16)[:16],
        revision=disk.model.revision.ljust(4)[:4],
        scsiLevel=2 if disk.model.usb else 5,
        serialNumber=disk.serial or "unavailable",
        queueDepth=1 if disk.model.usb else 31,
        operationalState=["ok"],
        capabilities=vim.host.ScsiLun.Capabilities(updateDisplayNameSupported=not disk.model.usb),
        vStorageSupport="vStorageUnsupported" if disk.model.usb else "vStorageUnknown",
        protocolEndpoint=False,
        perenniallyReserved=False,
        capacity=_lba(disk.sectors),
        devicePath=disk.device_path,
        ssd=disk.ssd,
        localDisk=True,
        physicalLocation=[],
        emulatedDIXDIFEnabled=False,
        scsiDiskType="native512",
    )


def devices(host: Host) -> Any:
    """HostStorageSystem.storageDeviceInfo."""
    adapters = dict.fromkeys(sorted(disk.adapter for disk in host.disks.values()))
    topology = [_interface(name, [disk for disk in host.disks.values() if disk.adapter == name]) for name in adapters]
    return vim.host.StorageDeviceInfo(
        hostBusAdapter=[_adapter(host, name) for name in adapters],
        scsiLun=[lun(disk) for disk in host.disks.values()],
        scsiTopology=vim.host.ScsiTopology(adapter=topology),
        multipathInfo=vim.host.MultipathInfo(lun=[_logical_unit(host, disk) for disk in host.disks.values()]),
        softwareInternetScsiEnabled=False,
    )


def partitions(disk: Disk) -> Any:
    """What RetrieveDiskPartitionInfo says of a disk."""
    return vim.host.DiskPartitionInfo(
        deviceName=disk.device_path,
        spec=specification(disk, disk.partitions, disk.format),
        layout=layout(disk, disk.partitions),
    )


def specification(disk: Disk, wanted: list[Partition], kind: str) -> Any:
    """A partition table as it is written."""
    rows = [
        vim.host.DiskPartitionInfo.Partition(
            partition=one.number,
            startSector=one.start,
            endSector=one.end,
            type=one.kind,
            guid=one.guid or None,
            logical=False,
            attributes=0,
        )
        for one in wanted
    ]
    chs = vim.host.DiskDimensions.Chs(cylinder=disk.sectors // (255 * 63), head=255, sector=63)
    return vim.host.DiskPartitionInfo.Specification(
        partitionFormat=kind, chs=chs, totalSectors=disk.sectors, partition=rows
    )


def layout(disk: Disk, wanted: list[Partition]) -> Any:
    """A partition table as ranges of blocks; what is free is a range of type `none`."""
    ranges, start = [], 0
    for one in sorted(wanted, key=lambda item: item.start):
        if one.start - start > FIRST_SECTOR:
            ranges.append(_range("none", start, one.start - 1))
        ranges.append(_range(one.kind, one.start, one.end, one.number))
        start = one.end + 1
    if disk.sectors - start > FIRST_SECTOR:
        ranges.append(_range("none", start, disk.sectors - 1))
    return vim.host.DiskPartitionInfo.Layout(total=_lba(disk.sectors), partition=ranges)


def _range(kind: str, start: int, end: int, number: int | None = None) -> Any:
    return vim.host.DiskPartitionInfo.BlockRange(partition=number, type=kind, start=_lba(start), end=_lba(end))


def _lba(block: int) -> Any:
    return vim.host.DiskDimensions.Lba(blockSize=SECTOR, block=block)


def cache(host: Host) -> Any:
    """The host cache, a row a datastore."""
    kind = vim.host.CacheConfigurationManager.CacheConfigurationInfo
    mounts = host.datastores.mounts
    return [
        kind(key=ref("Datastore", mounts[name].moref), swapSize=mib)
        for name, mib in host.settings.cache_mib.items()
        if name in mounts
    ]


def _adapter(host: Host, name: str) -> Any:
    driver = next(disk.driver for disk in host.disks.values() if disk.adapter == name)
    usb = driver == "vmkusb"
    pci = next((one for one in host.model.pci if one.device_class == ("0c03" if usb else "0106")), None)
    return vim.host.BlockHba(
        key=f"key-vim.host.BlockHba-{name}",
        device=name,
        bus=0,
        status="unknown",
        model="USB" if usb or not pci else pci.device,
        driver=driver,
        pci=pci.address if pci else None,
    )


def _interface(name: str, disks: list[Disk]) -> Any:
    kind = vim.host.ScsiTopology
    target = f"key-vim.host.ScsiTopology.Target-{name}:0:0"
    luns = [
        kind.Lun(key=f"key-vim.host.ScsiTopology.Lun-{disk.uuid}", lun=number, scsiLun=_key(disk))
        for number, disk in enumerate(disks)
    ]
    return kind.Interface(
        key=f"key-vim.host.ScsiTopology.Interface-{name}",
        adapter=f"key-vim.host.BlockHba-{name}",
        target=[kind.Target(key=target, target=0, lun=luns, transport=vim.host.BlockAdapterTargetTransport())],
    )


def _logical_unit(host: Host, disk: Disk) -> Any:
    """The one path that leads to a local disk, as a real host tells it (govmomi's capture, simulator/esx/)."""
    kind = vim.host.MultipathInfo
    behind = [one for one in host.disks.values() if one.adapter == disk.adapter]
    name = f"{disk.adapter}:C0:T0:L{behind.index(disk)}"
    key = f"key-vim.host.MultipathInfo.LogicalUnit-{disk.uuid}"
    path = kind.Path(
        key=f"key-vim.host.MultipathInfo.Path-{name}",
        name=name,
        pathState="active",
        state="active",
        isWorkingPath=True,
        adapter=f"key-vim.host.BlockHba-{disk.adapter}",
        lun=key,
        transport=vim.host.BlockAdapterTargetTransport(),
    )
    return kind.LogicalUnit(
        key=key,
        id=disk.uuid,
        lun=_key(disk),
        path=[path],
        policy=kind.FixedLogicalUnitPolicy(policy="VMW_PSP_FIXED", prefer=name),
        storageArrayTypePolicy=kind.LogicalUnitStorageArrayTypePolicy(policy="VMW_SATP_LOCAL"),
    )


def _key(disk: Disk) -> str:
    return f"key-vim.host.ScsiDisk-{disk.uuid}"
