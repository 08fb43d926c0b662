"""What is on a disk, told by wipefs from real file systems and published heads; what nobody can tell is not empty."""

import os
import plistlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homelab.errors import HomelabError
from homelab.formats.disk.contents import Contents
from homelab.formats.disk.devices import unlike_a_stick
from homelab.formats.disk.stick_marker import Marker
from homelab.formats.fat.layout import layout
from homelab.formats.fat.volume import open_volume
from homelab.ports.media import wipefs
from homelab.ports.media.contents import look
from homelab.ports.media.devices import LinuxDisks, MacDisks
from homelab.ports.media.stick_image import write_image
from tests.helpers import signature_tools as heads
from tests.helpers.stick_tools import boot_cfg, installed, installer, put_gpt
from tests.helpers.sysfs_tools import Machine

GB, MIB = 10**9, 1 << 20
SIZE = 200 * MIB
WIPEFS = shutil.which("wipefs", path=os.pathsep.join((os.environ["PATH"], *wipefs.PLACES)))
pytestmark = pytest.mark.skipif(WIPEFS is None, reason="needs wipefs (util-linux)")


def mkfs(*argv: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        program = shutil.which(argv[0], path=os.pathsep.join((os.environ["PATH"], *wipefs.PLACES)))
        if program is None:
            pytest.skip(f"not installed: {argv[0]}")
        subprocess.run([program, *argv[1:], str(path)], check=True, capture_output=True)

    return make


def fat_with_files(path: Path) -> None:
    mkfs("mkfs.vfat", "-I", "-n", "HOLIDAY")(path)
    for name in ("A.TXT", "B.TXT", "C.TXT", "D.TXT", "E.TXT", "F.TXT", "G.TXT"):
        mkfs("mcopy", "-D", "o", "-i", str(path), __file__)(Path(f"::{name}"))


def other_table(path: Path) -> None:
    with path.open("r+b") as file:
        put_gpt(file, path.stat().st_size, {})


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    lab = Machine(tmp_path)
    lab.disk("sdb", SIZE, parts=1)
    return lab


def seen(machine: Machine, name: str = "sdb") -> Contents:
    disks = machine.disks
    return look(disks, {device.name: device for device in disks.all()}[name])


KINDS: list[tuple[Callable[[Path], None], str]] = [
    (mkfs("mkfs.vfat", "-I", "-n", "STICK"), 'a FAT file system "STICK" without files'),
    (fat_with_files, 'a FAT file system "HOLIDAY" with A.TXT, B.TXT, C.TXT, D.TXT, E.TXT and 2 more'),
    (mkfs("mkfs.ext4", "-q", "-F", "-L", "photos"), 'ext4 "photos"'),
    (mkfs("mkswap"), "swap"),
    (heads.luks, 'LUKS encryption "backup"'),
    (heads.lvm, "a part of an LVM volume group"),
    (heads.md, 'a part of a RAID (md) "nas:0"'),
    (heads.zfs, "a part of a ZFS pool"),
    (heads.btrfs, "btrfs"),
    (heads.vmfs, "a VMFS datastore"),
    (heads.unknown, "data of an unknown kind"),
    (lambda path: heads.put(path, -MIB, b"x"), "data of an unknown kind"),
    (lambda path: heads.put(path, MIB - 1, b"x"), "data of an unknown kind"),
]
IDS = [said for _, said in KINDS[:-2]] + ["at the end", "just inside the first megabyte"]


@pytest.mark.parametrize(("make", "said"), KINDS, ids=IDS)
def test_what_is_on_a_whole_disk_is_told(tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    machine = Machine(tmp_path)
    machine.disk("sdb", SIZE)
    make(machine.node("sdb"))
    assert (seen(machine).things, seen(machine).ours) == ((said,), "")


@pytest.mark.parametrize(("make", "said"), KINDS[2:11], ids=IDS[2:11])
def test_what_is_on_a_partition_is_told(machine: Machine, make: Callable[[Path], None], said: str) -> None:
    with machine.node("sdb1").open("r+b") as file:
        file.truncate(SIZE)
    make(machine.node("sdb1"))
    assert seen(machine).foreign == (f"sdb1: {said}",)


def test_zeros_at_both_ends_are_nothing(machine: Machine) -> None:
    heads.put(machine.node("sdb"), 5 * MIB, b"x")
    assert (seen(machine).things, str(seen(machine))) == ((), "nothing: its first and its last megabyte are zero")


def test_a_table_without_partitions_that_the_system_knows_is_not_empty(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.disk("sdb", SIZE)
    other_table(machine.node("sdb"))
    assert seen(machine).foreign == ("a partition table (gpt)",)


def test_a_table_whose_partitions_are_blank_leads_to_nothing(machine: Machine) -> None:
    other_table(machine.node("sdb"))
    assert seen(machine).things == ()


def test_without_wipefs_nothing_is_known_to_be_empty_or_ours(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(wipefs, "PLACES", ())
    why = "data of an unknown kind (wipefs of util-linux is not installed)"
    assert seen(machine).foreign == (why, f"sdb1: {why}")
    installer(machine.node("sdb"))
    assert seen(machine).foreign


@pytest.mark.parametrize("script", ["echo broken >&2; exit 1", "echo '{'", "echo '{\"signatures\": [7]}'", "kill $$"])
def test_a_wipefs_that_fails_is_no_proof_of_emptiness(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    program = tmp_path / "wipefs"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert all("data of an unknown kind (" in thing for thing in seen(machine).foreign)
    assert len(seen(machine).foreign) == 2


def test_a_label_cannot_steer_the_terminal(machine: Machine) -> None:
    mkfs("mkfs.ext4", "-q", "-F", "-L", "a\x1b[2Jb")(machine.node("sdb"))
    heads.put(machine.node("sdb"), 1024 + 120 + 6, b"\xff")
    done = machine.homelab("usb", "write", "brix3")
    assert done.returncode == 2
    assert "ext4" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_a_partition_that_cannot_be_opened_is_not_empty(machine: Machine) -> None:
    machine.node("sdb1").unlink()
    assert "sdb1: data of an unknown kind" in seen(machine).foreign[0]


# --- what is ours


def test_an_installer_of_ours_is_ours(machine: Machine, tmp_path: Path) -> None:
    shutil.copyfile(installer(tmp_path / "a.img"), machine.node("sdb"))
    mkfs("mkfs.vfat", "-I")(machine.node("sdb1"))
    assert seen(machine).ours == "an installer made by homelab (ESXi 6.7.0-8169922)"
    assert seen(machine).foreign == ()


def test_a_half_written_stick_is_ours(machine: Machine) -> None:
    heads.put(machine.node("sdb"), 0, Marker("brix3.img", 1000, 437, "then").sector())
    assert "was cut off at 43 %" in seen(machine).ours


def grown(machine: Machine) -> None:
    """Its owner made a second partition in the room that the installer leaves."""
    heads.put(machine.node("sdb"), 446 + 16, b"\0\0\0\0\x83\0\0\0\x00\x80\x01\0\0\x80\0\0")
    machine.partition("sdb", 2)
    mkfs("mkfs.ext4", "-q", "-F", "-L", "notes")(machine.node("sdb2"))


@pytest.mark.parametrize(
    "change",
    [
        grown,
        lambda machine: heads.zfs(machine.node("sdb")),
        lambda machine: mkfs("mkfs.ext4", "-q", "-F")(machine.node("sdb1")),
    ],
    ids=["a second partition", "a pool beside it", "formatted"],
)
def test_an_installer_of_ours_with_more_on_it_is_not_ours(
    machine: Machine, tmp_path: Path, change: Callable[[Machine], None]
) -> None:
    content = installer(tmp_path / "a.img").read_bytes()
    heads.put(machine.node("sdb"), 0, content)
    change(machine)
    assert seen(machine).ours == ""
    assert seen(machine).foreign


# --- an installer of ours on which somebody kept files

DOS_TOOLS = pytest.mark.skipif(shutil.which("mcopy") is None, reason="needs mtools")


def laid(path: Path, *names: str) -> None:
    """Lay this file on the FAT volume at 1 MiB, as a system does that mounts it: folders first, dated now."""
    volume = f"{path}@@1M"
    for name in names:
        *folders, _ = name.split("/")
        for depth in range(len(folders)):
            command = ["mmd", "-D", "s", "-i", volume, f"::{'/'.join(folders[: depth + 1])}"]
            subprocess.run(command, check=False, capture_output=True)
        command = ["mcopy", "-D", "o", "-i", volume, __file__, f"::{name}"]
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def stick(machine: Machine, tmp_path: Path) -> Path:
    """The node of a stick as `usb build` and `usb write` leave it."""
    cfg = boot_cfg("6.7.0-8169922", options="runweasel ks=usb:/KS.CFG")
    files = {("BOOT.CFG",): cfg, ("EFI", "BOOT", "BOOT.CFG"): cfg, ("KS.CFG",): b"#", ("upgrade", "a b.tgz"): b"u"}
    plan = layout({path: len(content) for path, content in files.items()}, "BRIX3", 7)
    write_image(tmp_path / "ours.img", plan, lambda path: iter([files[path]]), lambda done, total: None)
    node = machine.node("sdb")
    shutil.copyfile(tmp_path / "ours.img", node)
    return node


@pytest.mark.thorough
@DOS_TOOLS
@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["HOLIDAY.JPG"], "HOLIDAY.JPG"),
        (["EFI/BOOT/THESIS.DOC"], "EFI/BOOT/THESIS.DOC"),
        (["Fotos 2024/a.jpg"], "Fotos 2024, Fotos 2024/a.jpg"),
        (["KS.CFG"], "KS.CFG"),
        ([f"{number}.JPG" for number in range(7)], "0.JPG, 1.JPG, 2.JPG, 3.JPG, 4.JPG and 2 more"),
        ([".Trash-1000/files/a.doc"], ".Trash-1000, .Trash-1000/files, .Trash-1000/files/a.doc"),
    ],
    ids=["a file", "deep down", "a folder", "one of ours that was changed", "many", "what Linux throws away"],
)
def test_an_installer_of_ours_with_a_file_of_somebody_is_not_ours_and_the_file_is_named(
    machine: Machine, stick: Path, names: list[str], told: str
) -> None:
    assert seen(machine).ours == "an installer made by homelab (ESXi 6.7.0-8169922)"
    laid(stick, *names)
    assert seen(machine).ours == ""
    assert seen(machine).foreign[-1] == f"what homelab did not put there: {told}"


@DOS_TOOLS
def test_what_systems_lay_on_every_stick_costs_no_question(machine: Machine, stick: Path) -> None:
    laid(stick, "System Volume Information/WPSettings.dat", ".fseventsd/fseventsd-uuid", ".Trashes/501")
    laid(stick, "._KS.CFG", "EFI/.DS_Store")
    # Systems, other than mtools, date a folder anew when something is laid into it.
    heads.put(stick, stick.read_bytes().index(b"EFI        \x10") + 22, b"\x21\x84\x7d\x5d")
    assert seen(machine).ours == "an installer made by homelab (ESXi 6.7.0-8169922)"
    assert seen(machine).foreign == ()


def test_an_installer_whose_file_system_is_unsound_is_not_ours(machine: Machine, stick: Path) -> None:
    """A file that was being written when the stick was pulled out: its clusters are taken, its name is not there."""
    volume = open_volume(lambda offset, size: stick.read_bytes()[offset : offset + size], MIB, stick.stat().st_size)
    for table in volume.tables:
        heads.put(stick, table + 4 * 60_000, b"\xff\xff\xff\x0f")
    assert seen(machine).foreign[-1].startswith("a file system that is not sound: 1 clusters are in use")


def test_a_raid_over_a_half_written_stick_is_not_ours(machine: Machine) -> None:
    heads.put(machine.node("sdb"), 0, Marker("brix3.img", 1000, 437, "then").sector())
    heads.md(machine.node("sdb"))
    assert 'a part of a RAID (md) "nas:0"' in seen(machine).foreign
    assert any("was cut off at 43 %" in thing for thing in seen(machine).foreign)


def test_an_installed_esxi_is_somebody_s_host(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.disk("sdb", GB)
    installed(machine.node("sdb"), {5: boot_cfg(), 6: None})
    assert seen(machine).foreign


# --- what a disk says of itself


@pytest.mark.parametrize(
    ("size", "removable", "said"),
    [
        (16 * GB, "1", []),
        (256 * GB, "1", []),
        (16 * GB, "0", ["it is not removable, as sticks are"]),
        (16 * GB, "", ["it is not removable, as sticks are"]),
        (500 * GB, "1", ["it has 500.0 GB, more than 256 GB"]),
    ],
)
def test_a_disk_that_is_unlike_a_stick_is_told(tmp_path: Path, size: int, removable: str, said: list[str]) -> None:
    machine = Machine(tmp_path)
    machine.disk("sdb", size, removable=removable)
    assert unlike_a_stick(machine.disks.all()[0]) == said


# --- macOS


def mac(row: dict[str, Any], *more: dict[str, Any]) -> Contents:
    """What is seen of disk2; its raw nodes lie on Linux nowhere, so a file takes their place."""
    info = {"DeviceIdentifier": "disk2", "BusProtocol": "USB", "TotalSize": SIZE, "RemovableMedia": True}
    listing = {"AllDisksAndPartitions": [{"DeviceIdentifier": "disk2", **row}, *more], "WholeDisks": ["disk2"]}

    def run(argv: list[str]) -> bytes:
        return plistlib.dumps(listing if argv[0] == "list" else info)

    [device] = MacDisks(run).all()
    assert device.removable
    [whole, *parts] = MacDisks(run).parts(device)
    from homelab.formats.disk.contents import contents_of

    return contents_of(lambda offset, size: bytes(size), SIZE, [whole, *parts])


def test_what_diskutil_tells_is_told() -> None:
    fat = {"DeviceIdentifier": "disk2s1", "Content": "Windows_FAT_32", "VolumeName": "NO NAME"}
    assert mac({"Content": "FDisk_partition_scheme", "Partitions": [fat]}).foreign == (
        'disk2s1: Windows_FAT_32 "NO NAME"',
    )
    linux = {"DeviceIdentifier": "disk2s1", "Content": "Linux"}
    assert mac({"Content": "GUID_partition_scheme", "Partitions": [linux]}).foreign == ("disk2s1: Linux",)


def test_an_apfs_container_is_told_by_its_volumes() -> None:
    store = {"DeviceIdentifier": "disk2s2", "Content": "Apple_APFS"}
    made_up = {
        "DeviceIdentifier": "disk3",
        "APFSPhysicalStores": [{"DeviceIdentifier": "disk2s2"}],
        "APFSVolumes": [{"DeviceIdentifier": "disk3s1", "VolumeName": "Time Machine"}],
    }
    found = mac({"Content": "GUID_partition_scheme", "Partitions": [store]}, made_up)
    assert found.foreign == ("disk2s2: Apple_APFS", 'disk2s2: APFS volume "Time Machine"')


def test_a_diskutil_that_says_nonsense_is_told() -> None:
    for output in (b"", b"<plist>", b"Could not start up"):
        with pytest.raises(HomelabError, match="what diskutil tells cannot be read"):
            MacDisks(lambda argv, said=output: said).all()  # type: ignore[misc]


# --- the real kernel


@pytest.mark.skipif(os.geteuid() != 0, reason="loop devices need root")
def test_the_kernel_s_own_disk_is_read_as_a_file_is(tmp_path: Path) -> None:
    backing = tmp_path / "stick"
    with backing.open("wb") as file:
        file.truncate(SIZE)
    mkfs("mkfs.ext4", "-q", "-F", "-L", "photos")(backing)
    done = subprocess.run(["losetup", "--find", "--show", backing], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("no loop devices here")
    node = Path(done.stdout.strip())
    try:
        from homelab.formats.disk.devices import Device

        device = Device(node.name, str(node), "loop", "", SIZE, usb=True)
        assert look(LinuxDisks(), device).foreign == ('ext4 "photos"',)
    finally:
        subprocess.run(["losetup", "--detach", node], check=True)
