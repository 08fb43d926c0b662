"""Plans of image, vm and guest, and where VMs are put."""

from collections import Counter
from dataclasses import replace

import pytest

from homelab.engine.step import Blocked
from homelab.errors import HostFault, Refused
from homelab.lab import Lab
from homelab.ports.guest.look import GuestAway, GuestLook
from homelab.steps.guests.guest import AwaitGuest, Guest, GuestState, RemoveSeed
from homelab.steps.vms.image import Image, ImageState, UploadImage
from homelab.steps.vms.image_paths import image_path
from homelab.steps.vms.placement import places
from homelab.steps.vms.vm import VmStep
from homelab.steps.vms.vm_changes import CreateVm, Hardware, PowerOnVm
from homelab.steps.vms.vm_folder import FolderLook
from homelab.steps.vms.vm_identity import mac_of, making_of
from homelab.steps.vms.vm_state import VmState
from tests.helpers.sample import SHA, sample_lab, vm_look

LAB = sample_lab()
READY = GuestLook("done", {}, None)


def placement(lab: Lab) -> dict[str, str]:
    """VM -> host while no host was seen."""
    return {name: place.host for name, place in places(lab, {}).items()}


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
    create, power_on = VmStep().plan(LAB, "cp2", VmState(None, None))
    assert isinstance(create, CreateVm)
    assert (create.host, create.making.place, create.image) == (
        host,
        "[nas] cp2",
        f"[nas] homelab/homelab/images/{SHA}.vmdk",
    )
    assert power_on == PowerOnVm("cp2", host, "[nas] cp2/cp2.vmx")


def test_the_change_carries_all_that_it_writes() -> None:
    """What was agreed to is what is written, whatever the inventory says by then."""
    [create, _] = VmStep().plan(LAB, "cp2", VmState(None, None))
    assert isinstance(create, CreateVm)
    vm = LAB.vm("cp2")
    assert create.hardware == Hardware(vm.cpus, vm.memory_mib, vm.disk_gib, vm.network, mac_of(LAB, vm))
    assert (create.boot.address, create.boot.gateway, create.boot.prefix) == ("192.168.2.22", "192.168.2.1", 24)
    assert create.image_sha256 == SHA
    again = VmStep().plan(sample_lab(), "cp2", VmState(None, None))
    assert again[0] == create
    assert hash(again[0]) == hash(create)


def test_two_vms_or_two_labs_never_have_one_instance_uuid() -> None:
    uuids = [making_of(LAB, vm).instance_uuid for vm in LAB.vms]
    uuids += [making_of(sample_lab(name="annex"), vm).instance_uuid for vm in LAB.vms]
    assert len(set(uuids)) == len(uuids)


def test_a_vm_that_is_off_is_switched_on_where_it_is() -> None:
    place = VmState("brix4", vm_look("cp1", powered_on=False))
    assert list(VmStep().plan(LAB, "cp1", place)) == [PowerOnVm("cp1", "brix4", "[nas] cp1/cp1.vmx")]
    assert list(VmStep().plan(LAB, "cp1", VmState("brix4", vm_look("cp1")))) == []


def test_no_vm_is_started_on_a_host_that_its_owner_put_into_maintenance_mode() -> None:
    with pytest.raises(Refused, match="is in maintenance mode, so cp1 cannot run there"):
        VmStep().plan(LAB, "cp1", VmState("brix4", vm_look("cp1", powered_on=False), resting=True))
    assert list(VmStep().plan(LAB, "cp1", VmState("brix4", vm_look("cp1"), resting=True))) == []


def test_a_host_that_cannot_be_asked_holds_up_a_vm_on_a_local_datastore() -> None:
    """It may have the VM, and two control planes with one address are worse than none."""
    vms = [{"name": "cp1", "address": "192.168.2.21", "datastore": "ssd", "host": "brix1"}]
    lab = sample_lab(control_plane=vms)
    [item] = VmStep().plan(lab, "cp1", VmState(None, None, silent=("brix2", "brix3")))
    assert item == Blocked("cp1", "brix2 and brix3 can be asked: no other host has cp1")
    assert len(VmStep().plan(lab, "cp1", VmState(None, None))) == 2


