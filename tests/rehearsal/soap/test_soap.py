"""The vSphere face of a simulated host, driven by pyVmomi itself over TLS."""

import base64
import http.client
import ipaddress
import socket
import ssl
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import SoapStubAdapter, vim, vmodl

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.soap import SoapFace
from homelab.rehearsal.state.hardware import MODELS
from homelab.rehearsal.state.machines import GuestSpec
from homelab.rehearsal.state.parts import Timing
from homelab.rehearsal.storage.volumes import Volumes

NAS, SHARE = "192.168.1.20", "/volume1/homelab"
ROOT = b"homelab rehearsal root trixie-1\n"
PC = vmodl.query.PropertyCollector


class Machines:
    """Remembers what was switched on."""

    def __init__(self) -> None:
        self.on: dict[str, GuestSpec] = {}
        self.told: dict[str, Mapping[str, str]] = {}

    def power_on(self, spec: GuestSpec) -> None:
        self.on[spec.name] = spec

    def power_off(self, name: str) -> None:
        self.on.pop(name, None)

    def shut_down(self, name: str) -> None:
        self.on.pop(name, None)

    def tell(self, name: str, guestinfo: Mapping[str, str]) -> None:
        self.told[name] = guestinfo

    def is_running(self, name: str) -> bool:
        return name in self.on


