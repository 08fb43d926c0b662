"""Disks and datastores of which a host does not know everything yet, and bytes of disks as its shell prints them."""

from typing import Any

import pytest
from pyVmomi import vim

from homelab.formats.disk.disk_ends import MIB, ends, parse_dump, parse_sum
from homelab.ports.vsphere.local_storage import DiskContents, PartitionLook, disks_of
from homelab.ports.vsphere.look import _caches, _vmfs


def lun(**more: Any) -> Any:
    return vim.host.ScsiDisk(key="key-1", canonicalName="t10.new", **more)


def test_a_disk_that_is_not_known_in_full_yet_is_told_without_a_size() -> None:
    [disk] = disks_of([lun()], None, None)
    assert (disk.name, disk.size, disk.usb, disk.path) == ("t10.new", 0, False, "/vmfs/devices/disks/t10.new")
    assert disks_of(None, None, None) == ()


@pytest.mark.parametrize(
    ("driver", "shown", "usb"),
    [
        ("vmkusb", "Local SanDisk Disk", True),
        ("usb-storage", "", True),
        ("vmw_ahci", "Local ATA Disk", False),
        (None, "Local USB Direct-Access (mpx.vmhba32:C0:T0:L0)", True),
        (None, "", False),
    ],
)
def test_what_hangs_on_usb_is_told_by_driver_or_display_name(driver: str | None, shown: str, usb: bool) -> None:
    topology = vim.host.ScsiTopology
    found = topology.Lun(key="lun", lun=0, scsiLun="key-1")
    interface = topology.Interface(key="if", adapter="hba", target=[topology.Target(key="t", target=0, lun=[found])])
    adapter = vim.host.BlockHba(key="hba", device="vmhba3", driver=driver)
    [disk] = disks_of([lun(displayName=shown)], [adapter], topology(adapter=[interface]))
    assert disk.usb is usb


def test_a_datastore_that_is_not_known_in_full_yet_does_not_answer() -> None:
    info = vim.host.VmfsDatastoreInfo(vmfs=vim.host.VmfsVolume(name="ssd"))
    [vmfs] = _vmfs({"info": info})
    assert (vmfs.name, vmfs.accessible, vmfs.free, vmfs.disks) == ("ssd", False, 0, ())
    assert _vmfs({"name": "ssd"}) == []
    assert _caches([], [(vim.Datastore("1"), {})]) == {}


@pytest.mark.parametrize("size", [1953525168 * 512, 488397168 * 512, 7814037168 * 512, 1465149168 * 512, 3 * MIB])
def test_the_ends_of_a_disk_are_a_megabyte_each_in_whole_blocks(size: int) -> None:
    first, last = ends(size)
    assert first.skip == 0
    for piece in (first, last):
        assert piece.block % 512 == 0
        assert piece.block * piece.count == MIB
    assert (last.skip + last.count) * last.block == size


def test_a_dump_is_read_with_its_stars_and_without_what_is_torn() -> None:
    text = (
        "00000000  4c 55 4b 53 ba be 00 02  00 00 00 00 00 00 40 00  |LUKS..........@.|\n"
        "00000010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n"
        "*\n"
        "00000040  7c 20 33 33 20 7c 00 00  00 00 00 00 00 00 00 01  || 33 |..........|\n"
        "00000050\n"
    )
    data = parse_dump(text)
    assert len(data) == 0x50
    assert data.startswith(b"LUKS\xba\xbe\x00\x02")
    assert data[0x40:0x46] == b"| 33 |"
    assert data[-1] == 1
    assert parse_dump("hexdump: not found\n") == b""


def test_a_sum_of_nothing_is_no_answer() -> None:
    assert parse_sum("d41d8cd98f00b204e9800998ecf8427e  -\n") is None
    assert parse_sum("sh: md5sum: not found") is None
    assert parse_sum("b6d81b360a5672d80c27430f39153e2c  -\n") == ends(3 * MIB)[0].blank_sum


def test_a_disk_is_empty_only_when_it_was_read() -> None:
    assert DiskContents(data="").empty
    assert not DiskContents().empty
    assert not DiskContents((PartitionLook(1, "ntfs", MIB),), data="").empty
