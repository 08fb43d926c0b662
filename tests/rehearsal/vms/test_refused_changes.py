"""What is refused changes nothing: neither the VM nor its files nor whoever holds them."""

from typing import Any

import pytest
from pyVmomi import vim, vmodl

from homelab.rehearsal.state.vm import Vm
from tests.helpers.soap_host import MIB, NAS, SHARE, SoapHost, controller, disk

KINDS = vim.vm.device


@pytest.fixture
def vm(soap: SoapHost) -> Any:
    return soap.make_vm("a", controller(), disk(8 * MIB))


def state_of(soap: SoapHost) -> Vm:
    [one] = soap.host.registered_vms.values()
    return one


def lone_disk(vm: Any) -> Any:
    [one] = [device for device in vm.config.hardware.device if isinstance(device, KINDS.VirtualDisk)]
    return one


def removal(vm: Any) -> Any:
    return KINDS.VirtualDeviceSpec(operation="remove", fileOperation="destroy", device=lone_disk(vm))


def one_more(path: str = "") -> Any:
    made = disk(4 * MIB, path, unit=1)
    made.device.controllerKey = 1000
    return made


def nic_without_network() -> Any:
    backing = KINDS.VirtualEthernetCard.NetworkBackingInfo(deviceName="nope")
    return KINDS.VirtualDeviceSpec(operation="add", device=KINDS.VirtualVmxnet3(key=-5, backing=backing))


def change(soap: SoapHost, vm: Any, *changes: Any) -> Any:
    return soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=list(changes))))


def files_of(soap: SoapHost, folder: str = "a") -> list[str]:
    return sorted(one.name for one in soap.file(folder).iterdir())


def test_a_refused_change_deletes_no_disk(soap: SoapHost, vm: Any) -> None:
    before = files_of(soap)
    with pytest.raises(vmodl.MethodFault):
        change(soap, vm, removal(vm), nic_without_network())
    assert files_of(soap) == before
    soap.result(vm.PowerOnVM_Task())


def test_a_change_that_cannot_be_written_down_deletes_no_disk(soap: SoapHost, vm: Any) -> None:
    soap.host.datastores.volumes.nas.full = True
    with pytest.raises(vim.fault.NoDiskSpace):
        change(soap, vm, removal(vm))
    soap.host.datastores.volumes.nas.full = False
    assert [one.path for one in state_of(soap).disks] == ["[NAS] a/a.vmdk"]
    soap.result(vm.PowerOnVM_Task())


def test_a_refused_change_leaves_no_new_disk(soap: SoapHost, vm: Any) -> None:
    before = files_of(soap)
    soap.file("b").mkdir()
    with pytest.raises(vmodl.MethodFault):
        change(soap, vm, one_more(), nic_without_network())
    with pytest.raises(vmodl.MethodFault):
        soap.make_vm("c", controller(), disk(4 * MIB, "[NAS] b/b.vmdk"), nic_without_network())
    assert (files_of(soap), files_of(soap, "b")) == (before, [])
    change(soap, vm, one_more())


def test_a_refused_change_grows_no_disk(soap: SoapHost, vm: Any) -> None:
    larger = lone_disk(vm)
    larger.capacityInKB, larger.capacityInBytes = 16 * 1024, None
    grow = KINDS.VirtualDeviceSpec(operation="edit", device=larger)
    with pytest.raises(vmodl.MethodFault):
        change(soap, vm, grow, nic_without_network())
    assert soap.file("a/a-flat.vmdk").stat().st_size == 8 * MIB
    change(soap, vm, grow)
    assert soap.file("a/a-flat.vmdk").stat().st_size == 16 * MIB
    assert lone_disk(vm).capacityInKB == 16 * 1024


def test_a_disk_that_is_destroyed_is_not_taken_again(soap: SoapHost, vm: Any) -> None:
    again = disk(0, "[NAS] a/a.vmdk", create=False, unit=1)
    again.device.controllerKey = 1000
    with pytest.raises(vim.fault.FileNotFound):
        change(soap, vm, removal(vm), again)
    change(soap, vm, removal(vm))
    assert not soap.file("a/a.vmdk").exists()


def test_no_new_disk_takes_the_name_of_one_that_goes(soap: SoapHost, vm: Any) -> None:
    with pytest.raises(vmodl.fault.NotSupported, match="under the name of one that goes"):
        change(soap, vm, removal(vm), one_more("[NAS] a/a.vmdk"))
    soap.result(vm.PowerOnVM_Task())


def test_a_vm_that_does_not_come_on_holds_nothing(soap: SoapHost, vm: Any) -> None:
    """A VM without a place of its own gets one at its start, which has to be written down."""
    vm.UnregisterVM()
    file = soap.file("a/a.vmx")
    file.write_text("".join(line for line in file.open() if not line.startswith("uuid.location")))
    again = soap.result(soap.folder.RegisterVM_Task("[NAS] a/a.vmx", None, False, soap.pool))
    soap.host.datastores.volumes.nas.full = True
    with pytest.raises(vim.fault.NoDiskSpace):
        soap.result(again.PowerOnVM_Task())
    soap.host.datastores.volumes.nas.full = False
    assert again.runtime.powerState == "poweredOff"
    soap.result(soap.content.virtualDiskManager.DeleteVirtualDisk_Task("[NAS] a/a.vmdk", soap.datacenter))


def test_a_refused_change_leaves_no_new_folder(soap: SoapHost, vm: Any) -> None:
    soap.host.datastores.volumes.nas.exports.add(f"{SHARE}2")
    soap.host.datastores.mount_nas(NAS, f"{SHARE}2", "other")
    with pytest.raises(vmodl.MethodFault):
        change(soap, vm, one_more("[other]"), nic_without_network())
    assert list(soap.host.datastores.folder_of("other").iterdir()) == []
    change(soap, vm, one_more("[other]"))