class Client:
    """One host, its face, and a logged-in pyVmomi."""

    def __init__(self, name: str, address: str, volumes: Volumes, model: str = "GB-BRi7-8550") -> None:
        self.machines = Machines()
        timing = Timing(boot_seconds=0.05, api_delay_seconds=0.05, shut_down_seconds=0.05)
        self.host = Host(
            name, address, MODELS[model], "root", "secret", volumes=volumes, machines=self.machines, timing=timing
        )
        self.face = SoapFace(self.host, port=0)
        self.face.start()
        self.address = address
        self.tls = ssl.create_default_context(cadata=self.face.certificate.decode())
        self.connect()

    def connect(self) -> None:
        self.si = SmartConnect(host=self.address, port=self.face.port, user="root", pwd="secret", sslContext=self.tls)
        self.content = self.si.RetrieveContent()
        self.stub = self.si._stub
        self.system = self.ref(vim.HostSystem, "ha-host")
        self.managers = self.system.configManager
        self.vms = self.ref(vim.Folder, "ha-folder-vm")

    def ref(self, kind: Any, moid: str) -> Any:
        return kind(moid, self.stub)

    def close(self) -> None:
        self.face.stop()
        self.host.power.stop()

    def mount(self, server: str = NAS, share: str = SHARE, name: str = "NAS", mode: str = "readWrite") -> Any:
        spec = vim.host.NasVolume.Specification(
            remoteHost=server, remotePath=share, localPath=name, accessMode=mode, type="NFS"
        )
        return self.managers.datastoreSystem.CreateNasDatastore(spec)

    def run(self, task: Any) -> Any:
        """The result of a task; raises its fault. Awaited with WaitForUpdatesEx."""
        collector = self.content.propertyCollector.CreatePropertyCollector()
        collector.CreateFilter(filter_of(task, vim.Task, "info.state", "info.error", "info.result"), False)
        version, values = "", {}
        deadline = time.monotonic() + 10
        while values.get("info.state") not in ("success", "error"):
            assert time.monotonic() < deadline
            update = collector.WaitForUpdatesEx(version, PC.WaitOptions(maxWaitSeconds=5))
            version = update.version
            values |= {change.name: change.val for change in update.filterSet[0].objectSet[0].changeSet}
        collector.DestroyPropertyCollector()
        if values["info.state"] == "error":
            raise values["info.error"]
        return values.get("info.result")

    def http(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        connection = http.client.HTTPSConnection(self.address, self.face.port, context=self.tls, timeout=10)
        token = base64.b64encode(b"root:secret").decode()
        connection.request(method, path, body, {"Authorization": f"Basic {token}"} if headers is None else headers)
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer

    def upload(self, path: str, body: bytes) -> int:
        status: int = self.http("PUT", folder(path), body)[0]
        return status


def folder(path: str, store: str = "NAS") -> str:
    return f"/folder/{quote(path)}?dcPath=ha-datacenter&dsName={store}"


def filter_of(target: Any, kind: Any, *paths: str) -> Any:
    wanted = PC.PropertySpec(type=kind, pathSet=list(paths))
    return PC.FilterSpec(propSet=[wanted], objectSet=[PC.ObjectSpec(obj=target)])


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        threading.Event().wait(0.005)


@pytest.fixture
def volumes(tmp_path: Path) -> Volumes:
    return Volumes(tmp_path, Nas({NAS}, {SHARE}))


@pytest.fixture
def client(volumes: Volumes) -> Iterator[Client]:
    made = Client("brix3", "127.0.0.71", volumes)
    yield made
    made.close()


@pytest.fixture
def other(volumes: Volumes) -> Iterator[Client]:
    made = Client("brix1", "127.0.0.72", volumes, "GB-XM11-3337")
    yield made
    made.close()


def vm_spec(name: str, disk: str | None = None, iso: str | None = None, mac: str | None = None) -> Any:
    devices = vim.vm.device
    controller = devices.ParaVirtualSCSIController(key=-1, busNumber=0, sharedBus="noSharing")
    sata = devices.VirtualAHCIController(key=-2, busNumber=0)
    nic = devices.VirtualVmxnet3(
        key=-3,
        backing=devices.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network"),
        addressType="manual" if mac else "generated",
        macAddress=mac,
    )
    items = [controller, sata, nic]
    if disk:
        backing = devices.VirtualDisk.FlatVer2BackingInfo(fileName=disk, diskMode="persistent")
        items.append(devices.VirtualDisk(key=-4, controllerKey=-1, unitNumber=0, backing=backing))
    if iso:
        connect = devices.VirtualDevice.ConnectInfo(startConnected=True, connected=True, allowGuestControl=True)
        drive = devices.VirtualCdrom(key=-5, controllerKey=-2, unitNumber=0, connectable=connect)
        drive.backing = devices.VirtualCdrom.IsoBackingInfo(fileName=iso)
        items.append(drive)
    add = devices.VirtualDeviceSpec
    return vim.vm.ConfigSpec(
        name=name,
        numCPUs=2,
        memoryMB=2048,
        guestId="debian10_64Guest",
        files=vim.vm.FileInfo(vmPathName=f"[NAS] {name}/{name}.vmx"),
        extraConfig=[vim.option.OptionValue(key="homelab.lab", value="home")],
        deviceChange=[add(operation="add", device=item) for item in items],
    )


def make_vm(client: Client, name: str = "cp1", **values: Any) -> Any:
    client.content.fileManager.MakeDirectory(f"[NAS] {name}", None, True)
    put_image(client, f"{name}/{name}")
    spec = vm_spec(name, disk=f"[NAS] {name}/{name}.vmdk", **values)
    return client.run(client.vms.CreateVM_Task(spec, client.ref(vim.ResourcePool, "ha-root-pool")))


def put_image(client: Client, stem: str, size: int = 4 << 20) -> None:
    name = stem.rpartition("/")[2]
    text = f'# Disk DescriptorFile\nversion=1\ncreateType="vmfs"\nRW {size // 512} VMFS "{name}-flat.vmdk"\n'
    assert client.upload(f"{stem}.vmdk", text.encode()) in (200, 201)
    assert client.upload(f"{stem}-flat.vmdk", ROOT + bytes(size - len(ROOT))) in (200, 201)


# The door


def test_the_certificate_is_the_hosts_own(client: Client) -> None:
    pem = ssl.get_server_certificate((client.address, client.face.port))
    assert pem.encode() == client.face.certificate
    names = x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address(client.address)]
    assert "brix3" in names.value.get_values_for_type(x509.DNSName)
    with pytest.raises(ssl.SSLCertVerificationError):
        SmartConnect(host=client.address, port=client.face.port, user="root", pwd="secret")


