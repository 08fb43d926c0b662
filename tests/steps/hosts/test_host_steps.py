"""Plans of first-boot, local-datastore, usb-housekeeping and reboot."""

from dataclasses import replace
from typing import Any

import pytest

from homelab.engine.step import Blocked
from homelab.errors import Refused
from homelab.lab import Lab
from homelab.ports.vsphere import DiskLook, HostLook, VmfsLook
from homelab.ports.vsphere.local_storage import DiskContents, PartitionLook
from homelab.steps.hosts.first_boot import FirstBoot, FirstBootState
from homelab.steps.hosts.first_boot_changes import (
    AddPortGroup,
    GiveAddress,
    SetNames,
    SetSshPolicy,
    SetTimeServers,
    SetVlan,
    SilenceShellWarning,
)
from homelab.steps.hosts.local_datastore import LocalDatastore, LocalDatastoreState, MakeDatastore, SetHostCache
from homelab.steps.hosts.reboot import Reboot, RebootState
from homelab.steps.hosts.reboot_changes import LeaveMaintenance, NicAfter, RebootHost, console_steps
from homelab.steps.hosts.usb_housekeeping import KeepLogs, UsbHousekeeping, UsbHousekeepingState
from tests.helpers.sample import (
    BOOTED,
    DIRECTORY,
    NAS,
    NETWORK,
    OPTIONS,
    SCRATCH,
    SETTLED,
    host_look,
    sample_lab,
    vm_look,
)

LAB = sample_lab()
FIXED: dict[str, Any] = {"driver": "e1000e", "modules": {"ne1000": (False, False)}}


def host(**more: Any) -> Lab:
    return sample_lab(esxi=[{"name": "brix3", "address": "192.168.2.13", "password": "x", **more}])


# first-boot


def first(look: HostLook, lab: Lab = LAB, elsewhere: str = "") -> list[object]:
    return list(FirstBoot().plan(lab, "brix3", FirstBootState(look, elsewhere)))


def test_a_host_as_the_inventory_says_needs_nothing() -> None:
    assert first(host_look()) == []


def test_names_and_name_servers_are_the_inventory_s() -> None:
    look = host_look(network=replace(NETWORK, hostname="localhost", domain=""))
    [change] = first(look, sample_lab(nameservers=["192.168.2.1"]))
    assert isinstance(change, SetNames)
    assert (change.words.before, change.words.after) == (
        "localhost (DNS none)",
        "brix3.lab.home.arpa (DNS 192.168.2.1)",
    )


def test_time_servers_are_set_unless_they_are_asked_already() -> None:
    lab = sample_lab(ntp_servers=["pool.ntp.org"])
    [change] = first(host_look(), lab)
    assert change == SetTimeServers("brix3", ("pool.ntp.org",), ())
    services = {"TSM-SSH": False, "ntpd": True}
    asks = replace(host_look(ntp_servers=("pool.ntp.org",), policies={"ntpd": "on"}), services=services)
    assert first(asks, lab) == []
    assert first(replace(asks, policies={"ntpd": "off"}), lab)


def test_a_wrong_clock_is_told_by_how_much_and_whom_it_asks() -> None:
    with pytest.raises(Refused, match="3600 s ahead compared with this machine's") as refused:
        first(host_look(clock_error=3600.0))
    assert "lab_ntp_servers" in refused.value.advice
    lab = sample_lab(ntp_servers=["pool.ntp.org"])
    look = host_look(clock_error=-90.0, ntp_servers=("pool.ntp.org",), policies={"ntpd": "on"})
    with pytest.raises(Refused, match="90 s behind") as refused:
        first(replace(look, services={"ntpd": True}), lab)
    assert "pool.ntp.org" in refused.value.advice
    assert first(host_look(clock_error=12.0)) == []


def test_the_shell_warning_is_silenced_and_ssh_left_unless_told() -> None:
    look = host_look(options=SETTLED | {"UserVars.SuppressShellWarning": 0}, policies={"TSM-SSH": "off"})
    assert first(look) == [SilenceShellWarning("brix3")]
    quiet = replace(look, options=SETTLED | {"UserVars.SuppressShellWarning": 1})
    assert first(quiet) == []
    assert first(quiet, host(ssh="on")) == [SetSshPolicy("brix3", True)]
    assert first(quiet, host(ssh="off")) == []


def test_every_network_of_the_vms_is_there_on_the_wanted_vlan() -> None:
    vms = [{"name": "cp1", "address": "192.168.2.21", "network": "lab"}]
    lab = sample_lab(control_plane=vms, load_balancers=[])
    assert first(host_look(), lab) == [AddPortGroup("brix3", "lab", "vSwitch0", 0)]
    hosts = [{"name": "brix3", "address": "192.168.2.13", "password": "x", "vlan": 20}]
    tagged = sample_lab(control_plane=[{"name": "cp1", "address": "192.168.2.21"}], load_balancers=[], esxi=hosts)
    [change] = first(host_look(), tagged)
    assert change == SetVlan("brix3", "VM Network", "vSwitch0", 20, 0)
    assert change.disruptive


