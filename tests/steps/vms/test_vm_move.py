"""A VM goes to another host over the datastore that both have, and back when that one does not take it."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from homelab.engine.step import Blocked, Change
from homelab.errors import HostFault
from homelab.ports.esxi.vm_writer import ShellVmWriter
from homelab.ports.vsphere.vm_writer import ApiVmWriter
from homelab.rehearsal.state.refusals import PowerOnRefused
from homelab.rehearsal.state.vm import Vm
from homelab.steps.vms.vm_move import MoveVm, MoveVms
from tests.helpers.one_host import Ended, bring, plan
from tests.helpers.soap_host import until
from tests.helpers.vm_lab import HostsOnNas, tree, vm_lab, vms_on_nas


@pytest.fixture(params=["api", pytest.param("ssh", marks=pytest.mark.thorough)])
def at(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostsOnNas]:
    """Two hosts, and cp1 on the first of them; the API of the `ssh` ones only reads."""
    with vms_on_nas(
        vm_lab(tmp_path, hosts=("brix3", "brix4")), tmp_path, monkeypatch, free=request.param == "ssh"
    ) as made:
        yield made


def move(at: HostsOnNas, host: str = "brix4") -> Ended:
    return bring(at.lab, at.home, (MoveVms(host),))


def only_vm(at: HostsOnNas, host: str) -> Vm:
    """The VM, which is on this host and on no other."""
    assert [name for name in ("brix3", "brix4") if at.host(name).registered_vms] == [host]
    [vm] = at.host(host).registered_vms.values()
    return vm


def files(at: HostsOnNas) -> dict[str, str]:
    """Every file on the NAS but the .vmx and the descriptor: a host writes both anew when it switches the VM on."""
    return tree(at.nas, "cp1/cp1.vmx", "cp1/cp1.vmdk")


def test_a_vm_moves_with_all_that_it_has_and_is_on_again(at: HostsOnNas) -> None:
    before, old = files(at), only_vm(at, "brix3")
    [(_, change)] = plan(at.lab, at.home, (MoveVms("brix4"),)).of(Change)
    assert isinstance(change, MoveVm)
    assert change.disruptive
    ended = move(at)
    assert (ended.counts.changed, ended.counts.failed) == (1, 0), ended.events
    assert ended.plan.empty
    new = only_vm(at, "brix4")
    assert new.powered_on
    assert (new.uuid, new.instance_uuid, new.nics[0].mac) == (old.uuid, old.instance_uuid, old.nics[0].mac)
    assert files(at) == before
    assert move(at).counts.changed == 0
    assert at.plan().empty


def test_one_that_is_off_stays_off(at: HostsOnNas) -> None:
    at.bring(lab=at.lab.wanting("off", ["cp1"]))
    ended = move(at)
    assert not ended.counts.failed, ended.events
    assert not only_vm(at, "brix4").powered_on
    assert "homelab up -l cp1" in str(ended.plan.remarks)


def refuses_to_register(at: HostsOnNas, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, name: str | None = None) -> Vm:
        raise PowerOnRefused("The host is full.", reason="full")

    monkeypatch.setattr(at.host("brix4").vms, "register", refuse)


def refuses_to_switch_on(at: HostsOnNas, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(vm: Vm) -> None:
        raise PowerOnRefused("There is not enough memory.", reason="memory")

    monkeypatch.setattr(at.host("brix4").vm_power, "on", refuse)


def does_not_let_go(at: HostsOnNas, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(vm: Vm) -> None:
        raise PowerOnRefused("The VM is busy.", reason="busy")

    monkeypatch.setattr(at.host("brix3").vms, "unregister", refuse)


@pytest.mark.thorough
@pytest.mark.parametrize("harm", [does_not_let_go, refuses_to_register, refuses_to_switch_on])
def test_a_vm_that_the_other_host_does_not_take_is_back_and_on(
    at: HostsOnNas, harm: Callable[[HostsOnNas, pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(at)
    harm(at, monkeypatch)
    [failed] = move(at).said("failed", "vm-move")
    assert failed["what"].startswith("cp1 was not moved, and is back on brix3: ")
    assert only_vm(at, "brix3").powered_on
    assert files(at) == before
    assert at.plan().empty


def test_a_vm_that_comes_back_to_no_host_is_named_with_its_place(
    at: HostsOnNas, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses_to_register(at, monkeypatch)
    monkeypatch.setattr(at.host("brix3").vms, "register", at.host("brix4").vms.register)
    [failed] = move(at).said("failed", "vm-move")
    assert "is not back on brix3" in failed["what"]
    assert "[nas] cp1/cp1.vmx" in failed["advice"]
    monkeypatch.undo()
    assert not move(at).counts.failed
    assert only_vm(at, "brix4").powered_on


def test_a_move_that_was_interrupted_goes_on(at: HostsOnNas) -> None:
    vm = only_vm(at, "brix3")
    at.host().vm_power.off(vm)
    at.host().vms.unregister(vm)
    ended = move(at)
    assert not ended.counts.failed, ended.events
    assert only_vm(at, "brix4").powered_on


def rests(at: HostsOnNas) -> None:
    at.host("brix4").in_maintenance = True


def has_no_network(at: HostsOnNas) -> None:
    del at.host("brix4").network.port_groups["VM Network"]


def has_the_name(at: HostsOnNas) -> None:
    at.host("brix4").registered_vms["9"] = Vm("9", "cp1", "nas", "[nas] theirs/cp1.vmx", powered_on=False)


def has_another_nas(at: HostsOnNas) -> None:
    at.host("brix4").datastores.unmount_nas("nas")
    at.host("brix4").datastores.volumes.nas.addresses.add("192.168.2.6")
    at.host("brix4").datastores.mount_nas("192.168.2.6", "/volume1/homelab", "nas")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (rests, "brix4 is in maintenance mode"),
        (has_no_network, "brix4 has no port group VM Network"),
        (has_the_name, "brix4 has another VM of the name cp1"),
        (has_another_nas, "the datastore nas is not the same one on brix4"),
    ],
)
def test_what_keeps_the_other_host_from_having_it_is_told_before_it_is_touched(
    at: HostsOnNas, harm: Callable[[HostsOnNas], None], said: str
) -> None:
    harm(at)
    [failed] = move(at).said("failed", "vm-move")
    assert said in failed["what"]
    [vm] = at.host().registered_vms.values()
    assert vm.powered_on


def test_while_the_host_that_may_have_it_is_silent_nothing_is_done(at: HostsOnNas) -> None:
    at.served_hosts["brix3"].stop()
    [(_, item)] = plan(at.lab, at.home, (MoveVms("brix4"),)).of(Blocked)
    assert item.until == "brix3 can be asked: no other host has cp1"


def test_a_copy_of_somebody_else_s_vm_in_our_folder_is_not_taken(at: HostsOnNas) -> None:
    vm = only_vm(at, "brix3")
    at.host().vm_power.off(vm)
    at.host().vms.unregister(vm)
    vmx = at.nas / "cp1/cp1.vmx"
    vmx.write_text(vmx.read_text().replace('homelab.lab = "homelab"', 'homelab.lab = "annex"'))
    [failed] = move(at).said("failed", "vm-move")
    assert "no .vmx of it lies on a datastore of brix4" in failed["what"]
    assert not at.host("brix4").registered_vms


def test_the_question_is_answered_when_an_owner_moved_it_by_hand(at: HostsOnNas) -> None:
    """Unregistered here and registered there in the hosts' web pages; the next run switches it on."""
    vm = only_vm(at, "brix3")
    at.host().vm_power.off(vm)
    at.host().vms.unregister(vm)
    at.register("[nas] cp1/cp1.vmx", on="brix4")
    ended = at.bring()
    assert not ended.counts.failed, ended.events
    moved = only_vm(at, "brix4")
    assert (moved.powered_on, moved.uuid) == (True, vm.uuid)


