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
from homelab.rehearsal.host.host import Host
from homelab.rehearsal.state.disks import Disk, Partition, lay_foreign
from homelab.rehearsal.state.hardware import MODELS
from homelab.rehearsal.state.machines import NoMachines
from tests.helpers.host_clients import NAS, SHARE, HostClients

ADDRESS = "127.0.0.76"
GIB = 1 << 30
MIB = 1 << 20


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[HostClients]:
    made = HostClients(tmp_path, ADDRESS)
    yield made
    made.stop()


def internal(clients: HostClients) -> Disk:
    return next(disk for disk in clients.host.disks.values() if not disk.model.usb)


def options(clients: HostClients) -> Any:
    [disk] = clients.managers.datastoreSystem.QueryAvailableDisksForVmfs()
    return clients.managers.datastoreSystem.QueryVmfsDatastoreCreateOptions(disk.devicePath)


def create(clients: HostClients, name: str = "local", option: int = 0) -> Any:
    spec = options(clients)[option].spec
    spec.vmfs.volumeName = name
    return clients.managers.datastoreSystem.CreateVmfsDatastore(spec)


def transfer(clients: HostClients, method: str, path: str, body: bytes | None = None) -> bytes:
    address = f"https://{ADDRESS}:{clients.face.port}/folder/{path}?dcPath=ha-datacenter&dsName=local"
    headers = {"Authorization": "Basic " + b64encode(b"root:secret").decode()}
    request = urllib.request.Request(address, body, headers, method=method)
    with urllib.request.urlopen(request, context=clients.tls, timeout=20) as answer:
        content: bytes = answer.read()
    return content


# Disks


@pytest.mark.parametrize(("model", "gigabytes"), [("GB-XM11-3337", 250), ("GB-BRi7-8550", 1000)])
def test_a_machine_has_its_ssd_and_the_stick_it_boots_from(tmp_path: Path, model: str, gigabytes: int) -> None:
    clients = HostClients(tmp_path, ADDRESS, model)
    try:
        info = clients.managers.storageSystem.storageDeviceInfo
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
        clients.stop()


def test_an_empty_disk_is_one_free_range(clients: HostClients) -> None:
    disk = internal(clients)
    [table] = clients.managers.storageSystem.RetrieveDiskPartitionInfo([disk.device_path])
    assert not table.spec.partition
    [free] = table.layout.partition
    assert (free.type, free.partition, free.start.block, free.end.block) == ("none", None, 0, disk.sectors - 1)


def test_the_shell_tells_the_same_disks(clients: HostClients) -> None:
    blocks = clients.says("esxcli storage core device list").split("\n\n")
    disk = internal(clients)
    assert blocks[0].startswith(f"{disk.canonical_name}\n   Display Name: Local ATA Disk ({disk.canonical_name})\n")
    assert "   Is SSD: true\n" in blocks[0]
    assert "   Is Boot USB Device: true\n" in blocks[1]
    assert clients.says(f"esxcli storage core device list -d {disk.canonical_name}").strip() == blocks[0]
    assert disk.canonical_name in clients.says("ls /vmfs/devices/disks").split()
    assert clients.shell("esxcli storage core device list -d nosuch")[2] == 1


def test_the_stick_takes_no_vmfs(clients: HostClients) -> None:
    [free] = clients.managers.datastoreSystem.QueryAvailableDisksForVmfs()
    assert free.canonicalName == internal(clients).canonical_name
    stick = "/vmfs/devices/disks/mpx.vmhba32:C0:T0:L0"
    with pytest.raises(vim.fault.HostConfigFault):
        clients.managers.datastoreSystem.QueryVmfsDatastoreCreateOptions(stick)
    [table] = clients.managers.storageSystem.RetrieveDiskPartitionInfo([stick])
    assert [part.partition for part in table.spec.partition] == [1, 5, 6, 7, 8, 9]
    with pytest.raises(vim.fault.NotFound):
        clients.managers.storageSystem.RetrieveDiskPartitionInfo(["/vmfs/devices/disks/nosuch"])


# Making and removing a VMFS


