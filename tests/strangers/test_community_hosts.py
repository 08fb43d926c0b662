"""Ansible's modules of community.vmware about a host itself: each twice, the second time nothing changes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap.face import SoapFace
from homelab.rehearsal.state.settings import AllowedHosts, AutoStartDefaults
from homelab.rehearsal.state.vm import Vm
from tests.strangers import test_community_vmware as others
from tests.strangers.test_community_vmware import NAS, twice

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(900)]
# The same programs and the same host.
ansible, face = others.ansible, others.face

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
