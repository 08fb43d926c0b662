"""Child disks: VMs on a shared base, what they lock, and what is lost with them."""

from typing import Any

import pytest
from pyVmomi import vim

from homelab.rehearsal.storage.disk_files import writes_of
from homelab.rehearsal.storage.image import MARK
from tests.helpers.soap_host import MIB, SoapHost, controller, disk

GOLDEN = "[NAS] golden/golden.vmdk"


@pytest.fixture
def soap(soap: SoapHost) -> SoapHost:
    soap.file("golden").mkdir()
    soap.host.datastores.volumes.create_disk(soap.file("golden/golden.vmdk"), 8 * MIB, label=GOLDEN)
    with soap.file("golden/golden-flat.vmdk").open("r+b") as data:
        data.write(MARK + b"0123456789abcdef\n")
    return soap


def linked(soap: SoapHost, name: str, parent: str = GOLDEN, size: int = 0) -> Any:
    return soap.make_vm(name, controller(), disk(size, parent=parent))


def disk_of(vm: Any) -> Any:
    return next(device for device in vm.config.hardware.device if isinstance(device, vim.vm.device.VirtualDisk))


def detach(soap: SoapHost, vm: Any) -> None:
    change = vim.vm.device.VirtualDeviceSpec(operation="remove", device=disk_of(vm))
    soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[change])))


def wrote(soap: SoapHost, path: str, name: str, text: str) -> None:
    folder = writes_of(soap.file(path)) / "upper"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_a_child_is_a_descriptor_that_names_its_parent(soap: SoapHost) -> None:
    vm = linked(soap, "cp1")
    text = soap.file("cp1/cp1.vmdk").read_text()
    assert 'parentFileNameHint="../golden/golden.vmdk"' in text
    assert "\nparentCID=fffffffe\n" in text
    assert 'RW 16384 VMFSSPARSE "cp1-delta.vmdk"' in text
    assert soap.file("cp1/cp1-delta.vmdk").stat().st_size == 0
    device = disk_of(vm)
    assert (device.capacityInBytes, device.backing.fileName) == (8 * MIB, "[NAS] cp1/cp1.vmdk")
    assert device.backing.parent.fileName == GOLDEN
    assert device.backing.parent.parent is None


def test_a_childs_guest_sits_on_what_its_parents_guests_wrote(soap: SoapHost) -> None:
    wrote(soap, "golden/golden.vmdk", "file", "golden")
    soap.result(linked(soap, "cp1").PowerOnVM_Task())
    spec = soap.machines.specs[0]
    assert spec.root_id == "0123456789abcdef"
    assert spec.disk == writes_of(soap.file("cp1/cp1.vmdk"))
    assert spec.layers == (writes_of(soap.file("golden/golden.vmdk")) / "upper",)


def test_a_child_of_a_child_has_both_as_parents(soap: SoapHost) -> None:
    linked(soap, "one")
    vm = linked(soap, "two", "[NAS] one/one.vmdk")
    backing = disk_of(vm).backing
    assert (backing.parent.fileName, backing.parent.parent.fileName) == ("[NAS] one/one.vmdk", GOLDEN)
    soap.result(vm.PowerOnVM_Task())
    assert soap.machines.specs[0].root_id == "0123456789abcdef"


@pytest.mark.parametrize("size", [4 * MIB, 16 * MIB])
def test_a_child_is_as_large_as_its_parent(soap: SoapHost, size: int) -> None:
    with pytest.raises(vim.fault.InvalidDeviceSpec):
        linked(soap, "cp1", size=size)
    assert not soap.file("cp1").exists()
    linked(soap, "cp1", size=8 * MIB)
    manager = soap.content.virtualDiskManager
    with pytest.raises(vim.fault.InvalidDiskFormat):
        soap.result(manager.ExtendVirtualDisk_Task("[NAS] cp1/cp1.vmdk", soap.datacenter, 16 * 1024, False))


def test_a_child_of_nothing_is_refused(soap: SoapHost) -> None:
    with pytest.raises(vim.fault.FileNotFound):
        linked(soap, "cp1", "[NAS] golden/none.vmdk")
    assert not soap.file("cp1").exists()


