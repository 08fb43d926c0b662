"""What people do to VMs every day: plugs, networks, sizes, names, power, newer hardware."""

from typing import Any

import pytest
from pyVmomi import vim, vmodl

from tests.helpers.soap_host import MIB, SoapHost, controller, disk

KINDS = vim.vm.device


@pytest.fixture
def soap(soap: SoapHost) -> SoapHost:
    soap.host.network.port_groups["lab"] = 7
    return soap


@pytest.fixture
def vm(soap: SoapHost) -> Any:
    backing = KINDS.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network")
    nic = KINDS.VirtualDeviceSpec(operation="add", device=KINDS.VirtualVmxnet3(key=-9, backing=backing))
    return soap.make_vm("a", controller(), disk(8 * MIB), nic)


def device(vm: Any, kind: Any) -> Any:
    return next(one for one in vm.config.hardware.device if isinstance(one, kind))


def change(soap: SoapHost, vm: Any, one: Any, operation: str = "edit") -> None:
    spec = KINDS.VirtualDeviceSpec(operation=operation, device=one)
    soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[spec])))


def nic_of(vm: Any) -> Any:
    return device(vm, KINDS.VirtualEthernetCard)


def test_a_nic_gets_another_network_and_address(soap: SoapHost, vm: Any) -> None:
    nic = nic_of(vm)
    nic.backing.deviceName, nic.addressType, nic.macAddress = "lab", "manual", "00:50:56:00:00:11"
    change(soap, vm, nic)
    now = nic_of(vm)
    assert (now.backing.deviceName, now.macAddress, now.addressType) == ("lab", "00:50:56:00:00:11", "manual")
    assert [network.name for network in vm.network] == ["lab"]
    soap.result(vm.PowerOnVM_Task())
    now.macAddress = "00:50:56:00:00:12"
    with pytest.raises(vim.fault.InvalidPowerState):
        change(soap, vm, now)


def test_what_an_edit_of_a_nic_does_not_name_stays(soap: SoapHost, vm: Any) -> None:
    nic = nic_of(vm)
    nic.uptCompatibilityEnabled = True
    change(soap, vm, nic)
    change(soap, vm, KINDS.VirtualVmxnet3(key=nic.key, wakeOnLanEnabled=False))
    assert (nic_of(vm).uptCompatibilityEnabled, nic_of(vm).wakeOnLanEnabled) == (True, False)


def test_a_generated_address_is_not_chosen(soap: SoapHost, vm: Any) -> None:
    nic = nic_of(vm)
    nic.macAddress = "00:50:56:00:00:11"
    with pytest.raises(vim.fault.InvalidDeviceSpec):
        change(soap, vm, nic)


def test_a_plug_is_pulled_and_put_back_while_the_vm_runs(soap: SoapHost, vm: Any) -> None:
    assert not nic_of(vm).connectable.connected
    soap.result(vm.PowerOnVM_Task())
    nic = nic_of(vm)
    assert nic.connectable.connected
    nic.connectable.connected = False
    change(soap, vm, nic)
    assert not nic_of(vm).connectable.connected
    assert nic_of(vm).connectable.startConnected
    nic.connectable.connected = True
    change(soap, vm, nic)
    assert nic_of(vm).connectable.connected


def test_a_disk_grows_and_does_not_shrink(soap: SoapHost, vm: Any) -> None:
    """The fault of vmware/govmomi#2910."""
    drive = device(vm, KINDS.VirtualDisk)
    drive.capacityInKB *= 2
    soap.result(vm.PowerOnVM_Task())
    change(soap, vm, drive)
    assert device(vm, KINDS.VirtualDisk).capacityInBytes == 16 * MIB
    assert soap.file("a/a-flat.vmdk").stat().st_size == 16 * MIB
    drive = device(vm, KINDS.VirtualDisk)
    drive.capacityInBytes //= 2
    with pytest.raises(vim.fault.InvalidDeviceOperation) as refused:
        change(soap, vm, drive)
    assert (refused.value.msg, refused.value.badOp) == ("Invalid operation for device '0'.", "edit")