def test_a_vmfs_is_made_on_an_empty_disk(clients: HostClients) -> None:
    [option] = options(clients)
    assert isinstance(option.info, vim.host.VmfsDatastoreOption.AllExtentInfo)
    assert option.spec.vmfs.majorVersion == 6
    datastore = create(clients)
    disk = internal(clients)
    volume = datastore.info.vmfs
    assert (volume.name, volume.type, volume.majorVersion, volume.ssd, volume.local) == ("local", "VMFS", 6, True, True)
    assert [(one.diskName, one.partition) for one in volume.extent] == [(disk.canonical_name, 1)]
    assert datastore.summary.url == f"/vmfs/volumes/{volume.uuid}/"
    assert disk.model.size - GIB < datastore.summary.capacity < disk.model.size
    assert GIB < datastore.summary.capacity - datastore.summary.freeSpace < 2 * GIB
    assert [one.name for one in clients.system.datastore] == ["local"]
    [mounted] = clients.managers.storageSystem.fileSystemVolumeInfo.mountInfo
    assert (mounted.volume.uuid, mounted.mountInfo.path) == (volume.uuid, f"/vmfs/volumes/{volume.uuid}")
    [table] = clients.managers.storageSystem.RetrieveDiskPartitionInfo([disk.device_path])
    assert [(part.partition, part.type, part.startSector) for part in table.spec.partition] == [(1, "vmfs", 2048)]
    assert not clients.managers.datastoreSystem.QueryAvailableDisksForVmfs()


def test_the_shell_tells_the_same_vmfs(clients: HostClients) -> None:
    uuid = create(clients).info.vmfs.uuid
    [row] = parse_table(clients.says("esxcli storage filesystem list"))
    assert (row["Volume Name"], row["UUID"], row["Type"]) == ("local", uuid, "VMFS-6")
    [row] = parse_table(clients.says("esxcli storage vmfs extent list"))
    assert row == {
        "Volume Name": "local",
        "VMFS UUID": uuid,
        "Extent Number": "0",
        "Device Name": internal(clients).canonical_name,
        "Partition": "1",
    }
    assert clients.says("df").splitlines()[1].startswith("VMFS-6 ")
    assert clients.says("esxcli storage nfs list") == ""


def test_what_does_not_fit_the_disk_is_refused(clients: HostClients) -> None:
    system = clients.managers.datastoreSystem
    [option] = options(clients)
    spec = option.spec
    with pytest.raises(vim.fault.InvalidName):
        system.CreateVmfsDatastore(spec)
    spec.vmfs.volumeName = "local"
    clients.host.datastores.mount_nas(NAS, SHARE, "local")
    with pytest.raises(vim.fault.DuplicateName):
        system.CreateVmfsDatastore(spec)
    clients.host.datastores.unmount_nas("local")
    spec.partition.partition[0].endSector += 1_000_000
    with pytest.raises(vmodl.fault.InvalidArgument):
        system.CreateVmfsDatastore(spec)
    spec.diskUuid = "nosuch"
    with pytest.raises(vmodl.fault.InvalidArgument):
        system.CreateVmfsDatastore(spec)
    with pytest.raises(vmodl.fault.InvalidArgument):
        system.QueryVmfsDatastoreCreateOptions(internal(clients).device_path, 3)
    assert not internal(clients).partitions
    assert not clients.host.datastores.mounts


@pytest.mark.parametrize("way", ["DestroyDatastore", "RemoveDatastore"])
def test_a_vmfs_in_use_stays_and_else_goes_with_all_on_it(clients: HostClients, way: str) -> None:
    datastore = create(clients)

    def remove() -> None:
        if way == "DestroyDatastore":
            datastore.DestroyDatastore()
        else:
            clients.managers.datastoreSystem.RemoveDatastore(datastore)

    config = vim.vm.ConfigSpec(name="alpha", memoryMB=64, files=vim.vm.FileInfo(vmPathName="[local]"))
    folder = vim.Folder("ha-folder-vm", clients.instance._stub)
    pool = vim.ResourcePool("ha-root-pool", clients.instance._stub)
    vm = clients.result(folder.CreateVM_Task(config, pool))
    with pytest.raises(vim.fault.ResourceInUse):
        remove()
    clients.result(vm.Destroy_Task())
    remove()
    assert not clients.system.datastore
    first = datastore._moId
    again = create(clients)
    assert again._moId != first
    assert clients.says("ls /vmfs/volumes/local") == ""


def test_a_vmfs_outlives_boots_and_power_cuts(clients: HostClients) -> None:
    create(clients)
    clients.says("mkdir /vmfs/volumes/local/kept")
    for clean in (True, False):
        clients.boot(clean=clean)
        assert clients.says("ls /vmfs/volumes/local") == "kept\n"


# A disk that is not empty


def test_a_leftover_vmfs_is_mounted_and_not_offered(clients: HostClients) -> None:
    clients.host.datastores.leave_vmfs(internal(clients))
    [datastore] = clients.system.datastore
    assert (datastore.name, datastore.info.vmfs.majorVersion) == ("datastore1", 5)
    assert not clients.managers.datastoreSystem.QueryAvailableDisksForVmfs()
    with pytest.raises(vim.fault.HostConfigFault):
        clients.managers.datastoreSystem.QueryVmfsDatastoreCreateOptions(internal(clients).device_path)
    datastore.DestroyDatastore()
    assert create(clients).name == "local"


