"""What a client writes to a host is kept and answered back, or refused by its name: never accepted and dropped."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import VmomiSupport, vim, vmodl

from homelab.rehearsal.shell.call import Call
from homelab.rehearsal.shell.vimcmd import vim_cmd
from homelab.rehearsal.soap.taken import refuse_rest
from homelab.rehearsal.state.hardware import NicModel
from homelab.rehearsal.state.vm import Vm
from tests.helpers.host_clients import NAS, SHARE, HostClients

Policy = vim.host.NetworkPolicy
SKIPPED = ("dynamicType", "dynamicProperty")
# Where vmk0 answers: a host that moves hears nobody. tests/rehearsal/host/test_host_network.py moves it.
MOVES = ("ip.dhcp", "ip.ipAddress", "ip.subnetMask")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[HostClients]:
    made = HostClients(tmp_path, "127.0.0.83")
    yield made
    made.stop()


@pytest.fixture
def two_nics(tmp_path: Path) -> Iterator[HostClients]:
    """A host with a second NIC, which no switch has."""
    made = HostClients(tmp_path, "127.0.0.84")
    [first] = made.host.model.nics
    second = NicModel("vmnic1", "0000:01:00.0", first.pci_id, first.vendor, first.device)
    made.host.fit(first, second, management=["vmnic0"])
    yield made
    made.stop()


def leaves(version: str, kind: Any, prefix: str = "", above: tuple[Any, ...] = ()) -> Iterator[str]:
    """The path of every value that a specification of an API version can hold, by pyVmomi's type table."""
    for info in kind._GetPropertyList():
        inner = info.type.Item if issubclass(info.type, list) else info.type
        known = VmomiSupport.IsChildVersion(version, info.version)
        if info.name in SKIPPED or inner in above or not known:
            continue
        if issubclass(inner, vmodl.DynamicData):
            # What has no fields is said by being there.
            yield from list(leaves(version, inner, f"{prefix}{info.name}.", (*above, inner))) or [prefix + info.name]
        else:
            yield prefix + info.name


def value_of(kind: Any, *, yes: bool = True) -> Any:
    """A value that no host has by itself."""
    if issubclass(kind, list):
        return [value_of(kind.Item, yes=yes)]
    if issubclass(kind, vmodl.DynamicData):
        required = [
            one
            for one in kind._GetPropertyList()
            if not one.flags & VmomiSupport.F_OPTIONAL and one.name not in SKIPPED
        ]
        return kind(**{one.name: value_of(one.type, yes=yes) for one in required})
    if issubclass(kind, VmomiSupport.ManagedObject):
        return kind("seven", None)
    if kind is bool:
        return yes
    return kind(7) if issubclass(kind, int) else kind("seven") if issubclass(kind, str) else None


def put(spec: Any, path: str, *, yes: bool) -> None:
    """Set one value of a specification, and what must stand beside it."""
    name, _, rest = path.partition(".")
    kind = type(spec)._GetPropertyInfo(name).type
    if not rest:
        setattr(spec, name, value_of(kind, yes=yes))
        return
    inner = kind.Item if issubclass(kind, list) else kind
    now = getattr(spec, name)
    item = (now[0] if now else None) if issubclass(kind, list) else now
    item = item or value_of(inner, yes=yes)
    put(item, rest, yes=yes)
    setattr(spec, name, [item] if issubclass(kind, list) else item)


def state(clients: HostClients) -> str:
    host = clients.host
    return repr([host.settings, host.network.port_groups, host.datastores.mounts, host.disks, host.services])


def port_group(clients: HostClients) -> tuple[Any, Callable[[Any], Any]]:
    network = clients.managers.networkSystem
    spec = vim.host.PortGroup.Specification(name="VM Network", vlanId=0, vswitchName="vSwitch0", policy=Policy())
    return spec, lambda wanted: network.UpdatePortGroup("VM Network", wanted)


def switch(clients: HostClients) -> tuple[Any, Callable[[Any], Any]]:
    network = clients.managers.networkSystem
    bridge = vim.host.VirtualSwitch.BondBridge(nicDevice=["vmnic0"])
    spec = vim.host.VirtualSwitch.Specification(numPorts=128, bridge=bridge)
    return spec, lambda wanted: network.UpdateVirtualSwitch("vSwitch0", wanted)


