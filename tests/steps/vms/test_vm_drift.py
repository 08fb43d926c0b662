"""What differs between a VM and the inventory: told, changed where ESXi lets us, and never by switching it off."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from homelab.engine.step import Change
from homelab.lab import Lab
from homelab.ports.vsphere import VmLook
from homelab.ports.vsphere.vm_look import MADE, VmDisk, VmNic
from homelab.ports.world import World
from homelab.rehearsal.state.vm import Vm
from homelab.steps.vms.sitters import Sitters
from homelab.steps.vms.vm_changes import PowerOnVm, ReconfigureVm
from homelab.steps.vms.vm_drift import GIB, drift_of, left_as_it_is, reconfigured
from homelab.steps.vms.vm_power import reconfigure
from homelab.steps.vms.vm_rows import row_of
from tests.helpers.sample import SHA, sample_lab, vm_look
from tests.helpers.vm_lab import HostsOnNas, vm_lab, vms_on_nas

CP1 = sample_lab().vm("cp1")
DISK, MAC = "[nas] cp1/cp1.vmdk", "00:50:56:00:00:01"
NOBODY = Sitters()
AS_WANTED = replace(
    vm_look("cp1"),
    cpus=2,
    memory_mib=4096,
    files=(DISK, "[nas] cp1/seed.iso"),
    disks=(VmDisk(DISK, 20 * GIB),),
    nics=(VmNic(MAC, "VM Network"),),
)
SMALLER = replace(AS_WANTED, cpus=1, memory_mib=2048, nics=(VmNic(MAC, "Storage"),))
SMALL = replace(AS_WANTED, powered_on=False, disks=(VmDisk(DISK, 10 * GIB),))


def test_what_is_as_wanted_or_was_not_told_does_not_differ() -> None:
    assert drift_of(CP1, AS_WANTED, MAC) == ()
    assert drift_of(CP1, vm_look("cp1"), MAC) == ()


def test_every_difference_is_told_with_both_values() -> None:
    assert list(map(str, drift_of(CP1, SMALLER, MAC))) == [
        "CPUs is 1, wanted is 2",
        "memory is 2048 MiB, wanted is 4096 MiB",
        "network is Storage, wanted is VM Network",
    ]


def test_a_running_vm_is_plugged_elsewhere_and_keeps_the_rest_with_a_remark() -> None:
    [change] = reconfigured(CP1, "brix1", SMALLER, MAC, None)
    assert (change.network, change.cpus, change.memory_mib) == ((MAC, "VM Network"), None, None)
    assert not change.disruptive
    assert ["homelab down -l cp1" in said for said in left_as_it_is(CP1, SMALLER, MAC, None)] == [True, True]


def test_a_vm_that_is_off_gets_all_of_it() -> None:
    off = replace(SMALLER, powered_on=False, disks=(VmDisk("[nas] cp1/cp1.vmdk", 10 * GIB),))
    [change] = reconfigured(CP1, "brix1", off, MAC, NOBODY)
    assert (change.network, change.cpus, change.memory_mib) == ((MAC, "VM Network"), 2, 4096)
    assert change.disk == ("[nas] cp1/cp1.vmdk", 20)
    assert left_as_it_is(CP1, off, MAC, NOBODY) == []


@pytest.mark.parametrize("powered_on", [True, False])
def test_a_disk_never_becomes_smaller(powered_on: bool) -> None:
    larger = replace(AS_WANTED, powered_on=powered_on, disks=(VmDisk("[nas] cp1/cp1.vmdk", 40 * GIB),))
    assert reconfigured(CP1, "brix1", larger, MAC, NOBODY) == []
    [said] = left_as_it_is(CP1, larger, MAC, NOBODY)
    assert "disk is 40 GiB, wanted is 20 GiB: a disk never becomes smaller" in said


@pytest.mark.parametrize(
    ("found", "sitters", "said"),
    [
        (SMALL, None, "it is known who sits on it"),
        (SMALL, Sitters(users=("clone on brix2",)), "the disks of clone on brix2 sit on it"),
        (SMALL, Sitters(silent=("brix2",)), "brix2 can be asked"),
        (SMALL, Sitters(unread=("db on brix2",)), "the files of db on brix2 can be read again"),
        (replace(SMALL, files=("[nas] cp1/cp1-000001.vmdk", DISK)), NOBODY, "snapshots, or disks that we did not"),
        (replace(SMALL, files=(DISK, "[nas] db/photos.vmdk")), NOBODY, "snapshots, or disks that we did not"),
        (
            replace(SMALL, files=("[nas] db/photos.vmdk",), disks=(VmDisk("[nas] db/photos.vmdk", 1 * GIB),)),
            NOBODY,
            "snapshots, or disks that we did not",
        ),
    ],
)
def test_a_disk_grows_only_when_it_is_ours_and_surely_nobody_sits_on_it(
    found: VmLook, sitters: Sitters | None, said: str
) -> None:
    assert reconfigured(CP1, "brix1", found, MAC, sitters) == []
    [remark] = left_as_it_is(CP1, found, MAC, sitters)
    assert said in remark


def test_a_nic_is_known_by_the_mac_that_we_gave_it() -> None:
    """The owner's own NIC, which may be the first of all, keeps its network."""
    own, theirs = VmNic(MAC.upper(), "DMZ"), VmNic("00:0c:29:11:22:33", "Storage")
    [change] = reconfigured(CP1, "brix1", replace(AS_WANTED, nics=(theirs, own)), MAC, None)
    assert change.network == (MAC.upper(), "VM Network")
    assert drift_of(CP1, replace(AS_WANTED, nics=(theirs, theirs)), MAC) == ()


BASE = f"[nas] homelab/homelab/images/{SHA}-20g.vmdk"