def test_a_running_child_locks_its_parent_against_change_and_not_against_reading(soap: SoapHost) -> None:
    manager = soap.content.virtualDiskManager
    first, second = linked(soap, "cp1"), linked(soap, "cp2")
    soap.result(first.PowerOnVM_Task())
    soap.result(second.PowerOnVM_Task())
    for path in (GOLDEN, "[NAS] golden", "[NAS] golden/golden-flat.vmdk", "[NAS] cp1/cp1-delta.vmdk"):
        with pytest.raises(vim.fault.FileLocked):
            soap.result(soap.content.fileManager.DeleteDatastoreFile_Task(path, soap.datacenter))
    with pytest.raises(vim.fault.FileLocked):
        soap.result(manager.ExtendVirtualDisk_Task(GOLDEN, soap.datacenter, 16 * 1024, False))
    soap.result(manager.CopyVirtualDisk_Task(GOLDEN, soap.datacenter, "[NAS] golden/copy.vmdk", soap.datacenter))
    owner = soap.make_vm("owner", controller(), disk(path=GOLDEN, create=False))
    with pytest.raises(vim.fault.FileLocked):
        soap.result(owner.PowerOnVM_Task())
    soap.result(first.PowerOffVM_Task())
    with pytest.raises(vim.fault.FileLocked):
        soap.result(manager.DeleteVirtualDisk_Task(GOLDEN, soap.datacenter))
    soap.result(second.PowerOffVM_Task())
    soap.result(manager.DeleteVirtualDisk_Task(GOLDEN, soap.datacenter))
    with pytest.raises(vim.fault.FileNotFound):
        soap.result(first.PowerOnVM_Task())


def test_a_parent_that_was_booted_is_no_parent_any_more(soap: SoapHost) -> None:
    child, owner = linked(soap, "cp1"), soap.make_vm("owner", controller(), disk(path=GOLDEN, create=False))
    soap.result(owner.PowerOnVM_Task())
    soap.result(owner.PowerOffVM_Task())
    with pytest.raises(vim.fault.GenericVmConfigFault) as caught:
        soap.result(child.PowerOnVM_Task())
    assert "has been modified since the child was created" in caught.value.msg


def test_a_linked_vm_that_is_destroyed_takes_the_base_along(soap: SoapHost) -> None:
    vm, other = linked(soap, "cp1"), linked(soap, "cp2")
    soap.result(vm.Destroy_Task())
    assert not soap.file("cp1").exists()
    assert not list(soap.file("golden").iterdir())
    with pytest.raises(vim.fault.FileNotFound):
        soap.result(other.PowerOnVM_Task())


def test_a_disk_that_was_detached_keeps_the_base(soap: SoapHost) -> None:
    vm = linked(soap, "cp1")
    detach(soap, vm)
    soap.result(vm.Destroy_Task())
    assert sorted(path.name for path in soap.file("cp1").iterdir()) == ["cp1-delta.vmdk", "cp1.vmdk"]
    assert soap.file("golden/golden-flat.vmdk").exists()
    soap.result(linked(soap, "cp2").PowerOnVM_Task())


def test_a_base_that_another_vm_runs_on_survives(soap: SoapHost) -> None:
    vm, other = linked(soap, "cp1"), linked(soap, "cp2")
    soap.result(other.PowerOnVM_Task())
    soap.result(vm.Destroy_Task())
    assert soap.file("golden/golden.vmdk").exists()


def test_a_copy_of_a_child_stands_alone(soap: SoapHost) -> None:
    wrote(soap, "golden/golden.vmdk", "file", "golden")
    linked(soap, "cp1")
    wrote(soap, "cp1/cp1.vmdk", "file", "child")
    manager = soap.content.virtualDiskManager
    target = "[NAS] golden/copy.vmdk"
    soap.result(manager.CopyVirtualDisk_Task("[NAS] cp1/cp1.vmdk", soap.datacenter, target, soap.datacenter))
    soap.result(manager.DeleteVirtualDisk_Task("[NAS] cp1/cp1.vmdk", soap.datacenter))
    soap.result(manager.DeleteVirtualDisk_Task(GOLDEN, soap.datacenter))
    soap.result(soap.make_vm("cp2", controller(), disk(path=target, create=False)).PowerOnVM_Task())
    spec = soap.machines.specs[0]
    layers = [spec.disk / "upper", *spec.layers]
    assert [(layer / "file").read_text() for layer in layers] == ["child", "golden"]


def test_a_linked_vm_is_registered_with_its_parent(soap: SoapHost) -> None:
    linked(soap, "cp1").UnregisterVM()
    vm = soap.result(soap.folder.RegisterVM_Task("[NAS] cp1/cp1.vmx", None, False, soap.pool))
    assert disk_of(vm).backing.parent.fileName == GOLDEN
