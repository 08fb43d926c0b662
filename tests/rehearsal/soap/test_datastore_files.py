"""Copying, moving and changing files and disks of datastores through the API."""

import re
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from homelab.rehearsal.storage.deltas import ancestors
from homelab.rehearsal.storage.disk_files import is_thin
from tests.helpers.soap_host import MIB, SoapHost


@pytest.fixture
def files(soap: SoapHost) -> Any:
    return soap.content.fileManager


@pytest.fixture
def disks(soap: SoapHost) -> Any:
    return soap.content.virtualDiskManager


def disk(soap: SoapHost, name: str, *, thin: bool = True, size: int = MIB) -> Path:
    path = soap.file(name)
    soap.host.datastores.volumes.create_disk(path, size, thin=thin, label=name)
    return path


def internal(soap: SoapHost) -> Any:
    """The host's own disk."""
    [found] = [one for one in soap.host.disks.values() if not one.boot]
    return found


def carry(act: Any, source: str, target: str, force: bool | None = None) -> Any:
    return act(f"[NAS] {source}", None, f"[NAS] {target}", None, force)


def test_files_and_folders_are_copied(soap: SoapHost, files: Any) -> None:
    soap.file("a/b").mkdir(parents=True)
    soap.file("a/one").write_bytes(b"one")
    soap.file("a/b/two").write_bytes(b"two")
    soap.result(carry(files.CopyDatastoreFile_Task, "a/one", "copy"))
    soap.result(carry(files.CopyDatastoreFile_Task, "a", "c"))
    assert (soap.file("copy").read_bytes(), soap.file("c/b/two").read_bytes()) == (b"one", b"two")
    with pytest.raises(vim.fault.FileAlreadyExists):
        soap.result(carry(files.CopyDatastoreFile_Task, "a/b/two", "copy"))
    soap.result(carry(files.CopyDatastoreFile_Task, "a/b/two", "copy", force=True))
    assert soap.file("copy").read_bytes() == b"two"
    with pytest.raises(vim.fault.FileNotFound):
        soap.result(carry(files.CopyDatastoreFile_Task, "none", "x"))
    with pytest.raises(vim.fault.FileNotFound):
        soap.result(carry(files.CopyDatastoreFile_Task, "copy", "no/such/folder"))
    with pytest.raises(vim.fault.InvalidDatastorePath):
        soap.result(carry(files.CopyDatastoreFile_Task, "a", "a/b/again"))


def test_files_and_folders_are_moved(soap: SoapHost, files: Any) -> None:
    soap.file("a").mkdir()
    soap.file("a/one").write_bytes(b"one")
    soap.result(carry(files.MoveDatastoreFile_Task, "a", "b"))
    assert not soap.file("a").exists()
    assert soap.file("b/one").read_bytes() == b"one"
    for source, target, fault in (
        ("b", "b/c", vim.fault.InvalidDatastorePath),
        ("", "d", vim.fault.InvalidDatastorePath),
        ("b/one", "no/such", vim.fault.FileNotFound),
        ("b/one", "b", vim.fault.FileAlreadyExists),
    ):
        with pytest.raises(fault):
            soap.result(carry(files.MoveDatastoreFile_Task, source, target, force=True))
    assert soap.file("b/one").read_bytes() == b"one"


def test_the_root_is_never_deleted(soap: SoapHost, files: Any, disks: Any) -> None:
    """`govc datastore.rm ''`, with and without -t=false."""
    soap.file("keep").write_bytes(b"x")
    local = soap.host.datastores.leave_vmfs(internal(soap), "local")
    for act in (files.DeleteDatastoreFile_Task, disks.DeleteVirtualDisk_Task):
        for name in ("[NAS]", "[NAS] ", "[NAS] .", "[NAS] /", "[local]"):
            with pytest.raises(vim.fault.CannotDeleteFile):
                soap.result(act(name, None))
    assert soap.file("keep").exists()
    assert local.volume.path.is_dir()


