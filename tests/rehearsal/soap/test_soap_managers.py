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

from homelab.rehearsal.host.hardware import MODELS
from homelab.rehearsal.host.host import Host, Timing
from homelab.rehearsal.soap import SoapFace
from homelab.rehearsal.storage.storage import Nas, Volumes
from homelab.rehearsal.vms.machines import NoMachines

NAS, SHARE = "192.168.1.20", "/volume1/homelab"


class Clock:
    """A clock that a test sets forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class Rig:
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
        if "NAS" not in self.host.mounts:
            self.host.mount_nas(NAS, SHARE, "NAS")
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
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.face.stop()
    made.host.stop()


def test_an_idle_session_ends(rig: Rig) -> None:
    rig.clock.ahead += 1700
    assert rig.content.sessionManager.currentSession.userName == "root"
    rig.clock.ahead += 1801
    with pytest.raises(vim.fault.NotAuthenticated):
        rig.system.RetrieveHardwareUptime()
    rig.connect()
    assert rig.system.name == "brix1"


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
    rig = Rig(tmp_path, model)
    try:
        assert rig.instance._stub.versionId == f'"urn:vim25/{version}"'
        assert (rig.content.about.version, rig.content.about.apiVersion) == (release, version)
        address = f"https://127.0.0.73:{rig.face.port}/sdk/vimServiceVersions.xml"
        listed = urllib.request.urlopen(address, context=rig.tls, timeout=10).read().decode()
        assert listed.count("<version>") > 5
        modules = {module.name for module in rig.managers.kernelModuleSystem.QueryModules()}
        assert ("e1000e" in modules) == release.startswith("6")
        assert [nic.driver for nic in rig.system.config.network.pnic] == [rig.host.nics[0].driver]
    finally:
        rig.face.stop()
        rig.host.stop()


def test_advanced_settings(rig: Rig) -> None:
    options = rig.managers.advancedOption
    name = "UserVars.SuppressShellWarning"
    assert [option.value for option in options.QueryOptions(name)] == [0]
    assert name in [option.key for option in options.QueryOptions("UserVars.")]
    with pytest.raises(vim.fault.InvalidName):
        options.QueryOptions("No.Such")
    options.UpdateOptions([vim.option.OptionValue(key=name, value=VmomiSupport.long(1))])
    assert rig.host.advanced[name] == 1
    with pytest.raises(vmodl.fault.InvalidArgument):
        options.UpdateOptions([vim.option.OptionValue(key=name, value="1")])
    with pytest.raises(vmodl.fault.InvalidArgument):
        options.UpdateOptions([vim.option.OptionValue(key=name, value=1)])
    assert rig.host.advanced[name] == 1


def test_events(rig: Rig) -> None:
    vm = rig.create("a")
    rig.create("b")
    spec = vim.event.EventFilterSpec(
        entity=vim.event.EventFilterSpec.ByEntity(entity=vm, recursion="all"), eventTypeId=["VmCreatedEvent"]
    )
    events = rig.content.eventManager.QueryEvents(spec)
    assert [(type(event), event.vm.name) for event in events] == [(vim.event.VmCreatedEvent, "a")]
    collector = rig.content.eventManager.CreateCollectorForEvents(vim.event.EventFilterSpec())
    first = collector.ReadNextEvents(2)
    assert [type(event) for event in first] == [vim.event.UserLoginSessionEvent, vim.event.NASDatastoreCreatedEvent]
    assert len(collector.ReadNextEvents(10)) == 2
    assert collector.latestPage[0].key > collector.latestPage[-1].key
    collector.DestroyCollector()
    with pytest.raises(vmodl.fault.NotSupported):
        rig.content.eventManager.QueryEvents(vim.event.EventFilterSpec(eventChainId=3))


def test_the_firewall(rig: Rig) -> None:
    firewall = rig.managers.firewallSystem
    firewall.EnableRuleset("ntpClient")
    assert {rule.key: rule.enabled for rule in firewall.firewallInfo.ruleset}["ntpClient"]
    firewall.DisableRuleset("ntpClient")
    assert not rig.host.rulesets["ntpClient"]
    with pytest.raises(vim.fault.NotFound):
        firewall.EnableRuleset("nosuch")


def test_the_clock(rig: Rig) -> None:
    clock = rig.managers.dateTimeSystem
    clock.UpdateDateTimeConfig(vim.host.DateTimeConfig(ntpConfig=vim.host.NtpConfig(server=["192.168.1.1"])))
    assert clock.dateTimeInfo.ntpConfig.server == ["192.168.1.1"]
    rig.host.harm.clock_skew = timedelta(hours=1)
    assert clock.QueryDateTime() - rig.host.now() < timedelta(minutes=1)
    assert rig.instance.CurrentTime() - clock.QueryDateTime() < timedelta(minutes=1)
    with pytest.raises(vmodl.fault.InvalidArgument):
        clock.UpdateDateTimeConfig(vim.host.DateTimeConfig(timeZone="Europe/Berlin"))


def test_switches_and_port_groups(rig: Rig) -> None:
    network = rig.managers.networkSystem
    network.AddVirtualSwitch("vSwitch1", None)
    group = vim.host.PortGroup.Specification(
        name="inner", vlanId=7, vswitchName="vSwitch1", policy=vim.host.NetworkPolicy()
    )
    network.AddPortGroup(group)
    shown = {one.spec.name: (one.spec.vswitchName, one.spec.vlanId) for one in network.networkInfo.portgroup}
    assert shown["inner"] == ("vSwitch1", 7)
    assert "inner" in [net.name for net in rig.system.network]
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


def test_what_a_vmkernel_nic_is_for(rig: Rig) -> None:
    manager = rig.managers.virtualNicManager
    assert manager.QueryNetConfig("vmotion").selectedVnic == []
    manager.SelectVnicForNicType("vmotion", "vmk0")
    chosen = manager.QueryNetConfig("vmotion")
    assert chosen.selectedVnic == [chosen.candidateVnic[0].key]
    manager.DeselectVnicForNicType("vmotion", "vmk0")
    assert rig.host.settings.roles["vmotion"] == []
    with pytest.raises(vmodl.fault.InvalidArgument):
        manager.SelectVnicForNicType("vmotion", "vmk7")


def test_vms_start_with_the_host(rig: Rig) -> None:
    vm = rig.create("a")
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
    rig.managers.autoStartManager.ReconfigureAutostart(
        kind.Config(defaults=kind.SystemDefaults(enabled=True), powerInfo=[row])
    )
    assert rig.managers.autoStartManager.config.powerInfo[0].key == vm
    rig.host.reboot()
    until(lambda: rig.host.boots == 2)
    until(lambda: rig.host.vm_named("a").powered_on)


def test_waiting_for_maintenance_can_be_stopped(rig: Rig) -> None:
    vm = rig.create("a")
    rig.result(vm.PowerOnVM_Task())
    task = rig.system.EnterMaintenanceMode_Task(0)
    until(lambda: task.info.cancelable)
    task.CancelTask()
    with pytest.raises(vmodl.fault.RequestCanceled):
        rig.result(task)
    assert task.info.cancelled
    assert not rig.host.in_maintenance
    with pytest.raises(vim.fault.InvalidState):
        task.CancelTask()


def test_a_list_view(rig: Rig) -> None:
    vm = rig.create("a")
    view = rig.content.viewManager.CreateListView([vm])
    assert view.ResetListView([rig.system, vim.VirtualMachine("99")]) == [vim.VirtualMachine("99")]
    assert view.view == [rig.system]
    view.DestroyView()
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        _ = view.view


def test_settings_need_auto_backup_to_outlive_the_plug(rig: Rig) -> None:
    group = vim.host.PortGroup.Specification(
        name="kept", vlanId=0, vswitchName="vSwitch0", policy=vim.host.NetworkPolicy()
    )
    rig.managers.networkSystem.AddPortGroup(group)
    rig.host.keep_configuration()
    group.name = "lost"
    rig.managers.networkSystem.AddPortGroup(group)
    rig.host.power_cut()
    until(lambda: rig.host.boots == 2)
    assert set(rig.host.port_groups) == {"VM Network", "Management Network", "kept"}


def test_what_is_not_simulated_says_so(rig: Rig) -> None:
    with pytest.raises(vmodl.fault.NotSupported, match="not part of the rehearsal"):
        rig.managers.networkSystem.UpdateConsoleIpRouteConfig(vim.host.IpRouteConfig())