def test_the_management_network_is_never_rewired() -> None:
    look = host_look(network=replace(NETWORK, uplinks={"vSwitch0": ("vmnic1",)}))
    hosts = [{"name": "brix3", "address": "192.168.2.13", "password": "x", "management_nic": "vmnic0"}]
    with pytest.raises(Refused, match="uplinks are vmnic1, and not on vmnic0"):
        FirstBoot().plan(sample_lab(esxi=hosts), "brix3", FirstBootState(look))
    assert first(look) == first(host_look())  # unset, the host's own word is taken


def test_a_host_on_dhcp_is_moved_to_its_own_address_first() -> None:
    look = host_look(network=replace(NETWORK, hostname="localhost", dhcp=True, address="192.168.2.177"))
    move, names = first(look, elsewhere="192.168.2.177")
    assert move == GiveAddress("brix3", "192.168.2.177", "192.168.2.13", "255.255.255.0", "192.168.2.1")
    assert isinstance(names, SetNames)


# local-datastore

SSD = DiskLook("t10.ATA_SSD", "ATA SSD", 1 << 40, True, "/vmfs/devices/disks/t10.ATA_SSD")
OLD = DiskLook("t10.ATA_OLD", "ATA OLD", 1 << 39, False, "/vmfs/devices/disks/t10.ATA_OLD")
STICK = DiskLook("mpx.vmhba32:C0:T0:L0", "USB stick", 1 << 34, False, "/vmfs/devices/disks/mpx.vmhba32:C0:T0:L0", True)
PARTS = DiskContents((PartitionLook(1, "ntfs", 1 << 36),), "gpt")
EMPTY = DiskContents(data="")
VMFS = VmfsLook("ssd", (SSD.name,), True, "5f5e1000-0")


def local(look: HostLook, contents: dict[str, DiskContents], **more: Any) -> list[object]:
    lab = host(local_datastore="ssd", **more)
    return list(LocalDatastore().plan(lab, "brix3", LocalDatastoreState(look, contents)))


def test_the_only_empty_internal_disk_is_taken() -> None:
    [change] = local(host_look(disks=(STICK, SSD)), {SSD.name: EMPTY})
    assert change == MakeDatastore("brix3", "ssd", SSD, EMPTY)
    assert change.disruptive


def test_a_disk_with_partitions_is_refused_until_it_is_named() -> None:
    look = host_look(disks=(STICK, SSD))
    with pytest.raises(Refused, match="no disk is known to be empty") as refused:
        local(look, {SSD.name: PARTS})
    assert "`esxi_local_disk: t10.ATA_SSD` (ATA SSD, 1024 GiB; on it: ntfs (64.0 GiB))" in refused.value.advice
    [change] = local(look, {SSD.name: PARTS}, local_disk=SSD.name)
    assert isinstance(change, MakeDatastore)
    assert change.words.before == "on the disk, to be lost: ntfs (64.0 GiB)"


def test_nobody_guesses_between_two_empty_disks() -> None:
    with pytest.raises(Refused, match="more than one disk is empty"):
        local(host_look(disks=(SSD, OLD)), {SSD.name: EMPTY, OLD.name: EMPTY})


@pytest.mark.parametrize("name", [STICK.name, "t10.typo"])
def test_a_stick_is_never_made_a_datastore_even_when_named(name: str) -> None:
    with pytest.raises(Refused, match="is not an internal disk"):
        local(host_look(disks=(STICK, SSD)), {}, local_disk=name)


def test_a_disk_that_is_a_datastore_already_is_refused() -> None:
    with pytest.raises(Refused, match="is the datastore other"):
        local(host_look(disks=(SSD,), vmfs=(replace(VMFS, name="other"),)), {}, local_disk=SSD.name)


def test_host_cache_is_set_on_an_ssd_only() -> None:
    look = host_look(disks=(SSD,), vmfs=(VMFS,))
    assert local(look, {}) == []
    assert local(look, {}, host_cache_mib=8192) == [SetHostCache("brix3", "ssd", 8192, 0)]
    assert local(replace(look, cache_mib={"ssd": 8192}), {}, host_cache_mib=8192) == []
    with pytest.raises(Refused, match="is no SSD"):
        local(host_look(disks=(replace(SSD, ssd=False),), vmfs=(VMFS,)), {}, host_cache_mib=1024)


# usb-housekeeping


MARK = ".homelab-001122334455"


def logs(look: HostLook, lab: Lab = LAB, twin: str | None = None) -> list[object]:
    return list(UsbHousekeeping().plan(lab, "brix3", UsbHousekeepingState(look, twin)))


def test_logs_in_memory_find_a_place_on_the_nas() -> None:
    assert logs(host_look(options=OPTIONS)) == [Blocked("brix3", "the datastore nas is mounted on brix3 and answers")]
    [change] = logs(host_look(options=OPTIONS, nas=(NAS,)))
    assert change == KeepLogs("brix3", "nas", DIRECTORY, "homelab/homelab/hosts/brix3", MARK, "homelab-brix3")