def test_the_version_is_the_releases_own(client: Client, other: Client) -> None:
    assert client.stub.version == "vim.version.version12" and other.stub.version == "vim.version.version11"
    about = client.content.about
    assert (about.version, about.build, about.apiType) == ("6.7.0", "8169922", "HostAgent")


def test_wrong_passwords_are_refused_and_lock_the_account(client: Client) -> None:
    for _ in range(5):
        with pytest.raises(vim.fault.InvalidLogin, match="incorrect user name or password"):
            client.content.sessionManager.Login("root", "wrong")
    with pytest.raises(vim.fault.InvalidLogin):
        client.content.sessionManager.Login("root", "secret")
    # The open session goes on.
    assert client.si.CurrentTime()


def test_without_a_session_nothing_is_told(client: Client) -> None:
    Disconnect(client.si)
    with pytest.raises(vim.fault.NotAuthenticated):
        client.si.CurrentTime()
    stub = SoapStubAdapter(
        host=client.address, port=client.face.port, version="vim.version.version12", sslContext=client.tls
    )
    with pytest.raises(vim.fault.NotAuthenticated):
        _ = vim.HostSystem("ha-host", stub).name
    assert vim.ServiceInstance("ServiceInstance", stub).RetrieveContent().about.version == "6.7.0"


def test_what_is_not_there_is_said_loudly(client: Client) -> None:
    with pytest.raises(vmodl.fault.NotSupported):
        client.system.QueryMemoryOverhead(memorySize=1, numVcpus=1)
    with pytest.raises(vmodl.query.InvalidProperty):
        client.content.propertyCollector.RetrieveContents([filter_of(client.system, vim.HostSystem, "nonsense")])
    with pytest.raises(vmodl.query.InvalidProperty):
        client.content.propertyCollector.RetrieveContents([filter_of(client.system, vim.HostSystem, "config.nonsense")])
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        _ = client.ref(vim.VirtualMachine, "99").name
    assert client.http("POST", "/sdk", b"<nonsense")[0] == 500


def test_one_connection_carries_many_calls(client: Client) -> None:
    for _ in range(5):
        client.si.CurrentTime()
    assert len(client.stub.pool) == 1 and client.face.calls["CurrentTime"] == 5


# Properties


def test_a_full_look_at_a_host_takes_five_calls(client: Client) -> None:
    client.mount()
    make_vm(client)
    Disconnect(client.si)
    client.face.calls.clear()
    stub = SoapStubAdapter(
        host=client.address, port=client.face.port, version="vim.version.version12", sslContext=client.tls
    )
    content = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
    content.sessionManager.Login("root", "secret")
    walk = PC.TraversalSpec
    spec = PC.FilterSpec(
        objectSet=[
            PC.ObjectSpec(
                obj=vim.HostSystem("ha-host", stub),
                selectSet=[
                    walk(name="vms", type=vim.HostSystem, path="vm", skip=False),
                    walk(name="stores", type=vim.HostSystem, path="datastore", skip=False),
                ],
            ),
            PC.ObjectSpec(obj=content.licenseManager),
        ],
        propSet=[
            PC.PropertySpec(
                type=vim.HostSystem,
                pathSet=[
                    "name",
                    "config.product.version",
                    "config.network.pnic",
                    "hardware.pciDevice",
                    "runtime.bootTime",
                ],
            ),
            PC.PropertySpec(type=vim.VirtualMachine, pathSet=["name", "runtime.powerState", "config.extraConfig"]),
            PC.PropertySpec(type=vim.Datastore, pathSet=["summary.name", "info", "host"]),
            PC.PropertySpec(type=vim.LicenseManager, pathSet=["licenses"]),
        ],
    )
    result = content.propertyCollector.RetrievePropertiesEx([spec], PC.RetrieveOptions())
    modules = client.ref(vim.host.KernelModuleSystem, "kernelModuleSystem")
    modules = vim.host.KernelModuleSystem(modules._moId, stub).QueryModules()
    content.sessionManager.Logout()
    assert sum(client.face.calls.values()) == 5
    values = {type(item.obj): {entry.name: entry.val for entry in item.propSet} for item in result.objects}
    host = values[vim.HostSystem]
    assert host["config.product.version"] == "6.7.0"
    nic = host["config.network.pnic"][0]
    assert (nic.device, nic.driver, nic.linkSpeed.speedMb, nic.pci) == ("vmnic0", "ne1000", 1000, "0000:00:1f.6")
    pci = next(item for item in host["hardware.pciDevice"] if item.id == nic.pci)
    assert (pci.vendorId & 0xFFFF, pci.deviceId & 0xFFFF) == (0x8086, 0x15D8)
    assert values[vim.VirtualMachine]["name"] == "cp1"
    assert values[vim.VirtualMachine]["config.extraConfig"][0].key == "homelab.lab"
    store = values[vim.Datastore]
    assert (store["info"].nas.remoteHost, store["info"].nas.remotePath) == (NAS, SHARE)
    assert store["host"][0].mountInfo.accessMode == "readWrite"
    assert values[vim.LicenseManager]["licenses"][0].editionKey == "eval"
    assert {module.name for module in modules if module.loaded} >= {"ne1000", "vmkernel"}


