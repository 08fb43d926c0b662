"""`usb write` and `driver-fix --stick` as processes: what is asked for, and that what was shown is what is written."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from homelab.formats.disk.stick_marker import read_marker
from tests.helpers import signature_tools as heads
from tests.helpers.shapes import printed_fits
from tests.helpers.stick_tools import boot_cfg, digest, installed, installer, put_fat
from tests.helpers.sysfs_tools import COMMAND, SATA, Ended, Machine, ended

GB, MIB = 10**9, 1 << 20
SERIAL = "4C530001"
PROMPT = "Type its name"
pytestmark = pytest.mark.skipif(not any(map(shutil.which, ("wipefs", "/usr/sbin/wipefs"))), reason="needs wipefs")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    lab = Machine(tmp_path)
    lab.disk("sda", 500 * GB, bus=SATA, parts=2)
    lab.disk("sdb", 8 * GB, parts=1, diskseq="7")
    installer(tmp_path / "brix3.img")
    return lab


def vendor(machine: Machine) -> None:
    """A stick as it is sold: one FAT partition, empty, with the maker's name."""
    with machine.node("sdb1").open("r+b") as file:
        file.truncate(64 * MIB)
        put_fat(file, 0, 64 * 2048, {}, per_cluster=4)
    heads.put(machine.node("sdb"), 446, b"\0\0\0\0\x0c\0\0\0\x00\x08\0\0\0\0\x02\0")
    heads.put(machine.node("sdb"), 510, b"\x55\xaa")


def start_of(machine: Machine, name: str = "sdb") -> bytes:
    with machine.node(name).open("rb") as file:
        return file.read(4 * MIB)


def one_line(text: str) -> str:
    return " ".join(text.split())


def refused(done: Ended, said: str, code: int = 2) -> None:
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert said in one_line(done.stderr)


# --- what --yes covers


def test_a_new_stick_with_the_vendor_s_fat_is_shown_and_named_by_its_serial(machine: Machine) -> None:
    vendor(machine)
    before = start_of(machine)
    done = machine.homelab("usb", "write", "brix3", "sdb", "--yes")
    refused(done, "--yes does not agree to sdb: it holds sdb1: a FAT file system without files; nothing was written")
    assert "on it: sdb1: a FAT file system without files" in done.stderr
    assert f"run again with --yes --device-serial {SERIAL}" in one_line(done.stderr)
    assert start_of(machine) == before
    for wrong in (SERIAL.lower(), SERIAL[:-1], "", f"{SERIAL} "):
        done = machine.homelab("usb", "write", "brix3", "sdb", "--yes", "--device-serial", wrong)
        refused(done, f"sdb has the serial number {SERIAL}, not")
    assert start_of(machine) == before
    done = machine.homelab("usb", "write", "brix3", "sdb", "--yes", "-q", "--device-serial", SERIAL)
    assert done.returncode == 0, done.stderr
    assert "a FAT file system without files" in done.stderr
    assert start_of(machine) == Path(machine.root / "brix3.img").read_bytes()[: 4 * MIB]


def test_a_serial_without_yes_still_asks(machine: Machine) -> None:
    before = start_of(machine)
    done = machine.homelab("usb", "write", "brix3", "sdb", "--device-serial", SERIAL)
    refused(done, "nobody is there to agree")
    assert start_of(machine) == before


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("disk", "said"),
    [
        ({"size": 16 * GB, "removable": "0"}, "it is not removable, as sticks are"),
        ({"size": 1000 * GB}, "it has 1000.0 GB, more than 256 GB"),
    ],
)
def test_a_disk_that_is_unlike_a_stick_is_named_even_when_it_is_empty(
    machine: Machine, disk: dict[str, object], said: str
) -> None:
    machine.disk("sdc", serial="X 1", **disk)  # type: ignore[arg-type]
    done = machine.homelab("usb", "write", "brix3", "sdc", "--yes")
    refused(done, f"--yes does not agree to sdc: {said}")
    assert "--yes --device-serial 'X 1'" in one_line(done.stderr)
    assert not any(start_of(machine, "sdc"))
    assert machine.homelab("usb", "write", "brix3", "sdc", "--yes", "--device-serial", "X 1").returncode == 0


