"""Disks as Linux and macOS show them, and which of them must not be written over.

Linux is laid out under a temporary folder. The property lists of macOS follow the documented keys of diskutil; they
were written for this test, not recorded.
"""

import errno
import plistlib
from pathlib import Path
from typing import Any

import pytest

from homelab.errors import HomelabError, UsageError
from homelab.formats.disk.devices import Device, least_stick, refusal, too_small
from homelab.ports.media import devices
from homelab.ports.media.devices import LinuxDisks, MacDisks, opened
from tests.helpers.sysfs_tools import SATA, Machine

GB = 10**9


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    lab = Machine(tmp_path)
    lab.disk("sda", 500 * GB, bus=SATA, parts=2)
    lab.disk("sdb", 16 * GB, parts=2)
    lab.mount("8:1", "/")
    return lab


def refused(machine: Machine, name: str) -> str | None:
    found = refusal({device.name: device for device in machine.disks.all()}[name])
    return found and found[0]


def test_a_stick_is_told_by_model_serial_and_size(machine: Machine) -> None:
    stick = machine.disks.all()[1]
    assert str(stick) == "sdb: SanDisk Ultra Fit, serial 4C530001, 16.0 GB, 2 partition(s)"
    assert stick.parts == ("sdb1", "sdb2")
    assert refusal(stick) is None


def test_the_system_disk_is_refused(machine: Machine) -> None:
    assert refused(machine, "sda") == "sda is a system disk: sda1 holds the running system (/)"


def test_a_disk_with_partitions_that_nobody_mounted_is_refused_when_it_is_no_usb_disk(machine: Machine) -> None:
    machine.mounts.clear()
    assert refused(machine, "sda") == "sda is not removable: it is no USB disk"


def test_a_system_on_a_usb_disk_is_refused(machine: Machine) -> None:
    machine.mount("8:17", "/boot/efi")
    assert refused(machine, "sdb") == "sdb is a system disk: sdb1 holds the running system (/boot/efi)"


def test_a_mounted_partition_is_refused(machine: Machine) -> None:
    machine.mount("8:18", "/media/me/MY\\040STICK")
    assert refused(machine, "sdb") == "sdb is in use: sdb2 is mounted at /media/me/MY STICK"


def test_a_disk_mounted_as_a_whole_is_refused(machine: Machine) -> None:
    machine.mount("8:16", "/media/stick")
    assert "sdb is mounted at" in str(refused(machine, "sdb"))


def test_a_mount_is_found_by_its_source_where_its_numbers_are_made_up(machine: Machine) -> None:
    machine.mount("0:44", "/media/stick", source=str(machine.node("sdb1")))
    assert "sdb1 is mounted at" in str(refused(machine, "sdb"))


def test_swap_is_refused(machine: Machine) -> None:
    machine.swaps.append("sdb2")
    assert "sdb2 is swap" in str(refused(machine, "sdb"))


def test_a_part_of_lvm_or_encryption_is_refused(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "sys/block/sdb/sdb1/holders/dm-0").mkdir()
    (tmp_path / "sys/block/dm-0/dm").mkdir(parents=True)
    (tmp_path / "sys/block/dm-0/dm/name").write_text("vg-data\n")
    assert "sdb1 is part of vg-data" in str(refused(machine, "sdb"))


def test_the_second_disk_of_a_mounted_btrfs_is_refused(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "sys/fs/btrfs/UUID/devices/sdb1").mkdir(parents=True)
    assert "sdb1 is part of a mounted btrfs" in str(refused(machine, "sdb"))


