"""Linked VMs over the hosts' own wire: made on a base in one call, destroyed without it, made again."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import pytest

from homelab.engine.runner import Runner
from homelab.engine.step import Blocked, Change
from homelab.lab import Lab
from homelab.ports.ansible.inventory import Vault
from homelab.ports.files.home import HomeFiles
from homelab.ports.open_world import open_world
from homelab.ports.world import Copies
from homelab.rehearsal.state.vm import Vm
from homelab.steps.vms.bases import MakeBase
from homelab.steps.vms.image import RemoveImage
from homelab.steps.vms.old_images import OldImages
from homelab.steps.vms.vm_changes import CreateVm
from tests.helpers.one_host import bring, plan
from tests.helpers.vm_lab import NOTE, VM_STEPS, HostsOnNas, steps, tree, vm_lab, vms_on_nas

IMAGES = "homelab/homelab/images"
GIB = 1 << 30


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostsOnNas]:
    """Two hosts, the image on the NAS, and two linked VMs of one size to be made."""
    lab = vm_lab(tmp_path, hosts=("brix3", "brix4"), vms=("cp1", "cp2"), clone="linked", host="brix3")
    with vms_on_nas(lab, tmp_path, monkeypatch, made=False) as made:
        yield made


def with_vms(lab: Lab, **fields: Any) -> Lab:
    return lab.model_copy(update={"control_plane": tuple(vm.model_copy(update=fields) for vm in lab.control_plane)})


def base(at: HostsOnNas, size: int = 1) -> str:
    return f"{IMAGES}/{at.lab.image.sha256}-{size}g.vmdk"


def made(at: HostsOnNas, lab: Lab | None = None) -> None:
    ended = at.bring(*VM_STEPS, lab=lab)
    assert not ended.counts.failed, ended.events
    assert ended.plan.empty


def writes(at: HostsOnNas) -> list[str]:
    """What the runs so far wrote over SOAP."""
    lines = [line for path in at.home.glob("logs/*/record.jsonl") for line in path.read_text().splitlines()]
    return [line["what"] for line in map(json.loads, lines) if line.get("writes") and line.get("kind") == "soap"]


def enlarge_image(at: HostsOnNas, size: int) -> None:
    """The image's disk grows, as a larger image has it."""
    image = at.nas / IMAGES / f"{at.lab.image.sha256}.vmdk"
    image.write_text(re.sub(r"(?m)^RW \d+ ", f"RW {size // 512} ", image.read_text()))
    with image.with_name(f"{image.stem}-flat.vmdk").open("r+b") as data:
        data.truncate(size)


def vms(at: HostsOnNas) -> dict[str, Vm]:
    return {vm.name: vm for vm in at.host().registered_vms.values()}


def test_linked_vms_share_a_base_of_their_size_and_none_is_copied(at: HostsOnNas) -> None:
    planned = [change for _, change in at.plan(*VM_STEPS).of(Change)]
    assert [type(change) for change in planned if isinstance(change, MakeBase | CreateVm)] == [
        MakeBase,
        CreateVm,
        CreateVm,
    ]
    assert "linked to a base of 1 GiB" in str(planned[1])
    made(at)
    told = Counter(writes(at))
    assert (told["CopyVirtualDisk_Task"], told["CreateVM_Task"], told["ExtendVirtualDisk_Task"]) == (1, 2, 1)
    for name, vm in vms(at).items():
        assert vm.powered_on
        [disk] = vm.disks
        assert (disk.path, disk.parents, disk.capacity) == (f"[nas] {name}/{name}.vmdk", (f"[nas] {base(at)}",), GIB)
        files = sorted(path.name for path in (at.nas / name).iterdir() if path.is_file())
        assert files == [f"{name}-delta.vmdk", f"{name}.vmdk", f"{name}.vmx", "seed.iso"]