def test_on_the_shared_datastore_the_folder_tells_that_a_silent_host_has_no_such_vm() -> None:
    assert len(VmStep().plan(LAB, "cp1", VmState(None, None, silent=("brix2",)))) == 2
    with pytest.raises(Refused, match=r"a whole VM that no host which answers has registered \(cp1.vmx\)"):
        VmStep().plan(LAB, "cp1", VmState(None, None, silent=("brix2",), folder=FolderLook(("cp1.vmx",))))


def test_an_address_that_answers_while_a_host_is_silent_holds_the_vm_up() -> None:
    [item] = VmStep().plan(LAB, "cp1", VmState(None, None, silent=("brix2",), answer="port 22 is open"))
    assert isinstance(item, Blocked)
    assert "somebody has its address (port 22 is open)" in item.until


def test_a_vm_that_cannot_be_read_may_be_the_one_that_is_looked_for() -> None:
    [item] = VmStep().plan(LAB, "cp1", VmState(None, None, unread=("cp1 on brix2",)))
    assert item == Blocked("cp1", "the files of cp1 on brix2 can be read again: that may be cp1")


def test_a_vm_of_that_name_that_is_not_ours_is_named_before_anything_is_made() -> None:
    with pytest.raises(Refused, match=r"another VM of the name cp1 .* \[other\] x/cp1.vmx"):
        VmStep().plan(LAB, "cp1", VmState(None, None, namesake="[other] x/cp1.vmx"))


def test_a_vm_stays_where_it_is_whatever_the_inventory_says_now() -> None:
    moved = sample_lab(control_plane=[{"name": "cp1", "address": "192.168.2.21", "host": "brix1", "datastore": "ssd"}])
    assert list(VmStep().plan(moved, "cp1", VmState("brix4", vm_look("cp1")))) == []


def test_the_image_waits_for_a_mount_and_lies_under_its_hash() -> None:
    assert list(Image().plan(LAB, "nas", ImageState(None, False))) == [
        Blocked("nas", "a host mounts the datastore nas")
    ]
    [change] = Image().plan(LAB, "nas", ImageState("brix1", False))
    assert isinstance(change, UploadImage)
    assert (change.source, change.sha256) == ("image.qcow2", SHA)
    assert change.path == image_path(LAB) == f"homelab/homelab/images/{SHA}.vmdk"
    assert list(Image().plan(LAB, "nas", ImageState("brix1", True))) == []


def test_a_guest_is_awaited_and_its_seed_removed() -> None:
    away = GuestState(True, GuestAway("silent"), "brix1", "[nas] cp1/cp1.vmx", "[nas] cp1/seed.iso")
    assert list(Guest().plan(LAB, "cp1", away)) == [
        AwaitGuest("cp1", "192.168.2.21", 600, "brix1", "[nas] cp1/cp1.vmx"),
        RemoveSeed("cp1", "brix1", "[nas] cp1/cp1.vmx", "[nas] cp1/seed.iso"),
    ]
    assert list(Guest().plan(LAB, "cp1", GuestState(True, READY, "brix1", "[nas] cp1/cp1.vmx", None))) == []


def test_a_guest_without_a_vm_is_blocked() -> None:
    [item] = Guest().plan(LAB, "cp1", GuestState(False, GuestAway("off")))
    assert isinstance(item, Blocked)


def test_a_failed_cloud_init_is_said_in_its_own_words() -> None:
    with pytest.raises(HostFault, match="error: no such module"):
        Guest().plan(LAB, "cp1", GuestState(True, GuestLook("error: no such module", {}, None)))


@pytest.mark.parametrize(
    ("name", "path", "may_be"),
    [
        ("cp1", "", True),
        ("Unknown", "", True),
        ("/vmfs/volumes/5f1c0a2e-6b7d/cp1/cp1.vmx", "", True),
        ("renamed", "[nas] cp1/cp1.vmx", True),
        ("/vmfs/volumes/5f1c0a2e-6b7d/db/db.vmx", "", False),
        ("db", "[nas] db/db.vmx", False),
    ],
)
def test_of_an_unreadable_vm_only_its_vmx_tells_that_it_is_another_one(name: str, path: str, may_be: bool) -> None:
    lost = replace(vm_look(name), path=path, marks={}, readable=False)
    assert lost.may_be("cp1") is may_be
    assert not replace(lost, readable=True).may_be("cp1")