@pytest.mark.thorough
def test_a_disk_without_a_serial_is_agreed_to_on_a_terminal_only(machine: Machine) -> None:
    machine.disk("sdc", 16 * GB, serial="", removable="0")
    done = machine.homelab("usb", "write", "brix3", "sdc", "--yes")
    refused(done, "It has no serial number: run it on a terminal, and type the disk's name")
    done = machine.homelab("usb", "write", "brix3", "sdc", "--yes", "--device-serial", "")
    refused(done, "sdc has no serial number that could be compared")
    assert not any(start_of(machine, "sdc"))
    done = machine.asked("usb", "write", "brix3", "sdc", "--yes", until=PROMPT, answer="sdc")
    assert done.returncode == 0, done.stderr


def test_a_serial_that_two_disks_share_names_none(machine: Machine) -> None:
    """The slots of a card reader have its serial number, and some makers print one on all their sticks."""
    machine.disk("sdc", 16 * GB)
    done = machine.homelab("usb", "write", "brix3", "sdc", "--yes", "--device-serial", SERIAL)
    refused(done, "sdb and sdc have the same serial number")
    assert not any(start_of(machine, "sdc"))


def test_a_stick_of_ours_is_written_again_with_yes(machine: Machine) -> None:
    assert machine.homelab("usb", "write", "brix3", "sdb", "--yes").returncode == 0
    done = machine.homelab("usb", "write", "brix3", "sdb", "--yes")
    assert done.returncode == 0, done.stderr
    assert "on it: an installer made by homelab (ESXi 6.7.0-8169922)" in done.stderr


@pytest.mark.skipif(shutil.which("mcopy") is None, reason="needs mtools")
def test_a_file_that_somebody_keeps_on_a_stick_of_ours_is_named_and_not_lost_with_yes(machine: Machine) -> None:
    assert machine.homelab("usb", "write", "brix3", "sdb", "--yes").returncode == 0
    copy = ["mcopy", "-D", "o", "-i", f"{machine.node('sdb')}@@1M", __file__, "::THESIS.DOC"]
    subprocess.run(copy, check=True, capture_output=True)
    before = start_of(machine)
    done = machine.homelab("usb", "write", "brix3", "sdb", "--yes")
    refused(done, "it holds what homelab did not put there: THESIS.DOC; nothing was written")
    assert start_of(machine) == before


def test_an_installed_host_s_stick_is_not_written_over_with_yes(machine: Machine) -> None:
    installed(machine.node("sdb"), {5: boot_cfg(), 6: None}, size=8 * GB)
    for number in range(2, 9):
        machine.partition("sdb", number)
    before = start_of(machine)
    done = machine.homelab("usb", "write", "brix3", "sdb", "--yes")
    refused(done, "--yes does not agree to sdb: it holds an installed ESXi 6.7.0-1.28.10302608")
    assert start_of(machine) == before


def test_the_list_tells_what_is_on_each_stick(machine: Machine) -> None:
    vendor(machine)
    done = machine.homelab("usb", "write", "brix3", "-o", "json")
    assert printed_fits(["json", "usb", "write"], done.stdout) == 1
    [stick] = json.loads(done.stdout)["devices"]
    assert (stick["serial"], stick["removable"], stick["ours"]) == (SERIAL, True, None)
    assert stick["holds"] == ["sdb1: a FAT file system without files"]
    assert "on it: sdb1: a FAT file system" in machine.homelab("usb", "write", "brix3").stdout


# --- what was shown is what is written


def plugged_in_anew(machine: Machine) -> None:
    (machine.root / "sys/block/sdb/diskseq").write_text("8\n")


def formatted(machine: Machine) -> None:
    heads.put(machine.node("sdb1"), 0, b"x" * 512)


def pulled_out(machine: Machine) -> None:
    (machine.root / "sys/block/sdb").unlink()


def rebuilt(machine: Machine) -> None:
    installer(machine.root / "other.img", "6.5.0-4564106").replace(machine.root / "brix3.img")


def rewritten(machine: Machine) -> None:
    heads.put(machine.root / "brix3.img", 2 * MIB, b"x")


