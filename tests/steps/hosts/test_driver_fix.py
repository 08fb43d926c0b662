"""The table of driver-fix, row by row."""

from dataclasses import replace
from typing import Any

import pytest

from homelab.errors import Refused
from homelab.formats.boot.driver_map import claims
from homelab.lab import Lab
from homelab.ports.esxi.shell import BootLook
from homelab.ports.vsphere import HostLook, NicLook
from homelab.steps.hosts.driver_fix import (
    SHUT_DOWN_SECONDS,
    DisableModule,
    DriverFix,
    DriverFixState,
    EnableModule,
    ShutDownVm,
)
from tests.helpers.sample import NETWORK, host_look, sample_lab, vm_look

LAB = sample_lab()
VIBS = ("ne1000", "net-e1000e")
BANK = "/vmfs/volumes/405c1577-34424d96-82ac-2556d560fdce"
LINE = "regtype=linux,bus=pci,id=8086:15d8 0000:0000,driver=e1000e,class=network"


NIC = host_look().nics[0]
FIX = DisableModule("brix3", (NIC,))


def plan(
    look: HostLook,
    vibs: tuple[str, ...] = VIBS,
    *,
    force: bool = False,
    asked: bool = True,
    boot: BootLook | None = None,
    lab: Lab = LAB,
) -> list[object]:
    return list(
        DriverFix(force=force, hosts=("brix3",) if asked else ()).plan(lab, "brix3", DriverFixState(look, vibs, boot))
    )


def remarks(look: HostLook, *, asked: bool = False, lab: Lab = LAB) -> str:
    return "; ".join(DriverFix(hosts=("brix3",) if asked else ()).remarks(lab, "brix3", DriverFixState(look)))


def shell_says(*lines: str, bank: str = BANK, read: bool = True) -> BootLook:
    return BootLook(claims(lines), bank, read)


def team(*nics: NicLook, management: tuple[str, ...], other: tuple[str, ...] = (), **more: Any) -> HostLook:
    """A host with several NICs: vSwitch0 has the management network, vSwitch1 anything else."""
    network = replace(NETWORK, uplinks={"vSwitch0": management, "vSwitch1": other})
    return replace(host_look(network=network, **more), nics=nics)


def test_e1000e_with_ne1000_disabled_is_left_alone() -> None:
    assert plan(host_look(driver="e1000e", modules={"ne1000": (False, False)})) == []


def test_e1000e_with_ne1000_still_enabled_is_made_to_last() -> None:
    [change] = plan(host_look(driver="e1000e"))
    assert isinstance(change, DisableModule)
    assert change.disruptive
    assert "driver-fix brix3 --undo" in change.words.undo
    assert "--enabled=true --module=ne1000" in change.words.undo


@pytest.mark.parametrize("driver", ["r8168", "ixgben", ""])
@pytest.mark.parametrize("force", [False, True])
def test_another_driver_is_left_alone(driver: str, force: bool) -> None:
    assert plan(host_look(driver=driver), force=force) == []


@pytest.mark.parametrize("version", ["6.5.0", "6.7.0"])
def test_ne1000_is_disabled_where_both_drivers_exist(version: str) -> None:
    assert plan(host_look(version=version)) == [FIX]


@pytest.mark.parametrize("version", ["6.0.0", "7.0.0", "7.0.3", "8.0.2"])
@pytest.mark.parametrize("force", [False, True])
def test_a_release_with_one_driver_is_refused(version: str, force: bool) -> None:
    with pytest.raises(Refused, match="off the network"):
        plan(host_look(version=version), force=force)


@pytest.mark.parametrize("force", [False, True])
def test_without_the_package_it_is_refused(force: bool) -> None:
    with pytest.raises(Refused, match="net-e1000e is not installed"):
        plan(host_look(), ("ne1000",), force=force)


def test_e1000e_is_enabled_before_ne1000_is_disabled() -> None:
    [change] = plan(host_look(modules={"e1000e": (False, False)}))
    assert change == DisableModule("brix3", (NIC,), enable_first=True)
    assert change.words.sentence.startswith("enable the driver e1000e and disable the driver ne1000")