def on_base(
    files: tuple[str, ...] = ("[nas] cp1/cp1.vmdk", BASE), gib: int = 20, *, powered_on: bool = False
) -> VmLook:
    disks = (VmDisk(files[0], gib * GIB),)
    return replace(AS_WANTED, files=(*files, "[nas] cp1/seed.iso"), disks=disks, powered_on=powered_on)


@pytest.mark.parametrize("powered_on", [True, False])
def test_a_linked_disk_is_never_grown_in_place(powered_on: bool) -> None:
    linked = CP1.model_copy(update={"clone": "linked"})
    assert drift_of(linked, on_base(), MAC) == ()
    smaller = on_base(gib=10, powered_on=powered_on)
    assert reconfigured(linked, "brix1", smaller, MAC, NOBODY) == []
    [said] = left_as_it_is(linked, smaller, MAC, NOBODY)
    assert "a linked disk never grows; homelab vm rebuild cp1" in said


def test_a_disk_of_the_other_kind_is_told_and_left() -> None:
    [said] = left_as_it_is(CP1, on_base(), MAC, NOBODY)
    assert said.startswith("clone is linked, wanted is thin: a disk stays what it is; homelab vm rebuild cp1")
    assert reconfigured(CP1, "brix1", on_base(), MAC, NOBODY) == []
    whole = on_base(("[nas] cp1/cp1.vmdk",))
    [said] = left_as_it_is(CP1.model_copy(update={"clone": "linked"}), whole, MAC, NOBODY)
    assert said.startswith("clone is thin, wanted is linked")


def test_a_snapshot_makes_no_linked_vm() -> None:
    snapshot = on_base(("[nas] cp1/cp1-000001.vmdk", "[nas] cp1/cp1.vmdk"))
    assert drift_of(CP1, snapshot, MAC) == ()


def test_a_row_tells_the_age_by_the_mark_or_else_by_the_boot() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    booted = replace(AS_WANTED, booted=now - timedelta(minutes=5))
    made = replace(booted, marks=booted.marks | {MADE: "2026-01-01T00:00:00+00:00"})
    assert row_of(CP1, "brix1", made, mac=MAC, now=now).age_seconds == 86400
    assert row_of(CP1, "brix1", booted, mac=MAC, now=now).age_seconds == 300
    assert row_of(CP1, "brix1", AS_WANTED, mac=MAC, now=now).age_seconds is None
    nonsense = replace(booted, marks=booted.marks | {MADE: "yesterday"})
    assert row_of(CP1, "brix1", nonsense, mac=MAC, now=now).age_seconds == 300


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostsOnNas]:
    with vms_on_nas(vm_lab(tmp_path), tmp_path, monkeypatch) as made:
        yield made


def with_vms(lab: Lab, **more: Any) -> Lab:
    vms = tuple(vm.model_copy(update=more) for vm in lab.control_plane)
    return lab.model_copy(update={"control_plane": vms})


def test_a_host_makes_these_changes(at: HostsOnNas) -> None:
    lab = with_vms(at.lab, cpus=1, memory_mib=1024, disk_gib=2)
    plan = at.plan(lab=lab)
    assert plan.empty
    assert len([said for told in plan.remarks.values() for said in told]) == 3
    at.bring(lab=lab.wanting("off", ["cp1"]))
    assert [type(change) for _, change in at.plan(lab=lab).of(Change)] == [ReconfigureVm, PowerOnVm]
    ended = at.bring(lab=lab)
    assert not ended.counts.failed, ended.events
    assert ended.plan.empty
    assert not any(ended.plan.remarks.values())
    [vm] = at.host().registered_vms.values()
    assert (vm.cpus, vm.memory_mib, vm.disks[0].capacity, vm.powered_on) == (1, 1024, 2 << 30, True)


def test_a_running_vm_is_plugged_into_another_network(at: HostsOnNas) -> None:
    other = "DMZ"
    at.host().network.port_groups[other] = 30
    ended = at.bring(lab=with_vms(at.lab, network=other))
    assert not ended.counts.failed, ended.events
    assert ended.plan.empty
    [vm] = at.host().registered_vms.values()
    assert (vm.nics[0].network, vm.powered_on) == (other, True)


def test_the_nic_of_somebody_else_stays_where_it_is(at: HostsOnNas) -> None:
    at.host().network.port_groups["DMZ"] = 30
    [vm] = at.host().registered_vms.values()
    vm.nics.insert(0, replace(vm.nics[0], key=3999, mac="00:0c:29:11:22:33", network="Storage"))
    ended = at.bring(lab=with_vms(at.lab, network="DMZ"))
    assert not ended.counts.failed, ended.events
    assert [nic.network for nic in vm.nics] == ["Storage", "DMZ"]


def test_a_disk_that_somebody_sits_on_by_now_stays_as_it_is(at: HostsOnNas, monkeypatch: pytest.MonkeyPatch) -> None:
    at.bring(lab=at.lab.wanting("off", ["cp1"]))
    [vm] = at.host().registered_vms.values()

    def meanwhile(world: World, change: ReconfigureVm) -> None:
        clone = Vm("9", "clone", "nas", "[nas] clone/clone.vmx", powered_on=False)
        clone.disks.append(replace(vm.disks[0], path="[nas] clone/clone.vmdk", parents=(DISK,)))
        at.host().registered_vms["9"] = clone
        reconfigure(world, change)

    monkeypatch.setattr("homelab.steps.vms.vm.reconfigure", meanwhile)
    [failed] = at.bring(lab=with_vms(at.lab, disk_gib=2)).said("failed", "vm")
    assert "the disk of cp1 is not made larger: clone on brix3 may have disks that sit on it" in failed["what"]
    assert vm.disks[0].capacity == 1 << 30
