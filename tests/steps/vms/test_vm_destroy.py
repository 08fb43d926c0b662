"""VMs are shut down and destroyed over the hosts' own wire: what is theirs goes, and nothing else."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyVmomi import vim

from homelab.engine.step import Blocked, Change
from homelab.lab import Lab, Wanted
from homelab.ports.files.home import HomeFiles
from homelab.rehearsal.state.refusals import FileLocked
from homelab.rehearsal.state.vm import Vm
from homelab.steps.vms.vm_changes import DestroyVm, ShutDownVm
from tests.helpers.vm_lab import NOTE, HostsOnNas, tree, vm_lab, vms_on_nas

MADE = ("cp1.nvram", "cp1.vmsd", "cp1.vmxf", "vmware.log", "vmware-3.log", "cp1-5f3a9c01.vswp")


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostsOnNas]:
    """Two hosts, and cp1 made on the first of them."""
    with vms_on_nas(vm_lab(tmp_path, hosts=("brix3", "brix4")), tmp_path, monkeypatch) as made:
        yield made


def wanting(at: HostsOnNas, wanted: Wanted) -> Lab:
    return at.lab.wanting(wanted, ["cp1"])


def destroyed(at: HostsOnNas) -> None:
    """It goes, and a second time there is nothing to do."""
    ended = at.bring(lab=wanting(at, "absent"))
    assert not ended.counts.failed, ended.events
    assert ended.plan.empty
    assert not at.host().registered_vms


def refusal(at: HostsOnNas) -> str:
    """What destroying is refused with; no file and no VM is touched."""
    before = tree(at.nas)
    [failed] = at.bring(lab=wanting(at, "absent")).said("failed", "vm")
    assert tree(at.nas) == before
    return f"{failed['what']}. {failed['advice']}"


def owned(at: HostsOnNas) -> Vm:
    [vm] = at.host().registered_vms.values()
    return vm


def switched_off(at: HostsOnNas) -> Vm:
    vm = owned(at)
    at.host().vm_power.off(vm)
    return vm


def test_what_is_wanted_off_is_shut_down_and_stays(at: HostsOnNas) -> None:
    before = tree(at.nas)
    planned = at.plan(lab=wanting(at, "off"))
    assert [type(change) for _, change in planned.of(Change)] == [ShutDownVm]
    ended = at.bring(lab=wanting(at, "off"))
    assert ended.counts.changed == 1
    assert ended.plan.empty
    assert not owned(at).powered_on
    assert tree(at.nas) == before
    assert at.bring().plan.empty
    assert owned(at).powered_on


def test_a_guest_that_does_not_hear_is_switched_off(at: HostsOnNas) -> None:
    at.host().vm_power.machines._on.clear()  # type: ignore[attr-defined]
    assert at.bring(lab=wanting(at, "off")).plan.empty
    assert not owned(at).powered_on


def test_a_guest_that_takes_too_long_is_switched_off(at: HostsOnNas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homelab.steps.vms.vm_ends.SHUT_DOWN_SECONDS", 0.3)
    at.host().vm_power.machines.shut_down = lambda name: None  # type: ignore[method-assign]
    assert at.bring(lab=wanting(at, "off")).plan.empty
    assert not owned(at).powered_on


def test_a_vm_is_destroyed_with_its_files_and_its_folder_and_nothing_else(at: HostsOnNas) -> None:
    for name in MADE:
        at.put(f"cp1/{name}")
    for name in ("cp1-old/cp1.vmdk", "cp1.txt", "cp11/cp1.vmx"):
        at.put(name)
    others = tree(at.nas, "cp1")
    first, second = (change for _, change in at.plan(lab=wanting(at, "absent")).of(Change))
    assert (type(first), type(second)) == (ShutDownVm, DestroyVm)
    assert first.disruptive
    assert second.disruptive
    assert second.words.loses
    assert second.asking
    assert second.asking.must_name == "cp1"
    destroyed(at)
    assert not (at.nas / "cp1").exists()
    assert tree(at.nas) == others


def test_files_of_others_in_the_folder_are_named_and_left(at: HostsOnNas) -> None:
    for name in ("thesis.odt", "cp1-copy.vmdk", "cp2.nvram", "notes/plan.md", "vmware.log.old"):
        at.put(f"cp1/{name}")
    [_, change] = (change for _, change in at.plan(lab=wanting(at, "absent")).of(Change))
    for name in ("thesis.odt", "cp1-copy.vmdk", "cp2.nvram", "notes", "vmware.log.old"):
        assert name in str(change)
    kept = {name: digest for name, digest in tree(at.nas / "cp1").items() if name.partition(".")[0] != "cp1"}
    kept.pop("cp1-flat.vmdk")
    kept.pop("seed.iso")
    destroyed(at)
    assert tree(at.nas / "cp1") == kept
    assert "notes/plan.md" in kept


def test_what_was_laid_there_while_somebody_thought_is_left_too(at: HostsOnNas) -> None:
    switched_off(at)
    real = at.host().vms.unregister

    def meanwhile(vm: Vm) -> None:
        real(vm)
        at.put("cp1/thesis.odt")

    at.host().vms.unregister = meanwhile  # type: ignore[method-assign]
    destroyed(at)
    assert list(tree(at.nas / "cp1")) == ["thesis.odt"]


def test_a_vm_that_somebody_unregistered_is_known_by_its_vmx(at: HostsOnNas) -> None:
    at.host().vms.unregister(switched_off(at))
    [(_, change)] = at.plan(lab=wanting(at, "absent")).of(Change)
    assert "an earlier run" in change.words.reason
    destroyed(at)
    assert not (at.nas / "cp1").exists()


@pytest.mark.thorough
@pytest.mark.parametrize("gone", [["cp1.vmdk"], ["cp1-flat.vmdk"], ["cp1.vmdk", "cp1-flat.vmdk", "seed.iso"]])
def test_half_of_it_may_be_gone_already(at: HostsOnNas, gone: list[str]) -> None:
    switched_off(at)
    for name in gone:
        (at.nas / "cp1" / name).unlink()
    destroyed(at)
    assert not (at.nas / "cp1").exists()


def test_a_folder_that_is_gone_leaves_nothing_to_do_but_the_registration(at: HostsOnNas) -> None:
    vm = switched_off(at)
    at.host().vms.unregister(vm)
    for path in (at.nas / "cp1").iterdir():
        path.unlink()
    (at.nas / "cp1").rmdir()
    assert at.plan(lab=wanting(at, "absent")).empty


def test_a_half_made_vm_of_ours_goes_by_its_note(at: HostsOnNas) -> None:
    destroyed(at)
    vms = [vm.model_copy(update={"network": "No Such Network"}) for vm in at.lab.control_plane]
    assert at.bring(lab=at.lab.model_copy(update={"control_plane": tuple(vms)})).counts.failed == 1
    at.put("cp1/thesis.odt")
    assert (at.nas / "cp1" / NOTE).exists()
    destroyed(at)
    assert list(tree(at.nas / "cp1")) == ["thesis.odt"]


def test_a_whole_vm_of_somebody_else_in_the_folder_is_none_of_ours(at: HostsOnNas) -> None:
    at.host().vms.unregister(switched_off(at))
    vmx = at.nas / "cp1/cp1.vmx"
    vmx.write_text(vmx.read_text().replace('homelab.lab = "homelab"', 'homelab.lab = "annex"'))
    before = tree(at.nas)
    assert at.bring(lab=wanting(at, "absent")).plan.empty
    assert tree(at.nas) == before


def test_a_foreign_vm_of_the_name_is_refused_with_both_paths(at: HostsOnNas) -> None:
    destroyed(at)
    spec = vim.vm.ConfigSpec(name="cp1", memoryMB=64, files=vim.vm.FileInfo(vmPathName="[nas] theirs/cp1.vmx"))
    with at.session() as session:
        pool = session.managed(vim.ResourcePool, "ha-root-pool")
        at.run(session.managed(vim.Folder, "ha-folder-vm").CreateVM_Task(spec, pool))
    said = refusal(at)
    assert "[nas] theirs/cp1.vmx" in said
    assert "[nas] cp1/cp1.vmx" in said


def test_a_vm_without_an_identity_is_not_destroyed(at: HostsOnNas) -> None:
    del owned(at).extra_config["homelab.id"]
    assert "homelab.id" in refusal(at)


def test_a_vm_with_a_disk_that_is_not_its_own_is_not_destroyed(at: HostsOnNas) -> None:
    vm = owned(at)
    at.put("photos/data.vmdk")
    spare = type(vm.disks[0])(**{**vars(vm.disks[0]), "path": "[nas] photos/data.vmdk", "key": 2001, "unit": 1})
    vm.disks.append(spare)
    assert "[nas] photos/data.vmdk" in refusal(at)
    assert at.host().registered_vms


def test_a_disk_that_another_vm_sits_on_is_not_deleted(at: HostsOnNas) -> None:
    disk = vim.vm.device.VirtualDisk
    backing = disk.FlatVer2BackingInfo(
        fileName="[nas] clone/clone.vmdk",
        diskMode="persistent",
        parent=disk.FlatVer2BackingInfo(fileName="[nas] cp1/cp1.vmdk", diskMode="persistent"),
    )
    device = vim.vm.device
    changes = [
        device.VirtualDeviceSpec(
            operation="add", device=device.ParaVirtualSCSIController(key=1000, busNumber=0, sharedBus="noSharing")
        ),
        device.VirtualDeviceSpec(
            operation="add",
            fileOperation="create",
            device=disk(key=2000, controllerKey=1000, unitNumber=0, backing=backing, capacityInKB=0),
        ),
    ]
    switched_off(at)
    files = vim.vm.FileInfo(vmPathName="[nas] clone/clone.vmx")
    with at.session("brix4") as session:
        spec = vim.vm.ConfigSpec(name="clone", memoryMB=64, files=files, deviceChange=changes)
        pool = session.managed(vim.ResourcePool, "ha-root-pool")
        at.run(session.managed(vim.Folder, "ha-folder-vm").CreateVM_Task(spec, pool))
    assert "clone on brix4" in refusal(at)


def test_while_a_host_is_silent_no_disk_on_the_shared_datastore_is_deleted(at: HostsOnNas) -> None:
    """It may have a linked clone that sits on the disk."""
    before = tree(at.nas)
    at.served_hosts["brix4"].stop()
    [(_, item)] = at.plan(lab=wanting(at, "absent")).of(Blocked)
    assert item.until.startswith("brix4 can be asked, or is taken out of the inventory")
    assert at.bring(lab=wanting(at, "absent")).counts.blocked == 1
    assert tree(at.nas) == before
    assert owned(at).powered_on


def test_while_a_vm_cannot_be_read_no_disk_is_deleted(at: HostsOnNas) -> None:
    """Nobody knows what its disks sit on."""
    before = tree(at.nas)
    at.host("brix4").registered_vms["9"] = Vm("9", "ghost", "gone", "[gone] ghost/ghost.vmx", powered_on=False)
    [(_, item)] = at.plan(lab=wanting(at, "absent")).of(Blocked)
    assert item.until.startswith("the files of ghost on brix4 can be read again; if they are gone for good")
    assert at.bring(lab=wanting(at, "absent")).counts.blocked == 1
    assert tree(at.nas) == before


def test_what_is_left_of_a_vm_stays_while_somebody_uses_it(at: HostsOnNas) -> None:
    at.host().vms.unregister(vm := switched_off(at))
    at.host("brix4").registered_vms["9"] = clone = Vm("9", "clone", "nas", "[nas] clone/clone.vmx", powered_on=True)
    clone.disks.append(replace(vm.disks[0], path="[nas] clone/clone.vmdk", parents=("[nas] cp1/cp1.vmdk",)))
    assert "clone on brix4" in refusal(at)


def test_while_a_host_is_silent_nothing_is_taken_for_gone(at: HostsOnNas) -> None:
    at.host().vms.unregister(switched_off(at))
    before = tree(at.nas)
    at.served_hosts["brix4"].stop()
    [(_, item)] = at.plan(lab=wanting(at, "absent")).of(Blocked)
    assert "brix4 can be asked" in item.until
    at.bring(lab=wanting(at, "absent"))
    assert tree(at.nas) == before


def test_a_task_that_fails_half_way_is_done_by_the_next_run(at: HostsOnNas) -> None:
    switched_off(at)
    real, calls = at.host().datastores.volumes.delete, iter(range(100))

    def fails_once(path: Path, *, label: str) -> None:
        if next(calls) == 1:
            raise FileLocked(f"Unable to access file {label} since it is locked", file=label)
        real(path, label=label)

    for name in MADE:
        at.put(f"cp1/{name}")
    at.host().datastores.volumes.delete = fails_once  # type: ignore[method-assign]
    [failed] = at.bring(lab=wanting(at, "absent")).said("failed", "vm")
    assert "is locked" in failed["what"]
    assert (at.nas / "cp1/cp1.vmx").exists()
    destroyed(at)
    assert not (at.nas / "cp1").exists()


def test_the_key_of_its_guest_is_forgotten_and_no_other(at: HostsOnNas) -> None:
    trust = HomeFiles(at.home).trust
    key = owned(at).extra_config["homelab.host_key"]
    for address in ("127.0.0.21", "127.0.0.99"):
        trust.meet_host_key(address, key, machine="cp1", where="here")
    destroyed(at)
    assert not trust.mentions({"127.0.0.21"})
    assert trust.mentions({"127.0.0.99"})


def test_the_image_goes_after_the_last_vm_and_nothing_else_of_the_datastore(at: HostsOnNas) -> None:
    at.put("homelab/homelab/hosts/brix3/scratch.log")
    at.put("homelab/annex/images/theirs.vmdk")
    others = tree(at.nas, "cp1", "homelab/homelab/images")
    ended = at.bring("vm", "image", lab=wanting(at, "absent"))
    assert not ended.counts.failed, ended.events
    assert [event["target"] for event in ended.said("changed", "image")] == ["nas"]
    assert ended.plan.empty
    assert tree(at.nas) == others


def test_an_image_that_a_disk_sits_on_stays(at: HostsOnNas) -> None:
    image = f"[nas] homelab/homelab/images/{at.lab.image.sha256}.vmdk"
    at.host("brix4").registered_vms["9"] = clone = Vm("9", "clone", "nas", "[nas] clone/clone.vmx", powered_on=True)
    clone.disks.append(replace(owned(at).disks[0], path="[nas] clone/clone.vmdk", parents=(image,)))
    ended = at.bring("vm", "image", lab=wanting(at, "absent"))
    [failed] = ended.said("failed", "image")
    assert "clone on brix4" in failed["what"]
    assert (at.nas / f"homelab/homelab/images/{at.lab.image.sha256}-flat.vmdk").exists()


def test_an_image_stays_while_a_vm_cannot_be_read(at: HostsOnNas) -> None:
    destroyed(at)
    at.host("brix4").registered_vms["9"] = Vm("9", "ghost", "gone", "[gone] ghost/ghost.vmx", powered_on=False)
    [(_, item)] = at.plan("vm", "image", lab=wanting(at, "absent")).of(Blocked)
    assert item.until.startswith("the files of ghost on brix4 can be read again")
    assert at.bring("vm", "image", lab=wanting(at, "absent")).counts.blocked == 1
    assert (at.nas / f"homelab/homelab/images/{at.lab.image.sha256}-flat.vmdk").exists()
