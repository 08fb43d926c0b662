"""Plans of nfs-datastore and reboot."""

from dataclasses import replace

import pytest

from homelab.errors import Refused
from homelab.step import Blocked
from homelab.steps.nfs_datastore import MountNfs, NfsDatastore
from homelab.steps.reboot import Reboot, RebootHost
from tests.sample import BOOTED, NAS, host_look, sample_lab, vm_look

LAB = sample_lab()


def test_a_missing_mount_is_planned_with_the_inventory_s_strings() -> None:
    assert list(NfsDatastore().plan(LAB, "brix1", ())) == [MountNfs("brix1", "192.168.2.5", "/volume1/homelab", "nas")]


def test_a_right_mount_needs_nothing() -> None:
    assert list(NfsDatastore().plan(LAB, "brix1", (NAS,))) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (replace(NAS, share="/volume1/homelab/"), "wanted is 192.168.2.5:/volume1/homelab"),
        (replace(NAS, server="nas.lan"), "datastore nas is nas.lan"),
        (replace(NAS, version="4.1"), r"NFS 4\.1"),
        (replace(NAS, name="other"), "already mounted as other"),
        (replace(NAS, accessible=False), "does not answer"),
        (replace(NAS, writable=False), "read-only"),
    ],
)
def test_another_spelling_or_a_sick_mount_is_refused(found: object, said: str) -> None:
    with pytest.raises(Refused, match=said):
        NfsDatastore().plan(LAB, "brix1", (found,))


def test_reboot_waits_for_the_driver_fix() -> None:
    [item] = Reboot().plan(LAB, "brix3", host_look())
    assert item == Blocked("brix3", "driver-fix has disabled ne1000 on brix3")


def test_reboot_when_a_disabled_module_still_runs() -> None:
    [item] = Reboot().plan(LAB, "brix3", host_look(modules={"ne1000": (True, False)}))
    assert item == RebootHost("brix3", "ne1000", "vmnic0", BOOTED)
    assert item.disruptive


def test_no_reboot_when_what_runs_is_what_is_configured() -> None:
    look = host_look(driver="e1000e", modules={"ne1000": (False, False)})
    assert list(Reboot().plan(LAB, "brix3", look)) == []
    assert list(Reboot().plan(LAB, "brix1", host_look(driver="r8168"))) == []


def test_no_reboot_under_running_vms() -> None:
    look = host_look(modules={"ne1000": (True, False)}, vms=(vm_look("db"),))
    with pytest.raises(Refused, match="VMs are running: db"):
        Reboot().plan(LAB, "brix3", look)
