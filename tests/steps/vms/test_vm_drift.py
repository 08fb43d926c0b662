"""What differs between a VM and the inventory: told, changed where ESXi lets us, and never by switching it off."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from homelab.engine.step import Change
from homelab.lab import Lab
from homelab.ports.vsphere.vm_look import MADE, VmDisk
from homelab.steps.vms.vm_changes import PowerOnVm, ReconfigureVm
from homelab.steps.vms.vm_drift import GIB, drift_of, left_as_it_is, reconfigured
from homelab.steps.vms.vm_rows import row_of
from tests.helpers.sample import sample_lab, vm_look
from tests.helpers.vm_lab import HostsOnNas, hosts_on_nas, vm_lab

CP1 = sample_lab().vm("cp1")
AS_WANTED = replace(
    vm_look("cp1"), cpus=2, memory_mib=4096, disks=(VmDisk("[nas] cp1/cp1.vmdk", 20 * GIB),), networks=("VM Network",)
)
SMALLER = replace(AS_WANTED, cpus=1, memory_mib=2048, networks=("Storage",))


def test_what_is_as_wanted_or_was_not_told_does_not_differ() -> None:
    assert drift_of(CP1, AS_WANTED) == ()
    assert drift_of(CP1, vm_look("cp1")) == ()


def test_every_difference_is_told_with_both_values() -> None:
    assert list(map(str, drift_of(CP1, SMALLER))) == [
        "CPUs is 1, wanted is 2",
        "memory is 2048 MiB, wanted is 4096 MiB",
        "network is Storage, wanted is VM Network",
    ]


def test_a_running_vm_is_plugged_elsewhere_and_keeps_the_rest_with_a_remark() -> None:
    [change] = reconfigured(CP1, "brix1", SMALLER)
    assert (change.network, change.cpus, change.memory_mib, change.disruptive) == ("VM Network", None, None, False)
    assert ["homelab down -l cp1" in said for said in left_as_it_is(CP1, SMALLER)] == [True, True]


def test_a_vm_that_is_off_gets_all_of_it() -> None:
    off = replace(SMALLER, powered_on=False, disks=(VmDisk("[nas] cp1/cp1.vmdk", 10 * GIB),))
    [change] = reconfigured(CP1, "brix1", off)
    assert (change.network, change.cpus, change.memory_mib) == ("VM Network", 2, 4096)
    assert change.disk == ("[nas] cp1/cp1.vmdk", 20)
    assert left_as_it_is(CP1, off) == []


@pytest.mark.parametrize("powered_on", [True, False])
def test_a_disk_never_becomes_smaller(powered_on: bool) -> None:
    larger = replace(AS_WANTED, powered_on=powered_on, disks=(VmDisk("[nas] cp1/cp1.vmdk", 40 * GIB),))
    assert reconfigured(CP1, "brix1", larger) == []
    [said] = left_as_it_is(CP1, larger)
    assert "disk is 40 GiB, wanted is 20 GiB: a disk never becomes smaller" in said


def test_a_row_tells_the_age_by_the_mark_or_else_by_the_boot() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    booted = replace(AS_WANTED, booted=now - timedelta(minutes=5))
    made = replace(booted, marks=booted.marks | {MADE: "2026-01-01T00:00:00+00:00"})
    assert row_of(CP1, "brix1", made, now=now).age_seconds == 86400
    assert row_of(CP1, "brix1", booted, now=now).age_seconds == 300
    assert row_of(CP1, "brix1", AS_WANTED, now=now).age_seconds is None
    nonsense = replace(booted, marks=booted.marks | {MADE: "yesterday"})
    assert row_of(CP1, "brix1", nonsense, now=now).age_seconds == 300


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostsOnNas]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with hosts_on_nas(vm_lab(tmp_path), tmp_path) as made:
        made.lay_image()
        assert not made.bring().counts.failed
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
