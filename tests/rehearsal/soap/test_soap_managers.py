"""The host's managers, its versions and its sessions, driven by pyVmomi over TLS."""

import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyVim.connect import SmartConnect
from pyVmomi import VmomiSupport, vim, vmodl

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.soap import SoapFace
from homelab.rehearsal.state.hardware import MODELS
from homelab.rehearsal.state.machines import NoMachines
from homelab.rehearsal.state.parts import Timing
from homelab.rehearsal.state.settings import AutoStart
from homelab.rehearsal.storage.volumes import Volumes

NAS, SHARE = "192.168.1.20", "/volume1/homelab"


class Clock:
    """A clock that a test sets forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class ManagedHost:
    """A host, its face, and pyVmomi logged in."""

    def __init__(self, work: Path, model: str = "GB-BRi7-8550") -> None:
        self.clock = Clock()
        self.host = Host(
            "brix1",
            "127.0.0.73",
            MODELS[model],
            "root",
            "secret",
            volumes=Volumes(work, Nas({NAS}, {SHARE})),
            machines=NoMachines(),
            timing=Timing(boot_seconds=0.05, api_delay_seconds=0, shut_down_seconds=0),
            clock=self.clock,
        )
        self.face = SoapFace(self.host, port=0)
        self.face.start()
        self.tls = ssl.create_default_context(cadata=self.face.certificate.decode())
        self.connect()

    def connect(self) -> None:
        self.instance = SmartConnect(
            host="127.0.0.73", port=self.face.port, user="root", pwd="secret", sslContext=self.tls
        )
        self.content = self.instance.RetrieveContent()
        self.system = vim.HostSystem("ha-host", self.instance._stub)
        self.managers = self.system.configManager

    def create(self, name: str) -> Any:
        if "NAS" not in self.host.datastores.mounts:
            self.host.datastores.mount_nas(NAS, SHARE, "NAS")
        config = vim.vm.ConfigSpec(name=name, memoryMB=64, files=vim.vm.FileInfo(vmPathName="[NAS]"))
        folder = vim.Folder("ha-folder-vm", self.instance._stub)
        return self.result(folder.CreateVM_Task(config, vim.ResourcePool("ha-root-pool", self.instance._stub)))

    def result(self, task: Any) -> Any:
        until(lambda: task.info.state in ("success", "error"))
        if task.info.error:
            raise task.info.error
        return task.info.result


def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.01)


@pytest.fixture
def managed(tmp_path: Path) -> Iterator[ManagedHost]:
    made = ManagedHost(tmp_path)
    yield made
    made.face.stop()
    made.host.power.stop()


def test_an_idle_session_ends(managed: ManagedHost) -> None:
    managed.clock.ahead += 1700
    assert managed.content.sessionManager.currentSession.userName == "root"
    managed.clock.ahead += 1801
    with pytest.raises(vim.fault.NotAuthenticated):
        managed.system.RetrieveHardwareUptime()
    managed.connect()
    assert managed.system.name == "brix1"


@pytest.mark.parametrize(
    ("model", "release", "version"),
    [
        ("GB-XM11-3337", "6.5.0", "6.5"),
        ("GB-BRi7-8550", "6.7.0", "6.7"),
        ("GB-BRi7-8550 7.0", "7.0.3", "7.0.3.0"),
        ("GB-BRi7-8550 8.0", "8.0.3", "8.0.3.0"),
    ],
)
def test_versions_are_agreed_on(tmp_path: Path, model: str, release: str, version: str) -> None:
    managed = ManagedHost(tmp_path, model)
    try:
        assert managed.instance._stub.versionId == f'"urn:vim25/{version}"'
        assert (managed.content.about.version, managed.content.about.apiVersion) == (release, version)
        address = f"https://127.0.0.73:{managed.face.port}/sdk/vimServiceVersions.xml"
        listed = urllib.request.urlopen(address, context=managed.tls, timeout=10).read().decode()
        assert listed.count("<version>") > 5
        modules = {module.name for module in managed.managers.kernelModuleSystem.QueryModules()}
        assert ("e1000e" in modules) == release.startswith("6")
        assert [nic.driver for nic in managed.system.config.network.pnic] == [managed.host.nics[0].driver]
    finally:
        managed.face.stop()
        managed.host.power.stop()


def test_advanced_settings(managed: ManagedHost) -> None:
    options = managed.managers.advancedOption
    name = "UserVars.SuppressShellWarning"
    assert [option.value for option in options.QueryOptions(name)] == [0]
    assert name in [option.key for option in options.QueryOptions("UserVars.")]
    with pytest.raises(vim.fault.InvalidName):
        options.QueryOptions("No.Such")
    options.UpdateOptions([vim.option.OptionValue(key=name, value=VmomiSupport.long(1))])
    assert managed.host.advanced[name] == 1
    with pytest.raises(vmodl.fault.InvalidArgument):
        options.UpdateOptions([vim.option.OptionValue(key=name, value="1")])
    with pytest.raises(vmodl.fault.InvalidArgument):
        options.UpdateOptions([vim.option.OptionValue(key=name, value=1)])
    assert managed.host.advanced[name] == 1


def test_events(managed: ManagedHost) -> None:
    vm = managed.create("a")
    managed.create("b")
    spec = vim.event.EventFilterSpec(
        entity=vim.event.EventFilterSpec.ByEntity(entity=vm, recursion="all"), eventTypeId=["VmCreatedEvent"]
    )
    events = managed.content.eventManager.QueryEvents(spec)
    assert [(type(event), event.vm.name) for event in events] == [(vim.event.VmCreatedEvent, "a")]
    collector = managed.content.eventManager.CreateCollectorForEvents(vim.event.EventFilterSpec())
    first = collector.ReadNextEvents(2)
    assert [type(event) for event in first] == [vim.event.UserLoginSessionEvent, vim.event.NASDatastoreCreatedEvent]
    assert len(collector.ReadNextEvents(10)) == 2
    assert collector.latestPage[0].key > collector.latestPage[-1].key
    collector.DestroyCollector()
    with pytest.raises(vmodl.fault.NotSupported):
        managed.content.eventManager.QueryEvents(vim.event.EventFilterSpec(eventChainId=3))


def test_the_firewall(managed: ManagedHost) -> None:
    firewall = managed.managers.firewallSystem
    firewall.EnableRuleset("ntpClient")
    assert {rule.key: rule.enabled for rule in firewall.firewallInfo.ruleset}["ntpClient"]
    firewall.DisableRuleset("ntpClient")
    assert not managed.host.rulesets["ntpClient"]
    with pytest.raises(vim.fault.NotFound):
        firewall.EnableRuleset("nosuch")


def test_the_clock(managed: ManagedHost) -> None:
    clock = managed.managers.dateTimeSystem
    clock.UpdateDateTimeConfig(vim.host.DateTimeConfig(ntpConfig=vim.host.NtpConfig(server=["192.168.1.1"])))
    assert clock.dateTimeInfo.ntpConfig.server == ["192.168.1.1"]
    managed.host.harm.clock_skew = timedelta(hours=1)
    assert clock.QueryDateTime() - managed.host.now() < timedelta(minutes=1)
    assert managed.instance.CurrentTime() - clock.QueryDateTime() < timedelta(minutes=1)
    with pytest.raises(vmodl.fault.InvalidArgument):
        clock.UpdateDateTimeConfig(vim.host.DateTimeConfig(timeZone="Europe/Berlin"))


def test_switches_and_port_groups(managed: ManagedHost) -> None:
    network = managed.managers.networkSystem
    network.AddVirtualSwitch("vSwitch1", None)
    group = vim.host.PortGroup.Specification(
        name="inner", vlanId=7, vswitchName="vSwitch1", policy=vim.host.NetworkPolicy()
    )
    network.AddPortGroup(group)
    shown = {one.spec.name: (one.spec.vswitchName, one.spec.vlanId) for one in network.networkInfo.portgroup}
    assert shown["inner"] == ("vSwitch1", 7)
    assert "inner" in [net.name for net in managed.system.network]
    with pytest.raises(vim.fault.AlreadyExists):
        network.AddPortGroup(group)
    with pytest.raises(vim.fault.ResourceInUse):
        network.RemoveVirtualSwitch("vSwitch1")
    network.RemovePortGroup("inner")
    network.RemoveVirtualSwitch("vSwitch1")
    assert [switch.name for switch in network.networkInfo.vswitch] == ["vSwitch0"]
    with pytest.raises(vim.fault.ResourceInUse):
        network.RemovePortGroup("Management Network")
    with pytest.raises(vim.fault.ResourceInUse):
        spec = vim.host.VirtualSwitch.Specification(
            numPorts=8, bridge=vim.host.VirtualSwitch.BondBridge(nicDevice=["vmnic0"])
        )
        network.AddVirtualSwitch("vSwitch2", spec)


def test_what_a_vmkernel_nic_is_for(managed: ManagedHost) -> None:
    manager = managed.managers.virtualNicManager
    assert manager.QueryNetConfig("vmotion").selectedVnic == []
    manager.SelectVnicForNicType("vmotion", "vmk0")
    chosen = manager.QueryNetConfig("vmotion")
    assert chosen.selectedVnic == [chosen.candidateVnic[0].key]
    manager.DeselectVnicForNicType("vmotion", "vmk0")
    assert managed.host.settings.roles["vmotion"] == []
    with pytest.raises(vmodl.fault.InvalidArgument):
        manager.SelectVnicForNicType("vmotion", "vmk7")


def test_vms_start_with_the_host(managed: ManagedHost) -> None:
    vm = managed.create("a")
    kind = vim.host.AutoStartManager
    row = kind.AutoPowerInfo(
        key=vm,
        startOrder=1,
        startDelay=-1,
        waitForHeartbeat="systemDefault",
        startAction="powerOn",
        stopDelay=-1,
        stopAction="systemDefault",
    )
    managed.managers.autoStartManager.ReconfigureAutostart(
        kind.Config(defaults=kind.SystemDefaults(enabled=True), powerInfo=[row])
    )
    assert managed.managers.autoStartManager.config.powerInfo[0].key == vm
    managed.host.power.reboot()
    until(lambda: managed.host.power.boots == 2)
    until(lambda: managed.host.vms.named("a").powered_on)


def test_a_vm_that_leaves_the_inventory_leaves_its_place(managed: ManagedHost) -> None:
    first, second, third = (managed.create(name) for name in "abc")
    for order, vm in enumerate((first, second, third), start=1):
        managed.host.start_order.put(vm._moId, AutoStart(order))
    first.UnregisterVM()
    managed.result(second.Destroy_Task())
    assert managed.host.settings.autostart == {third._moId: AutoStart(1)}


def test_waiting_for_maintenance_can_be_stopped(managed: ManagedHost) -> None:
    vm = managed.create("a")
    managed.result(vm.PowerOnVM_Task())
    task = managed.system.EnterMaintenanceMode_Task(0)
    until(lambda: task.info.cancelable)
    task.CancelTask()
    with pytest.raises(vmodl.fault.RequestCanceled):
        managed.result(task)
    assert task.info.cancelled
    assert not managed.host.in_maintenance
    with pytest.raises(vim.fault.InvalidState):
        task.CancelTask()


def test_a_list_view(managed: ManagedHost) -> None:
    vm = managed.create("a")
    view = managed.content.viewManager.CreateListView([vm])
    assert view.ResetListView([managed.system, vim.VirtualMachine("99")]) == [vim.VirtualMachine("99")]
    assert view.view == [managed.system]
    view.DestroyView()
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        _ = view.view


def test_settings_need_auto_backup_to_outlive_the_plug(managed: ManagedHost) -> None:
    group = vim.host.PortGroup.Specification(
        name="kept", vlanId=0, vswitchName="vSwitch0", policy=vim.host.NetworkPolicy()
    )
    managed.managers.networkSystem.AddPortGroup(group)
    managed.host.auto_backup.keep()
    group.name = "lost"
    managed.managers.networkSystem.AddPortGroup(group)
    managed.host.power.cut()
    until(lambda: managed.host.power.boots == 2)
    assert set(managed.host.network.port_groups) == {"VM Network", "Management Network", "kept"}


def test_what_is_not_simulated_says_so(managed: ManagedHost) -> None:
    with pytest.raises(vmodl.fault.NotSupported, match="not part of the rehearsal"):
        managed.managers.networkSystem.UpdateConsoleIpRouteConfig(vim.host.IpRouteConfig())