def cut(machine: Machine) -> None:
    os.truncate(machine.root / "brix3.img", 3 * MIB)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("change", "said", "code"),
    [
        (plugged_in_anew, "sdb was plugged in anew", 1),
        (pulled_out, "sdb is gone; nothing was written", 1),
        (formatted, "what is on it is not what was shown any more; nothing was written", 1),
        (rebuilt, "the image is not what was shown any more; nothing was written", 1),
        (rewritten, "the image is not what was shown any more; nothing was written", 1),
        (cut, "it is cut", 2),
    ],
)
def test_what_changed_while_somebody_thought_is_refused(
    machine: Machine, change: Callable[[Machine], None], said: str, code: int
) -> None:
    before = start_of(machine)
    argv = ("usb", "write", "brix3", "sdb")
    done = machine.asked(*argv, until=PROMPT, answer="sdb", meanwhile=lambda: change(machine))
    refused(done, said, code)
    assert start_of(machine) == before
    if change is rebuilt:
        assert "(the installer of ESXi 6.5.0-4564106" in done.stderr


# --- ended in the middle

SLOW = COMMAND.replace(
    "from homelab.cli import main",
    """
import os, time
syncs, real = [], os.fsync
def slow(descriptor):
    real(descriptor)
    syncs.append(1)
    if len(syncs) == 3:
        print("slow", file=sys.stderr, flush=True)
        while True:
            time.sleep(0.05)
os.fsync = slow
from homelab.cli import main
""",
)


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_write_that_is_ended_leaves_a_stick_that_everybody_knows_as_half_written(
    machine: Machine, number: signal.Signals
) -> None:
    with ended(machine.start("usb", "write", "brix3", "sdb", "--yes", code=SLOW)) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line == "slow\n":
                break
        process.send_signal(number)
        out, err = process.communicate(timeout=50)
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert (process.returncode, out) == (130, "")
        assert "sdb is half written: no machine starts from it" in one_line(err)
    marker = read_marker(start_of(machine)[:512])
    assert marker is not None
    assert start_of(machine)[510:512] != b"\x55\xaa"
    done = machine.homelab("usb", "write", "brix3", "sdb", "--yes")
    assert done.returncode == 0
    assert "a write of brix3.img, begun" in done.stderr


