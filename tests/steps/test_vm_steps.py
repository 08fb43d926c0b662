"""Plans of image, vm and guest, and where VMs are put."""

from collections import Counter

import pytest

from homelab.errors import HostFault, Refused
from homelab.ports.guest import GuestAway, GuestLook
from homelab.step import Blocked
from homelab.steps.guest import AwaitGuest, Guest, GuestState, RemoveSeed
from homelab.steps.image import Image, ImageLook, UploadImage, image_path
from homelab.steps.vm import CreateVm, PowerOnVm, VmPlace, VmStep, mac_of, placement
from tests.sample import SHA, sample_lab, vm_look

LAB = sample_lab()
READY = GuestLook("done", {}, None)


def test_peers_do_not_share_a_host() -> None:
    placed = placement(LAB)
    assert len({placed[vm.name] for vm in LAB.control_plane}) == 3
    assert placed["lb1"] != placed["lb2"]
    assert max(Counter(placed.values()).values()) == 2


def test_the_inventory_s_choice_of_a_host_counts_for_its_peers() -> None:
    vms = [{"name": "cp1", "address": "192.168.2.21"}, {"name": "cp2", "address": "192.168.2.22", "host": "brix1"}]
    placed = placement(sample_lab(control_plane=vms))
    assert placed["cp2"] == "brix1"
    assert placed["cp1"] != "brix1"


def test_with_fewer_hosts_than_peers_they_are_spread_evenly() -> None:
    hosts = [{"name": f"brix{n}", "address": f"192.168.2.1{n}", "password": "x"} for n in (1, 2)]
    placed = placement(sample_lab(esxi=hosts))
    assert sorted(Counter(placed.values()).values()) == [2, 3]


def test_a_mac_is_always_the_same_and_in_the_range_for_manual_ones() -> None:
    macs = [mac_of(LAB, vm) for vm in LAB.vms]
    assert macs == [mac_of(sample_lab(), vm) for vm in LAB.vms]
    assert len(set(macs)) == len(macs)
    assert all(mac.startswith("00:50:56:") and int(mac.split(":")[3], 16) < 0x40 for mac in macs)


def test_a_missing_vm_is_created_and_switched_on() -> None:
    host = placement(LAB)["cp2"]
    assert list(VmStep().plan(LAB, "cp2", VmPlace(None, None))) == [
        CreateVm("cp2", host, "nas", SHA),
        PowerOnVm("cp2", host),
    ]


def test_a_vm_that_is_off_is_switched_on_where_it_is() -> None:
    place = VmPlace("brix4", vm_look("cp1", powered_on=False))
    assert list(VmStep().plan(LAB, "cp1", place)) == [PowerOnVm("cp1", "brix4")]
    assert list(VmStep().plan(LAB, "cp1", VmPlace("brix4", vm_look("cp1")))) == []


def test_no_vm_is_started_on_a_host_that_its_owner_put_into_maintenance_mode() -> None:
    with pytest.raises(Refused, match="is in maintenance mode, so cp1 cannot run there"):
        VmStep().plan(LAB, "cp1", VmPlace("brix4", vm_look("cp1", powered_on=False), resting=True))
    assert list(VmStep().plan(LAB, "cp1", VmPlace("brix4", vm_look("cp1"), resting=True))) == []


def test_the_image_waits_for_a_mount_and_lies_under_its_hash() -> None:
    assert list(Image().plan(LAB, "nas", ImageLook(None, False))) == [Blocked("nas", "a host mounts the datastore nas")]
    [change] = Image().plan(LAB, "nas", ImageLook("brix1", False))
    assert isinstance(change, UploadImage)
    assert change.path == image_path(LAB) == f"homelab/homelab/images/{SHA}.vmdk"
    assert list(Image().plan(LAB, "nas", ImageLook("brix1", True))) == []


def test_a_guest_is_awaited_and_its_seed_removed() -> None:
    away = GuestState(True, GuestAway("silent"), "brix1", "7", "[nas] cp1/seed.iso")
    assert list(Guest().plan(LAB, "cp1", away)) == [
        AwaitGuest("cp1", "192.168.2.21"),
        RemoveSeed("cp1", "brix1", "7", "[nas] cp1/seed.iso"),
    ]
    assert list(Guest().plan(LAB, "cp1", GuestState(True, READY, "brix1", "7", None))) == []


def test_a_guest_without_a_vm_is_blocked() -> None:
    [item] = Guest().plan(LAB, "cp1", GuestState(False, GuestAway("off")))
    assert isinstance(item, Blocked)


def test_a_failed_cloud_init_is_said_in_its_own_words() -> None:
    with pytest.raises(HostFault, match="error: no such module"):
        Guest().plan(LAB, "cp1", GuestState(True, GuestLook("error: no such module", {}, None)))
