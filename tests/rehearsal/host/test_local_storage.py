"""Disks of a simulated host and the VMFS on them, through the API and the shell."""

import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from homelab.ports.esxi.shell import parse_table
from homelab.rehearsal.host.hardware import MODELS
from homelab.rehearsal.host.host import Host
from homelab.rehearsal.storage.disks import Disk, Partition, lay_foreign
from homelab.rehearsal.vms.machines import NoMachines
from tests.helpers.met import NAS, SHARE, Met

ADDRESS = "127.0.0.76"
GIB = 1 << 30
MIB = 1 << 20


@pytest.fixture
def met(tmp_path: Path) -> Iterator[Met]:
    made = Met(tmp_path, ADDRESS)
    yield made
    made.stop()


def internal(met: Met) -> Disk:
    return next(disk for disk in met.host.disks.values() if not disk.model.usb)


def options(met: Met) -> Any:
    [disk] = met.managers.datastoreSystem.QueryAvailableDisksForVmfs()
    return met.managers.datastoreSystem.QueryVmfsDatastoreCreateOptions(disk.devicePath)


def create(met: Met, name: str = "local", option: int = 0) -> Any:
    spec = options(met)[option].spec
    spec.vmfs.volumeName = name
    return met.managers.datastoreSystem.CreateVmfsDatastore(spec)


def transfer(met: Met, method: str, path: str, body: bytes | None = None) -> bytes:
    address = f"https://{ADDRESS}:{met.face.port}/folder/{path}?dcPath=ha-datacenter&dsName=local"
    headers = {"Authorization": "Basic " + b64encode(b"root:secret").decode()}
    request = urllib.request.Request(address, body, headers, method=method)
    with urllib.request.urlopen(request, context=met.tls, timeout=20) as answer:
        content: bytes = answer.read()
    return content


# Disks


@pytest.mark.parametrize(("model", "gigabytes"), [("GB-XM11-3337", 250), ("GB-BRi7-8550", 1000)])
def test_a_machine_has_its_ssd_and_the_stick_it_boots_from(tmp_path: Path, model: str, gigabytes: int) -> None:
    met = Met(tmp_path, ADDRESS, model)
    try:
        info = met.managers.storageSystem.storageDeviceInfo
        ssd, stick = info.scsiLun
        assert ssd.canonicalName.startswith("t10.ATA_____")
        assert len(ssd.canonicalName) == len("t10.ATA_____") + 40 + 20
        assert ssd.devicePath == f"/vmfs/devices/disks/{ssd.canonicalName}"
        assert round(ssd.capacity.block * ssd.capacity.blockSize / 1e9) == gigabytes
        assert (ssd.ssd, ssd.localDisk, list(ssd.operationalState)) == (True, True, ["ok"])
        assert (stick.canonicalName, stick.ssd) == ("mpx.vmhba32:C0:T0:L0", False)
        adapters = {adapter.key: adapter.device for adapter in info.hostBusAdapter}
        found = {
            adapters[one.adapter]: [lun.scsiLun for target in one.target for lun in target.lun]
            for one in info.scsiTopology.adapter
        }
        assert found == {"vmhba0": [ssd.key], "vmhba32": [stick.key]}
    finally:
        met.stop()


def test_an_empty_disk_is_one_free_range(met: Met) -> None:
    disk = internal(met)
    [table] = met.managers.storageSystem.RetrieveDiskPartitionInfo([disk.device_path])
    assert not table.spec.partition
    [free] = table.layout.partition
    assert (free.type, free.partition, free.start.block, free.end.block) == ("none", None, 0, disk.sectors - 1)


