"""Copying, moving and changing files and disks of datastores through the API."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from homelab.rehearsal.storage.deltas import ancestors
from homelab.rehearsal.storage.disk_files import is_thin
from tests.helpers.soap_host import MIB, SoapHost


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SoapHost]:
    made = SoapHost(tmp_path)
    yield made
    made.close()


@pytest.fixture
def files(host: SoapHost) -> Any:
    return host.content.fileManager


@pytest.fixture
def disks(host: SoapHost) -> Any:
    return host.content.virtualDiskManager


def disk(host: SoapHost, name: str, *, thin: bool = True, size: int = MIB) -> Path:
    path = host.file(name)
    host.host.datastores.volumes.create_disk(path, size, thin=thin, label=name)
    return path


def carry(act: Any, source: str, target: str, force: bool | None = None) -> Any:
    return act(f"[NAS] {source}", None, f"[NAS] {target}", None, force)


def test_files_and_folders_are_copied(host: SoapHost, files: Any) -> None:
    host.file("a/b").mkdir(parents=True)
    host.file("a/one").write_bytes(b"one")
    host.file("a/b/two").write_bytes(b"two")
    host.result(carry(files.CopyDatastoreFile_Task, "a/one", "copy"))
    host.result(carry(files.CopyDatastoreFile_Task, "a", "c"))
    assert (host.file("copy").read_bytes(), host.file("c/b/two").read_bytes()) == (b"one", b"two")
    with pytest.raises(vim.fault.FileAlreadyExists):
        host.result(carry(files.CopyDatastoreFile_Task, "a/b/two", "copy"))
    host.result(carry(files.CopyDatastoreFile_Task, "a/b/two", "copy", force=True))
    assert host.file("copy").read_bytes() == b"two"
    with pytest.raises(vim.fault.FileNotFound):
        host.result(carry(files.CopyDatastoreFile_Task, "none", "x"))
    with pytest.raises(vim.fault.FileNotFound):
        host.result(carry(files.CopyDatastoreFile_Task, "copy", "no/such/folder"))
    with pytest.raises(vim.fault.InvalidDatastorePath):
        host.result(carry(files.CopyDatastoreFile_Task, "a", "a/b/again"))


def test_files_and_folders_are_moved(host: SoapHost, files: Any) -> None:
    host.file("a").mkdir()
    host.file("a/one").write_bytes(b"one")
    host.result(carry(files.MoveDatastoreFile_Task, "a", "b"))
    assert not host.file("a").exists()
    assert host.file("b/one").read_bytes() == b"one"
    for source, target, fault in (
        ("b", "b/c", vim.fault.InvalidDatastorePath),
        ("", "d", vim.fault.InvalidDatastorePath),
        ("b/one", "no/such", vim.fault.FileNotFound),
        ("b/one", "b", vim.fault.FileAlreadyExists),
    ):
        with pytest.raises(fault):
            host.result(carry(files.MoveDatastoreFile_Task, source, target, force=True))
    assert host.file("b/one").read_bytes() == b"one"


def test_the_root_is_never_deleted(host: SoapHost, files: Any, disks: Any) -> None:
    """`govc datastore.rm ''`, with and without -t=false."""
    host.file("keep").write_bytes(b"x")
    [disk] = [one for one in host.host.disks.values() if not one.boot]
    local = host.host.datastores.leave_vmfs(disk, "local")
    for act in (files.DeleteDatastoreFile_Task, disks.DeleteVirtualDisk_Task):
        for name in ("[NAS]", "[NAS] ", "[NAS] .", "[NAS] /", "[local]"):
            with pytest.raises(vim.fault.CannotDeleteFile):
                host.result(act(name, None))
    assert host.file("keep").exists()
    assert local.volume.path.is_dir()


def test_a_disk_moves_with_its_data(host: SoapHost, disks: Any) -> None:
    host.file("old").mkdir()
    host.file("new").mkdir()
    disk(host, "old/base.vmdk")
    host.file("old/base-flat.vmdk").write_bytes(b"data".ljust(MIB, b"\0"))
    host.file("old/base.vmdk.d/upper").mkdir(parents=True)
    host.result(carry(disks.MoveVirtualDisk_Task, "old/base.vmdk", "new/other.vmdk"))
    assert list(host.file("old").iterdir()) == []
    assert host.file("new/other-flat.vmdk").read_bytes()[:4] == b"data"
    assert '"other-flat.vmdk"' in host.file("new/other.vmdk").read_text()
    assert host.file("new/other.vmdk.d/upper").is_dir()
    disk(host, "old/third.vmdk")
    with pytest.raises(vim.fault.FileAlreadyExists):
        host.result(carry(disks.MoveVirtualDisk_Task, "old/third.vmdk", "new/other.vmdk"))
    host.result(carry(disks.MoveVirtualDisk_Task, "old/third.vmdk", "new/other.vmdk", force=True))
    assert host.file("new/other-flat.vmdk").read_bytes()[:4] == bytes(4)
    with pytest.raises(vim.fault.FileNotFound):
        host.result(carry(disks.MoveVirtualDisk_Task, "old/third.vmdk", "new/x.vmdk"))


def test_extents_are_moved_all_or_none(host: SoapHost, disks: Any) -> None:
    """As desktop hypervisors write them (VMware's Virtual Disk Format 5.0: several extents, each named by its file)."""
    host.file("big").mkdir()
    extents = [f'RW 4192256 SPARSE "disk-s00{number}.vmdk"' for number in (1, 2)]
    host.file("disk.vmdk").write_text("\n".join(["# Disk DescriptorFile", "CID=1", *extents, ""]))
    host.file("disk-s001.vmdk").write_bytes(b"1")
    with pytest.raises(vim.fault.FileNotFound):
        host.result(carry(disks.MoveVirtualDisk_Task, "disk.vmdk", "big/more.vmdk"))
    assert host.file("disk-s001.vmdk").exists()
    host.file("disk-s002.vmdk").write_bytes(b"2")
    host.result(carry(disks.MoveVirtualDisk_Task, "disk.vmdk", "big/more.vmdk"))
    assert sorted(path.name for path in host.file("big").iterdir()) == [
        *("more-s001.vmdk", "more-s002.vmdk", "more.vmdk")
    ]
    assert 'SPARSE "more-s002.vmdk"' in host.file("big/more.vmdk").read_text()


def test_a_child_finds_its_parent_from_another_folder(host: SoapHost, disks: Any) -> None:
    host.file("far/away").mkdir(parents=True)
    base, child = disk(host, "base.vmdk"), host.file("child.vmdk")
    host.host.datastores.volumes.create_child(child, base, label="child", parent_label="base")
    host.result(carry(disks.MoveVirtualDisk_Task, "child.vmdk", "far/away/moved.vmdk"))
    assert ancestors(host.file("far/away/moved.vmdk")) == [base]


def test_what_a_running_vm_holds_stays(host: SoapHost, files: Any, disks: Any) -> None:
    path = disk(host, "base.vmdk")
    host.host.datastores.volumes.lock_files([path], owner="alpha")
    for act in (disks.MoveVirtualDisk_Task, files.MoveDatastoreFile_Task, files.CopyDatastoreFile_Task):
        with pytest.raises(vim.fault.FileLocked):
            host.result(carry(act, "base.vmdk", "other.vmdk"))
    for act in (disks.InflateVirtualDisk_Task, disks.ShrinkVirtualDisk_Task):
        with pytest.raises(vim.fault.FileLocked):
            host.result(act("[NAS] base.vmdk", None))


def test_a_disk_becomes_thick_and_thin_again(host: SoapHost, disks: Any) -> None:
    path = disk(host, "base.vmdk")
    host.file("base-flat.vmdk").write_bytes(bytes(MIB // 2) + b"x" * (MIB // 2))
    host.result(disks.InflateVirtualDisk_Task("[NAS] base.vmdk", None))
    assert not is_thin(path)
    host.result(disks.ShrinkVirtualDisk_Task("[NAS] base.vmdk", None))
    assert is_thin(path)
    data = host.file("base-flat.vmdk")
    assert data.read_bytes() == bytes(MIB // 2) + b"x" * (MIB // 2)
    assert data.stat().st_blocks * 512 < MIB
    with pytest.raises(vim.fault.FileNotFound):
        host.result(disks.InflateVirtualDisk_Task("[NAS] none.vmdk", None))


def test_a_copy_is_as_its_source_unless_it_is_told(host: SoapHost, disks: Any) -> None:
    disk(host, "thick.vmdk", thin=False)
    disk(host, "thin.vmdk")
    for name, thin in (("thick", False), ("thin", True)):
        host.result(disks.CopyVirtualDisk_Task(f"[NAS] {name}.vmdk", None, f"[NAS] {name}-copy.vmdk", None))
        assert is_thin(host.file(f"{name}-copy.vmdk")) == thin
    spec = vim.VirtualDiskManager.VirtualDiskSpec(diskType="thin", adapterType="ide")
    host.result(disks.CopyVirtualDisk_Task("[NAS] thick.vmdk", None, "[NAS] told.vmdk", None, spec))
    assert is_thin(host.file("told.vmdk"))
    assert 'ddb.adapterType = "ide"' in host.file("told.vmdk").read_text()


def test_formats_that_are_not_simulated_are_named(host: SoapHost, disks: Any) -> None:
    kind = vim.VirtualDiskManager
    spec = kind.FileBackedVirtualDiskSpec(diskType="seSparse", adapterType="lsiLogic", capacityKb=1024)
    with pytest.raises(vmodl.fault.NotSupported, match="type seSparse"):
        host.result(disks.CreateVirtualDisk_Task("[NAS] x.vmdk", None, spec))
    spec.diskType, spec.profile = "thin", [vim.vm.DefinedProfileSpec(profileId="gold")]
    with pytest.raises(vmodl.fault.NotSupported, match=r"FileBackedVirtualDiskSpec\.profile"):
        host.result(disks.CreateVirtualDisk_Task("[NAS] x.vmdk", None, spec))
    spec.profile = None
    spec.adapterType = "nvme"
    with pytest.raises(vmodl.fault.InvalidArgument):
        host.result(disks.CreateVirtualDisk_Task("[NAS] x.vmdk", None, spec))
    disk(host, "base.vmdk")
    with pytest.raises(vmodl.fault.NotSupported, match="eagerZero"):
        host.result(disks.ExtendVirtualDisk_Task("[NAS] base.vmdk", None, 2048, True))
    assert not host.file("x.vmdk").exists()


# As govc sends it (govmomi, internal/methods.go); the method is in no public WSDL.
QUERY = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><QueryVirtualDiskInfo_Task
xmlns="urn:internalvim25"><_this type="VirtualDiskManager">ha-vdiskmanager</_this><name>[NAS] child.vmdk</name>
<includeParents>{parents}</includeParents></QueryVirtualDiskInfo_Task></Body></Envelope>"""


def test_a_disk_tells_its_format_and_its_parents(host: SoapHost) -> None:
    base, child = disk(host, "base.vmdk", thin=False), host.file("child.vmdk")
    host.host.datastores.volumes.create_child(child, base, label="child", parent_label="base")
    for parents, names in (("true", ["[NAS] child.vmdk", "[NAS] base.vmdk"]), ("false", ["[NAS] child.vmdk"])):
        answer = host.post(QUERY.format(parents=parents))
        task = vim.Task(re.findall(r'<returnval [^>]*type="Task">([^<]+)</returnval>', answer)[0], host.stub)
        assert task.info.descriptionId == "VirtualDiskManager.queryVirtualDiskInfo"
        found = host.result(task)
        assert [one.unit.name for one in found] == names
        assert (found[0].diskType, found[0].parent) == ("delta", "[NAS] base.vmdk")
        assert [(one.diskType, one.parent) for one in found[1:]] == [("preallocated", None)] * (len(names) - 1)
