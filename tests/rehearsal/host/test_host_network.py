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
from homelab.rehearsal.faults.acts import ACTS, Stage
from homelab.rehearsal.guests.network import Loopback
from homelab.rehearsal.host.host import Timing
from homelab.rehearsal.outside.launch import namespaces_possible
from homelab.rehearsal.outside.overlay import free_ports
from homelab.rehearsal.site import Lan, Site
from homelab.rehearsal.storage.storage import Nas, Volumes
from homelab.rehearsal.vms.machines import NoMachines
from tests.helpers.checkout import HELPERS
from tests.helpers.met import Met, until
from tests.helpers.sample import sample_lab
from tests.helpers.served import served

FIRST, OWN, OTHER = "127.0.0.150", "127.0.0.81", "127.0.0.82"
LAN = Lan(IPv4Network("127.0.0.0/24"), IPv4Address("127.0.0.254"), (IPv4Address("127.0.0.253"),), "lab.test")


@pytest.fixture
def met(tmp_path: Path) -> Iterator[Met]:
    made = Met(tmp_path, "127.0.0.79")
    yield made
    made.stop()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make_site(name: str = "brix1", **fields: Any) -> Site:
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
        site = Site(wanted, Loopback(), Volumes(tmp_path, Nas()), NoMachines(), timing, LAN)
        site.start()
        made.append(site)
        return site

    yield make_site
    for site in made:
        site.stop()


def answers(site: Site, address: str) -> bool:
    try:
        meet(site, address)
    except OSError:
        return False
    return True