def test_a_stick_with_its_switch_on_is_refused(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.disk("sdb", 16 * GB, ro="1")
    assert refused(machine, "sdb") == "sdb is read-only"


def test_what_the_kernel_makes_up_and_a_reader_without_a_card_are_no_disks(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for name in ("loop0", "dm-0", "zram0", "sr0", "md0"):
        machine.disk(name, GB)
    machine.disk("sdc", 0)
    assert machine.disks.all() == []


def test_a_machine_without_disks_has_none(tmp_path: Path) -> None:
    assert LinuxDisks(tmp_path, tmp_path, tmp_path).all() == []


@pytest.mark.parametrize(
    ("size", "build", "said"),
    [
        (GB, "6.7.0-8169922", "needs a stick of 4 GB"),
        (4 * GB, "6.7.0-8169922", None),
        (4 * GB, "7.0.3-1", "needs a stick of 8 GB"),
        (8 * GB, "8.0.2-1", None),
        (GB // 10, "6.7.0-8169922", "the image 300 MB"),
    ],
)
def test_a_stick_that_is_too_small(size: int, build: str, said: str | None) -> None:
    device = Device("sdb", "/dev/sdb", "Stick", "", size, usb=True)
    found = too_small(device, 300 * 10**6, *least_stick(build))
    assert (found is None) if said is None else (found is not None and said in found[0])


# --- macOS


def diskutil(partitions: list[dict[str, Any]], info: dict[str, Any] | None = None, *more: dict[str, Any]) -> MacDisks:
    rows = [{"DeviceIdentifier": "disk2", "Size": 16 * GB, "Partitions": partitions}, *more]
    names = [row["DeviceIdentifier"] for row in rows]
    told = {"BusProtocol": "USB", "Internal": False, "MediaName": "Ultra Fit", "TotalSize": 16 * GB}
    told |= {"WritableMedia": True, "VirtualOrPhysical": "Physical"} | (info or {})

    def run(argv: list[str]) -> bytes:
        if argv == ["list", "-plist"]:
            return plistlib.dumps({"AllDisksAndPartitions": rows, "WholeDisks": names})
        if argv[0] == "unmountDisk":
            raise HomelabError("diskutil unmountDisk failed: busy", where=argv[1], advice="Close it")
        kind = {} if argv[2] == "disk2" else {"VirtualOrPhysical": "Virtual"}
        return plistlib.dumps(told | {"DeviceIdentifier": argv[2]} | kind)

    return MacDisks(run)


def test_a_stick_that_macos_mounted_by_itself_may_be_written() -> None:
    disks = diskutil([{"DeviceIdentifier": "disk2s1", "MountPoint": "/Volumes/STICK"}])
    [stick] = disks.all()
    assert (stick.path, stick.model, stick.usb) == ("/dev/rdisk2", "Ultra Fit", True)
    assert refusal(stick) is None
    with pytest.raises(HomelabError, match="unmountDisk failed: busy"):
        disks.free(stick)


def test_an_internal_disk_of_a_mac_is_refused() -> None:
    [disk] = diskutil([], {"BusProtocol": "PCI-Express", "Internal": True}).all()
    assert "not removable" in str(refusal(disk))


def test_a_mac_that_runs_from_a_usb_disk_is_refused() -> None:
    volumes = [{"DeviceIdentifier": "disk3s1", "MountPoint": "/"}]
    store = {
        "DeviceIdentifier": "disk3",
        "APFSPhysicalStores": [{"DeviceIdentifier": "disk2s2"}],
        "APFSVolumes": volumes,
    }
    [disk] = diskutil([{"DeviceIdentifier": "disk2s2"}], None, store).all()
    assert str(refusal(disk)).count("system disk") == 1


# --- one opened


def test_bytes_are_read_and_written_at_any_offset(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(bytes(range(256)) * 8)
    with opened("disk", path, write=True) as medium:
        medium.write(510, b"abcd")
        medium.write(1024, b"e" * 512)
        medium.sync()
        assert medium.read(509, 6) == b"\xfdabcd\x02"
        assert medium.read(2046, 10) == b"\xfe\xff"
        assert medium.size == 2048


def test_a_device_that_vanishes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sdb"
    path.write_bytes(bytes(8 << 20))

    def vanished(descriptor: int, content: bytes, offset: int) -> int:
        raise OSError(errno.ENODEV, "No such device")

    with opened("sdb", path, write=True) as medium:
        monkeypatch.setattr(devices.os, "pwrite", vanished)
        with pytest.raises(HomelabError, match="sdb vanished: writing stopped at 4 MB"):
            medium.write(4 << 20, bytes(512))


def test_a_device_that_ends_early_is_told(tmp_path: Path) -> None:
    path = tmp_path / "sdb"
    path.write_bytes(bytes(8 << 20))
    with opened("sdb", path, write=False) as medium:
        path.write_bytes(bytes(4 << 20))
        assert len(medium.read(0, 4 << 20)) == 4 << 20
        with pytest.raises(HomelabError, match="sdb vanished: reading stopped at 4 MB"):
            medium.read(4 << 20, 512)


@pytest.mark.parametrize(("number", "said"), [(errno.EBUSY, "in use"), (errno.EACCES, "sudo"), (errno.ENXIO, "there")])
def test_why_a_disk_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str) -> None:
    def fails(*_: object) -> int:
        raise OSError(number, "no")

    (tmp_path / "sdb").write_bytes(b"")
    monkeypatch.setattr(devices.os, "open", fails)
    with pytest.raises(HomelabError, match=said), opened("sdb", tmp_path / "sdb", write=True):
        pass


def test_a_disk_that_is_not_there_is_a_usage_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not there"), opened("sdz", tmp_path / "sdz", write=True):
        pass
