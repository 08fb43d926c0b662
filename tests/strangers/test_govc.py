"""A client that is not ours: govc drives the simulated host over TLS, and the host's state is what is checked."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.host.licences import KEYS
from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.soap import SoapFace
from homelab.rehearsal.state.hardware import MODELS
from homelab.rehearsal.state.machines import NoMachines
from homelab.rehearsal.storage.volumes import Volumes
from tests.helpers import tools
from tests.helpers.vmdk_writer import stream_vmdk

VERSION = "v0.18.0"  # the newest that can be built without its repository
NAS, SHARE = "192.168.1.20", "/volume1/homelab"
pytestmark = [pytest.mark.thorough, pytest.mark.timeout(900)]


@pytest.fixture(scope="session")
def program() -> Path:
    """govc, built once into the cache folder."""
    target = tools.tools() / f"govc-{VERSION}"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        command = [tools.go(), "install", f"github.com/vmware/govmomi/govc@{VERSION}"]
        environment = {**os.environ, "GOBIN": folder}
        built = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=800, check=False)
        if built.returncode:
            pytest.skip(f"govc could not be built: {built.stderr.strip()[-300:]}")
        (Path(folder) / "govc").replace(target)
    return target


class GovcHost:
    """A simulated host, and govc pointed at it."""

    def __init__(self, program: Path, work: Path) -> None:
        volumes = Volumes(work / "volumes", Nas({NAS}, {SHARE}))
        model = MODELS["GB-BRi7-8550"]
        self.host = Host("brix1", "127.0.0.71", model, "root", "secret", volumes=volumes, machines=NoMachines())
        self.face = SoapFace(self.host, port=0)
        self.face.start()
        self.program, self.work = program, work

    def command(self, *arguments: str) -> list[str]:
        return [str(self.program), *arguments]

    def environment(self) -> dict[str, str]:
        return {
            "GOVC_URL": f"https://root:secret@127.0.0.71:{self.face.port}",
            "GOVC_INSECURE": "1",
            "GOVC_PERSIST_SESSION": "false",
            "HOME": str(self.work),
            "PATH": os.environ["PATH"],
        }

    def run(self, *arguments: str, fails: bool = False) -> str:
        """What govc prints; its error when it is to fail."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            cwd=self.work,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        assert "panic" not in done.stderr
        return done.stderr if fails else done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(arguments[0], "-json", *arguments[1:]))

    def mount(self) -> None:
        self.host.datastores.mount_nas(NAS, SHARE, "NAS")

    def create(self, name: str = "alpha") -> None:
        self.run("vm.create", "-m", "1024", "-c", "2", "-disk", "1GB", "-on=false", "-net", "VM Network", name)


@pytest.fixture
def govc_host(program: Path, tmp_path: Path) -> Iterator[GovcHost]:
    made = GovcHost(program, tmp_path)
    yield made
    made.face.stop()
    made.host.power.stop()


@pytest.fixture
def govc(govc_host: GovcHost) -> Callable[..., str]:
    return govc_host.run


def test_who_the_host_is(govc_host: GovcHost) -> None:
    about = govc_host.json("about")["About"]
    assert (about["ApiType"], about["ApiVersion"], about["Build"]) == ("HostAgent", "6.7", "8169922")
    info = govc_host.json("host.info")["HostSystems"][0]
    assert info["Hardware"]["SystemInfo"]["Model"] == "GB-BRi7-8550"
    assert info["Summary"]["Hardware"]["NumCpuThreads"] == 8


def test_the_inventory(govc_host: GovcHost, govc: Callable[..., str]) -> None:
    govc_host.mount()
    assert govc("ls").split() == [f"/ha-datacenter/{name}" for name in ("vm", "host", "datastore", "network")]
    assert govc("ls", "datastore").split() == ["/ha-datacenter/datastore/NAS"]
    found = govc("find").splitlines()
    assert "/ha-datacenter/host/brix1/brix1" in found
    assert "/ha-datacenter/network/VM Network" in found
    assert govc("find", "/", "-type", "s").split() == ["/ha-datacenter/datastore/NAS"]


def test_services(govc_host: GovcHost, govc: Callable[..., str]) -> None:
    assert "TSM-SSH  off     Stopped  SSH" in govc("host.service.ls").splitlines()
    govc("host.service", "start", "TSM-SSH")
    assert govc_host.host.services["TSM-SSH"].running
    assert "TSM-SSH  off     Running  SSH" in govc("host.service.ls").splitlines()
    assert "could not be found" in govc_host.run("host.service", "start", "nosuch", fails=True)


def test_esxcli_over_443_is_the_shells(govc_host: GovcHost, govc: Callable[..., str]) -> None:
    table = [line.split() for line in govc("host.esxcli", "system", "module", "list").splitlines()]
    assert ["ne1000", "true", "true"] in table
    assert ["e1000e", "false", "true"] in table
    nic = govc("host.esxcli", "network", "nic", "list").splitlines()[-1]
    assert nic.split()[:3] == ["vmnic0", "0000:00:1f.6", "ne1000"]
    govc("host.esxcli", "system", "module", "set", "-m", "ne1000", "-e", "false")
    assert not govc_host.host.drivers.modules["ne1000"].enabled
    assert govc_host.host.dirty
    assert "brix1" in govc("host.esxcli", "system", "hostname", "get")
    assert "EsxCLI.CLIFault" in govc_host.run("host.esxcli", "system", "module", "get", "-m", "nosuch", fails=True)
    assert "no namespace of esxcli" in govc_host.run("host.esxcli", "vsan", "cluster", "get", fails=True)


