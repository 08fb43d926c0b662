"""Child disks: VMs on a shared base, what they lock, and what is lost with them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from homelab.rehearsal.storage.storage import writes_of
from homelab.rehearsal.vms.vms import ROOT_MARK
from tests.helpers.soap_rig import MIB, Rig, controller, disk

GOLDEN = "[NAS] golden/golden.vmdk"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    made.file("golden").mkdir()
    made.host.volumes.create_disk(made.file("golden/golden.vmdk"), 8 * MIB, label=GOLDEN)
    with made.file("golden/golden-flat.vmdk").open("r+b") as data:
        data.write(ROOT_MARK + b"0123456789abcdef\n")
    yield made
    made.close()


def linked(rig: Rig, name: str, parent: str = GOLDEN, size: int = 0) -> Any:
    return rig.make_vm(name, controller(), disk(size, parent=parent))


def disk_of(vm: Any) -> Any:
    return next(device for device in vm.config.hardware.device if isinstance(device, vim.vm.device.VirtualDisk))


def detach(rig: Rig, vm: Any) -> None:
    change = vim.vm.device.VirtualDeviceSpec(operation="remove", device=disk_of(vm))
    rig.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[change])))


def wrote(rig: Rig, path: str, name: str, text: str) -> None:
    folder = writes_of(rig.file(path)) / "upper"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_a_child_is_a_descriptor_that_names_its_parent(rig: Rig) -> None:
    vm = linked(rig, "cp1")
    text = rig.file("cp1/cp1.vmdk").read_text()
    assert 'parentFileNameHint="../golden/golden.vmdk"' in text
    assert "\nparentCID=fffffffe\n" in text
    assert 'RW 16384 VMFSSPARSE "cp1-delta.vmdk"' in text
    assert rig.file("cp1/cp1-delta.vmdk").stat().st_size == 0
    device = disk_of(vm)
    assert (device.capacityInBytes, device.backing.fileName) == (8 * MIB, "[NAS] cp1/cp1.vmdk")
    assert device.backing.parent.fileName == GOLDEN
    assert device.backing.parent.parent is None


def test_a_childs_guest_sits_on_what_its_parents_guests_wrote(rig: Rig) -> None:
    wrote(rig, "golden/golden.vmdk", "file", "golden")
    rig.result(linked(rig, "cp1").PowerOnVM_Task())
    spec = rig.machines.specs[0]
    assert spec.root_id == "0123456789abcdef"
    assert spec.disk == writes_of(rig.file("cp1/cp1.vmdk"))
    assert spec.layers == (writes_of(rig.file("golden/golden.vmdk")) / "upper",)


def test_a_child_of_a_child_has_both_as_parents(rig: Rig) -> None:
    linked(rig, "one")
    vm = linked(rig, "two", "[NAS] one/one.vmdk")
    backing = disk_of(vm).backing
    assert (backing.parent.fileName, backing.parent.parent.fileName) == ("[NAS] one/one.vmdk", GOLDEN)
    rig.result(vm.PowerOnVM_Task())
    assert rig.machines.specs[0].root_id == "0123456789abcdef"


@pytest.mark.parametrize("size", [4 * MIB, 16 * MIB])
def test_a_child_is_as_large_as_its_parent(rig: Rig, size: int) -> None:
    with pytest.raises(vim.fault.InvalidDeviceSpec):
        linked(rig, "cp1", size=size)
    assert not rig.file("cp1").exists()
    linked(rig, "cp1", size=8 * MIB)
    manager = rig.content.virtualDiskManager
    with pytest.raises(vim.fault.InvalidDiskFormat):
        rig.result(manager.ExtendVirtualDisk_Task("[NAS] cp1/cp1.vmdk", rig.datacenter, 16 * 1024, False))


def test_a_child_of_nothing_is_refused(rig: Rig) -> None:
    with pytest.raises(vim.fault.FileNotFound):
        linked(rig, "cp1", "[NAS] golden/none.vmdk")
    assert not rig.file("cp1").exists()


def test_a_running_child_locks_its_parent_against_change_and_not_against_reading(rig: Rig) -> None:
    manager = rig.content.virtualDiskManager
    first, second = linked(rig, "cp1"), linked(rig, "cp2")
    rig.result(first.PowerOnVM_Task())
    rig.result(second.PowerOnVM_Task())
    for path in (GOLDEN, "[NAS] golden", "[NAS] golden/golden-flat.vmdk", "[NAS] cp1/cp1-delta.vmdk"):
        with pytest.raises(vim.fault.FileLocked):
            rig.result(rig.content.fileManager.DeleteDatastoreFile_Task(path, rig.datacenter))
    with pytest.raises(vim.fault.FileLocked):
        rig.result(manager.ExtendVirtualDisk_Task(GOLDEN, rig.datacenter, 16 * 1024, False))
    rig.result(manager.CopyVirtualDisk_Task(GOLDEN, rig.datacenter, "[NAS] golden/copy.vmdk", rig.datacenter))
    owner = rig.make_vm("owner", controller(), disk(path=GOLDEN, create=False))
    with pytest.raises(vim.fault.FileLocked):
        rig.result(owner.PowerOnVM_Task())
    rig.result(first.PowerOffVM_Task())
    with pytest.raises(vim.fault.FileLocked):
        rig.result(manager.DeleteVirtualDisk_Task(GOLDEN, rig.datacenter))
    rig.result(second.PowerOffVM_Task())
    rig.result(manager.DeleteVirtualDisk_Task(GOLDEN, rig.datacenter))
    with pytest.raises(vim.fault.FileNotFound):
        rig.result(first.PowerOnVM_Task())


def test_a_parent_that_was_booted_is_no_parent_any_more(rig: Rig) -> None:
    child, owner = linked(rig, "cp1"), rig.make_vm("owner", controller(), disk(path=GOLDEN, create=False))
    rig.result(owner.PowerOnVM_Task())
    rig.result(owner.PowerOffVM_Task())
    with pytest.raises(vim.fault.GenericVmConfigFault) as caught:
        rig.result(child.PowerOnVM_Task())
    assert "has been modified since the child was created" in caught.value.msg


def test_a_linked_vm_that_is_destroyed_takes_the_base_along(rig: Rig) -> None:
    vm, other = linked(rig, "cp1"), linked(rig, "cp2")
    rig.result(vm.Destroy_Task())
    assert not rig.file("cp1").exists()
    assert not list(rig.file("golden").iterdir())
    with pytest.raises(vim.fault.FileNotFound):
        rig.result(other.PowerOnVM_Task())


def test_a_disk_that_was_detached_keeps_the_base(rig: Rig) -> None:
    vm = linked(rig, "cp1")
    detach(rig, vm)
    rig.result(vm.Destroy_Task())
    assert sorted(path.name for path in rig.file("cp1").iterdir()) == ["cp1-delta.vmdk", "cp1.vmdk"]
    assert rig.file("golden/golden-flat.vmdk").exists()
    rig.result(linked(rig, "cp2").PowerOnVM_Task())


def test_a_base_that_another_vm_runs_on_survives(rig: Rig) -> None:
    vm, other = linked(rig, "cp1"), linked(rig, "cp2")
    rig.result(other.PowerOnVM_Task())
    rig.result(vm.Destroy_Task())
    assert rig.file("golden/golden.vmdk").exists()


def test_a_copy_of_a_child_stands_alone(rig: Rig) -> None:
    wrote(rig, "golden/golden.vmdk", "file", "golden")
    linked(rig, "cp1")
    wrote(rig, "cp1/cp1.vmdk", "file", "child")
    manager = rig.content.virtualDiskManager
    target = "[NAS] golden/copy.vmdk"
    rig.result(manager.CopyVirtualDisk_Task("[NAS] cp1/cp1.vmdk", rig.datacenter, target, rig.datacenter))
    rig.result(manager.DeleteVirtualDisk_Task("[NAS] cp1/cp1.vmdk", rig.datacenter))
    rig.result(manager.DeleteVirtualDisk_Task(GOLDEN, rig.datacenter))
    rig.result(rig.make_vm("cp2", controller(), disk(path=target, create=False)).PowerOnVM_Task())
    spec = rig.machines.specs[0]
    layers = [spec.disk / "upper", *spec.layers]
    assert [(layer / "file").read_text() for layer in layers] == ["child", "golden"]


def test_a_linked_vm_is_registered_with_its_parent(rig: Rig) -> None:
    linked(rig, "cp1").UnregisterVM()
    vm = rig.result(rig.folder.RegisterVM_Task("[NAS] cp1/cp1.vmx", None, False, rig.pool))
    assert disk_of(vm).backing.parent.fileName == GOLDEN
