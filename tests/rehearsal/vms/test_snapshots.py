"""Snapshots of VMs: the tree that is told, the files that lie there, and what guests wrote coming back."""

from typing import Any

import pytest
from pyVmomi import vim, vmodl

from homelab.rehearsal.storage.deltas import layers_of
from homelab.rehearsal.storage.disk_files import writes_of
from homelab.rehearsal.storage.image import MARK
from tests.helpers.soap_host import MIB, SoapHost, controller, disk

KINDS = vim.vm.device


@pytest.fixture
def vm(soap: SoapHost) -> Any:
    made = soap.make_vm("a", controller(), disk(8 * MIB))
    with soap.file("a/a-flat.vmdk").open("r+b") as data:
        data.write(MARK + b"0123456789abcdef\n")
    return made


def take(soap: SoapHost, vm: Any, name: str) -> Any:
    return soap.result(vm.CreateSnapshot_Task(name, f"{name} words", False, False))


def wrote(soap: SoapHost, vm: Any, name: str, text: str = "") -> None:
    """A guest of the VM writes a file."""
    folder = writes_of(soap.file(leaf(vm))) / "upper"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text or name)


def sees(soap: SoapHost, vm: Any) -> set[str]:
    """The files that a guest of the VM would find, but for what its root has."""
    path = soap.file(leaf(vm))
    return {file.name for folder in (writes_of(path) / "upper", *layers_of(path)) for file in folder.glob("*")}


def leaf(vm: Any) -> str:
    device = next(one for one in vm.config.hardware.device if isinstance(one, KINDS.VirtualDisk))
    return str(device.backing.fileName.removeprefix("[NAS] "))


def tree(snapshots: Any) -> dict[str, Any]:
    return {one.name: tree(one.childSnapshotList) for one in snapshots}


def names(soap: SoapHost, folder: str = "a") -> list[str]:
    return sorted(file.name for file in soap.file(folder).iterdir() if not file.name.endswith(".d"))


def test_a_snapshot_freezes_the_disk_and_the_vm_goes_on_in_a_child(soap: SoapHost, vm: Any) -> None:
    """Names of the files as VMware's KB 304387 and its administration guide have them."""
    made = take(soap, vm, "first")
    assert names(soap) == [
        *("a-000001-delta.vmdk", "a-000001.vmdk", "a-Snapshot1.vmsn", "a-flat.vmdk", "a.vmdk", "a.vmsd", "a.vmx"),
    ]
    assert leaf(vm) == "a/a-000001.vmdk"
    told = vm.snapshot
    assert (told.currentSnapshot, vm.rootSnapshot) == (made, [made])
    [one] = told.rootSnapshotList
    assert (one.name, one.description, one.id, one.state, one.vm) == ("first", "first words", 1, "poweredOff", vm)
    assert made.config.hardware.device[-1].backing.fileName == "[NAS] a/a.vmdk"
    listed = soap.file("a/a.vmsd").read_text()
    assert 'snapshot0.displayName = "first"' in listed
    assert 'snapshot.numSnapshots = "1"' in listed


def test_what_was_written_since_is_gone_after_going_back(soap: SoapHost, vm: Any) -> None:
    wrote(soap, vm, "before")
    first = take(soap, vm, "first")
    wrote(soap, vm, "after")
    soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(annotation="later", numCPUs=2, nestedHVEnabled=True)))
    assert sees(soap, vm) == {"before", "after"}
    soap.result(first.RevertToSnapshot_Task())
    assert sees(soap, vm) == {"before"}
    assert (vm.config.annotation, vm.config.hardware.numCPU, vm.config.nestedHVEnabled) == ("", 1, False)
    wrote(soap, vm, "again")
    soap.result(vm.RevertToCurrentSnapshot_Task())
    assert sees(soap, vm) == {"before"}
    soap.result(vm.PowerOnVM_Task())
    assert soap.machines.specs[-1].root_id == "0123456789abcdef"


def test_a_snapshot_that_is_removed_leaves_the_vm_as_it_is(soap: SoapHost, vm: Any) -> None:
    take(soap, vm, "first")
    wrote(soap, vm, "one")
    second = take(soap, vm, "second")
    wrote(soap, vm, "two")
    assert tree(vm.snapshot.rootSnapshotList) == {"first": {"second": {}}}
    soap.result(second.RemoveSnapshot_Task(False))
    assert tree(vm.snapshot.rootSnapshotList) == {"first": {}}
    assert (leaf(vm), sees(soap, vm)) == ("a/a-000001.vmdk", {"one", "two"})
    soap.result(vm.RemoveAllSnapshots_Task())
    assert vm.snapshot is None
    assert names(soap) == ["a-flat.vmdk", "a.vmdk", "a.vmsd", "a.vmx"]
    assert (leaf(vm), sees(soap, vm)) == ("a/a.vmdk", {"one", "two"})
    soap.result(vm.PowerOnVM_Task())