def test_the_shell_tells_the_same_disks(met: Met) -> None:
    blocks = met.says("esxcli storage core device list").split("\n\n")
    disk = internal(met)
    assert blocks[0].startswith(f"{disk.canonical_name}\n   Display Name: Local ATA Disk ({disk.canonical_name})\n")
    assert "   Is SSD: true\n" in blocks[0]
    assert "   Is Boot USB Device: true\n" in blocks[1]
    assert met.says(f"esxcli storage core device list -d {disk.canonical_name}").strip() == blocks[0]
    assert disk.canonical_name in met.says("ls /vmfs/devices/disks").split()
    assert met.shell("esxcli storage core device list -d nosuch")[2] == 1


def test_the_stick_takes_no_vmfs(met: Met) -> None:
    [free] = met.managers.datastoreSystem.QueryAvailableDisksForVmfs()
    assert free.canonicalName == internal(met).canonical_name
    stick = "/vmfs/devices/disks/mpx.vmhba32:C0:T0:L0"
    with pytest.raises(vim.fault.HostConfigFault):
        met.managers.datastoreSystem.QueryVmfsDatastoreCreateOptions(stick)
    [table] = met.managers.storageSystem.RetrieveDiskPartitionInfo([stick])
    assert [part.partition for part in table.spec.partition] == [1, 5, 6, 7, 8, 9]
    with pytest.raises(vim.fault.NotFound):
        met.managers.storageSystem.RetrieveDiskPartitionInfo(["/vmfs/devices/disks/nosuch"])


# Making and removing a VMFS


def test_a_vmfs_is_made_on_an_empty_disk(met: Met) -> None:
    [option] = options(met)
    assert isinstance(option.info, vim.host.VmfsDatastoreOption.AllExtentInfo)
    assert option.spec.vmfs.majorVersion == 6
    datastore = create(met)
    disk = internal(met)
    volume = datastore.info.vmfs
    assert (volume.name, volume.type, volume.majorVersion, volume.ssd, volume.local) == ("local", "VMFS", 6, True, True)
    assert [(one.diskName, one.partition) for one in volume.extent] == [(disk.canonical_name, 1)]
    assert datastore.summary.url == f"/vmfs/volumes/{volume.uuid}/"
    assert disk.model.size - GIB < datastore.summary.capacity < disk.model.size
    assert GIB < datastore.summary.capacity - datastore.summary.freeSpace < 2 * GIB
    assert [one.name for one in met.system.datastore] == ["local"]
    [mounted] = met.managers.storageSystem.fileSystemVolumeInfo.mountInfo
    assert (mounted.volume.uuid, mounted.mountInfo.path) == (volume.uuid, f"/vmfs/volumes/{volume.uuid}")
    [table] = met.managers.storageSystem.RetrieveDiskPartitionInfo([disk.device_path])
    assert [(part.partition, part.type, part.startSector) for part in table.spec.partition] == [(1, "vmfs", 2048)]
    assert not met.managers.datastoreSystem.QueryAvailableDisksForVmfs()


def test_the_shell_tells_the_same_vmfs(met: Met) -> None:
    uuid = create(met).info.vmfs.uuid
    [row] = parse_table(met.says("esxcli storage filesystem list"))
    assert (row["Volume Name"], row["UUID"], row["Type"]) == ("local", uuid, "VMFS-6")
    [row] = parse_table(met.says("esxcli storage vmfs extent list"))
    assert row == {
        "Volume Name": "local",
        "VMFS UUID": uuid,
        "Extent Number": "0",
        "Device Name": internal(met).canonical_name,
        "Partition": "1",
    }
    assert met.says("df").splitlines()[1].startswith("VMFS-6 ")
    assert met.says("esxcli storage nfs list") == ""


def test_what_does_not_fit_the_disk_is_refused(met: Met) -> None:
    system = met.managers.datastoreSystem
    [option] = options(met)
    spec = option.spec
    with pytest.raises(vim.fault.InvalidName):
        system.CreateVmfsDatastore(spec)
    spec.vmfs.volumeName = "local"
    met.host.mount_nas(NAS, SHARE, "local")
    with pytest.raises(vim.fault.DuplicateName):
        system.CreateVmfsDatastore(spec)
    met.host.unmount_nas("local")
    spec.partition.partition[0].endSector += 1_000_000
    with pytest.raises(vmodl.fault.InvalidArgument):
        system.CreateVmfsDatastore(spec)
    spec.diskUuid = "nosuch"
    with pytest.raises(vmodl.fault.InvalidArgument):
        system.CreateVmfsDatastore(spec)
    with pytest.raises(vmodl.fault.InvalidArgument):
        system.QueryVmfsDatastoreCreateOptions(internal(met).device_path, 3)
    assert not internal(met).partitions
    assert not met.host.mounts