def test_a_datastore_and_its_files(govc_host: GovcHost, govc: Callable[..., str]) -> None:
    mount = ("-type", "nfs", "-mode", "readWrite", "-name", "NAS", "-remote-host", NAS, "-remote-path", SHARE, "*")
    govc("datastore.create", *mount)
    assert govc_host.host.datastores.mounts["NAS"].access_mode == "readWrite"
    assert "is already exported" in govc_host.run("datastore.create", *mount, fails=True).lower()
    (govc_host.work / "up.txt").write_text("hello\n")
    govc("datastore.mkdir", "folder")
    govc("datastore.upload", "up.txt", "folder/up.txt")
    assert govc("datastore.ls", "folder").split() == ["up.txt"]
    assert govc("datastore.ls", "-l", "folder").startswith("6B ")
    assert govc("datastore.download", "folder/up.txt", "-") == "hello\n"
    govc("datastore.rm", "folder/up.txt")
    assert govc("datastore.ls", "folder") == ""
    assert "404" in govc_host.run("datastore.download", "folder/up.txt", "-", fails=True)


def test_the_root_of_a_datastore_stays(govc_host: GovcHost, govc: Callable[..., str]) -> None:
    govc_host.mount()
    govc("datastore.mkdir", "keep")
    for options in ((), ("-f",), ("-t=false",)):
        assert "Cannot delete file [NAS]" in govc_host.run("datastore.rm", *options, "", fails=True)
    assert "keep" in govc("datastore.ls")


def test_an_export_that_is_refused(govc_host: GovcHost) -> None:
    arguments = ("-type", "nfs", "-name", "NAS", "-remote-host", NAS, "-remote-path", "/nosuch", "*")
    assert "The NFS server denied the mount request" in govc_host.run("datastore.create", *arguments, fails=True)


def test_the_life_of_a_vm(govc_host: GovcHost, govc: Callable[..., str]) -> None:
    govc_host.mount()
    govc_host.create()
    vm = govc_host.host.vms.named("alpha")
    assert vm is not None
    assert (vm.cpus, vm.memory_mib, vm.disks[0].capacity) == (2, 1024, 1 << 30)
    names = [line.split()[0] for line in govc("device.ls", "-vm", "alpha").splitlines()]
    assert {"lsilogic-1000", "disk-1000-0", "ethernet-0"} <= set(names)
    govc("vm.power", "-on", "alpha")
    assert govc_host.host.registered_vms[vm.moid].powered_on
    assert "poweredOn" in govc("vm.info", "alpha")
    assert "current state (Powered on)" in govc_host.run("vm.power", "-on", "alpha", fails=True)
    govc("vm.power", "-off", "alpha")
    govc("vm.change", "-vm", "alpha", "-m", "2048", "-e", "guestinfo.x=y")
    assert (vm.memory_mib, vm.extra_config["guestinfo.x"]) == (2048, "y")
    govc("vm.unregister", "alpha")
    assert not govc_host.host.registered_vms
    govc("vm.register", "alpha/alpha.vmx")
    assert "2048MB" in govc("vm.info", "alpha")
    govc("vm.destroy", "alpha")
    assert not govc_host.host.registered_vms
    assert govc("datastore.ls", "-ds", "NAS") == ""


def test_a_disk_is_imported_and_stays_without_its_vm(govc_host: GovcHost, govc: Callable[..., str]) -> None:
    govc_host.mount()
    content = b"first".ljust(3 << 20, b"\0") + b"last".ljust(1 << 20, b"\0")
    (govc_host.work / "golden.vmdk").write_bytes(stream_vmdk(content))
    govc("import.vmdk", "golden.vmdk")
    assert not govc_host.host.registered_vms
    folder = govc_host.host.datastores.path_of("[NAS] golden")
    assert sorted(path.name for path in folder.iterdir()) == ["golden-flat.vmdk", "golden.vmdk"]
    assert (folder / "golden-flat.vmdk").read_bytes() == content
    assert "exist" in govc_host.run("import.vmdk", "golden.vmdk", fails=True)


def test_a_vm_on_a_shared_base(govc_host: GovcHost, govc: Callable[..., str]) -> None:
    govc_host.mount()
    govc_host.host.datastores.path_of("[NAS] base").mkdir()
    govc_host.host.datastores.volumes.create_disk(
        govc_host.host.datastores.path_of("[NAS] base/base.vmdk"), 4 << 20, label="[NAS] base/base.vmdk"
    )
    govc("vm.create", "-m", "64", "-on=false", "-net", "VM Network", "-disk", "base/base.vmdk", "-link=true", "alpha")
    vm = govc_host.host.vms.named("alpha")
    assert vm is not None
    assert vm.disks[0].parents == ("[NAS] base/base.vmdk",)
    info = govc_host.json("device.info", "-vm", "alpha", "disk-*")["Devices"][0]
    assert info["Backing"]["Parent"]["FileName"] == "[NAS] base/base.vmdk"
    govc("vm.power", "-on", "alpha")
    assert "locked" in govc_host.run("datastore.rm", "base/base.vmdk", fails=True)