def nic(clients: HostClients) -> tuple[Any, Callable[[Any], Any]]:
    network = clients.managers.networkSystem
    return vim.host.VirtualNic.Specification(), lambda wanted: network.UpdateVirtualNic("vmk0", wanted)


def dns(clients: HostClients) -> tuple[Any, Callable[[Any], Any]]:
    spec = vim.host.DnsConfig(dhcp=False, hostName="brix1", domainName="lab.test")
    return spec, clients.managers.networkSystem.UpdateDnsConfig


def route(clients: HostClients) -> tuple[Any, Callable[[Any], Any]]:
    return vim.host.IpRouteConfig(), clients.managers.networkSystem.UpdateIpRouteConfig


def whole(clients: HostClients) -> tuple[Any, Callable[[Any], Any]]:
    network = clients.managers.networkSystem
    return vim.host.NetworkConfig(), lambda wanted: network.UpdateNetworkConfig(wanted, "modify")


def nas(clients: HostClients) -> tuple[Any, Callable[[Any], Any]]:
    spec = vim.host.NasVolume.Specification(
        remoteHost=NAS, remotePath=SHARE, localPath="NAS", accessMode="readWrite", type="NFS"
    )
    system = clients.managers.datastoreSystem
    clients.host.datastores.mounts.clear()
    plain = clients.host.datastores.mount_nas(NAS, SHARE, "NAS")
    clients.host.datastores.mounts.clear()

    def mount(wanted: Any) -> None:
        system.CreateNasDatastore(wanted)
        # Taken is what makes another mount than the plain one.
        assert [plain] != list(clients.host.datastores.mounts.values())

    return spec, mount


def autostart(clients: HostClients) -> tuple[Any, Callable[[Any], Any]]:
    kind = vim.host.AutoStartManager
    clients.host.registered_vms["1"] = Vm("1", "alpha", "NAS", "[NAS] alpha/alpha.vmx")
    clients.host.settings.autostart.clear()
    row = kind.AutoPowerInfo(
        key=vim.VirtualMachine("1", clients.instance._stub),
        startOrder=1,
        startDelay=1,
        waitForHeartbeat="systemDefault",
        startAction="powerOn",
        stopDelay=1,
        stopAction="systemDefault",
    )
    return kind.Config(powerInfo=[row]), clients.managers.autoStartManager.ReconfigureAutostart


def date_time(clients: HostClients) -> tuple[Any, Callable[[Any], Any]]:
    return vim.host.DateTimeConfig(), clients.managers.dateTimeSystem.UpdateDateTimeConfig


def ruleset(clients: HostClients) -> tuple[Any, Callable[[Any], Any]]:
    spec = vim.host.Ruleset.RulesetSpec(allowedHosts=vim.host.Ruleset.IpList(allIp=False))
    return spec, lambda wanted: clients.managers.firewallSystem.UpdateRuleset("sshServer", wanted)


SPECIFICATIONS = [port_group, switch, nic, dns, route, whole, nas, autostart, date_time, ruleset]


@pytest.mark.parametrize("make", SPECIFICATIONS)
def test_no_value_of_a_specification_is_dropped(
    host: HostClients, make: Callable[[HostClients], tuple[Any, Callable[[Any], Any]]]
) -> None:
    """One value after the other; a flag in both positions, of which one may be what the host says already."""
    dropped = []
    for path in leaves(host.face.version, type(make(host)[0])):
        if path in MOVES and make is nic:
            continue
        if not any(taken_or_refused(host, make, path, yes=yes) for yes in (True, False)):
            dropped.append(path)
    assert dropped == []


def taken_or_refused(host: HostClients, make: Callable[..., Any], path: str, *, yes: bool) -> bool:
    spec, send = make(host)
    put(spec, path, yes=yes)
    before = state(host)
    try:
        send(spec)
    except vmodl.fault.NotSupported as fault:
        return "not part of the rehearsal" in fault.msg
    except vmodl.MethodFault:
        return True
    except AssertionError:
        return False
    return state(host) != before