def test_a_disk_may_lie_on_another_datastore(soap: SoapHost, vm: Any) -> None:
    soap.host.datastores.volumes.nas.exports.add("/more")
    soap.host.datastores.mount_nas("192.168.1.20", "/more", "MORE")
    add = disk(4 * MIB, "[MORE]", unit=1)
    add.device.controllerKey = 1000
    soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[add])))
    paths = [one.backing.fileName for one in vm.config.hardware.device if isinstance(one, KINDS.VirtualDisk)]
    assert paths == ["[NAS] a/a.vmdk", "[MORE] a/a_1.vmdk"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("capacityInKB", 4096),
        ("capacityInBytes", 4 * MIB),
        ("backing.thinProvisioned", False),
        ("backing.eagerlyScrub", True),
        ("backing.parent", KINDS.VirtualDisk.FlatVer2BackingInfo(fileName="[NAS] b", diskMode="persistent")),
    ],
)
def test_a_disk_that_is_there_is_attached_as_it_is(soap: SoapHost, vm: Any, name: str, value: Any) -> None:
    """Govmomi says unasked that it is thin, and no size (object/virtual_device_list.go, CreateDisk)."""
    detached = device(vm, KINDS.VirtualDisk)
    change(soap, vm, detached, "remove")
    again = disk(path="[NAS] a/a.vmdk", create=False).device
    again.controllerKey = 1000
    where, _, field = name.rpartition(".")
    setattr(again.backing if where else again, field, value)
    with pytest.raises(vmodl.fault.NotSupported, match=name):
        change(soap, vm, again, "add")
    change(soap, vm, detached, "add")
    assert device(vm, KINDS.VirtualDisk).capacityInBytes == 8 * MIB


@pytest.mark.parametrize("mode", ["independent_nonpersistent", "append", "undoable"])
def test_a_disk_that_forgets_is_not_simulated(mode: str, soap: SoapHost) -> None:
    add = disk(4 * MIB)
    add.device.backing.diskMode = mode
    with pytest.raises(vmodl.fault.NotSupported, match=mode):
        soap.make_vm("b", controller(), add)


def test_a_controller_goes_when_nothing_hangs_on_it(soap: SoapHost, vm: Any) -> None:
    scsi = device(vm, KINDS.VirtualSCSIController)
    assert scsi.device == [2000]
    with pytest.raises(vim.fault.InvalidDeviceOperation):
        change(soap, vm, scsi, "remove")
    change(soap, vm, device(vm, KINDS.VirtualDisk), "remove")
    change(soap, vm, scsi, "remove")
    assert not any(isinstance(one, KINDS.VirtualSCSIController) for one in vm.config.hardware.device)


def test_a_vm_is_renamed_and_its_files_are_not(soap: SoapHost, vm: Any) -> None:
    soap.make_vm("b")
    with pytest.raises(vim.fault.DuplicateName):
        soap.result(vm.Rename_Task("b"))
    with pytest.raises(vim.fault.InvalidName):
        soap.result(vm.Rename_Task("x/y"))
    soap.result(vm.PowerOnVM_Task())
    soap.result(vm.Rename_Task("c"))
    assert (vm.name, vm.config.files.vmPathName) == ("c", "[NAS] a/a.vmx")
    assert 'displayName = "c"' in soap.file("a/a.vmx").read_text()
    other = soap.make_vm("a")
    soap.result(other.PowerOnVM_Task())
    assert soap.host.vms.named("a").machine != soap.host.vms.named("c").machine


def test_a_vm_is_read_again(soap: SoapHost, vm: Any) -> None:
    file = soap.file("a/a.vmx")
    file.write_text(file.read_text().replace('numvcpus = "1"', 'numvcpus = "2"'))
    vm.Reload()
    assert vm.config.hardware.numCPU == 2