def test_a_recursive_walk_and_pages(client: Client) -> None:
    client.mount()
    walk = PC.TraversalSpec
    again = [PC.SelectionSpec(name="folders"), PC.SelectionSpec(name="datacenter")]
    spec = PC.FilterSpec(
        objectSet=[
            PC.ObjectSpec(
                obj=client.content.rootFolder,
                selectSet=[
                    walk(name="folders", type=vim.Folder, path="childEntity", selectSet=again),
                    walk(name="datacenter", type=vim.Datacenter, path="datastoreFolder", selectSet=again),
                ],
            )
        ],
        propSet=[PC.PropertySpec(type=vim.ManagedEntity, pathSet=["name"])],
    )
    collector = client.content.propertyCollector
    page = collector.RetrievePropertiesEx([spec], PC.RetrieveOptions(maxObjects=3))
    assert len(page.objects) == 3 and page.token
    rest = collector.ContinueRetrievePropertiesEx(page.token)
    names = [item.propSet[0].val for item in (*page.objects, *rest.objects)]
    assert names == ["ha-folder-root", "ha-datacenter", "datastore", "NAS"] and not rest.token


def test_a_container_view_lists_what_is_below(client: Client) -> None:
    client.mount()
    vm = make_vm(client)
    view = client.content.viewManager.CreateContainerView(client.content.rootFolder, [vim.VirtualMachine], True)
    assert list(view.view) == [vm]
    everything = client.content.viewManager.CreateContainerView(client.content.rootFolder, [], True).view
    assert {type(item).__name__ for item in everything} >= {"vim.HostSystem", "vim.Datastore", "vim.ResourcePool"}
    view.DestroyView()
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        _ = view.view


# Waiting


def test_updates_are_deltas_and_come_at_once(client: Client) -> None:
    client.mount()
    vm = make_vm(client)
    collector = client.content.propertyCollector.CreatePropertyCollector()
    collector.CreateFilter(filter_of(vm, vim.VirtualMachine, "name", "runtime.powerState", "runtime.bootTime"), False)
    first = collector.WaitForUpdatesEx("", PC.WaitOptions(maxWaitSeconds=5))
    entered = first.filterSet[0].objectSet[0]
    assert entered.kind == "enter" and {change.name for change in entered.changeSet} == {"name", "runtime.powerState"}
    begin = time.monotonic()
    assert collector.WaitForUpdatesEx(first.version, PC.WaitOptions(maxWaitSeconds=1)) is None
    assert 0.9 < time.monotonic() - begin < 3
    assert collector.WaitForUpdatesEx(first.version, PC.WaitOptions(maxWaitSeconds=0)) is None
    threading.Timer(0.2, client.host.vm_power.on, [client.host.vms.by_id(vm._moId)]).start()
    begin = time.monotonic()
    second = collector.WaitForUpdatesEx(first.version, PC.WaitOptions(maxWaitSeconds=10))
    assert time.monotonic() - begin < 5
    change = second.filterSet[0].objectSet[0]
    assert change.kind == "modify"
    assert {item.name for item in change.changeSet} == {"runtime.powerState", "runtime.bootTime"}
    with pytest.raises(vmodl.query.InvalidCollectorVersion):
        collector.WaitForUpdatesEx("77", PC.WaitOptions(maxWaitSeconds=1))
    client.run(vm.PowerOffVM_Task())
    client.run(vm.Destroy_Task())
    last = collector.WaitForUpdatesEx(second.version, PC.WaitOptions(maxWaitSeconds=5))
    assert last.filterSet[0].objectSet[0].kind == "leave"