def test_what_is_refused_is_named(host: HostClients) -> None:
    network = host.managers.networkSystem
    [spec] = [one.spec for one in network.networkInfo.vnic]
    spec.mac = "00:50:56:00:00:01"
    with pytest.raises(vmodl.fault.NotSupported, match=r"HostVirtualNicSpec\.mac is not part of the rehearsal"):
        network.UpdateVirtualNic("vmk0", spec)
    stp = vim.host.VirtualSwitch.SimpleBridge(nicDevice="vmnic0")
    with pytest.raises(vmodl.fault.NotSupported, match=r"HostVirtualSwitchSpec\.bridge is not part"):
        network.AddVirtualSwitch("vSwitch1", vim.host.VirtualSwitch.Specification(numPorts=8, bridge=stp))


def test_the_smaller_managers_take_no_more_than_they_keep(host: HostClients) -> None:
    pool = vim.ResourcePool("ha-root-pool", host.instance._stub)
    shares = vim.SharesInfo(level="normal", shares=0)
    allocation = vim.ResourceAllocationInfo(reservation=0, expandableReservation=True, limit=-1, shares=shares)
    spec = vim.ResourceConfigSpec(cpuAllocation=allocation, memoryAllocation=allocation, changeVersion="7")
    with pytest.raises(vmodl.fault.NotSupported, match=r"ResourceConfigSpec\.changeVersion is not part"):
        pool.CreateResourcePool("small", spec)
    person = vim.host.LocalAccountManager.PosixAccountSpecification(id="guest", password="Secret-1234", posixId=7)
    with pytest.raises(vmodl.fault.NotSupported, match=r"HostPosixAccountSpec\.posixId is not part"):
        host.content.accountManager.CreateUser(person)
    mode = vim.host.MaintenanceSpec(vsanMode=vim.vsan.host.DecommissionMode(objectAction="noAction"))
    with pytest.raises(vmodl.fault.NotSupported, match=r"HostMaintenanceSpec\.vsanMode"):
        host.result(host.system.EnterMaintenanceMode_Task(0, None, mode))
    assert not host.host.in_maintenance


def test_a_search_does_as_it_is_told(host: HostClients) -> None:
    host.host.datastores.mount_nas(NAS, SHARE, "NAS")
    folder = host.host.datastores.path_of("[NAS] z")
    folder.mkdir()
    for name in ("One.iso", "two.ISO"):
        folder.with_name(name).write_bytes(b"x")
    browser = host.system.datastoreBrowser
    kind = vim.host.DatastoreBrowser

    def found(**asked: Any) -> list[str]:
        return [one.path for one in host.result(browser.SearchDatastore_Task("[NAS]", kind.SearchSpec(**asked))).file]

    assert found(matchPattern=["*.iso"]) == ["One.iso"]
    assert found(matchPattern=["*.iso"], searchCaseInsensitive=True) == ["One.iso", "two.ISO"]
    assert found(sortFoldersFirst=True) == ["z", "One.iso", "two.ISO"]
    few = kind.VmDiskQuery(filter=kind.VmDiskQuery.Filter(thin=True))
    with pytest.raises(vmodl.fault.NotSupported, match=r"VmDiskFileQuery\.filter\.thin is not part"):
        found(query=[few])


def test_what_a_later_release_added_is_refused() -> None:
    later = vim.host.DateTimeConfig(ptpConfig=vim.host.PtpConfig(domain=7))
    with pytest.raises(vmodl.fault.NotSupported, match=r"HostDateTimeConfig\.ptpConfig\.domain is not part"):
        refuse_rest(later, ("timeZone",))


def test_what_the_host_says_can_be_sent_back(two_nics: HostClients) -> None:
    network = two_nics.managers.networkSystem
    before = state(two_nics)
    info = network.networkInfo
    for group in info.portgroup:
        network.UpdatePortGroup(group.spec.name, group.spec)
    for one in info.vnic:
        network.UpdateVirtualNic(one.device, one.spec)
    network.UpdateDnsConfig(info.dnsConfig)
    network.UpdateIpRouteConfig(info.ipRouteConfig)
    assert repr(network.networkInfo) == repr(info)
    network.UpdateVirtualSwitch("vSwitch0", info.vswitch[0].spec)
    assert repr(network.networkInfo) == repr(info)
    assert before != state(two_nics), "the order of NICs is written down"


