"""The commands `usb build`, `usb verify` and `usb lint`, as processes and on real files."""

import fcntl
import filecmp
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from homelab.commands.options import Options
from homelab.errors import HomelabError, UsageError
from homelab.lab import EsxiHost, Lab
from homelab.output.ui import Ui
from tests.helpers import fat32_tools as tools
from tests.helpers.esxi_iso import esxi_files, write_iso
from tests.helpers.shapes import printed_fits
from tests.helpers.stick_bench import Bench

# Not getrusage: its peak counts the process that forked this one as well.
MEASURED = """
import sys
from pathlib import Path
from homelab.cli import cli
try:
    cli(prog_name="homelab")
finally:
    print(Path("/proc/self/status").read_text(), file=sys.stderr)
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    yield Bench(tmp_path)
    # Images are large, and pytest keeps the folders of three runs.
    shutil.rmtree(tmp_path)


def test_the_image_of_a_host_holds_the_iso_and_what_the_inventory_says(bench: Bench) -> None:
    done = bench.run("usb", "build", "brix3", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert printed_fits(["json", "usb", "build"], done.stdout) == 1
    image = bench.folder / "brix3.img"
    assert json.loads(done.stdout) == {
        "host": "brix3",
        "image": "brix3.img",
        "bytes": image.stat().st_size,
        "version": "ESXi 6.7.0 build 8169922",
        "driver_fix": True,
    }
    assert stat.S_IMODE(image.stat().st_mode) == 0o600
    assert bench.left() == {"brix3.img"}
    wanted = {tuple(name.strip("/").split("/")): content for name, content in esxi_files().items()}
    found = tools.files_of(image)
    changed = {("BOOT.CFG",), ("EFI", "BOOT", "BOOT.CFG"), ("KS.CFG",)}
    assert {path: found[path] for path in wanted if path not in changed} == {
        path: content for path, content in wanted.items() if path not in changed
    }
    assert found.keys() == wanted.keys() | changed
    assert b"--ip=192.168.2.13 " in found["KS.CFG",]
    assert b"geheim" not in found["KS.CFG",]
    assert b"ks=usb:/KS.CFG preferVmklinux=TRUE\n" in found["EFI", "BOOT", "BOOT.CFG"]
    first = image.rename(bench.folder / "first.img")
    assert bench.run("usb", "build", "brix3").returncode == 0
    assert filecmp.cmp(image, first, shallow=False)


@pytest.mark.thorough
@pytest.mark.skipif(not tools.MCOPY, reason="needs mcopy (Debian: mtools)")
def test_mtools_reads_the_same_bytes_as_the_iso_has(bench: Bench) -> None:
    assert bench.run("usb", "build", "brix3").returncode == 0
    for name in ("/EFI/BOOT/BOOTX64.EFI", "/NET_E100.V01", "/UPGRADE/METADATA.ZIP", "/B.B00", "/EMPTY.TXT"):
        assert tools.mtools(bench.folder / "brix3.img", name) == esxi_files()[name]


def test_what_was_built_verifies_and_what_was_changed_is_told(bench: Bench) -> None:
    assert bench.run("usb", "build", "brix3").returncode == 0
    good = bench.run("usb", "verify", "brix3", "brix3.img", "-o", "json")
    assert (good.returncode, json.loads(good.stdout)) == (0, {"ok": True, "differences": [], "litter": []})
    assert printed_fits(["json", "usb", "verify"], good.stdout) == 1
    image = bench.folder / "brix3.img"
    offset, _ = tools.read(image).files["NET_E100.V01",].runs[0]
    with image.open("r+b") as file:
        file.seek(offset + 7)
        old = file.read(1)
        file.seek(offset + 7)
        file.write(bytes([old[0] ^ 1]))
    bad = bench.run("usb", "verify", "brix3", "brix3.img")
    assert bad.returncode == 1
    assert bad.stdout.splitlines() == [
        "/NET_E100.V01 differs from the ISO, from byte 7 on",
        "NOT ok: brix3.img is the stick of brix3, ESXi 6.7.0 build 8169922",
    ]


@pytest.mark.thorough
def test_a_kickstart_that_the_inventory_no_longer_asks_for_is_told(bench: Bench) -> None:
    assert bench.run("usb", "build", "brix3").returncode == 0
    bench.describe("brix3", "esxi_iso: ../esxi.iso\nesxi_board: GB-BRi7-8550\nesxi_vlan: 7\n")
    done = bench.run("usb", "verify", "brix3", "brix3.img")
    assert done.returncode == 1
    assert re.search(
        r"^/KS\.CFG differs from what the inventory asks for, from byte \d+ on$", done.stdout, re.MULTILINE
    )


# --- refusals: what is done to the bench, the arguments, the exit code, what is said


def cut(bench: Bench) -> None:
    with bench.iso.open("r+b") as file:
        file.truncate(bench.iso.stat().st_size // 2)


def no_esxi(bench: Bench) -> None:
    bench.iso.unlink()
    write_iso(bench.iso, {"/README.TXT": b"Debian"})


def taken(bench: Bench) -> None:
    (bench.folder / "brix3.img").write_text("my diary")


def part_taken(bench: Bench) -> None:
    (bench.folder / ".brix3.img.part").write_text("my diary")


REFUSALS: list[tuple[Callable[[Bench], object], list[str], int, str]] = [
    (cut, ["brix3"], 1, "cut off"),
    (no_esxi, ["brix3"], 1, "no ESXi installer"),
    (lambda bench: None, ["brix1"], 1, "does not support the CPU"),
    (lambda bench: None, ["brix9"], 2, "no ESXi host of the inventory is called brix9"),
    (lambda bench: bench.describe("brix3", "{}"), ["brix3"], 2, "brix3 has no esxi_iso"),
    (lambda bench: bench.describe("brix3", "esxi_board: NUC\n"), ["brix3"], 2, "esxi_board"),
    (lambda bench: bench.iso.unlink(), ["brix3"], 1, "there is no ISO"),
    (taken, ["brix3"], 2, "no image made by homelab"),
    (part_taken, ["brix3"], 2, "was not made by homelab"),
    (lambda bench: None, ["brix3", "-O", "esxi.iso"], 2, "no image made by homelab"),
    (lambda bench: None, ["brix3", "-O", "/dev/null"], 2, "this is a device"),
    (lambda bench: None, ["brix3", "-O", "inventory"], 2, "this is no file"),
    (lambda bench: None, ["brix3", "-O", "none/brix3.img"], 2, "there is no folder"),
    (lambda bench: None, ["brix3", "--kickstart", "none.cfg"], 2, "No such file"),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("harm", "argv", "code", "said"), REFUSALS, ids=[row[3] for row in REFUSALS])
def test_what_cannot_be_built_is_said_and_nothing_is_left(
    bench: Bench, harm: Callable[[Bench], object], argv: list[str], code: int, said: str
) -> None:
    harm(bench)
    before = bench.left()
    done = bench.run("usb", "build", *argv)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "geheim" not in done.stderr
    assert bench.left() == before


@pytest.mark.thorough
def test_a_clear_password_in_a_kickstart_of_ones_own_is_refused_with_its_line(bench: Bench) -> None:
    (bench.folder / "my.cfg").write_text("vmaccepteula\nrootpw geheim\ninstall --disk=mpx.vmhba32:C0:T0:L0\n")
    done = bench.run("usb", "build", "brix3", "--kickstart", "my.cfg")
    assert done.returncode == 2
    assert "my.cfg:2: rootpw holds the password in clear" in done.stderr
    assert "geheim" not in done.stderr
    assert bench.left() == {"my.cfg"}


def test_the_linter_needs_no_inventory(tmp_path: Path) -> None:
    (tmp_path / "ks.cfg").write_text("vmaccepteula\nrootpw geheim\ninstall\n")
    argv = [sys.executable, "-m", "homelab", "usb", "lint", "ks.cfg"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ks.cfg:3: error: install requires --disk or --firstdisk" in done.stdout.splitlines()
    done = subprocess.run([*argv, "-o", "json"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert [one["line"] for one in json.loads(done.stdout)["findings"]] == [0, 0, 2, 3]
    assert printed_fits(["json", *argv], done.stdout) == 1


# --- without a process: what the world does to a stick, and a large image


@pytest.fixture
def built(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """`usb verify`, or `usb build` again, in this process, with the lab already read."""
    from homelab.commands import usb_build, usb_verify, wanted_lab
    from homelab.inventory import Reading
    from tests.helpers.sample import sample_lab

    host = {"name": "brix3", "address": "192.168.2.13", "password": "geheim", "iso": "../esxi.iso"}
    lab: Lab = sample_lab(esxi=[EsxiHost.model_validate(host | {"board": "GB-BRi7-8550"})])
    monkeypatch.setattr(wanted_lab, "read_lab", lambda sources, vault: Reading(lab))
    monkeypatch.chdir(bench.folder)
    options = Options((Path("inventory"),), None, False, Ui(quiet=True))
    assert usb_build.build(options, "brix3", None, None) == 0

    def run(*, again: bool = False) -> int:
        if again:
            return usb_build.build(options, "brix3", None, None)
        return usb_verify.verify(options, "brix3", Path("brix3.img"), None)

    yield run


def test_a_cut_image_is_told(built: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    os.truncate("brix3.img", 3 << 20)
    assert built() == 1
    assert "it is cut off" in capsys.readouterr().out


def test_another_file_is_no_stick(built: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    Path("brix3.img").write_bytes(b"x" * 4096)
    assert built() == 1
    assert "no partition table" in capsys.readouterr().out


def test_a_missing_image_is_told(built: Callable[..., int]) -> None:
    Path("brix3.img").unlink()
    with pytest.raises(UsageError, match=r"brix3\.img is not there"):
        built()


@pytest.mark.skipif(not tools.MCOPY, reason="needs mcopy (Debian: mtools)")
def test_a_stick_that_a_laptop_has_mounted_is_still_good_and_other_files_are_told(
    built: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    drive = f"brix3.img@@{tools.START}"
    subprocess.run(["mmd", "-i", drive, "::.fseventsd"], check=True)
    Path("uuid").write_text("1")
    subprocess.run(["mcopy", "-i", drive, "uuid", "::.fseventsd/fseventsd-uuid"], check=True)
    assert built() == 0
    capsys.readouterr()
    subprocess.run(["mcopy", "-i", drive, "uuid", "::NOTES.TXT"], check=True)
    subprocess.run(["mdel", "-i", drive, "::B.B00"], check=True)
    assert built() == 1
    said = capsys.readouterr().out
    assert "/B.B00 is missing" in said
    assert "/NOTES.TXT is too much" in said


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does")
def test_an_image_of_400_mb_takes_less_than_60_mb_of_memory(bench: Bench) -> None:
    write_iso(bench.iso, esxi_files(), zeros={f"/LARGE{n}.V00": 40 << 20 for n in range(10)})
    for argv in (["usb", "build", "brix3"], ["usb", "verify", "brix3", "brix3.img"]):
        done = bench.run(*argv, code=MEASURED)
        assert done.returncode == 0, done.stderr
        peak = re.search(r"VmHWM:\s+(\d+) kB", done.stderr)
        assert peak
        assert int(peak[1]) < 60 * 1024
    assert (bench.folder / "brix3.img").stat().st_size > 400e6


def begun(bench: Bench) -> "subprocess.Popen[str]":
    """A build of a large image that has begun to write."""
    write_iso(bench.iso, esxi_files(), zeros={f"/LARGE{n:02}.V00": 50 << 20 for n in range(12)})
    process = bench.start("usb", "build", "brix3")
    deadline = time.monotonic() + 30
    while ".brix3.img.part" not in bench.left() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


@pytest.mark.thorough
def test_a_build_that_is_interrupted_leaves_nothing(bench: Bench) -> None:
    process = begun(bench)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert bench.left() == set()


@pytest.mark.thorough
def test_a_build_that_is_killed_leaves_no_image_and_the_next_one_tidies_up(bench: Bench) -> None:
    process = begun(bench)
    process.kill()
    process.communicate(timeout=30)
    assert bench.left() == {".brix3.img.part"}
    write_iso(bench.iso, esxi_files())
    assert bench.run("usb", "build", "brix3").returncode == 0
    assert bench.left() == {"brix3.img"}
    assert bench.run("usb", "verify", "brix3", "brix3.img").returncode == 0


def test_two_builds_of_one_file_do_not_mix(built: Callable[..., int]) -> None:
    with Path(".brix3.img.part").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(HomelabError, match="another homelab process writes this file"):
            built(again=True)
        assert Path(".brix3.img.part").exists()
    assert built() == 0