def test_a_disk_moves_with_its_data(soap: SoapHost, disks: Any) -> None:
    soap.file("old").mkdir()
    soap.file("new").mkdir()
    disk(soap, "old/base.vmdk")
    soap.file("old/base-flat.vmdk").write_bytes(b"data".ljust(MIB, b"\0"))
    soap.file("old/base.vmdk.d/upper").mkdir(parents=True)
    soap.result(carry(disks.MoveVirtualDisk_Task, "old/base.vmdk", "new/other.vmdk"))
    assert list(soap.file("old").iterdir()) == []
    assert soap.file("new/other-flat.vmdk").read_bytes()[:4] == b"data"
    assert '"other-flat.vmdk"' in soap.file("new/other.vmdk").read_text()
    assert soap.file("new/other.vmdk.d/upper").is_dir()
    disk(soap, "old/third.vmdk")
    with pytest.raises(vim.fault.FileAlreadyExists):
        soap.result(carry(disks.MoveVirtualDisk_Task, "old/third.vmdk", "new/other.vmdk"))
    soap.result(carry(disks.MoveVirtualDisk_Task, "old/third.vmdk", "new/other.vmdk", force=True))
    assert soap.file("new/other-flat.vmdk").read_bytes()[:4] == bytes(4)
    with pytest.raises(vim.fault.FileNotFound):
        soap.result(carry(disks.MoveVirtualDisk_Task, "old/third.vmdk", "new/x.vmdk"))


def test_extents_are_moved_all_or_none(soap: SoapHost, disks: Any) -> None:
    """As desktop hypervisors write them (VMware's Virtual Disk Format 5.0: several extents, each named by its file)."""
    soap.file("big").mkdir()
    extents = [f'RW 4192256 SPARSE "disk-s00{number}.vmdk"' for number in (1, 2)]
    soap.file("disk.vmdk").write_text("\n".join(["# Disk DescriptorFile", "CID=1", *extents, ""]))
    soap.file("disk-s001.vmdk").write_bytes(b"1")
    with pytest.raises(vim.fault.FileNotFound):
        soap.result(carry(disks.MoveVirtualDisk_Task, "disk.vmdk", "big/more.vmdk"))
    assert soap.file("disk-s001.vmdk").exists()
    soap.file("disk-s002.vmdk").write_bytes(b"2")
    soap.result(carry(disks.MoveVirtualDisk_Task, "disk.vmdk", "big/more.vmdk"))
    assert sorted(path.name for path in soap.file("big").iterdir()) == [
        *("more-s001.vmdk", "more-s002.vmdk", "more.vmdk")
    ]
    assert 'SPARSE "more-s002.vmdk"' in soap.file("big/more.vmdk").read_text()


def test_a_child_finds_its_parent_from_another_folder(soap: SoapHost, disks: Any) -> None:
    soap.file("far/away").mkdir(parents=True)
    base, child = disk(soap, "base.vmdk"), soap.file("child.vmdk")
    soap.host.datastores.volumes.create_child(child, base, label="child", parent_label="base")
    soap.result(carry(disks.MoveVirtualDisk_Task, "child.vmdk", "far/away/moved.vmdk"))
    assert ancestors(soap.file("far/away/moved.vmdk")) == [base]


def test_what_a_running_vm_holds_stays(soap: SoapHost, files: Any, disks: Any) -> None:
    path = disk(soap, "base.vmdk")
    soap.host.datastores.volumes.lock_files([path], owner="alpha")
    for act in (disks.MoveVirtualDisk_Task, files.MoveDatastoreFile_Task, files.CopyDatastoreFile_Task):
        with pytest.raises(vim.fault.FileLocked):
            soap.result(carry(act, "base.vmdk", "other.vmdk"))
    for act in (disks.InflateVirtualDisk_Task, disks.ShrinkVirtualDisk_Task):
        with pytest.raises(vim.fault.FileLocked):
            soap.result(act("[NAS] base.vmdk", None))


def test_what_moves_to_another_volume_needs_room_there(soap: SoapHost, files: Any, disks: Any) -> None:
    volumes, local = soap.host.datastores.volumes, soap.host.datastores.leave_vmfs(internal(soap), "local").volume
    _, free = volumes.space(local)
    disk(soap, "thick.vmdk", thin=False, size=free + MIB)
    disk(soap, "thin.vmdk", size=free + MIB)
    with pytest.raises(vim.fault.NoDiskSpace):
        soap.result(disks.MoveVirtualDisk_Task("[NAS] thick.vmdk", None, "[local] thick.vmdk", None, None))
    with pytest.raises(vim.fault.NoDiskSpace):
        soap.result(files.MoveDatastoreFile_Task("[NAS] thick-flat.vmdk", None, "[local] thick-flat.vmdk", None, None))
    assert soap.file("thick.vmdk").is_file()
    assert soap.file("thick-flat.vmdk").is_file()
    soap.result(disks.MoveVirtualDisk_Task("[NAS] thin.vmdk", None, "[local] thin.vmdk", None, None))
    soap.result(carry(disks.MoveVirtualDisk_Task, "thick.vmdk", "other.vmdk"))