def test_a_whole_configuration_may_say_names_and_routes(host: HostClients) -> None:
    """As community.vmware's vmware_host_dns does it; what else it says has a method of its own."""
    network, kind = host.managers.networkSystem, vim.host.NetworkConfig
    [stack] = network.networkInfo.netStackInstance
    wanted = vim.host.DnsConfig(dhcp=False, hostName="other", domainName="lab.test", address=["127.0.0.9"])
    fresh = vim.host.NetStackInstance(key=stack.key, dnsConfig=wanted)
    edit = kind.NetStackSpec(netStackInstance=fresh, operation="edit")
    network.UpdateNetworkConfig(kind(netStackSpec=[edit]), "modify")
    assert repr(network.dnsConfig) == repr(wanted)
    fresh.key = "vmotion"
    with pytest.raises(vmodl.fault.NotSupported, match=r"HostNetworkConfig\.netStackSpec\.netStackInstance\.key"):
        network.UpdateNetworkConfig(kind(netStackSpec=[kind.NetStackSpec(netStackInstance=fresh)]), "modify")
    with pytest.raises(vmodl.fault.NotSupported, match=r"changeMode = replace"):
        network.UpdateNetworkConfig(kind(dnsConfig=wanted), "replace")


def test_settings_say_what_they_take(host: HostClients) -> None:
    options = host.managers.advancedOption
    options.UpdateOptions([vim.option.OptionValue(key="NFS.MaxVolumes", value=VmomiSupport.long(64))])
    known = {one.key: one.optionType for one in options.supportedOption}
    assert known.keys() == {one.key for one in options.setting}
    assert (known["NFS.MaxVolumes"].defaultValue, known["NFS.MaxVolumes"].valueIsReadonly) == (8, False)
    assert known["ScratchConfig.CurrentScratchLocation"].valueIsReadonly


def test_a_policy_lies_over_that_of_the_switch(two_nics: HostClients) -> None:
    network = two_nics.managers.networkSystem
    spec = network.networkInfo.vswitch[0].spec
    spec.bridge.nicDevice = ["vmnic0", "vmnic1"]
    spec.policy.nicTeaming.nicOrder.activeNic = ["vmnic0"]
    spec.policy.nicTeaming.nicOrder.standbyNic = ["vmnic1"]
    spec.policy.security.allowPromiscuous = True
    network.UpdateVirtualSwitch("vSwitch0", spec)
    shaping = Policy.TrafficShapingPolicy(enabled=True, averageBandwidth=1000, peakBandwidth=2000, burstSize=4096)
    group = vim.host.PortGroup.Specification(name="lab", vlanId=7, vswitchName="vSwitch0")
    group.policy = Policy(security=Policy.SecurityPolicy(macChanges=False), shapingPolicy=shaping)
    network.AddPortGroup(group)
    [found] = [one for one in network.networkInfo.portgroup if one.spec.name == "lab"]
    computed = found.computedPolicy
    assert (computed.security.allowPromiscuous, computed.security.macChanges) == (True, False)
    assert (computed.shapingPolicy.peakBandwidth, computed.nicTeaming.policy) == (2000, "loadbalance_srcid")
    assert list(computed.nicTeaming.nicOrder.standbyNic) == ["vmnic1"]
    assert found.spec.policy.security.allowPromiscuous is None
    assert found.spec.policy.nicTeaming.nicOrder is None


def test_an_order_of_nics_that_the_switch_does_not_have_is_wrong(host: HostClients) -> None:
    network = host.managers.networkSystem
    order = Policy.NicOrderPolicy(activeNic=["vmnic5"])
    spec = vim.host.PortGroup.Specification(name="lab", vlanId=0, vswitchName="vSwitch0")
    spec.policy = Policy(nicTeaming=Policy.NicTeamingPolicy(nicOrder=order))
    with pytest.raises(vmodl.fault.InvalidArgument):
        network.AddPortGroup(spec)
    assert "lab" not in host.host.network.port_groups


