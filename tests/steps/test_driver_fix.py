"""The table of driver-fix, row by row."""

from dataclasses import replace

import pytest

from homelab.errors import Refused
from homelab.ports.vsphere import HostLook
from homelab.steps.driver_fix import DisableModule, DriverFix, Drivers, EnableModule, ShutDownVm
from tests.sample import host_look, sample_lab, vm_look

LAB = sample_lab()
VIBS = ("ne1000", "net-e1000e")


def plan(look: HostLook, vibs: tuple[str, ...] = VIBS, *, force: bool = False) -> list[object]:
    return list(DriverFix(force=force).plan(LAB, "brix3", Drivers(look, vibs)))


def test_e1000e_with_ne1000_disabled_is_left_alone() -> None:
    assert plan(host_look(driver="e1000e", modules={"ne1000": (False, False)})) == []


def test_e1000e_with_ne1000_still_enabled_is_made_to_last() -> None:
    [change] = plan(host_look(driver="e1000e"))
    assert isinstance(change, DisableModule)
    assert change.disruptive
    assert "driver-fix brix3 --undo" in change.undo
    assert "--enabled=true --module=ne1000" in change.undo


@pytest.mark.parametrize("driver", ["r8168", "ixgben", ""])
@pytest.mark.parametrize("force", [False, True])
def test_another_driver_is_left_alone(driver: str, force: bool) -> None:
    assert plan(host_look(driver=driver), force=force) == []


@pytest.mark.parametrize("version", ["6.5.0", "6.7.0"])
def test_ne1000_is_disabled_where_both_drivers_exist(version: str) -> None:
    assert plan(host_look(version=version)) == [DisableModule("brix3", "vmnic0", "8086:15d8", "ne1000")]


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
    assert change == DisableModule("brix3", "vmnic0", "8086:15d8", "ne1000", enable_first=True)
    assert change.sentence.startswith("enable the driver e1000e and disable the driver ne1000")


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
        ShutDownVm("brix3", "db", "1"),
        DisableModule("brix3", "vmnic0", "8086:15d8", "ne1000"),
    ]


def test_a_fix_that_waits_for_its_reboot_is_not_planned_again() -> None:
    assert plan(host_look(modules={"ne1000": (True, False)})) == []


def test_the_inventory_can_say_no() -> None:
    hosts = [{"name": "brix3", "address": "192.168.2.13", "password": "x", "disabled_modules": []}]
    lab = sample_lab(esxi=hosts)
    assert list(DriverFix().plan(lab, "brix3", Drivers(host_look(), VIBS))) == []


def undo(look: HostLook, *, force: bool = False) -> list[object]:
    return list(DriverFix(force=force, undo=True).plan(LAB, "brix3", Drivers(look, ())))


def test_undo_enables_the_driver_again() -> None:
    fixed = host_look(driver="e1000e", modules={"ne1000": (False, False)})
    [change] = undo(fixed)
    assert change == EnableModule("brix3", "vmnic0")
    assert "homelab driver-fix brix3" in change.undo
    assert undo(host_look()) == []
    assert undo(host_look(driver="e1000e")) == []


def test_undo_does_not_reboot_under_running_vms() -> None:
    fixed = host_look(driver="e1000e", modules={"ne1000": (False, False)}, vms=(vm_look("db"),))
    with pytest.raises(Refused, match="VMs are running: db"):
        undo(fixed)
    assert undo(fixed, force=True) == [ShutDownVm("brix3", "db", "1"), EnableModule("brix3", "vmnic0")]