def test_without_the_module_it_is_refused() -> None:
    look = host_look()
    modules = {name: module for name, module in look.modules.items() if name != "e1000e"}
    with pytest.raises(Refused, match="the module e1000e is not there"):
        plan(replace(look, modules=modules))


def test_running_vms_are_named_and_refused() -> None:
    with pytest.raises(Refused, match="VMs are running: db"):
        plan(host_look(vms=(vm_look("db"), vm_look("old", powered_on=False))))


def test_force_shuts_running_vms_down_first() -> None:
    assert plan(host_look(vms=(vm_look("db"),)), force=True) == [
        ShutDownVm("brix3", "db", "[nas] db/db.vmx", SHUT_DOWN_SECONDS, FIX),
        FIX,
    ]


def test_a_fix_that_waits_for_its_reboot_is_not_planned_again() -> None:
    assert plan(host_look(modules={"ne1000": (True, False)})) == []


def test_the_inventory_can_say_no() -> None:
    lab = lab_with(disabled_modules=[])
    assert plan(host_look(), lab=lab) == []
    assert remarks(host_look(version="8.0.3"), lab=lab) == ""


def lab_with(**more: Any) -> Lab:
    return sample_lab(esxi=[{"name": "brix3", "address": "192.168.2.13", "password": "x", **more}])


@pytest.mark.parametrize("version", ["7.0.0", "7.0.3", "8.0.3"])
def test_a_host_that_nobody_asked_for_is_left_alone_with_a_remark_where_there_is_one_driver(version: str) -> None:
    look = host_look(version=version)
    assert plan(look, ("ne1000",), asked=False) == []
    assert f"vmnic0 (8086:15d8): held by ne1000, and left alone: ESXi {version}" in remarks(look)
    assert "esxi_disabled_modules: []" in remarks(look)
    with pytest.raises(Refused, match="off the network") as refused:
        plan(look, asked=True)
    assert "esxi_disabled_modules: []" in refused.value.advice


# Teams, and hosts with several NICs.

I219 = NicLook("vmnic0", "ne1000", "8086:15d8", "00:11:22:33:44:55")
SECOND = NicLook("vmnic1", "ne1000", "8086:10d3", "00:11:22:33:44:56")
IGBN = NicLook("vmnic1", "igbn", "8086:1539", "00:11:22:33:44:56")
USB = NicLook("vusb0", "uether", "", "00:11:22:33:44:57")


def test_every_uplink_that_ne1000_holds_is_judged_by_the_map() -> None:
    look = team(I219, SECOND, management=("vmnic0", "vmnic1"))
    with pytest.raises(Refused, match="does not name 8086:10d3, so no driver would be left for vmnic1"):
        plan(look, boot=shell_says(LINE))
    both = shell_says(LINE, LINE.replace("15d8", "10d3"))
    assert plan(look, boot=both) == [DisableModule("brix3", (I219, SECOND))]


def test_the_uplink_of_another_switch_is_judged_as_well() -> None:
    with pytest.raises(Refused, match="left for vmnic1"):
        plan(team(I219, SECOND, management=("vmnic0",), other=("vmnic1",)), boot=shell_says(LINE))


def test_a_nic_that_no_switch_uses_is_named_and_keeps_nothing_from_the_fix() -> None:
    [fix] = plan(team(I219, SECOND, management=("vmnic0",)), boot=shell_says(LINE))
    assert fix == DisableModule("brix3", (I219,), (SECOND,))
    assert "vmnic1 (8086:10d3), which no switch uses, is held by ne1000 too" in fix.words.reason


def test_the_management_nic_is_looked_up() -> None:
    look = team(replace(I219, name="vmnic1"), replace(IGBN, name="vmnic0"), management=("vmnic1",))
    [fix] = plan(look, boot=shell_says(LINE))
    assert "e1000e takes vmnic1 at the next boot" in fix.words.sentence


def test_a_management_nic_that_the_inventory_has_wrong_is_told_in_words() -> None:
    look = team(IGBN, I219, management=("vmnic1",))
    assert "esxi_management_nic is vmnic0, and the management network is on vSwitch0 with vmnic1" in remarks(
        look, lab=lab_with(management_nic="vmnic0")
    )
    assert remarks(look, lab=lab_with(management_nic="vmnic1")) == remarks(look) == ""