def test_branches(soap: SoapHost, vm: Any) -> None:
    first = take(soap, vm, "first")
    wrote(soap, vm, "left")
    take(soap, vm, "left")
    soap.result(first.RevertToSnapshot_Task())
    wrote(soap, vm, "right")
    take(soap, vm, "right")
    wrote(soap, vm, "now")
    assert tree(vm.snapshot.rootSnapshotList) == {"first": {"left": {}, "right": {}}}
    soap.result(first.RemoveSnapshot_Task(False))
    left, right = vm.snapshot.rootSnapshotList
    assert (left.name, right.name) == ("left", "right")
    assert soap.file("a/a.vmdk").exists()
    assert sees(soap, vm) == {"right", "now"}
    soap.result(left.snapshot.RevertToSnapshot_Task())
    assert sees(soap, vm) == {"left"}
    soap.result(right.snapshot.RemoveSnapshot_Task(False))
    soap.result(vm.RemoveAllSnapshots_Task())
    assert (leaf(vm), sees(soap, vm)) == ("a/a.vmdk", {"left"})
    assert names(soap) == ["a-flat.vmdk", "a.vmdk", "a.vmsd", "a.vmx"]


def test_children_go_with_their_parent_when_that_is_wanted(soap: SoapHost, vm: Any) -> None:
    first = take(soap, vm, "first")
    take(soap, vm, "second")
    wrote(soap, vm, "now")
    soap.result(first.RemoveSnapshot_Task(True))
    assert (vm.snapshot, leaf(vm), sees(soap, vm)) == (None, "a/a.vmdk", {"now"})


def test_a_snapshot_of_a_running_vm_keeps_what_was_written_till_then(soap: SoapHost, vm: Any) -> None:
    soap.result(vm.PowerOnVM_Task())
    wrote(soap, vm, "early")
    live = writes_of(soap.file(leaf(vm))).stat().st_ino
    first = take(soap, vm, "first")
    assert writes_of(soap.file(leaf(vm))).stat().st_ino == live
    wrote(soap, vm, "late")
    # A guest may delete what it wrote before: no layer below may show it again.
    (writes_of(soap.file(leaf(vm))) / "upper" / "early").unlink()
    assert sees(soap, vm) == {"late"}
    second = take(soap, vm, "second")
    wrote(soap, vm, "latest")
    soap.result(second.RemoveSnapshot_Task(False))
    assert sees(soap, vm) == {"late", "latest"}
    with pytest.raises(vim.fault.FileLocked):
        soap.result(soap.content.fileManager.DeleteDatastoreFile_Task("[NAS] a/a.vmdk", soap.datacenter))
    soap.result(first.RevertToSnapshot_Task())
    assert vm.runtime.powerState == "poweredOff"
    assert sees(soap, vm) == {"early"}


def test_snapshots_of_a_running_vm_can_be_removed(soap: SoapHost, vm: Any) -> None:
    soap.result(vm.PowerOnVM_Task())
    wrote(soap, vm, "early")
    take(soap, vm, "first")
    wrote(soap, vm, "late")
    soap.result(vm.RemoveAllSnapshots_Task())
    assert (leaf(vm), sees(soap, vm)) == ("a/a.vmdk", {"early", "late"})
    soap.result(vm.PowerOffVM_Task())
    soap.result(vm.PowerOnVM_Task())


def test_memory_is_not_part_of_a_snapshot(soap: SoapHost, vm: Any) -> None:
    soap.result(vm.PowerOnVM_Task())
    for memory, quiesce in ((True, False), (False, True)):
        with pytest.raises(vmodl.fault.NotSupported, match="not part of the rehearsal"):
            soap.result(vm.CreateSnapshot_Task("first", "", memory, quiesce))
    assert not vm.capability.memorySnapshotsSupported


def test_a_disk_with_a_snapshot_neither_grows_nor_goes(soap: SoapHost, vm: Any) -> None:
    """The words of kubernetes-sigs/cluster-api-provider-vsphere#1189."""
    take(soap, vm, "first")
    device = vm.config.hardware.device[-1]
    device.capacityInKB *= 2
    edit = KINDS.VirtualDeviceSpec(operation="edit", device=device)
    with pytest.raises(vim.fault.InvalidDeviceOperation, match="Disks with parents cannot be expanded"):
        soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[edit])))
    destroy = KINDS.VirtualDeviceSpec(operation="remove", fileOperation="destroy", device=device)
    with pytest.raises(vim.fault.InvalidDeviceOperation):
        soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[destroy])))


def test_an_independent_disk_is_left_out(soap: SoapHost) -> None:
    change = disk(4 * MIB)
    change.device.backing.diskMode = "independent_persistent"
    vm = soap.make_vm("b", controller(), change)
    take(soap, vm, "first")
    assert leaf(vm) == "b/b.vmdk"


