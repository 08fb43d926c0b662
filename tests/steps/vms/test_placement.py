"""Where VMs are put when it is known what the hosts have: by pure plans, and over the hosts' own wire."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from homelab.errors import Refused
from homelab.lab import Lab
from homelab.ports.vsphere.vm_look import ID
from homelab.rehearsal.state.vm import Vm
from homelab.steps.vms.placement import Chosen, HostRoom, Rooms, place_of, places, reserved_mib, rooms_of, to_keep
from homelab.steps.vms.vm import VmState, VmStep
from homelab.steps.vms.vm_changes import CreateVm
from tests.helpers.sample import host_look, sample_lab, vm_look
from tests.helpers.vm_lab import HostsOnNas, vm_lab, vms_on_nas

LAB = sample_lab()
GIB = 1024
ROOMY = HostRoom(30 * GIB, 8)
# As the four Brix are: 16 GB and 4 logical CPUs, 32 GB and 8.
BRIX = {
    name: HostRoom(size * GIB, cpus)
    for name, size, cpus in zip(("brix1", "brix2", "brix3", "brix4"), (14, 14, 30, 30), (4, 4, 8, 8), strict=True)
}


def hosts_of(lab: Lab, rooms: Rooms) -> dict[str, str]:
    return {name: place.host for name, place in places(lab, rooms).items()}


def with_vm(name: str, **fields: Any) -> Lab:
    """The sample lab, in which one control plane is otherwise."""
    vms = tuple(vm.model_copy(update=fields) if vm.name == name else vm for vm in LAB.control_plane)
    return LAB.model_copy(update={"control_plane": vms})


def test_peers_are_apart_and_each_is_where_the_most_memory_is_left() -> None:
    assert hosts_of(LAB, BRIX) == {"cp1": "brix3", "cp2": "brix4", "cp3": "brix1", "lb1": "brix3", "lb2": "brix4"}
    assert hosts_of(LAB, {}) == {"cp1": "brix1", "cp2": "brix2", "cp3": "brix3", "lb1": "brix4", "lb2": "brix1"}
    assert places(LAB, BRIX)["lb2"].why == (
        "no other balancer is there, 26 GiB of 30 GiB are left, the most (brix2 14 GiB; brix1 10 GiB)"
    )


def test_of_hosts_with_as_much_memory_the_cpus_decide_and_then_the_inventory() -> None:
    rooms = {name: replace(ROOMY, cpus=cpus) for name, cpus in zip(BRIX, (4, 8, 8, 6), strict=True)}
    place = places(LAB, rooms)["cp1"]
    assert (place.host, place.why) == (
        "brix2",
        "no other control plane is there, 30 GiB of 30 GiB are left, the most (brix4 and brix1 as much, with fewer "
        "CPUs; brix3 as much, later in the inventory)",
    )
    # Two CPUs of it are reserved by now, so the next one in the inventory has more.
    assert hosts_of(with_vm("cp2", memory_mib=4096), rooms)["cp2"] == "brix3"


def test_what_the_inventory_asks_for_is_reserved_before_hosts_are_compared() -> None:
    """A VM of vm_host counts, made or not, wherever it stands in the inventory."""
    lab = with_vm("cp3", host="brix3", memory_mib=18 * GIB)
    assert hosts_of(lab, BRIX)["cp1"] == "brix4"
    assert "brix2 14 GiB" in places(lab, BRIX)["cp1"].why


def test_a_host_without_room_is_passed_over_and_the_reason_says_so() -> None:
    lab = with_vm("cp1", memory_mib=20 * GIB)
    place = place_of(lab, "cp1", BRIX)
    assert place.host == "brix3"
    assert place.why == (
        "no other control plane is there, 30 GiB of 30 GiB are left, the most (brix4 as much, later in the inventory), "
        "and brix1 and brix2 have no room"
    )
    [create, _] = VmStep().plan(lab, "cp1", VmState(None, None, rooms=BRIX))
    assert isinstance(create, CreateVm)
    assert (create.host, create.words.reason) == (
        "brix3",
        f"no host has a VM cp1 of this lab; on brix3: {place.why}",
    )


def test_peers_share_a_host_rather_than_go_where_there_is_no_room() -> None:
    small = {name: replace(ROOMY, memory_mib=2 * GIB) for name in ("brix1", "brix2", "brix3")}
    rooms = {**small, "brix4": ROOMY}
    assert set(hosts_of(LAB, rooms).values()) == {"brix4"}
    assert "as few control planes as possible are there (2)" in places(LAB, rooms)["cp3"].why


def test_the_memory_of_others_that_are_on_counts_and_that_of_our_own_once() -> None:
    busy = [replace(vm_look(name), moid=name, marks={}, memory_mib=6 * GIB) for name in ("db", "web")]
    off = replace(busy[0], moid="old", powered_on=False)
    ours = replace(vm_look("cp2"), moid="7", memory_mib=4 * GIB)
    copy = replace(vm_look("cp3"), moid="8", memory_mib=1 * GIB, marks=vm_look("cp3").marks | {ID: "other [nas] x"})
    look = host_look(vms=(*busy, off, ours, copy), memory=32 << 30, cpus=8)
    assert rooms_of(LAB, {"brix1": look}) == {"brix1": HostRoom((32 - 2 - 13) * GIB, 8, frozenset({"cp2"}))}
    assert rooms_of(LAB, {"brix1": host_look()}) == {}


def test_a_vm_that_exists_stays_and_its_peers_keep_away_from_it() -> None:
    there = {**BRIX, "brix4": replace(BRIX["brix4"], vms=frozenset({"cp3"}))}
    placed = hosts_of(LAB, there)
    assert placed["cp3"] == "brix4"
    assert len({placed[vm.name] for vm in LAB.control_plane}) == 3


def test_a_vm_that_is_not_where_vm_host_says_counts_where_it_is() -> None:
    """It is not moved; were it made anew, it would be made where the inventory says."""
    there = {**BRIX, "brix4": replace(BRIX["brix4"], vms=frozenset({"cp3"}))}
    placed = hosts_of(with_vm("cp3", host="brix1"), there)
    assert (placed["cp3"], placed["cp1"], placed["cp2"]) == ("brix1", "brix3", "brix1")


def test_what_a_run_has_chosen_stays_whichever_host_comes_up_and_peers_stay_apart() -> None:
    """Hosts are seen one after another, in any order; the VMs of those that were not seen are placed later."""
    for seen in permutations(BRIX):
        chosen: Chosen = {}
        for n in range(len(seen) + 1):
            rooms = {name: BRIX[name] for name in seen[:n]}
            before, chosen = chosen, to_keep(LAB, rooms, chosen)
            assert {name: chosen[name] for name in before} == before
            assert all(place.host in rooms for place in chosen.values())
        assert len({chosen[vm.name].host for vm in LAB.control_plane}) == 3
        assert len({chosen[vm.name].host for vm in LAB.load_balancers}) == 2


def test_a_host_that_was_not_seen_comes_last_and_still_keeps_peers_apart() -> None:
    rooms = {name: BRIX[name] for name in ("brix1", "brix2")}
    placed = hosts_of(LAB, rooms)
    assert placed == {"cp1": "brix1", "cp2": "brix2", "cp3": "brix3", "lb1": "brix1", "lb2": "brix2"}
    assert "was not seen" in places(LAB, rooms)["lb1"].why


def test_vm_host_wins_also_where_the_memory_is_taken() -> None:
    lab = with_vm("cp2", host="brix1", memory_mib=12 * GIB)
    lab = lab.model_copy(
        update={"load_balancers": tuple(vm.model_copy(update={"host": "brix1"}) for vm in lab.load_balancers)}
    )
    assert place_of(lab, "cp2", BRIX) == place_of(lab, "cp2", BRIX | {"brix1": ROOMY})
    assert place_of(lab, "cp2", BRIX).why == "vm_host says so"
    assert reserved_mib(lab, BRIX, "brix1") == 20 * GIB


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"memory_mib": 31 * GIB}, "cp1 wants 31 GiB of memory and 2 CPUs, and no host has that for VMs: brix1 14 GiB"),
        ({"cpus": 9}, "cp1 wants 4 GiB of memory and 9 CPUs, and no host has that for VMs: .*brix4 30 GiB and 8 CPUs"),
        (
            {"memory_mib": 15 * GIB, "host": "brix2"},
            r"no host has that for VMs: brix2 14 GiB and 4 CPUs\. Give it less",
        ),
    ],
)
def test_a_vm_that_no_host_could_have_is_refused_with_the_numbers(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        VmStep().plan(with_vm("cp1", **fields), "cp1", VmState(None, None, rooms=BRIX))


def test_vms_that_are_too_much_together_are_refused_all_before_one_is_made() -> None:
    rooms = {name: HostRoom(4 * GIB, 8) for name in BRIX}
    for vm in LAB.vms:
        with pytest.raises(
            Refused, match="VMs of the inventory want 20 GiB of memory together, and the hosts have 16 GiB"
        ):
            VmStep().plan(LAB, vm.name, VmState(None, None, rooms=rooms))


def test_a_vm_that_fits_nowhere_beside_the_others_is_refused_with_what_is_left() -> None:
    rooms = {name: HostRoom(7 * GIB, 8) for name in BRIX}
    with pytest.raises(
        Refused, match="lb2 wants 4 GiB of memory, and no host has that left: brix1 3 GiB of 7 GiB, brix2"
    ):
        place_of(LAB, "lb2", rooms)
    assert place_of(LAB, "lb1", rooms).host == "brix4"


def test_one_that_is_made_anew_comes_back_to_its_host_whatever_is_left_there() -> None:
    rooms = {name: HostRoom(4 * GIB, 8, frozenset({"cp1"} if name == "brix2" else ())) for name in BRIX}
    assert place_of(LAB, "cp1", rooms).host == "brix2"


def test_while_a_host_was_not_seen_it_may_have_room() -> None:
    rooms = {name: HostRoom(1 * GIB, 8) for name in ("brix1", "brix2", "brix3")}
    assert set(hosts_of(LAB, rooms).values()) == {"brix4"}
    assert "are left" not in place_of(LAB, "cp1", rooms).why


def test_a_machine_that_exists_elsewhere_takes_no_memory() -> None:
    lab = with_vm("cp1", managed=False, memory_mib=900 * GIB)
    assert hosts_of(lab, BRIX)["cp2"] == "brix3"
    assert "30 GiB of 30 GiB are left" in places(lab, BRIX)["cp2"].why


def test_two_hosts_decide_by_what_they_have_and_a_second_run_moves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = vm_lab(tmp_path, hosts=("brix3", "brix4"), vms=("cp1", "cp2", "cp3"))
    with vms_on_nas(lab, tmp_path, monkeypatch, made=False) as at:
        half = at.host("brix3").model.memory_mib - 2048 - 700
        busy(at, half)
        ended = at.bring()
        assert not ended.counts.failed, ended.events
        on = {name: {vm.name for vm in at.host(name).registered_vms.values()} - {"busy"} for name in ("brix3", "brix4")}
        assert on == {"brix3": {"cp2"}, "brix4": {"cp1", "cp3"}}
        reasons = {
            event["target"]: event["reason"] for event in ended.said("changed", "vm") if "create" in event["sentence"]
        }
        assert "0.6836 GiB of 0.6836 GiB are left" in reasons["cp2"]
        assert reasons["cp3"].endswith("and brix3 has no room")
        larger = lab.model_copy(update={"esxi": tuple(reversed(lab.esxi))})
        assert at.plan(lab=larger).empty
        at.served_hosts["brix3"].stop()
        assert not at.bring(lab=larger).counts.changed


def busy(at: HostsOnNas, memory_mib: int) -> None:
    """A VM of somebody's that is on."""
    vm = Vm("99", "busy", "nas", "[nas] busy/busy.vmx", powered_on=True, memory_mib=memory_mib)
    at.host("brix3").registered_vms[vm.moid] = vm
