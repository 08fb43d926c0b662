"""`usb install` with the real QEMU and a stand-in for the installer, and what it refuses without either."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from homelab.formats.boot.boot_bank import active
from homelab.formats.boot.boot_cfg import values_of
from homelab.formats.boot.serial_console import console_on
from homelab.formats.boot.stick_image import BOOT_CFGS, recognise
from homelab.formats.fat.volume import Read, open_volume
from homelab.ports.media.devices import Medium, opened
from homelab.ports.media.qemu import Machine, find_emulator, run_until_reboot
from homelab.ports.media.stick_writer import write_stick
from homelab.steps.sticks.install import edit, mac_of
from tests.helpers import efi_tools
from tests.helpers.checkout import ROOT
from tests.helpers.shapes import printed_fits
from tests.helpers.stick_tools import SMALL, SMALL_SIZE, boot_cfg, installed, installer

SIZE = 3_680_501_760
TIMEOUT = 240


def homelab(folder: Path, *argv: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "homelab", "usb", "install", "brix3", *argv]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, env=environment()
    )


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def reader(path: Path) -> Read:
    def read(offset: int, size: int) -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    return read


def emulators(folder: Path) -> list[int]:
    """Processes of QEMU that work in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if b"qemu-system" in words and str(folder).encode() in words:
            found.append(int(path.parent.name))
    return found


# --- without QEMU


def test_no_two_hosts_get_the_same_address() -> None:
    assert mac_of("brix3") == mac_of("brix3") != mac_of("brix4")
    assert mac_of("brix3").startswith("52:54:00:")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["out.img"], "there is no such image"),
        (["out.img", "--image", "whole.img"], "installed on this image already"),
        (["out.img", "--image", "ours.img", "--size", "1"], "--size 1.0 is too small"),
        (["ours.img", "--image", "ours.img"], "this file is there already"),
        (["nowhere/out.img", "--image", "ours.img"], "there is no folder nowhere"),
        (["out.img", "--image", "cut.img"], "it is cut"),
        (["taken.img", "--image", "ours.img"], "this file is there already where: taken.img.part"),
    ],
)
def test_what_cannot_be_installed_is_refused(tmp_path: Path, argv: list[str], said: str) -> None:
    installed(tmp_path / "whole.img", {5: boot_cfg(), 6: None}, SMALL_SIZE, SMALL)
    installer(tmp_path / "ours.img")
    (tmp_path / "cut.img").write_bytes((tmp_path / "ours.img").read_bytes()[:1_200_128])
    (tmp_path / "taken.img.part").write_text("a download of a browser's")
    before = sorted(tmp_path.iterdir())
    done = homelab(tmp_path, *argv)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("names", BOOT_CFGS)
def test_the_installer_is_told_to_speak_on_the_serial_console(tmp_path: Path, names: tuple[str, ...]) -> None:
    path = installer(tmp_path / "a.img")
    known = recognise(reader(path), path.stat().st_size)
    speak = partial(console_on, known=known, path=names)
    assert edit(path, speak)
    assert not edit(path, speak)
    volume = open_volume(reader(path), *known.volume)
    entry = volume.find(*names)
    assert entry is not None
    options = values_of(volume.content(entry))["kernelopt"]
    assert options == "runweasel ks=usb:/KS.CFG logPort=com1 gdbPort=none"


# --- with a script that stands in for QEMU

STANDIN = """
import sys
from pathlib import Path
from homelab.ports.media import qemu
here = Path.cwd()
qemu.find_emulator = lambda: qemu.Emulator(str(here / "qemu"), here / "code.fd", here / "vars.fd", "tcg", "no KVM")
from homelab.cli import main
main()
"""
STICK = 'for word; do case "$word" in if=none,id=stick*) stick=${word##*file=};; esac; done\n'
INSTALLS = STICK + 'cp --sparse=always whole.orig "$stick"; echo Installation complete.'
PASSED_ON = boot_cfg(options="a logPort=com1 gdbPort=none")


def standin(folder: Path, text: str, boot: bytes = PASSED_ON) -> list[str]:
    """The command with a QEMU that is this script; whole.orig is an installed stick."""
    installer(folder / "brix3.img")
    installed(folder / "whole.orig", {5: boot, 6: None}, SMALL_SIZE, SMALL)
    (folder / "vars.fd").write_bytes(b"variables")
    (folder / "qemu").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "qemu").chmod(0o755)
    return [sys.executable, "-c", STANDIN, "usb", "install", "brix3", "whole.img"]