def test_a_usb_nic_that_carries_the_management_network_is_no_mistake() -> None:
    lab = lab_with(management_nic="vusb0")
    look = team(I219, USB, management=("vusb0",))
    assert plan(look, lab=lab) == plan(look, lab=lab, asked=False) == []
    assert "ne1000 does not hold it (vusb0 by uether)" in remarks(look, lab=lab)
    assert "vmnic0 (8086:15d8): held by ne1000, and left alone: no switch uses it" in remarks(look, lab=lab)
    assert [type(change) for change in plan(team(I219, USB, management=("vusb0", "vmnic0")))] == [DisableModule]


def test_another_driver_says_why_it_is_left_alone_when_a_person_asked() -> None:
    assert "does not hold it (vmnic0 (8086:15d8) by r8168)" in remarks(host_look(driver="r8168"), asked=True)
    assert remarks(host_look(driver="r8168")) == ""


@pytest.mark.parametrize("line", [f"#{LINE}", LINE.replace("8086:15d8", ""), ""])
def test_a_map_that_does_not_claim_is_refused_in_the_plan_where_ssh_runs(line: str) -> None:
    with pytest.raises(Refused, match="the driver map of e1000e does not name 8086:15d8"):
        plan(host_look(), boot=shell_says(line))


def test_a_nic_without_an_id_is_claimed_by_no_map() -> None:
    with pytest.raises(Refused, match="does not name a NIC without a PCI id"):
        plan(team(replace(I219, pci_id=""), management=("vmnic0",)), boot=shell_says(LINE))


def test_a_map_in_capitals_claims() -> None:
    assert plan(host_look(), boot=shell_says(LINE.upper())) == [FIX]


def test_a_legacy_driver_needs_vmklinux() -> None:
    with pytest.raises(Refused, match="does not name"):
        plan(host_look(modules={"vmklinux_9": (True, False)}), boot=shell_says(LINE))


@pytest.mark.parametrize("boot", [shell_says(LINE, bank="/tmp/9e2b"), shell_says(LINE, read=False)])
def test_a_lost_boot_stick_is_refused_before_any_fix(boot: BootLook) -> None:
    with pytest.raises(Refused, match="its boot medium was lost"):
        plan(host_look(), boot=boot)
    fixed = host_look(driver="e1000e", modules={"ne1000": (False, False)})
    with pytest.raises(Refused, match="its boot medium was lost"):
        DriverFix(undo=True).plan(LAB, "brix3", DriverFixState(fixed, (), boot))


def test_vms_are_looked_at_after_every_other_guard() -> None:
    with pytest.raises(Refused, match="the driver map"):
        plan(host_look(vms=(vm_look("db"),)), boot=shell_says("#" + LINE), force=True)
    with pytest.raises(Refused, match="off the network"):
        plan(host_look(version="7.0.3", vms=(vm_look("db"),)))


def undo(look: HostLook, *, force: bool = False) -> list[object]:
    return list(DriverFix(force=force, undo=True).plan(LAB, "brix3", DriverFixState(look, ())))


def test_undo_enables_the_driver_again() -> None:
    fixed = host_look(driver="e1000e", modules={"ne1000": (False, False)})
    [change] = undo(fixed)
    assert change == EnableModule("brix3", ("vmnic0",))
    assert "homelab driver-fix brix3" in change.words.undo
    assert undo(host_look()) == []
    assert undo(host_look(driver="e1000e")) == []


def test_undo_does_not_reboot_under_running_vms() -> None:
    fixed = host_look(driver="e1000e", modules={"ne1000": (False, False)}, vms=(vm_look("db"),))
    with pytest.raises(Refused, match="VMs are running: db"):
        undo(fixed)
    assert undo(fixed, force=True) == [
        ShutDownVm("brix3", "db", "[nas] db/db.vmx", SHUT_DOWN_SECONDS),
        EnableModule("brix3", ("vmnic0",)),
    ]