def test_the_management_network_keeps_an_uplink(two_nics: HostClients) -> None:
    network = two_nics.managers.networkSystem
    spec = network.networkInfo.vswitch[0].spec
    spec.bridge = None
    spec.policy.nicTeaming.nicOrder = None
    with pytest.raises(vmodl.fault.NotSupported, match="last uplink"):
        network.UpdateVirtualSwitch("vSwitch0", spec)
    assert two_nics.host.network.management_uplinks == ["vmnic0"]
    network.AddVirtualSwitch("vSwitch1", vim.host.VirtualSwitch.Specification(numPorts=8))
    group = vim.host.PortGroup.Specification(name="other", vlanId=0, vswitchName="vSwitch1", policy=Policy())
    network.AddPortGroup(group)
    with pytest.raises(vmodl.fault.NotSupported, match="last uplink"):
        network.UpdateVirtualNic("vmk0", vim.host.VirtualNic.Specification(portgroup="other"))
    bridge = vim.host.VirtualSwitch.BondBridge(nicDevice=["vmnic1"])
    network.UpdateVirtualSwitch("vSwitch1", vim.host.VirtualSwitch.Specification(numPorts=8, bridge=bridge))
    network.UpdateVirtualNic("vmk0", vim.host.VirtualNic.Specification(portgroup="other", mtu=9000))
    [vmk] = network.networkInfo.vnic
    assert (vmk.portgroup, vmk.spec.mtu) == ("other", 9000)
    assert two_nics.host.network.management_uplinks == ["vmnic1"]
    assert "vSwitch1" in two_nics.says("esxcli network ip interface list")
    two_nics.boot()
    assert two_nics.host.power.reachable


def test_an_interface_changes_as_a_whole_or_not_at_all(host: HostClients) -> None:
    spec = vim.host.VirtualNic.Specification(mtu=9000, ip=vim.host.IpConfig(dhcp=False, ipAddress="nonsense"))
    with pytest.raises(vmodl.fault.InvalidArgument):
        host.managers.networkSystem.UpdateVirtualNic("vmk0", spec)
    assert host.host.settings.network.mtu == 1500


def test_a_ruleset_knows_whom_it_lets_through(host: HostClients) -> None:
    firewall, kind = host.managers.firewallSystem, vim.host.Ruleset
    networks = [kind.IpNetwork(network="192.168.1.0", prefixLength=24)]
    allowed = kind.IpList(allIp=False, ipAddress=["192.168.2.7"], ipNetwork=networks)
    firewall.UpdateRuleset("sshServer", kind.RulesetSpec(allowedHosts=allowed))
    [told] = [one for one in firewall.firewallInfo.ruleset if one.key == "sshServer"]
    assert repr(told.allowedHosts) == repr(allowed)
    shown = host.says("esxcli --formatter=csv network firewall ruleset allowedip list -r sshServer")
    assert shown.splitlines()[1] == '"192.168.2.7, 192.168.1.0/24",sshServer,'
    lines = host.says("esxcli network firewall ruleset allowedip list").splitlines()
    assert ["dhcp", "All"] in [line.split() for line in lines]
    wrong = kind.IpList(allIp=False, ipAddress=["nas"])
    with pytest.raises(vmodl.fault.InvalidArgument):
        firewall.UpdateRuleset("sshServer", kind.RulesetSpec(allowedHosts=wrong))
    firewall.UpdateRuleset("sshServer", kind.RulesetSpec(allowedHosts=kind.IpList(allIp=True)))
    [told] = [one for one in firewall.firewallInfo.ruleset if one.key == "sshServer"]
    assert told.allowedHosts.allIp
    with pytest.raises(vim.fault.NotFound):
        firewall.UpdateRuleset("nothing", kind.RulesetSpec(allowedHosts=allowed))