def finished(folder: Path, argv: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        argv, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, env=environment()
    )


def test_scripts_get_the_waits_and_the_end_and_no_more(tmp_path: Path) -> None:
    done = finished(tmp_path, [*standin(tmp_path, INSTALLS), "-o", "json"])
    assert done.returncode == 0, done.stderr
    assert printed_fits(["json", "usb", "install"], done.stdout) > 1
    *waits, end = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(wait["event"], wait["for"], wait["step"], wait["target"]) for wait in waits] == [
        ("waiting", "the installer to end with a reboot", "boot-media", "brix3")
    ]
    assert (end["event"], end["step"], end["target"]) == ("changed", "boot-media", "brix3")
    assert end["sentence"] == "whole.img: ESXi 6.7.0-1.28.10302608 installed for brix3, 3.7 GB"
    assert "every instruction is emulated, which takes hours: no KVM" in done.stderr
    assert active(reader(tmp_path / "whole.img")).values["kernelopt"] == "a"
    assert (tmp_path / "whole.img").stat().st_mode & 0o777 == 0o600


def test_people_get_the_sentence_and_what_comes_next(tmp_path: Path) -> None:
    done = finished(tmp_path, standin(tmp_path, INSTALLS))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "whole.img: ESXi 6.7.0-1.28.10302608 installed for brix3, 3.7 GB\n"
    assert "write it to a stick: homelab usb write brix3 DEVICE --image whole.img" in done.stderr


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("text", "boot", "argv", "said"),
    [
        ("echo too early", PASSED_ON, [], "the installer ended without installing; last answer: too early"),
        (INSTALLS, boot_cfg("6.5.0-4564106"), [], "what it installed is 6.5.0-4564106"),
        (INSTALLS, boot_cfg(state=3), [], "no boot bank of it can be started"),
        ("echo cannot find kickstart file; exec sleep 60", PASSED_ON, [], "the installer stopped: cannot find"),
        ("exec sleep 60", PASSED_ON, ["--minutes", "0.02"], "waited 1 s for the installer to end with a reboot"),
        ("echo no such CPU >&2; exit 1", PASSED_ON, [], "QEMU failed with exit 1: no such CPU"),
    ],
)
def test_an_installer_that_fails_leaves_no_image(
    tmp_path: Path, text: str, boot: bytes, argv: list[str], said: str
) -> None:
    done = finished(tmp_path, [*standin(tmp_path, text, boot), *argv])
    assert (done.returncode, done.stdout) == (1, "")
    assert said in " ".join(done.stderr.split())
    assert not list(tmp_path.glob("whole.img")) + list(tmp_path.glob("*.part"))


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_installer_that_is_interrupted_leaves_no_image(tmp_path: Path, number: signal.Signals) -> None:
    command = [*standin(tmp_path, "echo $$ >pid; exec sleep 60"), "-o", "json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "waiting"
        process.send_signal(number)
        assert process.wait(30) == 130
    assert not list(tmp_path.glob("whole.img")) + list(tmp_path.glob("*.part"))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_an_installation_whose_reader_has_gone_ends_and_calls_it_no_mistake(tmp_path: Path) -> None:
    command = [*standin(tmp_path, "while :; do echo working; done"), "-o", "json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), **pipes) as process:  # type: ignore[call-overload]
        process.stdout.close()
        assert process.wait(30) == 1
        assert "mistake of homelab" not in process.stderr.read()
    assert not list(tmp_path.glob("whole.img")) + list(tmp_path.glob("*.part"))


# --- with QEMU

MISSING = [name for name in ("qemu-system-x86_64", "gcc") if shutil.which(name) is None]
real = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    left = emulators(tmp_path)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


@pytest.mark.thorough
@real
@pytest.mark.timeout(TIMEOUT)
def test_a_stick_is_installed_to_its_end_and_boots_by_itself(folder: Path) -> None:
    efi_tools.standin(folder / "brix3.img", SIZE)
    done = homelab(folder, "whole.img", "-o", "json", "--minutes", "3")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["event"] for event in events[:-1]} == {"waiting"}
    assert "ESXi 6.7.0-1.28.10302608 installed for brix3" in events[-1]["sentence"]
    assert efi_tools.INSTALLER in (folder / "whole.img.log").read_text(errors="replace")
    whole = folder / "whole.img"
    assert whole.stat().st_mode & 0o777 == 0o600
    assert not (folder / "whole.img.part").exists()
    bank = active(reader(whole))
    assert bank.values["kernelopt"] == "a"
    machine = Machine(whole, folder / "second.log", mac_of("brix3"), memory_mib=512)
    run_until_reboot(find_emulator(), machine, 120, lambda line: None, "the installed stick to start")
    assert efi_tools.INSTALLED in (folder / "second.log").read_text(errors="replace")
    assert efi_tools.INSTALLER not in (folder / "second.log").read_text(errors="replace")


@pytest.mark.thorough
@real
@pytest.mark.timeout(TIMEOUT)
@pytest.mark.parametrize(
    ("make", "minutes", "said"),
    [
        ({"idle": True}, "3", "the installer ended without installing; last answer: Installation complete."),
        ({"banks": {5: boot_cfg("6.5.0-4564106"), 6: None}}, "3", "what it installed is 6.5.0-4564106"),
        ({"banks": {5: boot_cfg(state=3), 6: None}}, "3", "no boot bank of it can be started"),
        ({"says": "cannot find kickstart file on usb with path -- /KS.CFG"}, "3", "the installer stopped: cannot find"),
        ({}, "0.02", "waited 1 s for the installer to end with a reboot; last answer:"),
    ],
)
def test_an_installation_that_fails_leaves_no_image(
    folder: Path, make: dict[str, object], minutes: str, said: str
) -> None:
    efi_tools.standin(folder / "brix3.img", SIZE, **make)  # type: ignore[arg-type]
    done = homelab(folder, "whole.img", "--minutes", minutes)
    assert done.returncode == 1
    assert said in " ".join(done.stderr.split())
    assert not list(folder.glob("whole.img")) + list(folder.glob("*.part"))


@pytest.mark.thorough
@real
@pytest.mark.timeout(TIMEOUT)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_installation_leaves_no_image_and_no_emulator(folder: Path, number: signal.Signals) -> None:
    efi_tools.standin(folder / "brix3.img", SIZE)
    command = [sys.executable, "-m", "homelab", "usb", "install", "brix3", "whole.img", "-o", "json"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "waiting"
        assert emulators(folder)
        assert (folder / "whole.img.part").exists()
        process.send_signal(number)
        assert process.wait(30) == 130
    assert not list(folder.glob("whole.img")) + list(folder.glob("*.part"))


class Pulled(Exception):
    """The stick was pulled out."""


class NotStarted(Exception):
    """The firmware went on to its own shell."""


def write_but(stick: Path, image: Path, left: int) -> None:
    """Write an image, but for the last `left` writes."""

    class Stick(Medium):
        writes = 0
        most = 10**9

        def write(self, offset: int, content: bytes) -> None:
            self.writes += 1
            if self.writes > self.most:
                raise Pulled
            super().write(offset, content)

    with opened("stick", stick, write=True) as medium, image.open("rb") as file:
        target = Stick(medium.name, medium.path, medium.descriptor, medium.size)
        write_stick(file, image.name, target, lambda done, total: None)
        target.most, target.writes = target.writes - left, 0
        if left:
            with pytest.raises(Pulled):
                write_stick(file, image.name, target, lambda done, total: None)


@pytest.mark.thorough
@real
@pytest.mark.timeout(TIMEOUT)
@pytest.mark.parametrize("left", [0, 1, 4])
@pytest.mark.parametrize("kind", ["installer", "installed"])
def test_firmware_starts_a_whole_stick_and_no_half_one(folder: Path, kind: str, left: int) -> None:
    """Of a stick that held the same image before, so that what is missing may lie there still."""
    if kind == "installer":
        image, says = efi_tools.standin(folder / "image.img", SIZE), efi_tools.INSTALLER
    else:
        image, says = efi_tools.starting(folder / "image.img", efi_tools.BANKS, SMALL_SIZE, SMALL), efi_tools.INSTALLED
    stick = folder / "stick.img"
    with stick.open("wb") as file:
        file.truncate(256 << 20)
    write_but(stick, image, left)

    def watch(line: str) -> None:
        if "Shell>" in line:
            raise NotStarted

    machine = Machine(stick, folder / "console.log", mac_of("brix3"), memory_mib=512)
    emulator = find_emulator()
    if left:
        with pytest.raises(NotStarted):
            run_until_reboot(emulator, machine, 120, watch, "the firmware's shell")
    else:
        run_until_reboot(emulator, machine, 120, watch, "the stick to start")
    assert (says in machine.log.read_text(errors="replace")) == (not left)
