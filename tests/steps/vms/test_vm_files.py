"""What belongs to others stays: folders, notes and images beside the VMs that are ours, over the hosts' own wire."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import pytest
from pyVmomi import vim

from homelab.engine.runner import Runner
from homelab.lab import Lab
from homelab.output.documents import plan_document
from homelab.ports.ansible.inventory import Vault
from homelab.ports.files.home import HomeFiles
from homelab.ports.open_world import open_world
from homelab.ports.world import Copies
from homelab.steps.guests.guest import Guest, RemoveSeed
from tests.helpers.vm_lab import NOTE, HostsOnNas, steps, tree, vm_lab, vms_on_nas

NOWHERE = {"network": "No Such Network"}


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostsOnNas]:
    with vms_on_nas(vm_lab(tmp_path), tmp_path, monkeypatch, made=False) as made:
        yield made


def with_vms(lab: Lab, **more: Any) -> Lab:
    """The same lab on the same hosts, its VMs with other fields."""
    vms = [vm.model_copy(update=more) for vm in lab.control_plane]
    return lab.model_copy(update={"control_plane": tuple(vms)})


def annex(at: HostsOnNas) -> Lab:
    """Another lab on the same hosts and the same NAS, with the same names of VMs."""
    lab = at.lab.model_copy(update={"name": "annex"})
    at.lay_image(lab)
    return lab


def half_made(at: HostsOnNas, lab: Lab | None = None) -> None:
    """A VM whose creation the host refused at last: note, disk and seed are there, the VM is not."""
    ended = at.bring(lab=with_vms(lab or at.lab, **NOWHERE))
    assert ended.counts.failed == 1
    assert {NOTE, "cp1.vmdk", "cp1-flat.vmdk", "seed.iso"} == {path.name for path in (at.nas / "cp1").iterdir()}


def failure(at: HostsOnNas, lab: Lab | None = None) -> str:
    """What the step `vm` fails with, all of it."""
    [failed] = at.bring(lab=lab).said("failed", "vm")
    return f"{failed['where']}: {failed['what']}. {failed['advice']}"


def test_a_folder_of_somebody_else_is_left_alone_however_often_it_is_tried(at: HostsOnNas) -> None:
    for name in ("thesis.odt", "photos.tar", "disk.qcow2", "notes/plan.md"):
        at.put(f"cp1/{name}")
    before = tree(at.nas / "cp1")
    for _ in range(2):
        said = failure(at)
        assert all(name in said for name in ("thesis.odt", "photos.tar", "disk.qcow2", "notes"))
        assert tree(at.nas / "cp1") == before


def test_the_plan_says_so_before_anything_is_written(at: HostsOnNas) -> None:
    at.put("cp1/thesis.odt")
    [(node, error)] = at.plan("vm").failures.items()
    assert (node.step, node.target) == ("vm", "cp1")
    assert "thesis.odt" in error.what


def test_an_empty_folder_is_begun(at: HostsOnNas) -> None:
    (at.nas / "cp1").mkdir()
    ended = at.bring()
    assert not ended.counts.failed, ended.events
    assert ended.plan.empty


def test_a_half_made_vm_of_ours_is_removed_file_by_file_and_made(at: HostsOnNas) -> None:
    half_made(at)
    note = json.loads((at.nas / "cp1" / NOTE).read_text())
    assert (note["lab"], note["vm"], sorted(note["files"])) == (
        "homelab",
        "cp1",
        ["cp1-flat.vmdk", "cp1.vmdk", "seed.iso"],
    )
    [change, _] = plan_document(at.plan())["changes"]
    assert change["before"] == "half-made by an earlier run: cp1.vmdk, cp1-flat.vmdk, seed.iso"
    ended = at.bring()
    assert not ended.counts.failed, ended.events
    assert ended.plan.empty
    assert sorted(path.name for path in (at.nas / "cp1").iterdir()) == [
        "cp1-flat.vmdk",
        "cp1.vmdk",
        "cp1.vmx",
        "seed.iso",
    ]


def test_what_somebody_laid_into_a_half_made_vm_is_named_and_all_of_it_left(at: HostsOnNas) -> None:
    half_made(at)
    at.put("cp1/thesis.odt")
    before = tree(at.nas)
    assert "thesis.odt" in failure(at)
    assert tree(at.nas) == before
    (at.nas / "cp1/thesis.odt").unlink()
    assert at.bring().plan.empty


def test_a_half_made_disk_that_somebody_s_vm_sits_on_once_its_turn_to_be_copied_has_come_stays(at: HostsOnNas) -> None:
    """Copies wait for each other; meanwhile the owner gives the disk to a VM of their own."""
    half_made(at)
    before = tree(at.nas, "rescue")
    device = vim.vm.device
    backing = device.VirtualDisk.FlatVer2BackingInfo(fileName="[nas] cp1/cp1.vmdk", diskMode="persistent")
    disk = device.VirtualDisk(key=2000, controllerKey=1000, unitNumber=0, backing=backing)
    controller = device.ParaVirtualSCSIController(key=1000, busNumber=0, sharedBus="noSharing")
    changes = [device.VirtualDeviceSpec(operation="add", device=one) for one in (controller, disk)]
    files = vim.vm.FileInfo(vmPathName="[nas] rescue/rescue.vmx")

    class Waiting(Copies):
        def place(self, datastore: str, limit: int) -> BoundedSemaphore:
            with at.session() as session:
                spec = vim.vm.ConfigSpec(name="rescue", memoryMB=64, files=files, deviceChange=changes)
                pool = session.managed(vim.ResourcePool, "ha-root-pool")
                at.run(session.managed(vim.Folder, "ha-folder-vm").CreateVM_Task(spec, pool))
            return super().place(datastore, limit)

    world = open_world(at.lab, [at.home], Vault(None), HomeFiles(at.home), lambda _: None)
    runner = Runner(at.lab, steps("vm"), replace(world, _copies=Waiting()), lambda _: None)
    runner.run(runner.plan(), lambda node, change: True)
    [outcome] = runner.outcomes.values()
    assert "it holds files of rescue on brix3" in str(outcome.error)
    assert tree(at.nas, "rescue") == before


def test_another_lab_s_half_made_vm_is_not_our_leftover(at: HostsOnNas) -> None:
    half_made(at, annex(at))
    before = tree(at.nas / "cp1")
    said = failure(at)
    assert "the VM cp1 of the lab homelab" in said
    assert "the lab annex makes its VM cp1 there" in said
    assert tree(at.nas / "cp1") == before


def test_a_note_that_cannot_be_read_is_somebody_else_s(at: HostsOnNas) -> None:
    half_made(at)
    (at.nas / "cp1" / NOTE).write_text("homelab\n")
    before = tree(at.nas / "cp1")
    assert "cannot be read" in failure(at)
    assert tree(at.nas / "cp1") == before


@pytest.mark.parametrize("kept", ["the note of this version", "the note of an earlier one"])
def test_a_note_beside_a_finished_vm_is_cleaned_and_costs_it_nothing(at: HostsOnNas, kept: str) -> None:
    half_made(at)
    note = (at.nas / "cp1" / NOTE).read_bytes() if "this" in kept else b"homelab\n"
    assert not at.bring().counts.failed
    [vm] = at.host().registered_vms.values()
    at.host().vm_power.off(vm)
    at.put(f"cp1/{NOTE}", note)
    at.put("cp1/notes.txt")
    with (at.nas / "cp1/cp1-flat.vmdk").open("r+b") as disk:
        disk.seek(1 << 20)
        disk.write(b"what a guest wrote")
    before = tree(at.nas / "cp1", NOTE, "cp1.vmdk")  # the descriptor's content id changes at each start
    assert [c["sentence"] for c in plan_document(at.plan())["changes"]] == [
        f"delete the note [nas] cp1/{NOTE} beside the finished VM cp1",
        "switch the VM cp1 on",
    ]
    ended = at.bring()
    assert not ended.counts.failed, ended.events
    assert ended.plan.empty
    assert tree(at.nas / "cp1", "cp1.vmdk") == before
    assert len(at.host().registered_vms) == 1


def test_a_note_of_another_lab_beside_our_vm_is_left(at: HostsOnNas) -> None:
    assert not at.bring().counts.failed
    at.put(f"cp1/{NOTE}", b'{"made_by": "homelab", "lab": "annex", "vm": "cp1", "files": ["cp1.vmdk"]}')
    assert at.bring().plan.empty
    assert (at.nas / "cp1" / NOTE).exists()


def test_a_whole_vm_that_nobody_has_registered_is_no_leftover_whatever_note_lies_there(at: HostsOnNas) -> None:
    half_made(at)
    note = (at.nas / "cp1" / NOTE).read_bytes()
    assert not at.bring().counts.failed
    [vm] = at.host().registered_vms.values()
    at.host().vm_power.off(vm)
    at.host().vms.unregister(vm)
    for beside in (None, note):
        if beside:
            at.put(f"cp1/{NOTE}", beside)
        before = tree(at.nas)
        said = failure(at)
        assert "it holds a whole VM that no host which answers has registered" in said
        assert "A host that is off may have it" in said
        assert tree(at.nas) == before


def test_a_disk_of_a_half_made_vm_that_another_vm_uses_by_now_stays(at: HostsOnNas) -> None:
    half_made(at)
    with at.session() as session:
        backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
            fileName="[nas] cp1/cp1.vmdk", diskMode="persistent", thinProvisioned=True
        )
        controller = vim.vm.device.ParaVirtualSCSIController(key=1000, busNumber=0, sharedBus="noSharing")
        disk = vim.vm.device.VirtualDisk(key=2000, controllerKey=1000, unitNumber=0, backing=backing)
        add = [vim.vm.device.VirtualDeviceSpec(operation="add", device=device) for device in (controller, disk)]
        files = vim.vm.FileInfo(vmPathName="[nas] db/db.vmx")
        spec = vim.vm.ConfigSpec(name="db", memoryMB=64, files=files, deviceChange=add)
        at.run(
            session.managed(vim.Folder, "ha-folder-vm").CreateVM_Task(
                spec, session.managed(vim.ResourcePool, "ha-root-pool")
            )
        )
    before = tree(at.nas)
    assert "it holds files of db on brix3" in failure(at)
    assert tree(at.nas) == before


def test_a_vm_of_another_lab_with_the_same_name_is_named_before_anything_is_made(at: HostsOnNas) -> None:
    assert not at.bring(lab=annex(at)).counts.failed
    before = tree(at.nas)
    said = failure(at)
    assert "brix3" in said
    assert "[nas] cp1/cp1.vmx" in said or "cp1 on brix3" in said
    assert {name: digest for name, digest in tree(at.nas).items() if name in before} == before


# -- the seed


def insert(at: HostsOnNas, image: str, *, fresh: bool = False) -> None:
    """As in the host's web page: another image into the VM's drive, or into a second one."""
    with at.session() as session:
        cdrom = vim.vm.device.VirtualCdrom
        [vm] = session.managed(vim.Folder, "ha-folder-vm").childEntity
        drive = cdrom(key=-1, controllerKey=201, unitNumber=0)
        if not fresh:
            [drive] = [device for device in vm.config.hardware.device if isinstance(device, cdrom)]
        drive.backing = cdrom.IsoBackingInfo(fileName=image)
        drive.connectable = vim.vm.device.VirtualDevice.ConnectInfo(
            startConnected=True, connected=True, allowGuestControl=True
        )
        change = vim.vm.device.VirtualDeviceSpec(operation="add" if fresh else "edit", device=drive)
        at.run(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[change])))


def test_a_rescue_image_in_the_drive_of_our_vm_is_not_the_seed(at: HostsOnNas) -> None:
    assert not at.bring().counts.failed
    at.put("isos/rescue.iso", b"somebody's")
    insert(at, "[nas] isos/rescue.iso")
    changes = plan_document(at.plan("vm", "guest"))["changes"]
    assert not [change for change in changes if "take the seed" in change["sentence"]]


def test_only_the_seed_is_taken_out_and_deleted(at: HostsOnNas) -> None:
    assert not at.bring().counts.failed
    rescue = at.put("isos/rescue.iso", b"somebody's")
    insert(at, "[nas] isos/rescue.iso", fresh=True)
    before = tree(at.nas, "cp1")
    [_, change] = at.plan("guest").items.popitem()[1]
    assert change == RemoveSeed("cp1", "brix3", "[nas] cp1/cp1.vmx", "[nas] cp1/seed.iso")
    world = open_world(at.lab, [at.home], Vault(None), HomeFiles(at.home), lambda _: None)
    Guest().apply(world, change)
    [vm] = at.host().registered_vms.values()
    assert [drive.iso for drive in vm.cdroms] == [None, "[nas] isos/rescue.iso"]
    assert rescue.read_bytes() == b"somebody's"
    assert tree(at.nas, "cp1") == before
    assert not (at.nas / "cp1/seed.iso").exists()
