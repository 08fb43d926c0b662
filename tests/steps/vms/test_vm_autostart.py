"""The lab's VMs start again with their hosts after a power cut, in order, and nobody else's are touched."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from homelab.lab import Lab
from homelab.ports.esxi.vm_commands import start_no_more, start_with_host
from homelab.ports.vsphere import AutostartLook, StartLook, VmLook
from homelab.ports.vsphere.autostart import Autostart, PutByUs
from homelab.rehearsal.host.host import Host
from homelab.steps.vms.vm import VmStep
from homelab.steps.vms.vm_autostart import HostStarts, SetAutostart, autostart_of, left_off, started, starts_of
from homelab.steps.vms.vm_changes import CreateVm
from homelab.steps.vms.vm_move import MoveVms
from homelab.steps.vms.vm_state import VmState
from tests.helpers.one_host import bring
from tests.helpers.sample import host_look, sample_lab, vm_look
from tests.helpers.soap_host import until
from tests.helpers.vm_lab import HostsOnNas, vm_lab, vms_on_nas

LAB = sample_lab(workers=[{"name": "w1", "address": "192.168.2.41"}])


def starts(*names: str, enabled: bool = True, lab: Lab = LAB, **more: Any) -> HostStarts:
    """What is seen of a host that starts these VMs in this order; `NAME!` does not start, `~NAME` is not of the lab."""
    vms = [foreign(name[1:].rstrip("!")) if name[0] == "~" else vm_look(name.rstrip("!")) for name in names]
    entries = tuple(
        StartLook(vm.path, vm.name, order, not name.endswith("!"))
        for order, (vm, name) in enumerate(zip(vms, names, strict=True), 1)
    )
    look = host_look(vms=(*vms, *(vm_look(name) for name in ("cp1", "lb1", "w1"))), **more)
    found = starts_of(lab, "brix3", replace(look, autostart=AutostartLook(enabled, entries)))
    assert found
    return found


def foreign(name: str) -> VmLook:
    return replace(vm_look(name), marks={})


def position(name: str, seen: HostStarts) -> int | None:
    wanted = autostart_of(LAB, LAB.vm(name), seen)
    assert wanted
    return wanted.order


@pytest.mark.parametrize(
    ("name", "there", "order"),
    [
        ("lb1", (), 1),
        ("cp1", ("lb1",), 2),
        ("lb1", ("cp1", "w1"), 1),
        ("cp1", ("lb1", "w1"), 2),
        ("w1", ("lb1", "cp1"), 3),
        ("lb2", ("lb1", "cp1"), 2),
        ("cp1", ("lb1", "cp2!", "w1"), 3),
        # Behind the VMs of others, wherever the owner has put those.
        ("lb1", ("~db", "~mail!"), 3),
        ("lb2", ("~db", "lb1", "cp1"), 3),
        ("lb1", ("cp1", "~db"), 3),
    ],
)
def test_balancers_start_before_control_planes_before_workers_and_all_behind_the_owner_s(
    name: str, there: tuple[str, ...], order: int
) -> None:
    assert position(name, starts(*there)) == order


def test_the_host_s_switch_is_put_on_where_it_starts_our_vms_only() -> None:
    assert autostart_of(LAB, LAB.vm("cp1"), starts(enabled=False)) == Autostart(1, 1, frozenset(), enable=True)
    on = autostart_of(LAB, LAB.vm("cp1"), starts())
    assert on
    assert not on.enable
    beside = starts("~db!", enabled=False)
    assert autostart_of(LAB, LAB.vm("cp1"), beside) == Autostart(2, 1, frozenset({"[nas] db/db.vmx"}), enable=True)


def test_it_is_left_off_where_it_would_start_somebody_s_vms_and_that_is_told() -> None:
    seen = starts("~db", "cp1", enabled=False)
    assert list(started(LAB, LAB.vm("cp1"), "[nas] cp1/cp1.vmx", seen)) == []
    [said] = left_off(LAB.vm("cp1"), "[nas] cp1/cp1.vmx", seen)
    assert said.startswith(
        "cp1 stays off after a power cut of brix3: the host starts no VM, and if it did it would start"
    )
    assert "start db as well, not of this lab" in said
    # Its own place is made, so that the switch is all that is left to the owner.
    [change] = started(LAB, LAB.vm("lb1"), "[nas] lb1/lb1.vmx", seen)
    assert (change.autostart.order, change.autostart.enable) == (2, False)


def test_what_has_a_place_keeps_it_and_what_somebody_took_out_stays_out() -> None:
    path = "[nas] cp1/cp1.vmx"
    assert list(started(LAB, LAB.vm("cp1"), path, starts("w1", "cp1", "lb1"))) == []
    out = starts("cp1!", enabled=False)
    assert list(started(LAB, LAB.vm("cp1"), path, out)) == []
    assert left_off(LAB.vm("cp1"), path, out) == [
        "cp1 stays off after a power cut of brix3: somebody set it so at the host; vm_autostart: false says the same"
    ]
    [change] = started(LAB, LAB.vm("cp1"), path, starts("cp1", enabled=False))
    assert change.words.sentence == "switch the autostart of brix3 on"


def test_where_it_is_not_wanted_or_not_told_or_a_vcenter_has_the_say_nothing_is_set() -> None:
    path, seen = "[nas] cp1/cp1.vmx", starts()
    unwanted = LAB.vm("cp1").model_copy(update={"autostart": False})
    assert autostart_of(LAB, unwanted, seen) is None
    assert list(started(LAB, unwanted, path, seen)) == left_off(unwanted, path, seen) == []
    assert starts_of(LAB, "brix3", host_look()) is None
    assert list(started(LAB, LAB.vm("cp1"), path, None)) == left_off(LAB.vm("cp1"), path, None) == []
    vcenter = sample_lab(vcenter=[{"name": "vc", "address": "192.168.2.9", "password": "x"}])
    assert starts_of(vcenter, "brix3", replace(host_look(), autostart=AutostartLook(enabled=True))) is None


def test_a_host_that_nobody_can_change_is_told_and_left() -> None:
    seen = starts(api_writes=False)
    assert list(started(LAB, LAB.vm("cp1"), "[nas] cp1/cp1.vmx", seen)) == []
    assert left_off(LAB.vm("cp1"), "[nas] cp1/cp1.vmx", seen) == [
        "cp1 stays off after a power cut of brix3: its API only reads, and SSH is off"
    ]


def test_another_lab_s_vm_and_a_copy_of_ours_are_not_ours() -> None:
    copy = replace(vm_look("cp1"), path="[nas] copy/cp1.vmx")
    other = vm_look("cp2", lab="annex")
    entries = tuple(StartLook(vm.path, vm.name, n, True) for n, vm in enumerate((copy, other), 1))
    look = replace(host_look(vms=(copy, other)), autostart=AutostartLook(enabled=False, entries=entries))
    seen = starts_of(LAB, "brix3", look)
    assert seen
    assert seen.others == ("cp1", "cp2")


def test_the_shell_s_words_are_seven_and_a_position_below_0_ends_the_options_first() -> None:
    entry = ["vim-cmd", "hostsvc/autostartmanager/update_autostartentry"]
    assert start_with_host("7", 2, 10, "guestShutdown") == [
        *entry, "7", "powerOn", "10", "2", "guestShutdown", "systemDefault", "no",
    ]  # fmt: skip
    assert start_with_host("7", -1, 10, "guestShutdown")[2:4] == ["--", "7"]
    assert start_no_more("7")[2:] == [
        "--",
        "7",
        "none",
        "systemDefault",
        "-1",
        "none",
        "systemDefault",
        "systemDefault",
    ]
    with pytest.raises(ValueError, match="no number of a VM"):
        start_no_more("7; reboot")


def test_two_vms_that_are_made_at_once_from_one_look_keep_their_order() -> None:
    put = PutByUs()

    def placed(name: str, order: int, rank: int, *known: str) -> int | None:
        wanted = Autostart(order, rank, frozenset(known))
        with put.place("brix3", name, wanted) as found:
            return found.order

    assert placed("w1", 1, 2) == 1
    assert placed("lb1", 1, 0) == 1
    assert placed("cp1", 1, 1) == 2
    assert placed("cp2", 1, 1) == 2
    # One that was looked at since knows of them.
    assert placed("w2", 5, 2, "w1", "lb1", "cp1", "cp2") == 5
    with pytest.raises(ZeroDivisionError), put.place("brix3", "lb2", Autostart(1, 0)):
        raise ZeroDivisionError
    assert placed("cp3", 1, 1) == 2


# --- against simulated hosts


def small_lab(folder: Path) -> Lab:
    """One host with a VM of every group, made in an order that is not the one they start in."""
    lab = vm_lab(folder, vms=("cp1", "cp2"), host="brix3")
    like = lab.control_plane[0].model_dump(exclude={"name", "address", "weight"})
    more = sample_lab(
        load_balancers=[{"name": "lb1", "address": "127.0.0.31", **like}],
        workers=[{"name": "w1", "address": "127.0.0.41", **like}],
    )
    return lab.model_copy(update={"load_balancers": more.load_balancers, "workers": more.workers})


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostsOnNas]:
    """A host whose owner has a VM `db` that starts with it, were its autostart on."""
    with vms_on_nas(small_lab(tmp_path), tmp_path, monkeypatch, made=False) as made:
        yield made


def in_order(host: Host) -> list[str]:
    return [host.registered_vms[moid].name for moid in host.start_order.entries]


def cut(host: Host) -> list[str]:
    """The power fails and comes back; which VMs are on then, in the order in which they went on."""
    # As every hour: what ESXi did not keep is lost.
    host.auto_backup.keep()
    boots = host.power.boots
    host.power.cut()
    expected = len(host.start_order.entries) if host.start_order.defaults.enabled else 0
    until(lambda: host.power.boots > boots and len(on(host)) >= expected)
    return on(host)


def on(host: Host) -> list[str]:
    vms = [vm for vm in host.registered_vms.values() if vm.powered_on]
    return [vm.name for vm in sorted(vms, key=lambda vm: vm.boot_time or datetime.min.replace(tzinfo=UTC))]


def lay_owner_s(at: HostsOnNas, *, enabled: bool) -> Host:
    """The owner's VM, which starts with the host in the owner's own way."""
    host, manager = at.host(), vim.host.AutoStartManager
    at.put(
        "db/db.vmx",
        b'.encoding = "UTF-8"\nconfig.version = "8"\nvirtualHW.version = "13"\ndisplayName = "db"\nguestOS = "other"\n',
    )
    at.register("[nas] db/db.vmx")
    with at.session() as session:
        [vm] = session.host_system.vm
        row = manager.AutoPowerInfo(
            key=vm,
            startOrder=1,
            startDelay=77,
            waitForHeartbeat="yes",
            startAction="powerOn",
            stopDelay=33,
            stopAction="suspend",
        )
        defaults = manager.SystemDefaults(enabled=enabled, startDelay=90)
        session.managers.autoStartManager.ReconfigureAutostart(manager.Config(defaults=defaults, powerInfo=[row]))
    return host


def test_after_a_power_cut_the_lab_is_on_in_its_order(at: HostsOnNas) -> None:
    ended = at.bring()
    assert not ended.counts.failed, ended.events
    assert ended.plan.empty
    host = at.host()
    order = in_order(host)
    assert order[0] == "lb1"
    assert set(order[1:3]) == {"cp1", "cp2"}
    assert order[3] == "w1"
    assert cut(host) == order
    assert at.bring().counts.changed == 0


def test_it_costs_one_call_a_vm_and_none_when_nothing_changes(at: HostsOnNas) -> None:
    calls = at.served_hosts["brix3"].api.calls
    assert not at.bring().counts.failed
    assert calls["ReconfigureAutostart"] == 4
    calls.clear()
    assert at.bring().counts.changed == 0
    assert "ReconfigureAutostart" not in calls


def test_the_owner_s_vm_keeps_its_place_its_delays_and_the_host_its_own(at: HostsOnNas) -> None:
    host = lay_owner_s(at, enabled=True)
    [(moid, mine)] = list(host.start_order.entries.items())
    before = replace(mine)
    assert not at.bring().counts.failed
    assert host.start_order.entries[moid] == before
    assert host.start_order.defaults.start_delay == 90
    assert in_order(host)[:2] == ["db", "lb1"]
    assert cut(host)[0] == "db"


def test_where_the_switch_would_start_the_owner_s_vm_it_stays_off_and_nothing_starts(at: HostsOnNas) -> None:
    host = lay_owner_s(at, enabled=False)
    ended = at.bring()
    assert not ended.counts.failed
    assert not host.start_order.defaults.enabled
    assert ended.plan.empty
    assert any("stays off after a power cut of brix3" in text for text in told(ended))
    assert cut(host) == []


def told(ended: Any) -> list[str]:
    return [text for texts in ended.plan.remarks.values() for text in texts]


def test_a_vm_that_is_destroyed_leaves_no_entry_and_the_others_stay(at: HostsOnNas) -> None:
    host = lay_owner_s(at, enabled=True)
    at.bring()
    left = [name for name in in_order(host) if name != "cp1"]
    gone = next(moid for moid, vm in host.registered_vms.items() if vm.name == "cp1")
    assert not at.bring(lab=at.lab.wanting("absent", ["cp1"])).counts.failed
    assert in_order(host) == left
    assert gone not in host.settings.autostart


def test_a_vm_that_is_moved_starts_with_its_new_host_and_no_more_with_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vms_on_nas(vm_lab(tmp_path, hosts=("brix3", "brix4")), tmp_path, monkeypatch) as at:
        assert in_order(at.host()) == ["cp1"]
        ended = bring(at.lab, at.home, (MoveVms("brix4"),))
        assert not ended.counts.failed, ended.events
        assert at.host().settings.autostart == {}
        assert in_order(at.host("brix4")) == ["cp1"]
        assert at.host("brix4").start_order.defaults.enabled
        assert at.bring().counts.changed == 0


@pytest.mark.thorough
def test_vms_of_an_earlier_version_are_taken_up_and_then_nothing_changes(at: HostsOnNas) -> None:
    off = at.lab.model_copy(
        update={
            group: tuple(vm.model_copy(update={"autostart": False}) for vm in getattr(at.lab, group))
            for group in ("control_plane", "load_balancers", "workers")
        }
    )
    assert not at.bring(lab=off).counts.failed
    host = at.host()
    assert in_order(host) == []
    assert not host.start_order.defaults.enabled
    ended = at.bring()
    assert not ended.counts.failed, ended.events
    assert [in_order(host)[0], in_order(host)[-1]] == ["lb1", "w1"]
    assert host.start_order.defaults.enabled
    assert at.bring().counts.changed == 0


@pytest.mark.thorough
def test_a_host_whose_api_only_reads_is_told_over_ssh(at: HostsOnNas) -> None:
    off = at.lab.model_copy(
        update={"control_plane": tuple(vm.model_copy(update={"autostart": False}) for vm in at.lab.control_plane)}
    )
    assert not at.bring(lab=off).counts.failed
    host = at.host()
    host.licence = "free"
    assert list(in_order(host)) == ["lb1", "w1"]
    assert at.bring().counts.changed == 0
    host.services.set("TSM-SSH", running=True)
    ended = at.bring()
    assert not ended.counts.failed, ended.events
    assert {*in_order(host)[1:3]} == {"cp1", "cp2"}
    assert [in_order(host)[0], in_order(host)[3]] == ["lb1", "w1"]
    assert ended.plan.empty


def test_a_position_that_the_host_refuses_is_given_up_for_any_time(at: HostsOnNas) -> None:
    host = at.host()
    real = host.start_order.put

    def strict(moid: str, item: Any) -> None:
        real(moid, replace(item, order=99) if item.order > 0 else item)

    host.start_order.put = strict  # type: ignore[method-assign]
    ended = at.bring()
    assert not ended.counts.failed, ended.events
    assert {item.order for item in host.start_order.entries.values()} == {-1}
    assert at.bring().counts.changed == 0


def test_a_vm_that_the_host_has_switched_on_itself_is_on(at: HostsOnNas) -> None:
    assert not at.bring().counts.failed
    host = at.host()
    cp1 = host.vms.named("cp1")
    assert cp1
    host.vm_power.off(cp1)
    real = host.vm_power.on

    def raced(vm: Any) -> None:
        if not vm.powered_on:
            real(vm)
        real(vm)

    host.vm_power.on = raced  # type: ignore[method-assign]
    ended = at.bring()
    assert not ended.counts.failed, ended.events
    assert cp1.powered_on


def test_the_plan_says_it() -> None:
    change = SetAutostart("cp1", "brix3", "[nas] cp1/cp1.vmx", Autostart(1, 1, enable=True))
    assert change.words.sentence == "have brix3 start cp1 after a power cut"
    assert change.words.before == "it stays off, and the host starts no VM"
    [create, _] = VmStep().plan(LAB, "cp1", VmState(None, None, starts=starts(enabled=False)))
    assert isinstance(create, CreateVm)
    assert create.words.sentence.endswith("; brix1 starts it after a power cut (its autostart is switched on)")