@pytest.mark.parametrize("way", ["DestroyDatastore", "RemoveDatastore"])
def test_a_vmfs_in_use_stays_and_else_goes_with_all_on_it(met: Met, way: str) -> None:
    datastore = create(met)

    def remove() -> None:
        if way == "DestroyDatastore":
            datastore.DestroyDatastore()
        else:
            met.managers.datastoreSystem.RemoveDatastore(datastore)

    config = vim.vm.ConfigSpec(name="alpha", memoryMB=64, files=vim.vm.FileInfo(vmPathName="[local]"))
    folder = vim.Folder("ha-folder-vm", met.instance._stub)
    pool = vim.ResourcePool("ha-root-pool", met.instance._stub)
    vm = met.result(folder.CreateVM_Task(config, pool))
    with pytest.raises(vim.fault.ResourceInUse):
        remove()
    met.result(vm.Destroy_Task())
    remove()
    assert not met.system.datastore
    first = datastore._moId
    again = create(met)
    assert again._moId != first
    assert met.says("ls /vmfs/volumes/local") == ""


def test_a_vmfs_outlives_boots_and_power_cuts(met: Met) -> None:
    create(met)
    met.says("mkdir /vmfs/volumes/local/kept")
    for clean in (True, False):
        met.boot(clean=clean)
        assert met.says("ls /vmfs/volumes/local") == "kept\n"


# A disk that is not empty


def test_a_leftover_vmfs_is_mounted_and_not_offered(met: Met) -> None:
    met.host.leave_vmfs(internal(met))
    [datastore] = met.system.datastore
    assert (datastore.name, datastore.info.vmfs.majorVersion) == ("datastore1", 5)
    assert not met.managers.datastoreSystem.QueryAvailableDisksForVmfs()
    with pytest.raises(vim.fault.HostConfigFault):
        met.managers.datastoreSystem.QueryVmfsDatastoreCreateOptions(internal(met).device_path)
    datastore.DestroyDatastore()
    assert create(met).name == "local"


def test_foreign_partitions_go_only_by_the_option_that_takes_the_whole_disk(met: Met) -> None:
    disk = internal(met)
    lay_foreign(disk)
    [table] = met.managers.storageSystem.RetrieveDiskPartitionInfo([disk.device_path])
    assert [part.type for part in table.spec.partition] == ["systemPartition", "ntfs"]
    [option] = options(met)
    spec = option.spec
    spec.vmfs.volumeName = "local"
    whole = spec.partition.partition[0].endSector
    spec.partition.partition[0].endSector = whole // 2
    with pytest.raises(vmodl.fault.InvalidArgument):
        met.managers.datastoreSystem.CreateVmfsDatastore(spec)
    assert [part.kind for part in disk.partitions] == ["systemPartition", "ntfs"]
    spec.partition.partition[0].endSector = whole
    met.managers.datastoreSystem.CreateVmfsDatastore(spec)
    assert [part.kind for part in disk.partitions] == ["vmfs"]