def meet(site: Site, address: str) -> Any:
    instance = SmartConnect(
        host=address,
        port=site.api.port,
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


def move(site: Site, old: str, new: str) -> None:
    with pytest.raises((OSError, EOFError, ValueError)):
        give(meet(site, old), dhcp=False, ipAddress=new, subnetMask="255.255.255.0")
    until(lambda: answers(site, new))


# An address of its own


def test_a_host_is_told_as_it_was_installed(make: Callable[..., Site]) -> None:
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


def test_a_host_that_nobody_told_anything_is_met_where_dhcp_put_it(make: Callable[..., Site]) -> None:
    site = make(esxi_dhcp_address=FIRST)
    assert not answers(site, OWN)
    system = meet(site, FIRST)
    [nic] = system.config.network.vnic
    assert (nic.spec.ip.dhcp, nic.spec.ip.ipAddress) == (True, FIRST)
    assert (system.name, system.config.network.dnsConfig.dhcp) == ("localhost", True)
    move(site, FIRST, OWN)
    assert not answers(site, FIRST)
    assert meet(site, OWN).config.network.vnic[0].spec.ip.dhcp is False


def test_a_moved_host_stays_where_it_is_unless_the_power_is_cut_too_early(make: Callable[..., Site]) -> None:
    site = make(esxi_dhcp_address=FIRST)
    certificate = site.api.certificate
    move(site, FIRST, OWN)
    site.host.power_cut()
    until(lambda: site.host.boots == 2 and answers(site, FIRST))
    assert not answers(site, OWN)
    move(site, FIRST, OWN)
    site.host.reboot()
    until(lambda: site.host.boots == 3 and answers(site, OWN))
    assert not answers(site, FIRST)
    assert site.api.certificate == certificate


def test_the_shell_moves_the_host_too(make: Callable[..., Site]) -> None:
    site = make()
    meet(site, OWN).configManager.serviceSystem.StartService("TSM-SSH")
    until(lambda: site.shell.listening)
    with shell(site, OWN) as client:
        channel = client.get_transport().open_session(timeout=10)
        channel.settimeout(10)
        channel.exec_command(f"esxcli network ip interface ipv4 set -i vmk0 -t static -I {OTHER} -N 255.255.255.0")
        assert channel.recv_exit_status() == -1
    until(lambda: answers(site, OTHER))
    with shell(site, OTHER) as client:
        _, out, _ = client.exec_command("esxcli network ip interface ipv4 get", timeout=10)
        [row] = parse_table(out.read().decode())
    assert (row["IPv4 Address"], row["Address Type"], row["Gateway"]) == (OTHER, "STATIC", "127.0.0.254")
    assert not answers(site, OWN)


def shell(site: Site, address: str) -> Any:
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect(address, site.shell.port, "root", "right", timeout=10, allow_agent=False, look_for_keys=False)
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
def test_what_is_no_address_moves_nothing(met: Met, ip: dict[str, Any]) -> None:
    with pytest.raises(vmodl.fault.InvalidArgument):
        give(met.system, **ip)
    with pytest.raises(vim.fault.NotFound):
        met.managers.networkSystem.UpdateVirtualNic("vmk1", vim.host.VirtualNic.Specification())
    assert met.host.address == "127.0.0.79"


def test_a_dhcp_address_can_be_taken_back(met: Met) -> None:
    give(met.system, dhcp=True)
    assert met.system.config.network.vnic[0].spec.ip.dhcp is True
    [row] = parse_table(met.says("esxcli network ip interface ipv4 get"))
    assert (row["IPv4 Address"], row["Address Type"]) == ("127.0.0.79", "DHCP")


# Names, DNS and the way out


def test_dns_is_set_by_the_api(met: Met) -> None:
    config = vim.host.DnsConfig(
        dhcp=False, hostName="brix9", domainName="lab.test", address=["10.0.0.1", "10.0.0.2"], searchDomain=["lab.test"]
    )
    met.managers.networkSystem.UpdateDnsConfig(config)
    told = met.managers.networkSystem.dnsConfig
    assert (told.hostName, told.domainName, list(told.address)) == ("brix9", "lab.test", ["10.0.0.1", "10.0.0.2"])
    assert met.managers.networkSystem.networkConfig.dnsConfig.hostName == "brix9"
    assert met.says("esxcli network ip dns server list") == "   DNSServers: 10.0.0.1, 10.0.0.2\n"
    assert met.says("esxcli network ip dns search list") == "   DNSSearch Domains: lab.test\n"
    assert "Fully Qualified Domain Name: brix9.lab.test\n" in met.says("esxcli system hostname get")
    assert met.says("uname -n") == "brix9.lab.test\n"
    config.hostName = "brix9.lab.test"
    with pytest.raises(vmodl.fault.InvalidArgument):
        met.managers.networkSystem.UpdateDnsConfig(config)
    config.hostName, config.address = "brix9", ["nowhere"]
    with pytest.raises(vmodl.fault.InvalidArgument):
        met.managers.networkSystem.UpdateDnsConfig(config)


def test_dns_is_set_by_the_shell(met: Met) -> None:
    met.says("esxcli network ip dns server remove --all")
    met.says("esxcli network ip dns server add -s 10.0.0.1 && esxcli network ip dns server add --server=10.0.0.2")
    met.says("esxcli network ip dns server remove -s 10.0.0.1")
    met.says("esxcli network ip dns search add -d lab.test")
    met.says("esxcli system hostname set --fqdn=brix9.lab.test")
    told = met.system.config.network.dnsConfig
    assert (list(told.address), list(told.searchDomain)) == (["10.0.0.2"], ["lab.test"])
    assert (told.hostName, told.domainName) == ("brix9", "lab.test")
    met.says("esxcli system hostname set --host=brix8 --domain=other.test")
    assert met.system.name == "brix8.other.test"
    for line in ("dns server remove -s 10.9.9.9", "dns server add -s nowhere", "dns search remove -d nosuch"):
        assert met.shell(f"esxcli network ip {line}")[2] == 1
    assert met.shell("esxcli system hostname set")[2] == 1


def test_the_gateway_must_be_on_the_lan(met: Met) -> None:
    system = met.managers.networkSystem
    system.UpdateIpRouteConfig(vim.host.IpRouteConfig(defaultGateway="127.0.0.200"))
    assert system.ipRouteConfig.defaultGateway == "127.0.0.200"
    rows = parse_table(met.says("esxcli network ip route ipv4 list"))
    assert [row["Gateway"] for row in rows] == ["127.0.0.200", "0.0.0.0"]
    with pytest.raises(vmodl.fault.InvalidArgument):
        system.UpdateIpRouteConfig(vim.host.IpRouteConfig(defaultGateway="10.9.9.9"))
    met.says("esxcli network ip route ipv4 add -n default -g 127.0.0.201")
    assert met.system.config.network.ipRouteConfig.defaultGateway == "127.0.0.201"
    assert met.shell("esxcli network ip route ipv4 add -n default -g 10.9.9.9")[2] == 1


def test_what_is_configured_of_the_network_is_kept_by_auto_backup(met: Met) -> None:
    met.says("esxcli system hostname set --host=kept && /sbin/auto-backup.sh")
    met.says("esxcli system hostname set --host=lost")
    met.boot(clean=False)
    assert met.host.network.host_name == "kept"


def test_the_fault_of_the_clock_ends_where_ntpd_starts_with_a_server(make: Callable[..., Site]) -> None:
    site = make()
    stage = Stage(sample_lab(), {"brix1": site}, Nas(), Loopback(), None)
    begin, end = ACTS["clock-skew"]
    booted = site.host.boot_time
    begin(stage, ("brix1",))
    services = meet(site, OWN).configManager.serviceSystem
    services.StartService("ntpd")
    assert site.host.harm.clock_skew == timedelta(hours=1)
    services.StopService("ntpd")
    site.host.settings.ntp_servers = ["192.168.2.1"]
    services.StartService("ntpd")
    assert site.host.harm.clock_skew == timedelta(0)
    begin(stage, ("brix1",))
    assert site.host.harm.clock_skew == timedelta(hours=1)
    end(stage, ("brix1",))
    assert site.host.boot_time == booted


# What the inventory and a test can have


def test_copies_of_a_stick_share_id_certificate_and_host_key(make: Callable[..., Site]) -> None:
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
    make: Callable[..., Site], disk: str, kinds: list[str], datastores: list[str]
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
    with served(tmp_path / "work", "--guests", "none") as lab:
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