def test_foreign_partitions_go_only_by_the_option_that_takes_the_whole_disk(clients: HostClients) -> None:
    disk = internal(clients)
    lay_foreign(disk)
    [table] = clients.managers.storageSystem.RetrieveDiskPartitionInfo([disk.device_path])
    assert [part.type for part in table.spec.partition] == ["systemPartition", "ntfs"]
    [option] = options(clients)
    spec = option.spec
    spec.vmfs.volumeName = "local"
    whole = spec.partition.partition[0].endSector
    spec.partition.partition[0].endSector = whole // 2
    with pytest.raises(vmodl.fault.InvalidArgument):
        clients.managers.datastoreSystem.CreateVmfsDatastore(spec)
    assert [part.kind for part in disk.partitions] == ["systemPartition", "ntfs"]
    spec.partition.partition[0].endSector = whole
    clients.managers.datastoreSystem.CreateVmfsDatastore(spec)
    assert [part.kind for part in disk.partitions] == ["vmfs"]


def test_free_space_beside_foreign_partitions_can_be_taken(clients: HostClients) -> None:
    disk = internal(clients)
    disk.format, disk.partitions = "gpt", [Partition(1, 2048, disk.sectors // 2, "ntfs")]
    whole, beside = options(clients)
    assert isinstance(whole.info, vim.host.VmfsDatastoreOption.AllExtentInfo)
    assert isinstance(beside.info, vim.host.VmfsDatastoreOption.SingleExtentInfo)
    create(clients, option=1)
    assert [part.kind for part in disk.partitions] == ["ntfs", "vmfs"]
    assert clients.host.datastores.mounts["local"].volume.capacity in range(
        disk.model.size // 2 - GIB, disk.model.size // 2
    )


# Files, disks and space


def test_files_come_and_go_by_every_way(clients: HostClients) -> None:
    datastore = create(clients)
    clients.content.fileManager.MakeDirectory("[local] iso", None, False)
    transfer(clients, "PUT", "iso/seed.iso", b"seed")
    assert transfer(clients, "GET", "iso/seed.iso") == b"seed"
    found = clients.result(datastore.browser.SearchDatastore_Task("[local] iso", None))
    assert [file.path for file in found.file] == ["seed.iso"]
    assert clients.says(f"cat {datastore.summary.url}iso/seed.iso") == "seed"
    clients.says("mkdir -p /vmfs/volumes/local/a/b && touch /vmfs/volumes/local/a/b/c")
    assert clients.shell("rm /vmfs/volumes/local/a")[1] == "rm: can't remove '/vmfs/volumes/local/a': Is a directory\n"
    assert clients.shell("mkdir /vmfs/volumes/local/a")[1].endswith("File exists\n")
    assert clients.shell("rmdir /vmfs/volumes/local/a")[1].endswith("Directory not empty\n")
    clients.says("rm -rf /vmfs/volumes/local/a /vmfs/volumes/local/nosuch")
    clients.result(clients.content.fileManager.DeleteDatastoreFile_Task("[local] iso", None))
    assert clients.says("ls /vmfs/volumes/local") == ""
    assert clients.shell("touch /etc/nosuch")[2] == 1


def test_space_ends_where_the_disk_ends(clients: HostClients) -> None:
    datastore = create(clients)
    free = datastore.summary.freeSpace
    folder = "/vmfs/volumes/local"
    clients.says(f"vmkfstools -c {free // MIB - 10}m -d zeroedthick {folder}/thick.vmdk")
    assert datastore.summary.freeSpace < 11 * MIB
    assert clients.shell(f"vmkfstools -c 100m -d zeroedthick {folder}/more.vmdk")[2] == 255
    clients.says(f"vmkfstools -c 100g -d thin {folder}/thin.vmdk")
    spec = vim.VirtualDiskManager.FileBackedVirtualDiskSpec(
        diskType="preallocated", adapterType="lsiLogic", capacityKb=64 << 10
    )
    with pytest.raises(vim.fault.NoDiskSpace):
        clients.result(clients.content.virtualDiskManager.CreateVirtualDisk_Task("[local] two.vmdk", None, spec))
    # Refused before the body is read: what a client sees then depends on how far it has come.
    with pytest.raises(urllib.error.URLError):
        transfer(clients, "PUT", "big.iso", bytes(12 * MIB))
    clients.says(f"vmkfstools -U {folder}/thick.vmdk")
    assert free - datastore.summary.freeSpace < MIB


def test_a_vm_lives_on_a_vmfs(clients: HostClients) -> None:
    datastore = create(clients)
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
    pool = vim.ResourcePool("ha-root-pool", clients.instance._stub)
    vm = clients.result(vim.Folder("ha-folder-vm", clients.instance._stub).CreateVM_Task(config, pool))
    clients.result(vm.PowerOnVM_Task())
    assert [one.name for one in vm.datastore] == ["local"]
    assert [one.name for one in datastore.vm] == ["alpha"]
    folder = "/vmfs/volumes/local/alpha"
    assert {"alpha.vmx", "alpha.vmdk", "alpha-flat.vmdk"} <= set(clients.says(f"ls {folder}").split())
    assert clients.shell(f"rm {folder}/alpha.vmdk")[1].endswith("Device or resource busy\n")
    clients.boot(clean=False)
    assert "[local] alpha/alpha.vmx" not in clients.says("vim-cmd vmsvc/getallvms")
    assert clients.says(f"vim-cmd solo/registervm {folder}/alpha.vmx").strip().isdecimal()


def test_what_ails_the_nas_does_not_ail_the_disk(clients: HostClients) -> None:
    create(clients)
    clients.host.datastores.mount_nas(NAS, SHARE, "NAS")
    nas = clients.host.datastores.volumes.nas
    nas.full = nas.read_only = True
    assert clients.shell("touch /vmfs/volumes/NAS/a")[1] == "touch: /vmfs/volumes/NAS/a: Read-only file system\n"
    clients.says("touch /vmfs/volumes/local/a")
    nas.read_only = False
    assert clients.shell("touch /vmfs/volumes/NAS/a")[1].endswith("No space left on device\n")
    nas.away = True
    assert clients.shell("ls /vmfs/volumes/NAS/a")[2] == 1
    assert clients.says("ls /vmfs/volumes/local") == "a\n"


def test_a_vmfs_is_its_hosts_own(clients: HostClients) -> None:
    create(clients)
    volumes = clients.host.datastores.volumes.seen_by("brix2")
    other = Host(
        "brix2", "127.0.0.77", MODELS["GB-BRi7-8550"], "root", "secret", volumes=volumes, machines=NoMachines()
    )
    disk = next(iter(other.disks.values()))
    other.datastores.create_vmfs(disk, [disk.whole], 1, "local", 6)
    clients.says("touch /vmfs/volumes/local/mine")
    assert list(other.datastores.mounts["local"].volume.path.iterdir()) == []
    assert other.datastores.mounts["local"].volume.directory != clients.host.datastores.mounts["local"].volume.directory


# The host cache


def test_the_host_cache_lies_on_an_ssd(clients: HostClients) -> None:
    datastore = create(clients)
    manager = clients.managers.cacheConfigurationManager
    spec = vim.host.CacheConfigurationManager.CacheConfigurationSpec(datastore=datastore, swapSize=4096)
    free = datastore.summary.freeSpace
    clients.result(manager.ConfigureHostCache_Task(spec))
    [row] = manager.cacheConfigurationInfo
    assert (row.key._moId, row.swapSize) == (datastore._moId, 4096)
    assert [one.swapSize for one in clients.system.config.cacheConfigurationInfo] == [4096]
    assert free - datastore.summary.freeSpace == 4096 * MIB
    with pytest.raises(vim.fault.ResourceInUse):
        datastore.DestroyDatastore()
    spec.swapSize = 0
    clients.result(manager.ConfigureHostCache_Task(spec))
    assert not manager.cacheConfigurationInfo
    assert datastore.summary.freeSpace == free
    spec.swapSize = free // MIB + 1
    with pytest.raises(vim.fault.NoDiskSpace):
        clients.result(manager.ConfigureHostCache_Task(spec))
    internal(clients).ssd = False
    spec.swapSize = 4096
    with pytest.raises(vmodl.fault.InvalidArgument):
        clients.result(manager.ConfigureHostCache_Task(spec))


def test_the_nas_takes_no_host_cache(clients: HostClients) -> None:
    clients.host.datastores.mount_nas(NAS, SHARE, "NAS")
    [datastore] = clients.system.datastore
    spec = vim.host.CacheConfigurationManager.CacheConfigurationSpec(datastore=datastore, swapSize=1024)
    with pytest.raises(vmodl.fault.InvalidArgument):
        clients.result(clients.managers.cacheConfigurationManager.ConfigureHostCache_Task(spec))