def test_a_disk_becomes_thick_and_thin_again(soap: SoapHost, disks: Any) -> None:
    path = disk(soap, "base.vmdk")
    soap.file("base-flat.vmdk").write_bytes(bytes(MIB // 2) + b"x" * (MIB // 2))
    soap.result(disks.InflateVirtualDisk_Task("[NAS] base.vmdk", None))
    assert not is_thin(path)
    soap.result(disks.ShrinkVirtualDisk_Task("[NAS] base.vmdk", None))
    assert is_thin(path)
    data = soap.file("base-flat.vmdk")
    assert data.read_bytes() == bytes(MIB // 2) + b"x" * (MIB // 2)
    assert data.stat().st_blocks * 512 < MIB
    with pytest.raises(vim.fault.FileNotFound):
        soap.result(disks.InflateVirtualDisk_Task("[NAS] none.vmdk", None))


def test_a_copy_is_as_its_source_unless_it_is_told(soap: SoapHost, disks: Any) -> None:
    disk(soap, "thick.vmdk", thin=False)
    disk(soap, "thin.vmdk")
    for name, thin in (("thick", False), ("thin", True)):
        soap.result(disks.CopyVirtualDisk_Task(f"[NAS] {name}.vmdk", None, f"[NAS] {name}-copy.vmdk", None))
        assert is_thin(soap.file(f"{name}-copy.vmdk")) == thin
    spec = vim.VirtualDiskManager.VirtualDiskSpec(diskType="thin", adapterType="ide")
    soap.result(disks.CopyVirtualDisk_Task("[NAS] thick.vmdk", None, "[NAS] told.vmdk", None, spec))
    assert is_thin(soap.file("told.vmdk"))
    assert 'ddb.adapterType = "ide"' in soap.file("told.vmdk").read_text()


def test_formats_that_are_not_simulated_are_named(soap: SoapHost, disks: Any) -> None:
    kind = vim.VirtualDiskManager
    spec = kind.FileBackedVirtualDiskSpec(diskType="seSparse", adapterType="lsiLogic", capacityKb=1024)
    with pytest.raises(vmodl.fault.NotSupported, match="type seSparse"):
        soap.result(disks.CreateVirtualDisk_Task("[NAS] x.vmdk", None, spec))
    spec.diskType, spec.profile = "thin", [vim.vm.DefinedProfileSpec(profileId="gold")]
    with pytest.raises(vmodl.fault.NotSupported, match=r"FileBackedVirtualDiskSpec\.profile"):
        soap.result(disks.CreateVirtualDisk_Task("[NAS] x.vmdk", None, spec))
    spec.profile = None
    spec.adapterType = "nvme"
    with pytest.raises(vmodl.fault.InvalidArgument):
        soap.result(disks.CreateVirtualDisk_Task("[NAS] x.vmdk", None, spec))
    disk(soap, "base.vmdk")
    with pytest.raises(vmodl.fault.NotSupported, match="eagerZero"):
        soap.result(disks.ExtendVirtualDisk_Task("[NAS] base.vmdk", None, 2048, True))
    assert not soap.file("x.vmdk").exists()


# As govc sends it (govmomi, internal/methods.go); the method is in no public WSDL.
QUERY = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><QueryVirtualDiskInfo_Task
xmlns="urn:internalvim25"><_this type="VirtualDiskManager">ha-vdiskmanager</_this><name>[NAS] child.vmdk</name>
<includeParents>{parents}</includeParents></QueryVirtualDiskInfo_Task></Body></Envelope>"""


def test_a_disk_tells_its_format_and_its_parents(soap: SoapHost) -> None:
    base, child = disk(soap, "base.vmdk", thin=False), soap.file("child.vmdk")
    soap.host.datastores.volumes.create_child(child, base, label="child", parent_label="base")
    for parents, names in (("true", ["[NAS] child.vmdk", "[NAS] base.vmdk"]), ("false", ["[NAS] child.vmdk"])):
        answer = soap.post(QUERY.format(parents=parents))
        task = vim.Task(re.findall(r'<returnval [^>]*type="Task">([^<]+)</returnval>', answer)[0], soap.stub)
        assert task.info.descriptionId == "VirtualDiskManager.queryVirtualDiskInfo"
        found = soap.result(task)
        assert [one.unit.name for one in found] == names
        assert (found[0].diskType, found[0].parent) == ("delta", "[NAS] base.vmdk")
        assert [(one.diskType, one.parent) for one in found[1:]] == [("preallocated", None)] * (len(names) - 1)