def test_a_datastore_of_the_host_s_own_comes_first_and_takes_core_dumps_too() -> None:
    look = host_look(options=OPTIONS, nas=(NAS,), vmfs=(VMFS,), disks=(SSD,))
    [change] = logs(look, host(local_datastore="ssd"))
    folder = "homelab/homelab/hosts/brix3"
    assert change == KeepLogs("brix3", "ssd", VMFS.directory, folder, MARK, "homelab-brix3", core_dumps=True)


def test_a_place_that_somebody_chose_is_left_alone() -> None:
    assert logs(host_look(nas=(NAS,))) == []
    other = {"ScratchConfig.ConfiguredScratchLocation": "/vmfs/volumes/x/.locker"}
    assert logs(host_look(nas=(NAS,), options=OPTIONS | other)) == []


def test_a_stick_under_7_0_is_warned_of() -> None:
    [change] = logs(host_look(version="7.0.3", options=OPTIONS, nas=(NAS,)))
    assert isinstance(change, KeepLogs)
    assert "from 7.0 on a stick wears out" in change.words.reason


def test_a_copied_stick_is_found_by_its_certificate() -> None:
    with pytest.raises(Refused, match="the same certificate as brix1"):
        logs(host_look(), twin="brix1")


# reboot


def boot(look: HostLook, lab: Lab = LAB, *, ours: bool = False, **how: bool) -> list[object]:
    return list(Reboot(**how).plan(lab, "brix3", RebootState(look, ours)))


def test_reboot_waits_for_the_driver_fix() -> None:
    assert boot(host_look()) == [Blocked("brix3", "driver-fix has disabled ne1000 on brix3")]


def test_reboot_waits_for_a_place_for_the_logs() -> None:
    look = host_look(options=OPTIONS, **FIXED)
    assert boot(look) == [Blocked("brix3", "usb-housekeeping has given brix3 a place for its logs")]
    assert boot(look, logs=False) == []
    assert boot(host_look(options={}, **FIXED)) == []


def reboot_because(look: HostLook, **how: bool) -> tuple[str, ...]:
    [change] = boot(look, **how)
    assert isinstance(change, RebootHost)
    assert change.disruptive
    return change.because


def test_whatever_is_configured_and_does_not_run_is_a_reason() -> None:
    both = host_look(
        modules={"ne1000": (True, False)}, options=OPTIONS | {"ScratchConfig.ConfiguredScratchLocation": SCRATCH}
    )
    assert reboot_because(both) == (
        "ne1000 is disabled and still runs",
        "scratch is configured on a datastore and still lies in memory",
        # The one thing that the plan cannot know while SSH is off.
        "the drivers' maps are read first: no reboot if none that is enabled names vmnic0 (8086:15d8)",
    )
    option = host_look(options=SETTLED | {"VMkernel.Boot.preferVmklinux": True}, **FIXED)
    assert len(reboot_because(option)) == 1
    assert "preferVmklinux" in reboot_because(option)[0]


def test_one_reboot_is_the_same_change_whatever_its_reasons() -> None:
    one = RebootHost(
        "brix3", (NicAfter("vmnic0", "ne1000"),), BOOTED, "192.168.2.13", 900.0, None, True, False, ("this",)
    )
    assert one == replace(one, because=("this", "that"))


def test_what_is_expected_after_a_reboot_is_told_for_each_nic_of_the_host() -> None:
    [fix] = boot(host_look(modules={"ne1000": (True, False)}))
    assert isinstance(fix, RebootHost)
    assert fix.nics == (NicAfter("vmnic0", "ne1000"),)
    assert "--enabled=true --module=ne1000" in console_steps(fix)
    scratch = OPTIONS | {"ScratchConfig.ConfiguredScratchLocation": SCRATCH}
    [other] = boot(host_look(version="8.0.3", options=scratch))
    assert isinstance(other, RebootHost)
    assert other.expected == "vmnic0 has a driver"
    assert "no driver was changed by this reboot" in console_steps(other)
    assert "ne1000" not in console_steps(other)


def test_no_reboot_when_what_runs_is_what_is_configured() -> None:
    assert boot(host_look(**FIXED)) == []
    assert boot(host_look(driver="r8168")) == []


def test_no_reboot_under_running_vms() -> None:
    with pytest.raises(Refused, match="VMs are running: db"):
        boot(host_look(modules={"ne1000": (True, False)}, vms=(vm_look("db"),)))


def test_maintenance_mode_is_left_only_when_it_was_ours() -> None:
    look = host_look(in_maintenance=True, **FIXED)
    assert boot(look) == []
    assert boot(look, ours=True) == [LeaveMaintenance("brix3")]


def test_after_an_undo_the_host_boots_with_the_driver_from_before() -> None:
    enabled = host_look(driver="e1000e", modules={"ne1000": (False, True)})
    assert reboot_because(enabled, undo=True) == ("ne1000 is enabled again and does not run yet",)
    assert boot(host_look(), undo=True) == []