def test_a_linked_clone_keeps_its_base(soap: SoapHost, vm: Any) -> None:
    child = soap.make_vm("child", controller(), disk(parent="[NAS] a/a.vmdk"))
    first = take(soap, child, "first")
    soap.result(first.RevertToSnapshot_Task())
    soap.result(child.RemoveAllSnapshots_Task())
    assert leaf(child) == "child/child.vmdk"
    assert child.config.hardware.device[-1].backing.parent.fileName == "[NAS] a/a.vmdk"


def test_nothing_stays_of_a_vm_with_snapshots(soap: SoapHost, vm: Any) -> None:
    first = take(soap, vm, "first")
    take(soap, vm, "second")
    soap.result(first.RevertToSnapshot_Task())
    soap.result(vm.Destroy_Task())
    assert not soap.file("a").exists()


def test_snapshots_outlive_the_inventory_and_a_power_cut(soap: SoapHost, vm: Any) -> None:
    wrote(soap, vm, "before")
    take(soap, vm, "first")
    soap.host.auto_backup.keep()
    second = take(soap, vm, "second")
    second.RenameSnapshot("other", "words")
    before = vm.snapshot
    wrote(soap, vm, "after")
    soap.host.vm_power.cut_all()
    soap.host.auto_backup.restore()
    soap.host.vm_power.forget_all()
    soap.host.vm_power.read_again()
    assert tree(vm.snapshot.rootSnapshotList) == {"first": {"other": {}}}
    vm.UnregisterVM()
    again = soap.result(soap.folder.RegisterVM_Task("[NAS] a/a.vmx", None, False, soap.pool, None))
    assert tree(again.snapshot.rootSnapshotList) == {"first": {"other": {}}}
    assert again.snapshot.rootSnapshotList[0].createTime == before.rootSnapshotList[0].createTime
    soap.result(again.snapshot.rootSnapshotList[0].snapshot.RevertToSnapshot_Task())
    assert sees(soap, again) == {"before"}


def test_the_layout_names_every_file(soap: SoapHost, vm: Any) -> None:
    made = take(soap, vm, "first")
    layout = vm.layoutEx
    files = {file.key: file for file in layout.file}
    assert {file.name.rpartition("/")[2]: file.type for file in files.values()} == {
        "a.vmx": "config",
        "a.vmsd": "snapshotList",
        "a-Snapshot1.vmsn": "snapshotData",
        "a.vmdk": "diskDescriptor",
        "a-flat.vmdk": "diskExtent",
        "a-000001.vmdk": "diskDescriptor",
        "a-000001-delta.vmdk": "diskExtent",
    }
    [now] = layout.disk
    assert [files[unit.fileKey[0]].name for unit in now.chain] == ["[NAS] a/a.vmdk", "[NAS] a/a-000001.vmdk"]
    [kept] = layout.snapshot
    assert (kept.key, files[kept.dataKey].name) == (made, "[NAS] a/a-Snapshot1.vmsn")
    assert len(kept.disk[0].chain) == 1


def test_there_are_at_most_thirty_two_on_each_other(soap: SoapHost, vm: Any) -> None:
    """As VMware's administration guide has it ("Snapshot Limitations")."""
    for number in range(32):
        take(soap, vm, str(number))
    with pytest.raises(vim.fault.TooManySnapshotLevels):
        take(soap, vm, "one more")


@pytest.mark.parametrize("method", ["RevertToSnapshot_Task", "RemoveSnapshot_Task"])
def test_without_room_a_snapshot_takes_nothing_away(soap: SoapHost, vm: Any, method: str) -> None:
    made = take(soap, vm, "first")
    soap.result(vm.PowerOnVM_Task())
    before = names(soap)
    soap.host.datastores.volumes.nas.full = True
    with pytest.raises(vim.fault.NoDiskSpace):
        soap.result(made.RevertToSnapshot_Task() if "Revert" in method else made.RemoveSnapshot_Task(False))
    soap.host.datastores.volumes.nas.full = False
    assert (vm.runtime.powerState, names(soap), leaf(vm)) == ("poweredOn", before, "a/a-000001.vmdk")
    assert vm.snapshot.currentSnapshot == made
    soap.result(made.RevertToSnapshot_Task())


def test_a_snapshot_on_a_full_datastore_changes_nothing(soap: SoapHost, vm: Any) -> None:
    soap.host.datastores.volumes.nas.full = True
    with pytest.raises(vim.fault.NoDiskSpace):
        take(soap, vm, "first")
    assert (vm.snapshot, leaf(vm)) == (None, "a/a.vmdk")
    assert names(soap) == ["a-flat.vmdk", "a.vmdk", "a.vmx"]
