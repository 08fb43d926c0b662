"""The management network of a simulated host: addresses, names, DNS and the way out, through the API and the shell."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import paramiko
import pytest
from pyVim.connect import SmartConnect
from pyVmomi import vim, vmodl

from homelab.lab import EsxiHost
from homelab.ports.esxi.shell import parse_table
from homelab.ports.files.data import data_folder
from homelab.rehearsal.faults.effects import EFFECTS, SimulatedLab
from homelab.rehearsal.guests.network import Loopback
from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.outside.launch import namespaces_possible
from homelab.rehearsal.outside.overlay import free_ports
from homelab.rehearsal.served_host import Lan, ServedHost
from homelab.rehearsal.state.machines import NoMachines
from homelab.rehearsal.state.parts import Timing
from homelab.rehearsal.storage.volumes import Volumes
from tests.helpers.checkout import HELPERS
from tests.helpers.host_clients import HostClients, until
from tests.helpers.sample import sample_lab
from tests.helpers.served import served as serving

FIRST, OWN, OTHER = "127.0.0.150", "127.0.0.81", "127.0.0.82"
LAN = Lan(IPv4Network("127.0.0.0/24"), IPv4Address("127.0.0.254"), (IPv4Address("127.0.0.253"),), "lab.test")


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[HostClients]:
    made = HostClients(tmp_path, "127.0.0.79")
    yield made
    made.stop()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., ServedHost]]:
    made: list[ServedHost] = []

    def make_host(name: str = "brix1", **fields: Any) -> ServedHost:
        [(api, shell)] = free_ports([name]).values()
        wanted = EsxiHost.model_validate(
            {
                "name": name,
                "ansible_host": OWN,
                "ansible_password": "right",
                "vsphere_port": api,
                "ansible_port": shell,
                **fields,
            }
        )
        timing = Timing(boot_seconds=0.05, api_delay_seconds=0, shut_down_seconds=0)
        served = ServedHost(wanted, Loopback(), Volumes(tmp_path, Nas()), NoMachines(), timing, LAN)
        served.start()
        made.append(served)
        return served

    yield make_host
    for served in made:
        served.stop()


def answers(served: ServedHost, address: str) -> bool:
    try:
        meet(served, address)
    except OSError:
        return False
    return True


def meet(served: ServedHost, address: str) -> Any:
    instance = SmartConnect(
        host=address,
        port=served.api.port,
        user="root",
        pwd="right",
        disableSslCertValidation=True,
        httpConnectionTimeout=10,
    )
    return vim.HostSystem("ha-host", instance._stub)


def give(system: Any, **ip: Any) -> None:
    """Give vmk0 an address; whoever moves hears no answer."""
    spec = vim.host.VirtualNic.Specification(ip=vim.host.IpConfig(**ip))
    system.configManager.networkSystem.UpdateVirtualNic("vmk0", spec)


def move(served: ServedHost, old: str, new: str) -> None:
    with pytest.raises((OSError, EOFError, ValueError)):
        give(meet(served, old), dhcp=False, ipAddress=new, subnetMask="255.255.255.0")
    until(lambda: answers(served, new))


# An address of its own


def test_a_host_is_told_as_it_was_installed(make: Callable[..., ServedHost]) -> None:
    system = meet(make(), OWN)
    network = system.config.network
    [nic] = network.vnic
    assert (nic.device, nic.spec.ip.dhcp, nic.spec.ip.ipAddress, nic.spec.ip.subnetMask) == (
        "vmk0",
        False,
        OWN,
        "255.255.255.0",
    )
    assert (network.dnsConfig.hostName, network.dnsConfig.domainName) == ("brix1", "lab.test")
    assert list(network.dnsConfig.address) == ["127.0.0.253"]
    assert network.ipRouteConfig.defaultGateway == "127.0.0.254"
    assert system.name == "brix1.lab.test"


def test_a_host_that_nobody_told_anything_is_met_where_dhcp_put_it(make: Callable[..., ServedHost]) -> None:
    served = make(esxi_dhcp_address=FIRST)
    assert not answers(served, OWN)
    system = meet(served, FIRST)
    [nic] = system.config.network.vnic
    assert (nic.spec.ip.dhcp, nic.spec.ip.ipAddress) == (True, FIRST)
    assert (system.name, system.config.network.dnsConfig.dhcp) == ("localhost", True)
    move(served, FIRST, OWN)
    assert not answers(served, FIRST)
    assert meet(served, OWN).config.network.vnic[0].spec.ip.dhcp is False


def test_a_moved_host_stays_where_it_is_unless_the_power_is_cut_too_early(make: Callable[..., ServedHost]) -> None:
    served = make(esxi_dhcp_address=FIRST)
    certificate = served.api.certificate
    move(served, FIRST, OWN)
    served.host.power.cut()
    until(lambda: served.host.power.boots == 2 and answers(served, FIRST))
    assert not answers(served, OWN)
    move(served, FIRST, OWN)
    served.host.power.reboot()
    until(lambda: served.host.power.boots == 3 and answers(served, OWN))
    assert not answers(served, FIRST)
    assert served.api.certificate == certificate


def test_the_shell_moves_the_host_too(make: Callable[..., ServedHost]) -> None:
    served = make()
    meet(served, OWN).configManager.serviceSystem.StartService("TSM-SSH")
    until(lambda: served.shell.listening)
    with shell(served, OWN) as client:
        channel = client.get_transport().open_session(timeout=10)
        channel.settimeout(10)
        channel.exec_command(f"esxcli network ip interface ipv4 set -i vmk0 -t static -I {OTHER} -N 255.255.255.0")
        assert channel.recv_exit_status() == -1
    until(lambda: answers(served, OTHER))
    with shell(served, OTHER) as client:
        _, out, _ = client.exec_command("esxcli network ip interface ipv4 get", timeout=10)
        [row] = parse_table(out.read().decode())
    assert (row["IPv4 Address"], row["Address Type"], row["Gateway"]) == (OTHER, "STATIC", "127.0.0.254")
    assert not answers(served, OWN)


def shell(served: ServedHost, address: str) -> Any:
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect(address, served.shell.port, "root", "right", timeout=10, allow_agent=False, look_for_keys=False)
    return client


@pytest.mark.parametrize(
    "ip",
    [
        {"dhcp": False},
        {"dhcp": False, "ipAddress": "nowhere", "subnetMask": "255.255.255.0"},
        {"dhcp": False, "ipAddress": "127.0.0.255", "subnetMask": "255.255.255.0"},
        {"dhcp": False, "ipAddress": "127.0.0.5", "subnetMask": "255.0.255.0"},
    ],
)
def test_what_is_no_address_moves_nothing(clients: HostClients, ip: dict[str, Any]) -> None:
    with pytest.raises(vmodl.fault.InvalidArgument):
        give(clients.system, **ip)
    with pytest.raises(vim.fault.NotFound):
        clients.managers.networkSystem.UpdateVirtualNic("vmk1", vim.host.VirtualNic.Specification())
    assert clients.host.settings.network.address == "127.0.0.79"


def test_a_dhcp_address_can_be_taken_back(clients: HostClients) -> None:
    give(clients.system, dhcp=True)
    assert clients.system.config.network.vnic[0].spec.ip.dhcp is True
    [row] = parse_table(clients.says("esxcli network ip interface ipv4 get"))
    assert (row["IPv4 Address"], row["Address Type"]) == ("127.0.0.79", "DHCP")


# Names, DNS and the way out


def test_dns_is_set_by_the_api(clients: HostClients) -> None:
    config = vim.host.DnsConfig(
        dhcp=False, hostName="brix9", domainName="lab.test", address=["10.0.0.1", "10.0.0.2"], searchDomain=["lab.test"]
    )
    clients.managers.networkSystem.UpdateDnsConfig(config)
    told = clients.managers.networkSystem.dnsConfig
    assert (told.hostName, told.domainName, list(told.address)) == ("brix9", "lab.test", ["10.0.0.1", "10.0.0.2"])
    assert clients.managers.networkSystem.networkConfig.dnsConfig.hostName == "brix9"
    assert clients.says("esxcli network ip dns server list") == "   DNSServers: 10.0.0.1, 10.0.0.2\n"
    assert clients.says("esxcli network ip dns search list") == "   DNSSearch Domains: lab.test\n"
    assert "Fully Qualified Domain Name: brix9.lab.test\n" in clients.says("esxcli system hostname get")
    assert clients.says("uname -n") == "brix9.lab.test\n"
    config.hostName = "brix9.lab.test"
    with pytest.raises(vmodl.fault.InvalidArgument):
        clients.managers.networkSystem.UpdateDnsConfig(config)
    config.hostName, config.address = "brix9", ["nowhere"]
    with pytest.raises(vmodl.fault.InvalidArgument):
        clients.managers.networkSystem.UpdateDnsConfig(config)


def test_dns_is_set_by_the_shell(clients: HostClients) -> None:
    clients.says("esxcli network ip dns server remove --all")
    clients.says("esxcli network ip dns server add -s 10.0.0.1 && esxcli network ip dns server add --server=10.0.0.2")
    clients.says("esxcli network ip dns server remove -s 10.0.0.1")
    clients.says("esxcli network ip dns search add -d lab.test")
    clients.says("esxcli system hostname set --fqdn=brix9.lab.test")
    told = clients.system.config.network.dnsConfig
    assert (list(told.address), list(told.searchDomain)) == (["10.0.0.2"], ["lab.test"])
    assert (told.hostName, told.domainName) == ("brix9", "lab.test")
    clients.says("esxcli system hostname set --host=brix8 --domain=other.test")
    assert clients.system.name == "brix8.other.test"
    for line in ("dns server remove -s 10.9.9.9", "dns server add -s nowhere", "dns search remove -d nosuch"):
        assert clients.shell(f"esxcli network ip {line}")[2] == 1
    assert clients.shell("esxcli system hostname set")[2] == 1


def test_the_gateway_must_be_on_the_lan(clients: HostClients) -> None:
    system = clients.managers.networkSystem
    system.UpdateIpRouteConfig(vim.host.IpRouteConfig(defaultGateway="127.0.0.200"))
    assert system.ipRouteConfig.defaultGateway == "127.0.0.200"
    rows = parse_table(clients.says("esxcli network ip route ipv4 list"))
    assert [row["Gateway"] for row in rows] == ["127.0.0.200", "0.0.0.0"]
    with pytest.raises(vmodl.fault.InvalidArgument):
        system.UpdateIpRouteConfig(vim.host.IpRouteConfig(defaultGateway="10.9.9.9"))
    clients.says("esxcli network ip route ipv4 add -n default -g 127.0.0.201")
    assert clients.system.config.network.ipRouteConfig.defaultGateway == "127.0.0.201"
    assert clients.shell("esxcli network ip route ipv4 add -n default -g 10.9.9.9")[2] == 1


def test_what_is_configured_of_the_network_is_kept_by_auto_backup(clients: HostClients) -> None:
    clients.says("esxcli system hostname set --host=kept && /sbin/auto-backup.sh")
    clients.says("esxcli system hostname set --host=lost")
    clients.boot(clean=False)
    assert clients.host.settings.network.host_name == "kept"


def test_the_fault_of_the_clock_ends_where_ntpd_starts_with_a_server(make: Callable[..., ServedHost]) -> None:
    served = make()
    simulated = SimulatedLab(sample_lab(), {"brix1": served}, Nas(), Loopback(), None)
    begin, end = EFFECTS["clock-skew"]
    booted = served.host.boot_time
    begin(simulated, ("brix1",))
    services = meet(served, OWN).configManager.serviceSystem
    services.StartService("ntpd")
    assert served.host.harm.clock_skew == timedelta(hours=1)
    services.StopService("ntpd")
    served.host.settings.ntp_servers = ["192.168.2.1"]
    services.StartService("ntpd")
    assert served.host.harm.clock_skew == timedelta(0)
    begin(simulated, ("brix1",))
    assert served.host.harm.clock_skew == timedelta(hours=1)
    end(simulated, ("brix1",))
    assert served.host.boot_time == booted


# What the inventory and a test can have


def test_copies_of_a_stick_share_id_certificate_and_host_key(make: Callable[..., ServedHost]) -> None:
    one, two = make("brix1"), make("brix2", ansible_host=OTHER)
    assert one.host.stick_uuid != two.host.stick_uuid
    two.clone_stick_of(one)
    assert two.host.stick_uuid == one.host.stick_uuid
    assert two.api.certificate == one.api.certificate
    assert two.shell.host_key.get_base64() == one.shell.host_key.get_base64()


@pytest.mark.parametrize(
    ("disk", "kinds", "datastores"),
    [("empty", [], []), ("vmfs", ["vmfs"], ["datastore1"]), ("foreign", ["systemPartition", "ntfs"], [])],
)
def test_the_inventory_says_what_is_on_the_disk(
    make: Callable[..., ServedHost], disk: str, kinds: list[str], datastores: list[str]
) -> None:
    system = meet(make(rehearsal_disk=disk), OWN)
    storage = system.configManager.storageSystem
    path = storage.storageDeviceInfo.scsiLun[0].devicePath
    [table] = storage.RetrieveDiskPartitionInfo([path])
    assert [part.type for part in table.spec.partition] == kinds
    assert [one.name for one in system.datastore] == datastores


@pytest.mark.e2e
@pytest.mark.timeout(120)
def test_on_a_lan_of_its_own_a_host_that_moves_falls_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not namespaces_possible():
        pytest.skip("a LAN of its own needs namespaces")
    folder = tmp_path / "moving"
    shutil.copytree(data_folder("inventory"), folder)
    (folder / "host_vars").mkdir()
    (folder / "host_vars" / "brix1.yml").write_text("esxi_dhcp_address: 192.168.2.200\n")
    monkeypatch.setenv("HOMELAB_INVENTORY", str(folder))
    (tmp_path / "work").mkdir()
    with serving(tmp_path / "work", "--guests", "none") as lab:
        host = next(host for host in lab.ready["hosts"] if host["name"] == "brix1")
        own = host["api"].removeprefix("https://")
        script = HELPERS / "first_address.py"
        done = lab.enter(sys.executable, script, "192.168.2.200", own, host["password_file"], timeout=50)
        assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == {
        "own_before": False,
        "name": "localhost",
        "answer": "TimeoutError",
        "first_after": False,
        "address": own,
    }