def test_a_question_and_its_answer(govc_host: GovcHost, govc: Callable[..., str]) -> None:
    govc_host.mount()
    govc_host.create()
    govc("vm.unregister", "alpha")
    govc("datastore.mv", "alpha", "beta")
    govc("vm.register", "beta/alpha.vmx")
    [vm] = govc_host.host.registered_vms.values()
    vm.disks.clear()
    waiting = subprocess.Popen(
        govc_host.command("vm.power", "-on", "alpha"), env=govc_host.environment(), cwd=govc_host.work
    )
    deadline = time.monotonic() + 20
    while not vm.question:
        assert time.monotonic() < deadline
    assert "msg.uuid.altered" in govc("vm.question", "-vm", "alpha")
    govc("vm.question", "-vm", "alpha", "-answer", "2")
    assert waiting.wait(20) == 0
    assert vm.powered_on


def test_licences(govc_host: GovcHost, govc: Callable[..., str]) -> None:
    assert "  eval  " in govc("license.ls")
    key = KEYS["paid"]
    assert govc_host.json("license.decode", key)[0]["EditionKey"] == "esx.standard.cpuPackage"
    govc("license.add", key)
    # On a host it calls UpdateLicense.
    assert govc_host.host.licence == "paid"
    assert [row["LicenseKey"] for row in govc_host.json("license.ls")] == [key]
    assert [row["LicenseKey"] for row in govc_host.json("license.ls", "-feature", "vmotion")] == [key]
    govc("license.remove", key)
    assert [row["LicenseKey"] for row in govc_host.json("license.ls")] == [KEYS["evaluation"]]


def test_events_and_tasks(govc_host: GovcHost, govc: Callable[..., str]) -> None:
    govc_host.mount()
    govc_host.create()
    govc("vm.power", "-on", "alpha")
    events = govc("events")
    assert "[info] alpha on brix1 in ha-datacenter is powered on" in events
    assert "logged in as govc/0.18.0" in events
    of_vm = govc("events", "-l", "vm/alpha").splitlines()
    assert [line.split("[")[3].split("]")[0] for line in of_vm] == ["VmCreatedEvent", "VmPoweredOnEvent"]
    tasks = [line.split()[0] for line in govc("tasks").splitlines()[1:]]
    assert "VirtualMachine.powerOn" in tasks


def test_advanced_settings(govc_host: GovcHost, govc: Callable[..., str]) -> None:
    assert "Config.HostAgent." in govc("option.ls")
    assert "UserVars.SuppressShellWarning:  0" in govc("host.option.ls", "UserVars.SuppressShellWarning")
    govc("host.option.set", "UserVars.SuppressShellWarning", "1")
    assert govc_host.host.advanced["UserVars.SuppressShellWarning"] == 1
    assert "not valid" in govc_host.run("host.option.ls", "No.Such", fails=True)


def test_a_vmfs_on_the_local_disk(govc_host: GovcHost, govc: Callable[..., str]) -> None:
    disk = next(iter(govc_host.host.disks.values()))
    assert disk.device_path in govc("host.storage.info", "-t", "lun")
    assert "vmhba0" in govc("host.storage.info", "-t", "hba")
    govc("datastore.create", "-type", "vmfs", "-name", "local", "-disk", disk.canonical_name, "*")
    assert [part.kind for part in disk.partitions] == ["vmfs"]
    assert "vmfs" in govc("host.storage.partition", disk.device_path)
    info = dict(line.strip().split(":", 1) for line in govc("datastore.info", "local").splitlines() if ":" in line)
    assert (info["Type"].strip(), info["URL"].strip()) == (
        "VMFS",
        f"/vmfs/volumes/{govc_host.host.datastores.mounts['local'].moref}/",
    )
    assert float(info["Capacity"].strip().split()[0]) == 931.5
    (govc_host.work / "up.txt").write_text("hello\n")
    govc("datastore.upload", "-ds", "local", "up.txt", "up.txt")
    assert govc("datastore.ls", "-ds", "local").split() == ["up.txt"]
    govc("datastore.remove", "-ds", "local", "*")
    assert not govc_host.host.datastores.mounts


def test_network_and_clock(govc_host: GovcHost, govc: Callable[..., str]) -> None:
    nic = govc("host.vnic.info")
    assert "vmk0" in nic
    assert "127.0.0.71" in nic
    govc("host.date.change", "-server", "192.168.1.1")
    assert "192.168.1.1" in govc("host.date.info")
    govc("host.service", "start", "ntpd")
    assert "127.0.0.1" in govc("host.esxcli", "network", "ip", "dns", "server", "list")