def test_a_vm_sleeps_and_wakes(soap: SoapHost, vm: Any) -> None:
    with pytest.raises(vim.fault.InvalidPowerState):
        soap.result(vm.SuspendVM_Task())
    soap.result(vm.PowerOnVM_Task())
    soap.result(vm.SuspendVM_Task())
    assert (vm.runtime.powerState, vm.runtime.bootTime) == ("suspended", None)
    with pytest.raises(vim.fault.InvalidPowerState) as refused:
        soap.result(vm.Destroy_Task())
    assert refused.value.existingState == "suspended"
    with pytest.raises(vim.fault.InvalidPowerState):
        soap.result(vm.ResetVM_Task())
    soap.result(vm.PowerOnVM_Task())
    assert vm.runtime.powerState == "poweredOn"
    soap.result(vm.SuspendVM_Task())
    soap.result(vm.PowerOffVM_Task())
    assert vm.runtime.powerState == "poweredOff"


def test_a_vm_wakes_only_where_one_would_start(soap: SoapHost, vm: Any) -> None:
    soap.result(vm.PowerOnVM_Task())
    soap.result(vm.SuspendVM_Task())
    host = vm.runtime.host
    soap.result(host.EnterMaintenanceMode_Task(0))
    with pytest.raises(vim.fault.InvalidState):
        soap.result(vm.PowerOnVM_Task())
    soap.result(host.ExitMaintenanceMode_Task(0))
    soap.host.harm.power_on_refused = True
    with pytest.raises(vim.fault.GenericVmConfigFault):
        soap.result(vm.PowerOnVM_Task())
    soap.host.harm.power_on_refused = False
    assert vm.runtime.powerState == "suspended"
    soap.result(vm.PowerOnVM_Task())
    assert vm.runtime.powerState == "poweredOn"


def test_a_vm_that_sleeps_sleeps_through_a_reboot_of_its_host(soap: SoapHost, vm: Any) -> None:
    soap.result(vm.PowerOnVM_Task())
    soap.host.auto_backup.keep()
    soap.result(vm.SuspendVM_Task())
    soap.host.vm_power.cut_all()
    soap.host.auto_backup.restore()
    soap.host.vm_power.forget_all()
    assert vm.runtime.powerState == "suspended"


def test_a_picture_of_the_console_needs_room(soap: SoapHost, vm: Any) -> None:
    soap.result(vm.PowerOnVM_Task())
    soap.host.datastores.volumes.nas.full = True
    with pytest.raises(vim.fault.NoDiskSpace):
        soap.result(vm.CreateScreenshot_Task())
    soap.host.datastores.volumes.nas.full = False
    assert soap.result(vm.CreateScreenshot_Task()) == "[NAS] a/a-1.png"


def test_a_guest_without_tools_hears_nothing(soap: SoapHost, vm: Any) -> None:
    for ask in (vm.ShutdownGuest, vm.RebootGuest, vm.StandbyGuest):
        with pytest.raises(vim.fault.InvalidPowerState):
            ask()
    soap.result(vm.PowerOnVM_Task())
    for ask in (vm.ShutdownGuest, vm.RebootGuest, vm.StandbyGuest):
        with pytest.raises(vim.fault.ToolsUnavailable):
            ask()
    soap.machines._on.add("a")
    vm.RebootGuest()
    assert vm.runtime.powerState == "poweredOn"
    with pytest.raises(vmodl.fault.NotSupported):
        vm.StandbyGuest()


def test_newer_hardware(soap: SoapHost) -> None:
    vm = soap.make_vm("old", version="vmx-11")
    soap.result(vm.UpgradeVM_Task("vmx-13"))
    assert vm.config.version == "vmx-13"
    with pytest.raises(vim.fault.AlreadyUpgraded):
        soap.result(vm.UpgradeVM_Task("vmx-11"))
    with pytest.raises(vmodl.fault.NotSupported):
        soap.result(vm.UpgradeVM_Task("vmx-15"))
    soap.result(vm.UpgradeVM_Task())
    assert vm.config.version == "vmx-14"
    soap.result(vm.PowerOnVM_Task())
    with pytest.raises(vim.fault.InvalidPowerState):
        soap.result(vm.UpgradeVM_Task())