def test_a_wait_can_be_cancelled(client: Client) -> None:
    collector = client.content.propertyCollector.CreatePropertyCollector()
    threading.Timer(0.2, lambda: collector.CancelWaitForUpdates()).start()
    with pytest.raises(vmodl.fault.RequestCanceled):
        collector.WaitForUpdatesEx("", PC.WaitOptions(maxWaitSeconds=10))


def test_many_tasks_are_awaited_with_one_filter(client: Client) -> None:
    client.mount()
    put_image(client, "golden")
    manager = client.content.virtualDiskManager
    tasks = [manager.CopyVirtualDisk_Task("[NAS] golden.vmdk", None, f"[NAS] {index}.vmdk") for index in range(4)]
    collector = client.content.propertyCollector.CreatePropertyCollector()
    wanted = PC.PropertySpec(type=vim.Task, pathSet=["info.state", "info.progress", "info.error"])
    collector.CreateFilter(
        PC.FilterSpec(propSet=[wanted], objectSet=[PC.ObjectSpec(obj=task) for task in tasks]), False
    )
    states: dict[str, str] = {}
    version = ""
    while set(states.values()) != {"success"} or len(states) < 4:
        update = collector.WaitForUpdatesEx(version, PC.WaitOptions(maxWaitSeconds=10))
        assert update is not None, states
        version = update.version
        for item in update.filterSet[0].objectSet:
            states |= {item.obj._moId: ch.val for ch in item.changeSet if ch.name == "info.state"}  # noqa: B035
    assert list(client.content.taskManager.recentTask)[-4:] == tasks
    assert tasks[0].info.descriptionId == "VirtualDiskManager.copyVirtualDisk"


# Datastores and files


def test_two_hosts_share_one_volume(client: Client, other: Client) -> None:
    first, second = client.mount(), other.mount()
    assert first._moId == second._moId == f"{NAS}:{SHARE}"
    assert first.summary.url == second.summary.url and first.summary.accessible and first.summary.type == "NFS"
    assert client.upload("probe", b"here") == 201
    assert other.http("GET", folder("probe")) == (200, b"here")
    other.managers.datastoreSystem.RemoveDatastore(second)
    assert list(other.system.datastore) == [] and list(client.system.datastore) == [first]


def test_mount_faults_are_esxis_own(client: Client, volumes: Volumes) -> None:
    client.mount()
    with pytest.raises(vim.fault.AlreadyExists) as exists:
        client.mount(name="other")
    assert exists.value.name == "NAS"
    with pytest.raises(vim.fault.DuplicateName):
        client.mount(share=SHARE + "/")
    with pytest.raises(vim.fault.PlatformConfigFault) as refused:
        client.mount(share="/not/exported", name="other")
    assert refused.value.msg == "An error occurred during host configuration."
    assert refused.value.faultMessage[0].message.endswith(
        "Sysinfo error: The NFS server denied the mount requestSee VMkernel log for details."
    )
    volumes.nas.away = True
    with pytest.raises(vim.fault.PlatformConfigFault) as away:
        client.mount(share=SHARE + "/", name="other")
    assert "Unable to connect to NFS server" in away.value.faultMessage[0].message
    with pytest.raises(vmodl.fault.InvalidArgument) as wrong:
        client.mount(share=SHARE + "/", name="other", mode="sometimes")
    assert wrong.value.invalidProperty == "spec.accessMode"