def test_a_linked_vm_on_a_base_that_is_there_is_made_by_one_call(at: HostsOnNas) -> None:
    made(at, at.lab.model_copy(update={"control_plane": at.lab.control_plane[:1]}))
    before = Counter(writes(at))
    made(at)
    assert Counter(writes(at)) - before == {
        "MakeDirectory": 1,
        "CreateVM_Task": 1,
        "ReconfigureAutostart": 1,
        "PowerOnVM_Task": 1,
    }


def test_another_size_is_another_base(at: HostsOnNas) -> None:
    cp1, cp2 = at.lab.control_plane
    lab = at.lab.model_copy(update={"control_plane": (cp1, cp2.model_copy(update={"disk_gib": 3}))})
    made(at, lab)
    assert (at.nas / base(at, 3)).exists()
    assert {name: vm.disks[0].capacity // GIB for name, vm in vms(at).items()} == {"cp1": 1, "cp2": 3}


def test_a_linked_vm_is_destroyed_with_its_own_files_and_its_base_stays(at: HostsOnNas) -> None:
    made(at)
    for name in ("cp1-sesparse.vmdk", "vmware.log"):
        at.put(f"cp1/{name}")
    others = tree(at.nas, "cp1")
    made(at, at.lab.wanting("absent", ["cp1"]))
    assert not (at.nas / "cp1").exists()
    assert tree(at.nas) == others
    assert "DeleteVirtualDisk_Task" not in writes(at)
    made(at)
    assert vms(at)["cp1"].powered_on
    assert Counter(writes(at))["CopyVirtualDisk_Task"] == 1


def test_the_files_of_others_beside_a_linked_disk_stay(at: HostsOnNas) -> None:
    made(at)
    at.put("cp1/cp1-000001-delta.vmdk")
    made(at, at.lab.wanting("absent", ["cp1"]))
    assert list(tree(at.nas / "cp1")) == ["cp1-000001-delta.vmdk"]


def test_a_base_that_is_a_disk_of_our_vm_itself_keeps_the_vm(at: HostsOnNas) -> None:
    """A person attached it, not on top but as it is: then it is a disk that we did not make for the VM."""
    made(at)
    vm = vms(at)["cp1"]
    at.host().vm_power.off(vm)
    vm.disks.append(replace(vm.disks[0], path=f"[nas] {base(at)}", parents=(), key=2001, unit=1))
    before = tree(at.nas)
    [failed] = at.bring(lab=at.lab.wanting("absent", ["cp1"])).said("failed", "vm")
    assert base(at) in failed["what"]
    assert tree(at.nas) == before


@pytest.mark.thorough
def test_with_the_last_vm_the_bases_go_too_and_nothing_else(at: HostsOnNas) -> None:
    made(at)
    made(at, with_vms(at.lab, disk_gib=2).wanting("absent", ["cp1"]))
    made(at, with_vms(at.lab, disk_gib=2))
    strange = [at.put(f"{IMAGES}/{name}") for name in ("notes.txt", f"{'b' * 64}-1g.vmdk", "base-1g.vmdk")]
    at.put(f"{base(at, 4)[:-5]}.part-flat.vmdk")
    ended = at.bring("vm", "image", lab=at.lab.wanting("absent", ["cp1", "cp2"]))
    assert not ended.counts.failed, ended.events
    assert ended.plan.empty
    assert sorted(path.name for path in (at.nas / IMAGES).iterdir()) == sorted(path.name for path in strange)


@pytest.mark.thorough
def test_bases_that_no_vm_is_wanted_on_are_pruned_and_those_that_are_sat_on_stay(at: HostsOnNas) -> None:
    made(at)
    old = f"{IMAGES}/{'b' * 64}"
    for name in (f"{old}-1g.vmdk", f"{old}-1g-flat.vmdk", f"{old}-2g.part-flat.vmdk", base(at, 3), f"{IMAGES}/1g.vmdk"):
        at.put(name)
    larger = with_vms(at.lab, disk_gib=4)
    for lab in (at.lab, larger):
        planned = [change.path for _, change in plan(lab, at.home, (OldImages(),)).of(RemoveImage)]
        assert planned == [base(at, 3), f"{old}-1g.vmdk", f"{old}-2g.part.vmdk"]
    assert not bring(larger, at.home, (OldImages(),)).counts.failed
    kept = {path.name for path in (at.nas / IMAGES).iterdir() if path.is_file()}
    assert kept == {"1g.vmdk", *(f"{at.lab.image.sha256}{end}.vmdk" for end in ("", "-flat", "-1g", "-1g-flat"))}


def test_a_base_that_somebody_sits_on_stays_with_its_image(at: HostsOnNas) -> None:
    made(at)
    at.host("brix4").registered_vms["9"] = theirs = Vm("9", "theirs", "nas", "[nas] theirs/theirs.vmx")
    theirs.disks.append(replace(vms(at)["cp1"].disks[0], path="[nas] theirs/theirs.vmdk"))
    before = tree(at.nas / IMAGES)
    [failed] = at.bring("vm", "image", lab=at.lab.wanting("absent", ["cp1", "cp2"])).said("failed", "image")
    assert "theirs on brix4" in failed["what"]
    assert tree(at.nas / IMAGES) == before


def test_while_a_host_is_silent_no_base_goes(at: HostsOnNas) -> None:
    made(at)
    lab = at.lab.wanting("absent", ["cp1", "cp2"])
    assert not at.bring(lab=lab).counts.failed
    before = tree(at.nas / IMAGES)
    at.served_hosts["brix4"].stop()
    [(_, item)] = at.plan("image", lab=lab).of(Blocked)
    assert "brix4 can be asked" in item.until
    assert at.bring("image", lab=lab).counts.blocked == 1
    assert tree(at.nas / IMAGES) == before


def test_what_an_interrupted_run_left_of_a_base_is_replaced(at: HostsOnNas) -> None:
    stem = base(at).removesuffix(".vmdk")
    for name in (f"{stem}.part.vmdk", f"{stem}.part-flat.vmdk", f"{stem}-flat.vmdk"):
        at.put(name)
    change = at.plan("image").of(MakeBase)[0][1]
    assert "half-made by an earlier run" in change.words.before
    made(at)
    assert sorted(path.name for path in (at.nas / IMAGES).iterdir() if path.is_file()) == sorted(
        f"{at.lab.image.sha256}{end}.vmdk" for end in ("", "-flat", "-1g", "-1g-flat")
    )


@pytest.mark.thorough
@pytest.mark.parametrize(("first", "then"), [("thin", "linked"), ("linked", "thin")])
def test_a_half_made_vm_is_begun_anew_as_the_inventory_says_now(at: HostsOnNas, first: str, then: str) -> None:
    broken = with_vms(at.lab, clone=first, network="No Such Network")
    assert at.bring(*VM_STEPS, lab=broken).counts.failed == 2
    assert (at.nas / "cp1" / NOTE).exists()
    lab = with_vms(at.lab, clone=then)
    made(at, lab)
    assert {bool(vm.disks[0].parents) for vm in vms(at).values()} == {then == "linked"}


def test_a_half_made_linked_vm_goes_by_its_note(at: HostsOnNas) -> None:
    assert at.bring(*VM_STEPS, lab=with_vms(at.lab, network="No Such Network")).counts.failed == 2
    for name in ("cp1.vmdk", "cp1-delta.vmdk", "cp1-flat.vmdk"):
        at.put(f"cp1/{name}")
    ended = at.bring(lab=at.lab.wanting("absent", ["cp1", "cp2"]))
    assert not ended.counts.failed
    # The note does not list it: it is of no disk that this run was to make.
    assert list(tree(at.nas / "cp1")) == ["cp1-flat.vmdk"]
    assert not (at.nas / "cp2").exists()


def test_an_image_that_is_larger_than_the_disks_is_refused_before_anything_is_copied(at: HostsOnNas) -> None:
    enlarge_image(at, 5 * GIB + 4096)
    before = tree(at.nas)
    [failed] = at.bring("image").said("failed", "image")
    assert "a disk of 1 GiB cannot be made of an image of 5 GiB" in failed["what"]
    assert "Set vm_disk_gib to 6 or more" in failed["advice"]
    assert tree(at.nas) == before


def test_a_linked_vm_that_exists_needs_no_base_and_its_size_is_only_remarked_on(at: HostsOnNas) -> None:
    made(at)
    plan = at.plan(*VM_STEPS, lab=with_vms(at.lab, disk_gib=7))
    assert plan.empty
    said = [said for remarks in plan.remarks.values() for said in remarks]
    assert len(said) == 2
    assert "disk is 1 GiB, wanted is 7 GiB: a linked disk never grows; homelab vm rebuild" in said[0]


def test_where_the_api_only_reads_a_base_is_made_and_no_disk_is_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shell copies, grows and renames a disk; it has no command that makes a child."""
    with vms_on_nas(vm_lab(tmp_path, clone="linked"), tmp_path, monkeypatch, made=False, free=True) as at:
        assert not at.bring("image").counts.failed
        assert (at.nas / base(at)).with_name(f"{at.lab.image.sha256}-1g-flat.vmdk").stat().st_size == GIB
        [failed] = at.bring().said("failed", "vm")
        assert "the disk of cp1 cannot be linked on brix3: the API only reads" in failed["what"]
        assert "vm_clone: thin" in failed["advice"]
        assert not (at.nas / "cp1").exists()


def test_a_base_that_an_unregistered_vm_sits_on_is_not_pruned(at: HostsOnNas) -> None:
    """A move that was killed after it unregistered the VM leaves it so, and so does an owner in the host's web page."""
    alone = at.lab.model_copy(update={"control_plane": at.lab.control_plane[:1]})
    made(at, alone)
    [vm] = at.host().registered_vms.values()
    at.host().vm_power.off(vm)
    at.host().vms.unregister(vm)
    other_size = with_vms(alone, disk_gib=4)
    [remark] = [said for told in plan(other_size, at.home, (OldImages(),)).remarks.values() for said in told]
    assert "the disks of cp1, which no host has registered, sit on" in remark
    assert bring(other_size, at.home, (OldImages(),)).counts.changed == 0
    assert (at.nas / base(at)).exists()


def test_half_a_base_that_a_vm_sits_on_is_not_replaced(at: HostsOnNas) -> None:
    """Somebody deleted its descriptor; its data is worth the VM's disk."""
    alone = at.lab.model_copy(update={"control_plane": at.lab.control_plane[:1]})
    made(at, alone)
    at.bring(lab=alone.wanting("off", ["cp1"]))
    (at.nas / base(at)).unlink()
    before = tree(at.nas)
    [failed] = at.bring("image").said("failed", "image")
    assert "the half of a base is not replaced: cp1 on brix3 may have disks that sit on it" in failed["what"]
    assert tree(at.nas) == before


def test_half_a_base_is_asked_about_once_its_turn_to_be_copied_has_come(at: HostsOnNas) -> None:
    """Copies wait for each other; meanwhile the owner registers the VM again whose disk sits on it."""
    alone = at.lab.model_copy(update={"control_plane": at.lab.control_plane[:1]})
    made(at, alone)
    [vm] = at.host().registered_vms.values()
    at.host().vm_power.off(vm)
    at.host().vms.unregister(vm)
    text = (at.nas / base(at)).read_bytes()
    (at.nas / base(at)).unlink()
    before = tree(at.nas)

    class Waiting(Copies):
        def place(self, datastore: str, limit: int) -> BoundedSemaphore:
            (at.nas / base(at)).write_bytes(text)
            at.register("[nas] cp1/cp1.vmx", "cp1")
            (at.nas / base(at)).unlink()
            return super().place(datastore, limit)

    world = open_world(alone, [at.home], Vault(None), HomeFiles(at.home), lambda _: None)
    runner = Runner(alone, steps("image"), replace(world, _copies=Waiting()), lambda _: None)
    runner.run(runner.plan(), lambda node, change: True)
    [outcome] = runner.outcomes.values()
    assert "the half of a base is not replaced: cp1 on brix3" in str(outcome.error)
    assert tree(at.nas) == before