def test_a_datastore_of_a_specification_that_is_not_simulated(host: HostClients) -> None:
    system = host.managers.datastoreSystem
    spec = vim.host.NasVolume.Specification(
        remoteHost=NAS, remotePath=SHARE, localPath="NAS", accessMode="readWrite", type="NFS41"
    )
    spec.remoteHostNames = [NAS, "192.168.1.21"]
    with pytest.raises(vmodl.fault.NotSupported, match=r"HostNasVolumeSpec\.remoteHostNames"):
        system.CreateNasDatastore(spec)
    spec.remoteHostNames, spec.securityType = [NAS], "SEC_KRB5"
    with pytest.raises(vmodl.fault.NotSupported, match=r"HostNasVolumeSpec\.securityType"):
        system.CreateNasDatastore(spec)
    spec.securityType = "AUTH_SYS"
    assert system.CreateNasDatastore(spec).name == "NAS"


def test_a_vmfs_with_more_than_is_simulated(host: HostClients) -> None:
    system = host.managers.datastoreSystem
    [disk] = system.QueryAvailableDisksForVmfs()
    [option, *_] = system.QueryVmfsDatastoreCreateOptions(disk.devicePath)
    spec = option.spec
    spec.vmfs.volumeName, spec.vmfs.unmapPriority = "local", "none"
    with pytest.raises(vmodl.fault.NotSupported, match=r"VmfsDatastoreCreateSpec\.vmfs\.unmapPriority"):
        system.CreateVmfsDatastore(spec)
    spec.vmfs.unmapPriority, spec.partition.partitionFormat = "low", "mbr"
    with pytest.raises(vmodl.fault.NotSupported, match=r"partition\.partitionFormat"):
        system.CreateVmfsDatastore(spec)
    spec.partition.partitionFormat = "gpt"
    assert system.CreateVmfsDatastore(spec).name == "local"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("startAction", "explode"), ("startAction", "systemDefault"), ("stopAction", "explode")),
        *(("startDelay", -2), ("startOrder", 3)),
    ],
)
def test_rows_of_automatic_start_are_taken_all_or_none(host: HostClients, name: str, value: Any) -> None:
    spec, send = autostart(host)
    host.host.registered_vms["2"] = Vm("2", "beta", "NAS", "[NAS] beta/beta.vmx")
    send(spec)
    before = repr(host.managers.autoStartManager.config)
    [moved], [wrong] = spec.powerInfo, autostart(host)[0].powerInfo
    send(spec)
    moved.startOrder, wrong.key = -1, vim.VirtualMachine("2", host.instance._stub)
    setattr(wrong, name, value)
    defaults = vim.host.AutoStartManager.SystemDefaults(startDelay=7)
    with pytest.raises(vmodl.fault.InvalidArgument) as refused:
        send(vim.host.AutoStartManager.Config(defaults=defaults, powerInfo=[moved, wrong]))
    assert refused.value.invalidProperty == f"spec.powerInfo.{name}"
    assert repr(host.managers.autoStartManager.config) == before


def test_vim_cmd_takes_no_unknown_heartbeat(host: HostClients) -> None:
    spec, send = autostart(host)
    words = ("1", "powerOn", "1", "1", "systemDefault", "1", "sometimes")
    call = Call(host.host, ("vim-cmd", "hostsvc/autostartmanager/update_autostartentry", *words))
    assert vim_cmd(call).status != 0
    assert host.host.settings.autostart == {}
    send(spec)
    assert host.host.settings.autostart


def test_the_defaults_of_automatic_start_are_answered_back(host: HostClients) -> None:
    kind, manager = vim.host.AutoStartManager, host.managers.autoStartManager
    wanted = kind.SystemDefaults(
        enabled=True, startDelay=60, stopDelay=90, waitForHeartbeat=True, stopAction="guestShutdown"
    )
    manager.ReconfigureAutostart(kind.Config(defaults=wanted))
    assert repr(manager.config.defaults) == repr(wanted)
    manager.ReconfigureAutostart(kind.Config(defaults=kind.SystemDefaults(startDelay=30)))
    assert (manager.config.defaults.startDelay, manager.config.defaults.stopDelay) == (30, 90)
    with pytest.raises(vmodl.fault.InvalidArgument):
        manager.ReconfigureAutostart(kind.Config(defaults=kind.SystemDefaults(stopAction="explode")))