def test_files_come_and_go_by_folder(client: Client) -> None:
    client.mount()
    assert client.http("GET", folder("a"), headers={})[0] == 401
    assert client.http("PUT", folder("a"), b"x", headers={"Authorization": "Basic bm86bm8="})[0] == 401
    cookie = {"Cookie": client.stub.cookie.split(";")[0]}
    assert client.http("PUT", folder("a"), b"one", headers=cookie)[0] == 201
    assert client.http("PUT", folder("a"), b"two", headers=cookie)[0] == 200
    assert client.http("HEAD", folder("a")) == (200, b"") and client.http("GET", folder("a")) == (200, b"two")
    assert client.http("DELETE", folder("a"))[0] == 204 and client.http("GET", folder("a"))[0] == 404
    # A host makes the folders on the way (govmomi#1332), and takes no file in the place of a folder (govmomi#1764).
    assert client.http("PUT", folder("no/such/folder"), b"x")[0] == 201
    assert client.http("PUT", folder("no/such"), b"x")[0] == 405
    assert client.http("GET", folder("no/such/folder")) == (200, b"x")
    assert client.http("PUT", folder("no/such/folder/file"), b"x")[0] == 404
    assert client.http("GET", folder("a", store="none"))[0] == 404
    assert client.http("GET", folder("../../etc/passwd"))[0] == 404


def test_a_cut_upload_leaves_a_part_of_the_file(client: Client) -> None:
    client.mount()
    token = base64.b64encode(b"root:secret").decode()
    plain = socket.create_connection((client.address, client.face.port), 5)
    with client.tls.wrap_socket(plain, server_hostname=client.address) as connection:
        head = (
            f"PUT {folder('part')} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {token}\r\nContent-Length: 1000\r\n\r\n"
        )
        connection.sendall(head.encode() + b"x" * 300)
    file = client.host.datastores.path_of("[NAS] part")
    until(lambda: file.exists() and file.stat().st_size == 300)


def test_disks_are_copied_extended_and_deleted(client: Client) -> None:
    client.mount()
    files, disks = client.content.fileManager, client.content.virtualDiskManager
    with pytest.raises(vim.fault.FileNotFound):
        files.MakeDirectory("[NAS] homelab/images", None, False)
    files.MakeDirectory("[NAS] homelab/images", None, True)
    with pytest.raises(vim.fault.FileAlreadyExists):
        files.MakeDirectory("[NAS] homelab/images", None, True)
    put_image(client, "homelab/images/golden")
    files.MakeDirectory("[NAS] cp1", None, False)
    spec = vim.VirtualDiskManager.VirtualDiskSpec(diskType="thin", adapterType="lsiLogic")
    copy = ("[NAS] homelab/images/golden.vmdk", None, "[NAS] cp1/cp1.vmdk", None, spec)
    assert client.run(disks.CopyVirtualDisk_Task(*copy)) is None
    with pytest.raises(vim.fault.FileAlreadyExists):
        client.run(disks.CopyVirtualDisk_Task(*copy))
    client.run(disks.ExtendVirtualDisk_Task("[NAS] cp1/cp1.vmdk", None, 8 << 10))
    with pytest.raises(vmodl.fault.InvalidArgument):
        client.run(disks.ExtendVirtualDisk_Task("[NAS] cp1/cp1.vmdk", None, 1))
    browser = client.system.datastore[0].browser
    search = vim.host.DatastoreBrowser.SearchSpec(
        matchPattern=["*.vmdk"], details=vim.host.DatastoreBrowser.FileInfo.Details(fileSize=True)
    )
    found = client.run(browser.SearchDatastore_Task("[NAS] cp1", search))
    assert {item.path: item.fileSize for item in found.file}["cp1-flat.vmdk"] == 8 << 20
    below = client.run(browser.SearchDatastoreSubFolders_Task("[NAS]", search))
    assert [item.folderPath for item in below] == ["[NAS]", "[NAS] cp1", "[NAS] homelab", "[NAS] homelab/images"]
    with pytest.raises(vim.fault.FileNotFound):
        client.run(browser.SearchDatastore_Task("[NAS] nothing", search))
    client.run(disks.DeleteVirtualDisk_Task("[NAS] cp1/cp1.vmdk"))
    client.run(files.DeleteDatastoreFile_Task("[NAS] cp1"))
    with pytest.raises(vim.fault.FileNotFound):
        client.run(files.DeleteDatastoreFile_Task("[NAS] cp1"))


