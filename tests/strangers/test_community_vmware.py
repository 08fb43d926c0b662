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
