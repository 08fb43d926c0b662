"""QEMU behind its door: what it is told, how its end is found, and that it never outlives us.

A script stands in for QEMU here; tests/commands/test_usb_install.py runs the real one.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from homelab.errors import DeadlinePassed, HomelabError, UsageError
from homelab.formats.boot.console import lines, stopped
from homelab.ports.media import qemu
from homelab.ports.media.qemu import Emulator, Machine, command, find_emulator, run_until_reboot
from tests.helpers.checkout import ROOT


def script(folder: Path, text: str) -> str:
    path = folder / qemu.QEMU
    path.write_text(f"#!/bin/sh\necho $$ >{folder}/pid\n{text}\n")
    path.chmod(0o755)
    return str(path)


def emulator(folder: Path, text: str) -> Emulator:
    (folder / "vars.fd").write_bytes(b"variables")
    return Emulator(script(folder, text), folder / "code.fd", folder / "vars.fd", "tcg", "no KVM")


def machine(folder: Path) -> Machine:
    return Machine(folder / "a,b.part", folder / "console.log", "52:54:00:01:02:03")


def gone(folder: Path) -> bool:
    """Tell whether the stand-in has ended, within five seconds."""
    pid = int((folder / "pid").read_text())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_the_machine_has_one_stick_and_no_way_out(tmp_path: Path) -> None:
    argv = command(emulator(tmp_path, ""), machine(tmp_path), tmp_path / "v.fd")
    said = " ".join(argv)
    assert argv.count("-netdev") == 1
    assert "user,id=nowhere,restrict=on" in argv
    assert "e1000e,netdev=nowhere,mac=52:54:00:01:02:03" in argv
    assert f"if=none,id=stick,format=raw,file={tmp_path}/a,,b.part" in argv
    assert said.count("usb-storage") == 1
    assert "-nodefaults" in argv
    assert "-no-reboot" in argv


def test_the_end_of_the_machine_is_the_end_of_the_run(tmp_path: Path) -> None:
    heard: list[str] = []
    run_until_reboot(emulator(tmp_path, "printf 'one\\ntwo\\n'"), machine(tmp_path), 20, heard.append, "its end")
    assert heard[-1] == "two"
    assert (tmp_path / "console.log").read_text() == "one\ntwo\n"


def test_what_was_in_the_log_stays_and_is_nobody_s_last_answer(tmp_path: Path) -> None:
    (tmp_path / "console.log").write_text("my diary\n")
    with pytest.raises(DeadlinePassed, match="last answer: nothing"):
        run_until_reboot(emulator(tmp_path, "exec sleep 60"), machine(tmp_path), 0.1, lambda line: None, "the moon")
    assert (tmp_path / "console.log").read_text() == "my diary\n"


def test_a_machine_that_goes_on_is_ended_at_the_deadline(tmp_path: Path) -> None:
    with pytest.raises(DeadlinePassed, match="waited 1 s for the moon; last answer: here I am"):
        run_until_reboot(emulator(tmp_path, "echo here I am; exec sleep 60"), machine(tmp_path), 1, print, "the moon")
    assert gone(tmp_path)


def test_a_machine_that_will_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "END_SECONDS", 0.2)
    text = "trap '' TERM; echo stubborn; while :; do sleep 0.1; done"
    with pytest.raises(DeadlinePassed):
        run_until_reboot(emulator(tmp_path, text), machine(tmp_path), 1, lambda line: None, "nothing")
    assert gone(tmp_path)


def test_what_watches_may_end_it(tmp_path: Path) -> None:
    def watch(line: str) -> None:
        if line == "enough":
            raise HomelabError("that is enough", where="here", advice="none")

    with pytest.raises(HomelabError, match="that is enough"):
        run_until_reboot(emulator(tmp_path, "echo enough; exec sleep 60"), machine(tmp_path), 30, watch, "nothing")
    assert gone(tmp_path)


def test_what_qemu_says_when_it_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(HomelabError, match="exit 3: no such machine"):
        run_until_reboot(
            emulator(tmp_path, "echo no such machine >&2; exit 3"), machine(tmp_path), 20, lambda line: None, "x"
        )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_us(tmp_path: Path, number: signal.Signals) -> None:
    """A run of its own process is interrupted as soon as its machine speaks."""
    emulator(tmp_path, "echo running; exec sleep 60")
    code = (
        "import sys; from pathlib import Path; from homelab.ports.media.qemu import *\n"
        f"f = Path({str(tmp_path)!r}); e = Emulator(str(f / QEMU), f / 'code.fd', f / 'vars.fd', 'tcg')\n"
        "run_until_reboot(e, Machine(f / 'a', f / 'log', 'mac'), 60, lambda line: print(line, flush=True), 'x')"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "running":
            pass
        process.send_signal(number)
        assert process.wait(20) != 0
    assert gone(tmp_path)


# --- what is installed


def firmware(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")


@pytest.mark.parametrize("code, variables", qemu.FIRMWARE)
def test_the_firmware_of_every_known_system_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, variables: str
) -> None:
    script(tmp_path, "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    firmware(tmp_path / "root", code[1:], variables[1:])
    found = find_emulator(tmp_path / "root")
    assert (found.code, found.variables) == (tmp_path / "root" / code[1:], tmp_path / "root" / variables[1:])


def test_a_missing_firmware_names_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path, "")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(UsageError, match="apt install ovmf"):
        find_emulator(tmp_path)


def test_a_missing_qemu_names_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="apt install qemu-system-x86"):
        find_emulator()


@pytest.mark.parametrize(("text", "acceleration"), [("exit 0", "kvm"), ("echo no MSR >&2; exit 134", "tcg")])
def test_kvm_counts_when_a_machine_starts_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, acceleration: str
) -> None:
    monkeypatch.setattr(qemu.os, "access", lambda *_: True)
    monkeypatch.setattr(qemu.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(qemu.sys, "platform", "linux")
    found, slow = qemu._acceleration(script(tmp_path, text))
    assert found == acceleration
    assert ("no MSR" in slow) == (acceleration == "tcg")


# --- the console


def test_the_lines_of_a_console() -> None:
    raw = b"\x1b[2J\x1b[01;01H\x1b[=3h\x1b[0m\x1b[35mLoading /k.b00\x1b[07;01HPress ESC\r\nrelease 6.7\r\n\x1b[0m  \r\n"
    assert lines(raw) == ["Loading /k.b00", "Press ESC", "release 6.7"]
    assert lines(b"\xff\x00") == ["�"]


def test_the_sentences_with_which_the_installer_stops() -> None:
    assert stopped("install --firstdisk specified, but no suitable disk was found.")
    assert stopped('bootproto --device= specified, but "vmnic0" was not found on the system.')
    assert not stopped("Installation complete.")
