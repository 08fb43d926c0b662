"""Ansible's modules of community.vmware against a simulated host: each twice, the second time nothing changes."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.soap.face import SoapFace
from homelab.rehearsal.state.hardware import MODELS
from homelab.rehearsal.state.machines import NoMachines
from homelab.rehearsal.state.vm import Vm, VmCdRom, VmDisk, VmNic
from homelab.rehearsal.storage.volumes import Volumes
from tests.helpers import tools

# The first test installs the collection: more than 500 MB.
pytestmark = [pytest.mark.thorough, pytest.mark.timeout(900)]

NAS = {"server": "192.168.2.5", "share": "/volume1/homelab", "name": "nas"}


@pytest.fixture(scope="module")
def ansible() -> Path:
    """The programs of the `ansible` package."""
    return tools.venv("community-vmware", "ansible==12.*", "pyvmomi==9.1.*", "requests")


@pytest.fixture
def face(tmp_path: Path) -> Iterator[SoapFace]:
    volumes = Volumes(tmp_path / "volumes", Nas({NAS["server"]}, {NAS["share"]}))
    host = Host("brix3", "127.0.0.2", MODELS["GB-BRi7-8550"], "root", "right", volumes=volumes, machines=NoMachines())
    face = SoapFace(host, port=0)
    face.start()
    yield face
    face.stop()
    host.power.stop()


def twice(ansible: Path, face: SoapFace, folder: Path, module: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of running a module two times."""
    login = {"hostname": face.address, "port": face.port, "username": "root", "password": "right"}
    task = {f"community.vmware.{module}": login | {"validate_certs": False} | arguments}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task, task]}
    book = folder / "play.yml"
    book.write_text(yaml.safe_dump([play]))
    variables = {
        "PATH": f"{ansible}:{os.environ['PATH']}",
        "HOME": str(folder),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_PYTHON_INTERPRETER": str(ansible / "python"),
    }
    done = subprocess.run(
        [ansible / "ansible-playbook", "-i", "localhost,", book],
        env=os.environ | variables,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.stdout, done.stderr
    results = [task["hosts"]["localhost"] for task in json.loads(done.stdout)["plays"][0]["tasks"]]
    for result in results:
        assert not result.get("failed"), result["msg"]
    return results


def test_host_facts(ansible: Path, face: SoapFace, tmp_path: Path) -> None:
    first, second = twice(ansible, face, tmp_path, "vmware_host_facts", {})
    facts = first["ansible_facts"]
    assert facts["ansible_hostname"] == "brix3"
    assert facts["ansible_distribution_version"] == face.host.version
    assert facts["ansible_vmk0"]["ipv4"]["address"] == "127.0.0.2"
    assert facts["ansible_processor_vcpus"] == face.host.model.threads
    assert not first["changed"]
    assert not second["changed"]


@pytest.mark.parametrize("version", ["nfs", "nfs41"])
def test_host_datastore(version: str, ansible: Path, face: SoapFace, tmp_path: Path) -> None:
    wanted = {"datastore_name": "nas", "datastore_type": version, "nfs_server": NAS["server"], "nfs_path": NAS["share"]}
    first, second = twice(ansible, face, tmp_path, "vmware_host_datastore", wanted)
    assert (first["changed"], second["changed"]) == (True, False)
    assert face.host.datastores.mounts["nas"].server == NAS["server"]
    first, second = twice(
        ansible, face, tmp_path, "vmware_host_datastore", {"datastore_name": "nas", "state": "absent"}
    )
    assert (first["changed"], second["changed"]) == (True, False)
    assert not face.host.datastores.mounts


def test_host_service(ansible: Path, face: SoapFace, tmp_path: Path) -> None:
    wanted = {"esxi_hostname": "brix3", "service_name": "TSM-SSH", "service_policy": "on", "state": "present"}
    first, second = twice(ansible, face, tmp_path, "vmware_host_service_manager", wanted)
    assert (first["changed"], second["changed"]) == (True, False)
    service = face.host.services["TSM-SSH"]
    assert (service.running, service.policy) == (True, "on")


def test_guest(ansible: Path, face: SoapFace, tmp_path: Path) -> None:
    face.host.datastores.mount_nas(NAS["server"], NAS["share"], "nas")
    wanted = {
        "name": "stranger",
        "state": "present",
        "datacenter": "ha-datacenter",
        "folder": "/ha-datacenter/vm",
        "esxi_hostname": "brix3",
        "guest_id": "otherLinux64Guest",
        "hardware": {"memory_mb": 512, "num_cpus": 1, "scsi": "paravirtual"},
        "disk": [{"size_mb": 16, "type": "thin", "datastore": "nas"}],
        "networks": [{"name": "VM Network"}],
    }
    first, second = twice(ansible, face, tmp_path, "vmware_guest", wanted)
    assert (first["changed"], second["changed"]) == (True, False)
    [vm] = face.host.registered_vms.values()
    assert (vm.name, vm.memory_mib, vm.cpus, vm.powered_on) == ("stranger", 512, 1, False)
    assert [disk.capacity for disk in vm.disks] == [16 << 20]
    first, second = twice(ansible, face, tmp_path, "vmware_guest", wanted | {"state": "poweredon"})
    assert (first["changed"], second["changed"]) == (True, False)
    assert vm.powered_on
    gone = {"name": "stranger", "state": "absent", "force": True}
    first, second = twice(ansible, face, tmp_path, "vmware_guest", gone)
    assert (first["changed"], second["changed"]) == (True, False)
    assert not face.host.registered_vms


@pytest.fixture
def guest(face: SoapFace) -> Vm:
    """A VM that is off, with a disk, a CD-ROM drive and a NIC."""
    face.host.datastores.mount_nas(NAS["server"], NAS["share"], "nas")
    face.host.datastores.path_of("[nas] guest").mkdir()
    path = "[nas] guest/guest.vmdk"
    face.host.datastores.volumes.create_disk(face.host.datastores.path_of(path), 16 << 20, label=path)
    vm = Vm(face.host.vms.next_moid(), "guest", "nas", "[nas] guest/guest.vmx")
    vm.controllers[1000] = "ParaVirtualSCSIController"
    vm.disks.append(VmDisk(2000, path, 16 << 20))
    vm.cdroms.append(VmCdRom(3000, controller=200))
    vm.nics.append(VmNic(4000, "", "VM Network"))
    return face.host.vms.create(vm)


GUEST = {"name": "guest", "datacenter": "ha-datacenter"}


def test_guest_hardware(ansible: Path, face: SoapFace, tmp_path: Path) -> None:
    face.host.datastores.mount_nas(NAS["server"], NAS["share"], "nas")
    wanted = {
        "name": "rich",
        "state": "present",
        "datacenter": "ha-datacenter",
        "folder": "/ha-datacenter/vm",
        "esxi_hostname": "brix3",
        "guest_id": "debian10_64Guest",
        "annotation": "words",
        "hardware": {
            "memory_mb": 512,
            "num_cpus": 2,
            "num_cpu_cores_per_socket": 2,
            "scsi": "paravirtual",
            "boot_firmware": "efi",
            "secure_boot": True,
            "hotadd_cpu": True,
            "hotadd_memory": True,
            "nested_virt": True,
            "iommu": True,
            "vpmc_enabled": True,
            "max_connections": 5,
            "cpu_limit": 1000,
            "mem_reservation": 256,
            "cpu_shares_level": "high",
            "mem_shares_level": "low",
            "version": "13",
        },
        "disk": [{"size_mb": 16, "type": "thin", "datastore": "nas", "disk_mode": "independent_persistent"}],
        "cdrom": [{"controller_number": 0, "unit_number": 0, "controller_type": "ide", "type": "client"}],
        "networks": [{"name": "VM Network", "mac": "00:50:56:00:00:21", "device_type": "e1000", "wake_on_lan": False}],
    }
    first, second = twice(ansible, face, tmp_path, "vmware_guest", wanted)
    assert (first["changed"], second["changed"]) == (True, False)
    [vm] = face.host.registered_vms.values()
    assert (vm.firmware, vm.hardware_version, vm.disks[0].mode) == ("efi", "vmx-13", "independent_persistent")
    assert vm.settings["cpuAllocation.limit"] == 1000
    assert vm.settings["memoryAllocation.shares"] == "low"


def test_guest_disk(ansible: Path, face: SoapFace, guest: Vm, tmp_path: Path) -> None:
    disk = {"size_mb": 8, "type": "thin", "datastore": "nas", "unit_number": 1, "state": "present"}
    disk |= {"controller_type": "paravirtual", "controller_number": 0}
    wanted = GUEST | {"disk": [disk]}
    first, second = twice(ansible, face, tmp_path, "vmware_guest_disk", wanted)
    assert (first["changed"], second["changed"]) == (True, False)
    assert [one.capacity for one in guest.disks] == [16 << 20, 8 << 20]
    first, second = twice(ansible, face, tmp_path, "vmware_guest_disk", GUEST | {"disk": [disk | {"size_mb": 32}]})
    assert (first["changed"], second["changed"]) == (True, False)
    assert [one.capacity for one in guest.disks] == [16 << 20, 32 << 20]
    first, _ = twice(ansible, face, tmp_path, "vmware_guest_disk_info", GUEST)
    told = first["guest_disk_info"]
    assert [one["capacity_in_bytes"] for one in told.values()] == [16 << 20, 32 << 20]
    gone = GUEST | {"disk": [disk | {"state": "absent"}]}
    first, _ = twice(ansible, face, tmp_path, "vmware_guest_disk", gone)
    assert first["changed"]
    assert len(guest.disks) == 1


def test_guest_network(ansible: Path, face: SoapFace, guest: Vm, tmp_path: Path) -> None:
    wanted = GUEST | {"network_name": "VM Network", "mac_address": "00:50:56:00:00:22", "device_type": "e1000e"}
    first, second = twice(ansible, face, tmp_path, "vmware_guest_network", wanted | {"state": "present"})
    assert (first["changed"], second["changed"]) == (True, False)
    assert [(nic.kind, nic.mac, nic.wake_on_lan) for nic in guest.nics[1:]] == [("E1000e", "00:50:56:00:00:22", False)]
    gone = GUEST | {"mac_address": "00:50:56:00:00:22", "state": "absent"}
    first, second = twice(ansible, face, tmp_path, "vmware_guest_network", gone)
    assert (first["changed"], second["changed"]) == (True, False)
    assert len(guest.nics) == 1


def test_guest_snapshot(ansible: Path, face: SoapFace, guest: Vm, tmp_path: Path) -> None:
    wanted = GUEST | {"folder": "/ha-datacenter/vm", "snapshot_name": "first"}
    first, second = twice(ansible, face, tmp_path, "vmware_guest_snapshot", wanted | {"state": "present"})
    assert (first["changed"], second["changed"]) == (True, False)
    assert [one.name for one in guest.snapshots.values()] == ["first"]
    guest.annotation = "later"
    first, _ = twice(ansible, face, tmp_path, "vmware_guest_snapshot", wanted | {"state": "revert"})
    assert (first["changed"], guest.annotation) == (True, "")
    first, second = twice(ansible, face, tmp_path, "vmware_guest_snapshot", wanted | {"state": "absent"})
    assert (first["changed"], second["changed"], guest.snapshots) == (True, False, {})


def test_guest_power(ansible: Path, face: SoapFace, guest: Vm, tmp_path: Path) -> None:
    for state, told in (("powered-on", "poweredOn"), ("suspended", "suspended"), ("powered-on", "poweredOn")):
        wanted = GUEST | {"folder": "/ha-datacenter/vm", "state": state, "force": True}
        first, second = twice(ansible, face, tmp_path, "vmware_guest_powerstate", wanted)
        assert (first["changed"], second["changed"], guest.power_state) == (True, False, told)
    first, _ = twice(ansible, face, tmp_path, "vmware_guest_tools_info", GUEST)
    assert first["vmtools_info"]["vm_tools_running_status"] == "guestToolsNotRunning"
    first, second = twice(
        ansible, face, tmp_path, "vmware_guest_powerstate", GUEST | {"state": "powered-off", "force": True}
    )
    assert (first["changed"], second["changed"], guest.powered_on) == (True, False, False)


def test_guest_boot(ansible: Path, face: SoapFace, guest: Vm, tmp_path: Path) -> None:
    wanted = {
        "name": "guest",
        "boot_delay": 2000,
        "boot_firmware": "efi",
        "secure_boot_enabled": True,
        "boot_retry_enabled": True,
        "boot_retry_delay": 22300,
        "boot_order": ["cdrom", "ethernet", "disk"],
    }
    first, second = twice(ansible, face, tmp_path, "vmware_guest_boot_manager", wanted)
    assert (first["changed"], second["changed"]) == (True, False)
    assert second["vm_boot_status"]["current_boot_order"] == ["cdrom", "ethernet", "disk"]
    assert (guest.firmware, guest.settings["bootOptions.bootDelay"]) == ("efi", 2000)