def test_a_vm_that_asks_since_a_run_was_killed_is_answered_by_the_next(at: HostsOnNas) -> None:
    vm = only_vm(at, "brix3")
    at.host().vm_power.off(vm)
    at.host().vms.unregister(vm)
    at.register("[nas] cp1/cp1.vmx", on="brix4")
    threading.Thread(target=at.host("brix4").vm_power.on, args=(only_vm(at, "brix4"),), daemon=True).start()
    until(lambda: only_vm(at, "brix4").question)
    ended = at.bring()
    assert not ended.counts.failed, ended.events
    assert (only_vm(at, "brix4").powered_on, only_vm(at, "brix4").uuid) == (True, vm.uuid)


def test_a_vm_that_does_not_start_with_its_new_host_is_told_where_it_is(
    at: HostsOnNas, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise HostFault("no more entries", where="brix4", advice="none")

    for writer in (ApiVmWriter, ShellVmWriter):
        monkeypatch.setattr(writer, "set_autostart", refuse)
    [failed] = move(at).said("failed", "vm-move")
    assert failed["what"] == "cp1 is moved to brix4, and does not start with it: no more entries"
    assert only_vm(at, "brix4").powered_on


def test_what_its_owner_keeps_from_starting_is_not_started_by_a_move(at: HostsOnNas) -> None:
    host = at.host()
    [(moid, entry)] = host.start_order.entries.items()
    host.settings.autostart[moid] = replace(entry, start_action="none", stop_action="suspend")
    [(_, change)] = plan(at.lab, at.home, (MoveVms("brix4"),)).of(Change)
    assert isinstance(change, MoveVm)
    assert (change.autostart, change.back) == (None, None)
    assert not move(at).counts.failed
    assert not at.host("brix4").start_order.entries


@pytest.mark.parametrize(
    ("harm", "said"),
    [(rests, "brix4 is in maintenance mode"), (has_no_network, "brix4 has no port group VM Network")],
)
def test_a_move_that_goes_on_asks_the_same_of_the_other_host(
    at: HostsOnNas, harm: Callable[[HostsOnNas], None], said: str
) -> None:
    vm = only_vm(at, "brix3")
    at.host().vm_power.off(vm)
    at.host().vms.unregister(vm)
    [(_, change)] = plan(at.lab, at.home, (MoveVms("brix4"),)).of(Change)
    assert "shut" not in change.words.sentence
    assert "switch the VM cp1 on, for nobody knows" in change.words.sentence
    harm(at)
    [failed] = move(at).said("failed", "vm-move")
    assert said in failed["what"]
    assert not at.host("brix4").registered_vms