# --- names and files that cannot be used


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "argv"),
    [
        ("x" * 300, ("usb", "write", "brix3", "sdb", "--image", "{}")),
        ("loop", ("usb", "write", "brix3", "sdb", "--image", "{}")),
        ("a\udcffb", ("usb", "write", "brix3", "sdb", "--image", "{}")),
        ("x" * 300, ("usb", "write", "brix3", "{}")),
        ("loop", ("usb", "write", "brix3", "{}")),
        ("a\udcffb", ("usb", "write", "brix3", "{}")),
        ("x" * 300, ("usb", "install", "brix3", "{}")),
        ("x" * 300, ("usb", "install", "brix3", "whole.img", "--image", "{}")),
        ("loop", ("driver-fix", "brix3", "--stick", "{}")),
        ("x" * 300, ("usb", "lint", "{}")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value[:5],
)
def test_a_name_that_cannot_be_used_is_told_in_words(machine: Machine, argv: tuple[str, ...], name: str) -> None:
    (machine.root / "loop").symlink_to("loop")
    words = [os.fsencode(word.replace("{}", name)) for word in argv]
    done = machine.homelab(*words, PYTHONIOENCODING="utf-8:strict")  # type: ignore[arg-type]
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    assert "a mistake of homelab" not in done.stderr
    assert "to do:" in done.stderr


def test_an_image_whose_name_is_no_utf_8_is_written(machine: Machine) -> None:
    name = os.fsencode(machine.root) + b"/a\xffb.img"
    (machine.root / "brix3.img").rename(os.fsdecode(name))
    argv = ("usb", "write", "brix3", "sdb", "--image", name, "--yes")
    done = machine.homelab(*argv, PYTHONIOENCODING="utf-8:strict")  # type: ignore[arg-type]
    assert done.returncode == 0, done.stderr
    assert r"a\xffb.img" in done.stderr


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("path", "argv", "said"),
    [
        ("brix3.img", ("usb", "write", "brix3", "sdb", "--yes"), "you may not use brix3.img"),
        (
            "dev/sdb",
            ("usb", "write", "brix3", "sdb", "--yes"),
            "you may not use sdb where: {root}/dev/sdb",
        ),
        (
            "dev/sdb",
            ("driver-fix", "brix3", "--stick", "sdb"),
            "you may not use sdb where: {root}/dev/sdb",
        ),
        ("brix3.img", ("usb", "install", "brix3", "whole.img"), "you may not use brix3.img"),
    ],
)
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root, to be somebody else")
def test_what_somebody_may_not_open_is_told_with_what_to_do(path: str, argv: tuple[str, ...], said: str) -> None:
    # Nobody else may look below pytest's own folder.
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        machine = Machine(root)
        machine.disk("sdb", 8 * GB)
        installer(root / "brix3.img")
        (root / path).chmod(0o600)
        done = machine.homelab(*argv, around=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
        refused(done, said.format(root=root))


# --- driver-fix --stick


def stick_of(machine: Machine, **banks: bytes) -> Path:
    found = {5: boot_cfg(updated=4, options="no-auto-partition"), 6: boot_cfg("6.5.0-4564106", updated=3)}
    return installed(machine.root / "stick.img", found)


def bank_5(path: Path, **files: bytes) -> None:
    """Lay the active bank anew, with other files in it."""
    with path.open("r+b") as file:
        put_fat(file, 8224 * 512, 520191 - 8224 + 1, {f"/{name}": content for name, content in files.items()})


FIX = ("driver-fix", "brix3", "--stick", "stick.img")


@pytest.mark.parametrize(
    "change",
    [
        lambda path: bank_5(path, **{"BOOT.CFG": boot_cfg(updated=4, options="no-auto-partition gdbPort=none")}),
        lambda path: installed(path, {5: boot_cfg(updated=2), 6: boot_cfg("6.5.0-4564106", updated=3)}),
        lambda path: heads.put(path, 8224 * 512 + 39, b"four"),
    ],
    ids=["another boot.cfg", "another bank", "another volume"],
)
def test_a_stick_that_is_another_one_now_is_shown_again_and_not_written(
    machine: Machine, change: Callable[[Path], object]
) -> None:
    path = stick_of(machine)
    changed: dict[int, bytes] = {}
    done = machine.asked(
        *FIX, until="undo:", answer="y", meanwhile=lambda: [change(path), changed.update(digest(path))]
    )
    refused(done, "the stick is not as it was shown any more; nothing was written", 1)
    assert done.stderr.count("appends preferVmklinux=TRUE to") == 2
    assert digest(path) == changed


def test_clusters_that_were_taken_while_somebody_thought_are_not_written_over(machine: Machine) -> None:
    """The plan is made anew, from the table of clusters as it is now."""
    path = stick_of(machine)
    cfg = boot_cfg(updated=4, options="no-auto-partition")
    large = os.urandom(3 * MIB)

    def taken() -> None:
        bank_5(path, **{"B.B00": b"kernel" * 3000, "S.V00": b"s" * 10_000, "BOOT.CFG": cfg, "LARGE.V00": large})

    done = machine.asked(*FIX, until="undo:", answer="y", meanwhile=taken)
    assert done.returncode == 0, done.stderr
    from homelab.formats.boot.boot_bank import active, has_option
    from homelab.ports.media.devices import opened

    with opened("stick", path, write=False) as medium:
        bank = active(medium.read)
        entry = bank.volume.find("LARGE.V00")
        assert entry is not None
        assert bank.volume.content(entry) == large
        assert has_option(bank.text)


def test_a_device_that_was_plugged_in_anew_is_not_mended(machine: Machine) -> None:
    installed(machine.node("sdb"), {5: boot_cfg(), 6: None}, size=8 * GB)
    before = start_of(machine)
    argv = ("driver-fix", "brix3", "--stick", "sdb")
    done = machine.asked(*argv, until="undo:", answer="y", meanwhile=lambda: plugged_in_anew(machine))
    refused(done, "sdb was plugged in anew", 1)
    assert start_of(machine) == before


def test_quiet_does_not_hide_what_is_agreed_to(machine: Machine) -> None:
    stick_of(machine)
    done = machine.asked("-q", *FIX, until="undo:", answer="n")
    assert done.returncode == 2
    assert "appends preferVmklinux=TRUE to kernelopt= of boot.cfg" in done.stderr