# Machines


def test_a_vm_from_creation_to_destruction(client: Client) -> None:
    client.mount()
    assert client.upload("seed.iso", b"iso") == 201
    vm = make_vm(client, iso="[NAS] seed.iso", mac="00:50:56:00:00:11")
    devices = {type(item).__name__.rpartition(".")[2]: item for item in vm.config.hardware.device}
    nic, disk, drive = devices["VirtualVmxnet3"], devices["VirtualDisk"], devices["VirtualCdrom"]
    assert (nic.macAddress, nic.addressType) == ("00:50:56:00:00:11", "manual")
    assert disk.backing.fileName == "[NAS] cp1/cp1.vmdk" and disk.capacityInKB == 4096
    assert disk.controllerKey == devices["ParaVirtualSCSIController"].key == 1000
    client.run(vm.PowerOnVM_Task())
    spec = client.machines.on["cp1"]
    assert (spec.root_id, spec.mac, spec.cpus, spec.memory_mib) == ("trixie-1", "00:50:56:00:00:11", 2, 2048)
    assert spec.seed and spec.seed.read_bytes() == b"iso"
    assert vm.runtime.powerState == "poweredOn" and vm.guest.toolsRunningStatus == "guestToolsRunning"
    with pytest.raises(vim.fault.InvalidPowerState) as state:
        client.run(vm.PowerOnVM_Task())
    assert state.value.existingState == "poweredOn"
    with pytest.raises(vim.fault.FileLocked):
        client.run(client.content.virtualDiskManager.DeleteVirtualDisk_Task("[NAS] cp1/cp1.vmdk"))
    drive.backing = vim.vm.device.VirtualCdrom.RemotePassthroughBackingInfo(deviceName="", exclusive=False)
    drive.connectable.startConnected = drive.connectable.connected = False
    edit = vim.vm.device.VirtualDeviceSpec(operation="edit", device=drive)
    mark = vim.option.OptionValue(key="homelab.image", value="abc")
    client.run(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[edit], extraConfig=[mark])))
    assert {item.key: item.value for item in vm.config.extraConfig} == {"homelab.lab": "home", "homelab.image": "abc"}
    for text, told in (("of the VM", {"guestinfo.x": "of the VM"}), ("", {})):
        option = vim.option.OptionValue(key="GuestInfo.x", value=text)
        client.run(vm.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[option])))
        assert client.machines.told["cp1"] == told
    vm.ShutdownGuest()
    until(lambda: bool(vm.runtime.powerState == "poweredOff"))
    remove = vim.vm.device.VirtualDeviceSpec(operation="remove", device=drive)
    client.run(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[remove])))
    client.run(vm.PowerOnVM_Task())
    assert client.machines.on["cp1"].seed is None
    client.run(vm.PowerOffVM_Task())
    client.run(vm.Destroy_Task())
    assert list(client.system.vm) == [] and not client.host.datastores.path_of("[NAS] cp1").exists()


def test_a_cold_move_keeps_the_vm(client: Client, other: Client) -> None:
    client.mount(), other.mount()
    vm = make_vm(client)
    uuid, mac = vm.config.uuid, client.host.registered_vms[vm._moId].nics[0].mac
    assert mac.startswith("00:0c:29:")
    vm.UnregisterVM()
    pool = other.ref(vim.ResourcePool, "ha-root-pool")
    moved = other.run(other.vms.RegisterVM_Task("[NAS] cp1/cp1.vmx", None, False, pool))
    moved = other.ref(vim.VirtualMachine, moved._moId)
    assert (moved.name, moved.config.uuid) == ("cp1", uuid)
    assert other.host.registered_vms[moved._moId].nics[0].mac == mac
    assert other.content.searchIndex.FindByUuid(None, uuid, True) == moved


