"""Ansible's modules of community.vmware against a simulated host: each twice, the second time nothing changes."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.soap.face import SoapFace
from homelab.rehearsal.state.hardware import MODELS
from homelab.rehearsal.state.machines import NoMachines
from homelab.rehearsal.state.settings import AllowedHosts, AutoStartDefaults
from homelab.rehearsal.state.vm import Vm
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


ON = {"esxi_hostname": "brix3"}
# A module, its arguments, its result's field, and a word of what it must say.
ASKS: list[tuple[str, dict[str, Any], str, str]] = [
    ("vmware_datastore_info", {"gather_nfs_mount_info": True}, "datastores", "/volume1/homelab"),
    ("vmware_host_capability_info", ON, "hosts_capability_info", "nfsSupported"),
    ("vmware_host_config_info", ON, "hosts_info", "UserVars.SuppressShellWarning"),
    ("vmware_host_disk_info", ON, "hosts_disk_info", "vmhba0:C0:T0:L0"),
    ("vmware_host_dns_info", ON, "hosts_dns_info", "brix3"),
    ("vmware_host_firewall_info", ON, "hosts_firewall_info", "sshServer"),
    ("vmware_host_ntp_info", ON, "hosts_ntp_info", "time_zone_identifier"),
    ("vmware_host_package_info", ON, "hosts_package_info", "net-e1000e"),
    ("vmware_host_service_info", ON, "host_service_info", "TSM-SSH"),
    ("vmware_host_vmhba_info", ON, "hosts_vmhbas_info", "vmw_ahci"),
    ("vmware_host_vmnic_info", ON | {"capabilities": True}, "hosts_vmnics_info", '"used": ["vmnic0"]'),
    ("vmware_portgroup_info", ON | {"policies": True}, "hosts_portgroup_info", "Management Network"),
    ("vmware_vswitch_info", ON | {"policies": True}, "hosts_vswitch_info", "vSwitch0"),
]


@pytest.mark.parametrize(("module", "arguments", "field", "word"), ASKS)
def test_what_a_host_tells(
    module: str, arguments: dict[str, Any], field: str, word: str, ansible: Path, face: SoapFace, tmp_path: Path
) -> None:
    face.host.datastores.mount_nas(NAS["server"], NAS["share"], "nas")
    first, second = twice(ansible, face, tmp_path, module, arguments)
    assert word in json.dumps(first[field])
    assert (first["changed"], second["changed"]) == (False, False)


SECURITY = {"promiscuous_mode": True, "mac_changes": False, "forged_transmits": False}
SHAPING = {"enabled": True, "average_bandwidth": 1000, "peak_bandwidth": 2000, "burst_size": 512}
TEAMING = {"load_balancing": "failover_explicit", "notify_switches": False, "active_adapters": ["vmnic0"]}
# As the state keeps it: bits a second, and bytes.
SHAPED = {"enabled": True, "averageBandwidth": 1_000_000, "peakBandwidth": 2_000_000, "burstSize": 524_288}
ALLOWED = {"all_ip": False, "ip_address": ["192.168.2.7"], "ip_network": ["192.168.2.0/24"]}
NAMES = {"type": "static", "host_name": "brix3", "domain": "lab.example", "dns_servers": ["192.168.2.1"]}
# A module, its arguments, and what the host's state says afterwards.
SETTINGS: list[tuple[str, dict[str, Any], Callable[[Host], Any], Any]] = [
    (
        "vmware_host_config_manager",
        ON | {"options": {"UserVars.SuppressShellWarning": 1}},
        lambda host: host.advanced["UserVars.SuppressShellWarning"],
        1,
    ),
    (
        "vmware_host_dns",
        ON | NAMES | {"search_domains": ["lab.example"]},
        lambda host: (host.settings.network.full_name, host.settings.network.search_domains),
        ("brix3.lab.example", ["lab.example"]),
    ),
    (
        "vmware_host_firewall_manager",
        ON | {"rules": [{"name": "sshServer", "enabled": True, "allowed_hosts": ALLOWED}]},
        lambda host: host.settings.allowed_hosts["sshServer"],
        AllowedHosts(("192.168.2.7",), ("192.168.2.0/24",)),
    ),
    (
        "vmware_host_kernel_manager",
        ON | {"kernel_module_name": "e1000e", "kernel_module_option": "debug=1"},
        lambda host: host.drivers.modules["e1000e"].options,
        "debug=1",
    ),
    (
        "vmware_host_ntp",
        ON | {"state": "present", "ntp_servers": ["192.168.2.1", "pool.ntp.org"]},
        lambda host: host.settings.ntp_servers,
        ["192.168.2.1", "pool.ntp.org"],
    ),
    (
        "vmware_portgroup",
        {"hosts": ["brix3"], "switch": "vSwitch0", "portgroup": "lab", "vlan_id": 7}
        | {"security": SECURITY, "teaming": TEAMING, "traffic_shaping": SHAPING},
        lambda host: (host.network.port_groups["lab"], host.settings.group_policies["lab"]["shapingPolicy"]),
        (7, SHAPED),
    ),
    (
        "vmware_vswitch",
        ON | {"switch": "vSwitch1", "mtu": 9000, "number_of_ports": 64},
        lambda host: (host.settings.switches["vSwitch1"].mtu, host.settings.switches["vSwitch1"].ports),
        (9000, 64),
    ),
    (
        "vmware_vswitch",
        ON
        | {"switch": "vSwitch0", "nics": ["vmnic0"]}
        | {"security": SECURITY, "teaming": TEAMING, "traffic_shaping": SHAPING},
        lambda host: host.settings.switches["vSwitch0"].in_force["nicTeaming"]["policy"],
        "failover_explicit",
    ),
]


@pytest.mark.parametrize(("module", "arguments", "look", "wanted"), SETTINGS)
def test_a_setting_stays(
    module: str,
    arguments: dict[str, Any],
    look: Callable[[Host], Any],
    wanted: Any,
    ansible: Path,
    face: SoapFace,
    tmp_path: Path,
) -> None:
    first, second = twice(ansible, face, tmp_path, module, arguments)
    assert look(face.host) == wanted
    assert (first["changed"], second["changed"]) == (True, False)


def test_a_vmfs(ansible: Path, face: SoapFace, tmp_path: Path) -> None:
    [disk] = [one for one in face.host.disks.values() if not one.boot]
    wanted = {"datastore_name": "local", "datastore_type": "vmfs", "vmfs_device_name": disk.canonical_name}
    first, second = twice(ansible, face, tmp_path, "vmware_host_datastore", wanted | {"vmfs_version": 6})
    assert (first["changed"], second["changed"]) == (True, False)
    assert face.host.datastores.mounts["local"].disk == disk.canonical_name


def test_automatic_start(ansible: Path, face: SoapFace, tmp_path: Path) -> None:
    face.host.datastores.mount_nas(NAS["server"], NAS["share"], "nas")
    face.host.datastores.path_of("[nas] alpha").mkdir()
    face.host.vms.create(Vm(face.host.vms.next_moid(), "alpha", "nas", "[nas] alpha/alpha.vmx"))
    defaults = {"enabled": True, "start_delay": 60, "stop_delay": 90, "wait_for_heartbeat": True}
    wanted = ON | {"system_defaults": defaults | {"stop_action": "guestShutdown"}}
    vm = {"name": "alpha", "power_info": {"start_action": "powerOn", "start_order": 1, "start_delay": 30}}
    # The module looks at a VM only where automatic start is on already: it takes its time.
    first, second = twice(ansible, face, tmp_path, "vmware_host_auto_start", wanted | vm)
    assert (first["changed"], second["changed"]) == (True, True)
    first, second = twice(ansible, face, tmp_path, "vmware_host_auto_start", wanted | vm)
    assert (first["changed"], second["changed"]) == (False, False)
    settings = face.host.settings
    assert settings.autostart_defaults == AutoStartDefaults(True, 60, 90, True, "guestShutdown")
    [row] = settings.autostart.values()
    assert (row.order, row.start_delay) == (1, 30)