def test_free_space_beside_foreign_partitions_can_be_taken(met: Met) -> None:
    disk = internal(met)
    disk.format, disk.partitions = "gpt", [Partition(1, 2048, disk.sectors // 2, "ntfs")]
    whole, beside = options(met)
    assert isinstance(whole.info, vim.host.VmfsDatastoreOption.AllExtentInfo)
    assert isinstance(beside.info, vim.host.VmfsDatastoreOption.SingleExtentInfo)
    create(met, option=1)
    assert [part.kind for part in disk.partitions] == ["ntfs", "vmfs"]
    assert met.host.mounts["local"].volume.capacity in range(disk.model.size // 2 - GIB, disk.model.size // 2)


# Files, disks and space


def test_files_come_and_go_by_every_way(met: Met) -> None:
    datastore = create(met)
    met.content.fileManager.MakeDirectory("[local] iso", None, False)
    transfer(met, "PUT", "iso/seed.iso", b"seed")
    assert transfer(met, "GET", "iso/seed.iso") == b"seed"
    found = met.result(datastore.browser.SearchDatastore_Task("[local] iso", None))
    assert [file.path for file in found.file] == ["seed.iso"]
    assert met.says(f"cat {datastore.summary.url}iso/seed.iso") == "seed"
    met.says("mkdir -p /vmfs/volumes/local/a/b && touch /vmfs/volumes/local/a/b/c")
    assert met.shell("rm /vmfs/volumes/local/a")[1] == "rm: can't remove '/vmfs/volumes/local/a': Is a directory\n"
    assert met.shell("mkdir /vmfs/volumes/local/a")[1].endswith("File exists\n")
    assert met.shell("rmdir /vmfs/volumes/local/a")[1].endswith("Directory not empty\n")
    met.says("rm -rf /vmfs/volumes/local/a /vmfs/volumes/local/nosuch")
    met.result(met.content.fileManager.DeleteDatastoreFile_Task("[local] iso", None))
    assert met.says("ls /vmfs/volumes/local") == ""
    assert met.shell("touch /etc/nosuch")[2] == 1


def test_space_ends_where_the_disk_ends(met: Met) -> None:
    datastore = create(met)
    free = datastore.summary.freeSpace
    folder = "/vmfs/volumes/local"
    met.says(f"vmkfstools -c {free // MIB - 10}m -d zeroedthick {folder}/thick.vmdk")
    assert datastore.summary.freeSpace < 11 * MIB
    assert met.shell(f"vmkfstools -c 100m -d zeroedthick {folder}/more.vmdk")[2] == 255
    met.says(f"vmkfstools -c 100g -d thin {folder}/thin.vmdk")
    spec = vim.VirtualDiskManager.FileBackedVirtualDiskSpec(
        diskType="preallocated", adapterType="lsiLogic", capacityKb=64 << 10
    )
    with pytest.raises(vim.fault.NoDiskSpace):
        met.result(met.content.virtualDiskManager.CreateVirtualDisk_Task("[local] two.vmdk", None, spec))
    # Refused before the body is read: what a client sees then depends on how far it has come.
    with pytest.raises(urllib.error.URLError):
        transfer(met, "PUT", "big.iso", bytes(12 * MIB))
    met.says(f"vmkfstools -U {folder}/thick.vmdk")
    assert free - datastore.summary.freeSpace < MIB


def test_a_vm_lives_on_a_vmfs(met: Met) -> None:
    datastore = create(met)
    disk = vim.vm.device.VirtualDisk(
        key=-1,
        unitNumber=0,
        controllerKey=-2,
        capacityInKB=1 << 20,
        backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
            fileName="[local]", diskMode="persistent", thinProvisioned=True
        ),
    )
    controller = vim.vm.device.ParaVirtualSCSIController(key=-2, busNumber=0, sharedBus="noSharing")
    change = vim.vm.device.VirtualDeviceSpec
    devices = [
        change(operation="add", device=controller),
        change(operation="add", fileOperation="create", device=disk),
    ]
    config = vim.vm.ConfigSpec(
        name="alpha", memoryMB=64, files=vim.vm.FileInfo(vmPathName="[local]"), deviceChange=devices
    )
    pool = vim.ResourcePool("ha-root-pool", met.instance._stub)
    vm = met.result(vim.Folder("ha-folder-vm", met.instance._stub).CreateVM_Task(config, pool))
    met.result(vm.PowerOnVM_Task())
    assert [one.name for one in vm.datastore] == ["local"]
    assert [one.name for one in datastore.vm] == ["alpha"]
    folder = "/vmfs/volumes/local/alpha"
    assert {"alpha.vmx", "alpha.vmdk", "alpha-flat.vmdk"} <= set(met.says(f"ls {folder}").split())
    assert met.shell(f"rm {folder}/alpha.vmdk")[1].endswith("Device or resource busy\n")
    met.boot(clean=False)
    assert "[local] alpha/alpha.vmx" not in met.says("vim-cmd vmsvc/getallvms")
    assert met.says(f"vim-cmd solo/registervm {folder}/alpha.vmx").strip().isdecimal()


def test_what_ails_the_nas_does_not_ail_the_disk(met: Met) -> None:
    create(met)
    met.host.mount_nas(NAS, SHARE, "NAS")
    nas = met.host.volumes.nas
    nas.full = nas.read_only = True
    assert met.shell("touch /vmfs/volumes/NAS/a")[1] == "touch: /vmfs/volumes/NAS/a: Read-only file system\n"
    met.says("touch /vmfs/volumes/local/a")
    nas.read_only = False
    assert met.shell("touch /vmfs/volumes/NAS/a")[1].endswith("No space left on device\n")
    nas.away = True
    assert met.shell("ls /vmfs/volumes/NAS/a")[2] == 1
    assert met.says("ls /vmfs/volumes/local") == "a\n"


def test_a_vmfs_is_its_hosts_own(met: Met) -> None:
    create(met)
    volumes = met.host.volumes.seen_by("brix2")
    other = Host(
        "brix2", "127.0.0.77", MODELS["GB-BRi7-8550"], "root", "secret", volumes=volumes, machines=NoMachines()
    )
    disk = next(iter(other.disks.values()))
    other.create_vmfs(disk, [disk.whole], 1, "local", 6)
    met.says("touch /vmfs/volumes/local/mine")
    assert list(other.mounts["local"].volume.path.iterdir()) == []
    assert other.mounts["local"].volume.directory != met.host.mounts["local"].volume.directory


# The host cache


def test_the_host_cache_lies_on_an_ssd(met: Met) -> None:
    datastore = create(met)
    manager = met.managers.cacheConfigurationManager
    spec = vim.host.CacheConfigurationManager.CacheConfigurationSpec(datastore=datastore, swapSize=4096)
    free = datastore.summary.freeSpace
    met.result(manager.ConfigureHostCache_Task(spec))
    [row] = manager.cacheConfigurationInfo
    assert (row.key._moId, row.swapSize) == (datastore._moId, 4096)
    assert [one.swapSize for one in met.system.config.cacheConfigurationInfo] == [4096]
    assert free - datastore.summary.freeSpace == 4096 * MIB
    with pytest.raises(vim.fault.ResourceInUse):
        datastore.DestroyDatastore()
    spec.swapSize = 0
    met.result(manager.ConfigureHostCache_Task(spec))
    assert not manager.cacheConfigurationInfo
    assert datastore.summary.freeSpace == free
    spec.swapSize = free // MIB + 1
    with pytest.raises(vim.fault.NoDiskSpace):
        met.result(manager.ConfigureHostCache_Task(spec))
    internal(met).ssd = False
    spec.swapSize = 4096
    with pytest.raises(vmodl.fault.InvalidArgument):
        met.result(manager.ConfigureHostCache_Task(spec))


def test_the_nas_takes_no_host_cache(met: Met) -> None:
    met.host.mount_nas(NAS, SHARE, "NAS")
    [datastore] = met.system.datastore
    spec = vim.host.CacheConfigurationManager.CacheConfigurationSpec(datastore=datastore, swapSize=1024)
    with pytest.raises(vmodl.fault.InvalidArgument):
        met.result(met.managers.cacheConfigurationManager.ConfigureHostCache_Task(spec))
