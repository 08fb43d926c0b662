"""`usb write` and `driver-fix --stick`: what they refuse, ask, do and say."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from homelab.commands import driver_fix_stick as offline_fix
from homelab.commands import usb_write as stick_commands
from homelab.commands.options import Options
from homelab.errors import HomelabError, Refused, UsageError
from homelab.formats.disk.stick_marker import Marker
from homelab.output.shapes.files import StickWritten
from homelab.output.ui import Ui
from homelab.ports.media.devices import Medium
from tests.helpers.shapes import fits
from tests.helpers.stick_tools import SMALL, SMALL_SIZE, boot_cfg, digest, installed, installer
from tests.helpers.sysfs_tools import SATA, Machine

GB = 10**9


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    lab = Machine(tmp_path)
    lab.disk("sda", 500 * GB, bus=SATA, parts=2)
    lab.disk("sdb", 8 * GB, parts=1)
    lab.mount("8:1", "/")
    monkeypatch.chdir(tmp_path)
    installer(tmp_path / "brix3.img", size_mb=48)
    return lab


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def options(*, yes: bool = False, form: str = "text") -> Options:
    return Options((Path("inventory"),), None, yes, Ui(form, color=False))


def write(
    machine: Machine, device: str | None, *, yes: bool = True, form: str = "text", image: str | None = None
) -> int:
    path = Path(image) if image else None
    return stick_commands.write(options(yes=yes, form=form), "brix3", device, path, machine.disks)


def untouched(machine: Machine, name: str = "sdb") -> bool:
    with machine.node(name).open("rb") as file:
        return not any(file.read(4 << 20))


def test_a_stick_is_written_and_read_back(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert write(machine, "sdb", form="json") == 0
    said = json.loads(capsys.readouterr().out)
    fits(said, StickWritten)
    image = Path("brix3.img").read_bytes()
    assert (said["device"], said["bytes"], said["verified"]) == ("sdb", len(image), True)
    with machine.node("sdb").open("rb") as file:
        assert file.read(len(image)) == image


@pytest.mark.parametrize("typed", ["sdb\n", " sdb \n"])
def test_the_name_that_was_typed_is_consent(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    assert write(machine, str(machine.node("sdb")), yes=False) == 0
    shown = capsys.readouterr()
    assert "sdb: SanDisk Ultra Fit, serial 4C530001, 8.0 GB, 1 partition(s)" in shown.err
    assert "the same" in shown.out


def test_another_stick_that_took_the_name_meanwhile_is_not_written(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(Terminal):
        def readline(self, size: int | None = -1) -> str:
            (machine.root / "sys/block/sdb/device/model").write_text("Backup Disk\n")
            return "sdb\n"

    monkeypatch.setattr(sys, "stdin", Slow())
    with pytest.raises(Refused, match="sdb is another disk now: sdb: SanDisk Backup Disk"):
        write(machine, "sdb", yes=False)
    assert untouched(machine)


def test_a_stick_that_was_mounted_meanwhile_is_not_written(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Terminal):
        def readline(self, size: int | None = -1) -> str:
            machine.mount("8:17", "/media/me/STICK")
            assert machine.disks
            return "sdb\n"

    monkeypatch.setattr(sys, "stdin", Slow())
    with pytest.raises(Refused, match="sdb1 is mounted at /media/me/STICK"):
        write(machine, "sdb", yes=False)
    assert untouched(machine)


def test_a_link_to_the_device_is_the_device(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "usb-SanDisk").symlink_to(machine.node("sdb"))
    assert write(machine, str(tmp_path / "usb-SanDisk")) == 0


@pytest.mark.parametrize("typed", ["", "y\n", "yes\n", "sda\n", "sdb1\n"])
def test_any_other_answer_touches_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    assert write(machine, "sdb", yes=False) == 2
    assert untouched(machine)


def test_without_a_terminal_nothing_is_touched(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("sdb\n"))
    with pytest.raises(UsageError, match="nobody is there to agree"):
        write(machine, "sdb", yes=False)
    assert untouched(machine)


def test_without_a_device_the_sticks_are_listed_and_yes_is_no_consent(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert write(machine, None) == 2
    shown = capsys.readouterr()
    assert "sdb: SanDisk" in shown.out
    assert "sda" not in shown.out
    assert "nothing was written" in shown.err
    assert untouched(machine)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("sda", "system disk"),
        ("sdc", "no such disk"),
        ("sdb1", "is a partition"),
        ("brix3.img", "no device"),
        ("/dev/null", "no such disk"),
        ("", "no device"),
    ],
)
def test_what_is_no_stick_is_refused(machine: Machine, device: str, said: str) -> None:
    with pytest.raises(HomelabError, match=said):
        write(machine, device)
    assert untouched(machine, "sda")
    assert untouched(machine)


def test_a_mounted_stick_is_refused(machine: Machine) -> None:
    machine.mount("8:17", "/media/me/STICK")
    with pytest.raises(Refused, match="sdb1 is mounted at /media/me/STICK; nothing was written"):
        write(machine, "sdb")


def test_a_stick_of_1_gb_is_refused(machine: Machine) -> None:
    machine.disk("sdd", GB)
    with pytest.raises(Refused, match=r"sdd has 1\.0 GB; ESXi 6\.7\.0-8169922 needs a stick of 4 GB"):
        write(machine, "sdd")
    assert untouched(machine, "sdd")


def test_a_stick_smaller_than_it_says_is_refused(machine: Machine) -> None:
    with machine.node("sdb").open("r+b") as file:
        file.truncate(32 << 20)
    with pytest.raises(Refused, match="sdb has 34 MB, and the image 51 MB"):
        write(machine, "sdb")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such image"),
        (b"", "cut, or empty"),
        (b"x" * 100_001, "no whole number of sectors"),
        (bytes(1 << 20), "no partition table"),
        (bytes(510) + b"\x55\xaa" + bytes(1 << 20), "none|no such partition"),
    ],
)
def test_what_is_no_image_of_ours_is_refused(machine: Machine, content: bytes | None, said: str) -> None:
    path = Path("other.img")
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        write(machine, "sdb", image="other.img")
    assert untouched(machine)


@pytest.mark.parametrize("make", [installer, lambda path: installed(path, {5: boot_cfg(), 6: None})])
def test_a_cut_image_is_refused(machine: Machine, make) -> None:  # type: ignore[no-untyped-def]
    path = make(Path("other.img"))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(UsageError, match="it is cut"):
        write(machine, "sdb", image="other.img")
    assert untouched(machine)


def test_an_installed_image_is_an_image_too(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    installed(Path("whole.img"), {5: boot_cfg(), 6: None}, SMALL_SIZE, SMALL)
    assert write(machine, "sdb", image="whole.img") == 0
    assert "the installed ESXi 6.7.0-1.28.10302608" in capsys.readouterr().err


def test_a_write_that_was_cut_off_is_told_by_the_next(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    with machine.node("sdb").open("r+b") as file:
        file.write(Marker("brix3.img", 1000, 437, "2026-01-02T03:04:05+00:00").sector())
    assert write(machine, "sdb") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "a write of brix3.img, begun 2026-01-02T03:04:05+00:00, was cut off at 43 %" in said


def test_a_stick_that_vanishes_is_told_and_half_written(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Medium.write

    def pulled(self: Medium, offset: int, content: bytes) -> None:
        if 16 << 20 < offset < GB:
            self.path.unlink(missing_ok=True)
            content = bytes(512)
            with self._told("writing", offset):
                raise OSError(5, "Input/output error")
        real(self, offset, content)

    monkeypatch.setattr(Medium, "write", pulled)
    with pytest.raises(HomelabError, match="sdb vanished: writing stopped at 18 MB"):
        write(machine, "sdb")
    assert "sdb is half written" in capsys.readouterr().err


# --- the command line


def homelab(*argv: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "homelab", *argv]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    banks = {5: boot_cfg(updated=4, options="no-auto-partition"), 6: boot_cfg("6.5.0-4564106", updated=3)}
    return installed(tmp_path / "stick.img", banks)


def test_the_offline_fix_goes_in_and_out_byte_for_byte(stick: Path) -> None:
    before = digest(stick)
    done = homelab("driver-fix", "brix3", "--stick", str(stick), "--yes")
    assert done.returncode == 0, done.stderr
    assert "prefers vmklinux drivers" in done.stdout
    assert f"undo: homelab driver-fix brix3 --stick {stick} --undo" in done.stderr
    fixed = digest(stick)
    assert fixed != before
    again = homelab("driver-fix", "brix3", "--stick", str(stick))
    assert (again.returncode, digest(stick)) == (0, fixed)
    assert "nothing to do" in again.stdout
    undone = homelab("driver-fix", "brix3", "--stick", str(stick), "--undo", "--yes")
    assert undone.returncode == 0, undone.stderr
    assert digest(stick) == before


def test_the_offline_fix_asks(stick: Path) -> None:
    before = digest(stick)
    done = homelab("driver-fix", "brix3", "--stick", str(stick))
    assert done.returncode == 2
    assert "nobody is there to agree" in done.stderr
    assert digest(stick) == before


def fixed_offline(stick: Path) -> int:
    return offline_fix.offline_fix(options(yes=True), ("brix3",), str(stick), undo=False)


@pytest.mark.parametrize("build", ["6.0.0-3620759", "7.0.3-0.55.20328353", "8.0.2-22380479", "nonsense"])
def test_the_offline_fix_refuses_every_other_release(tmp_path: Path, build: str) -> None:
    stick = installed(tmp_path / "stick.img", {5: boot_cfg(build), 6: None})
    with pytest.raises(Refused, match="this release cannot be fixed so; nothing was written"):
        fixed_offline(stick)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: installer(path), "no GPT"),
        (lambda path: path.write_bytes(b""), "no GPT"),
        (lambda path: path.write_bytes(Marker("a.img", 10, 4, "then").sector()), "was cut off at 40 %"),
        (lambda path: installed(path, {5: None, 6: boot_cfg(state=3)}), "no boot bank of it can be started"),
        (lambda path: installed(path, {5: boot_cfg(""), 6: None}), "no boot bank of it can be started"),
    ],
)
def test_the_offline_fix_refuses_what_is_no_installed_stick(tmp_path: Path, make, said: str) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "stick.img")
    with pytest.raises(Refused, match=said):
        fixed_offline(tmp_path / "stick.img")


def test_the_offline_fix_is_for_one_host_and_for_a_stick_that_is_there(tmp_path: Path) -> None:
    assert homelab("driver-fix", "a", "b", "--stick", str(tmp_path)).returncode == 2
    done = homelab("driver-fix", "a", "--stick", str(tmp_path / "none"))
    assert (done.returncode, "no such disk" in done.stderr) == (2, True)


def test_the_offline_fix_of_a_device(machine: Machine) -> None:
    installed(machine.node("sdb"), {5: boot_cfg(), 6: None}, size=8 * GB)
    code = offline_fix.offline_fix(options(yes=True), ("brix3",), "sdb", undo=False, disks=machine.disks)
    assert code == 0
    machine.mount("8:17", "/media/me/BOOTBANK1")
    with pytest.raises(Refused, match="is mounted at /media/me/BOOTBANK1; nothing was written"):
        offline_fix.offline_fix(options(yes=True), ("brix3",), "sdb", undo=True, disks=machine.disks)