def test_a_vm_that_cannot_be_made_leaves_nothing(client: Client) -> None:
    client.mount()
    pool = client.ref(vim.ResourcePool, "ha-root-pool")
    with pytest.raises(vim.fault.FileNotFound):
        client.run(client.vms.CreateVM_Task(vm_spec("cp1", disk="[NAS] cp1/cp1.vmdk"), pool))
    assert not client.host.datastores.path_of("[NAS] cp1").exists()
    make_vm(client)
    with pytest.raises(vim.fault.DuplicateName):
        client.run(client.vms.CreateVM_Task(vm_spec("cp1"), pool))
    wrong = vm_spec("cp2")
    wrong.deviceChange[2].device.backing.deviceName = "nowhere"
    with pytest.raises(vim.fault.InvalidDeviceBacking) as backing:
        client.run(client.vms.CreateVM_Task(wrong, pool))
    assert backing.value.deviceIndex == 2
    wrong = vm_spec("cp2")
    wrong.numCPUs = 129
    with pytest.raises(vmodl.fault.InvalidArgument) as cpus:
        client.run(client.vms.CreateVM_Task(wrong, pool))
    assert cpus.value.invalidProperty == "configSpec.numCPUs"


# The host


def test_services_start_and_stop(client: Client) -> None:
    services = client.managers.serviceSystem
    services.StartService("TSM-SSH")
    services.UpdateServicePolicy("TSM-SSH", "on")
    ssh = next(item for item in client.system.config.service.service if item.key == "TSM-SSH")
    assert (ssh.running, ssh.policy) == (True, "on")
    services.StopService("TSM-SSH")
    assert not client.host.services["TSM-SSH"].running
    with pytest.raises(vim.fault.NotFound):
        services.StartService("nothing")


def test_packages_and_backup(client: Client) -> None:
    packages = {item.name: item.version for item in client.managers.imageConfigManager.fetchSoftwarePackages()}
    assert packages["net-e1000e"] == "3.2.2.1-2vmw.670.0.0.8169922"
    client.mount()
    url = client.managers.firmwareSystem.BackupFirmwareConfiguration()
    assert url.startswith("http://*/downloads/")
    status, bundle = client.http("GET", url.removeprefix("http://*"), headers={})
    assert status == 200
    with tarfile.open(fileobj=BytesIO(bundle)) as archive:
        assert archive.getnames() == ["Manifest.txt", "state.tgz"]


def test_a_reboot_needs_maintenance_mode_or_force(client: Client) -> None:
    with pytest.raises(vim.fault.InvalidState):
        client.run(client.system.RebootHost_Task(force=False))
    client.run(client.system.EnterMaintenanceMode_Task(timeout=5))
    assert client.system.runtime.inMaintenanceMode
    client.run(client.system.ExitMaintenanceMode_Task(timeout=5))
    assert not client.system.runtime.inMaintenanceMode


def test_a_reboot_takes_the_face_away_and_brings_it_back(client: Client) -> None:
    before = client.system.runtime.bootTime
    client.host.power.on_down, client.host.power.on_up = client.face.stop, client.face.start
    client.host.drivers.set_enabled("ne1000", False)
    client.run(client.system.RebootHost_Task(force=True))
    with pytest.raises((OSError, http.client.HTTPException, vmodl.MethodFault)):
        while True:
            client.si.CurrentTime()
    until(lambda: client.host.power.api_ready)
    client.connect()
    assert client.system.runtime.bootTime > before
    assert client.system.config.network.pnic[0].driver == "e1000e"


def test_hostd_answers_later_than_the_network(client: Client) -> None:
    client.host.clock = lambda: -1.0
    client.host.power._hostd_at = 0.0
    with pytest.raises(http.client.HTTPException, match="503"):
        client.si.CurrentTime()


def test_the_free_licence_reads_and_does_not_write(client: Client) -> None:
    client.host.licence = "free"
    assert client.content.licenseManager.licenses[0].editionKey.startswith("esx.hypervisor")
    assert client.managers.kernelModuleSystem.QueryModules()
    with pytest.raises(vim.fault.RestrictedVersion, match="Current license or ESXi version prohibits"):
        client.mount()
    with pytest.raises(vim.fault.RestrictedVersion):
        client.system.RebootHost_Task(force=True)
