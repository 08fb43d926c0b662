"""The door to QEMU: a PC with UEFI firmware, one USB stick and a NIC that leads nowhere, until its guest reboots."""

import os
import platform
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from homelab.errors import DeadlinePassed, HomelabError, UsageError
from homelab.formats.boot.console import lines
from homelab.ports import process
from homelab.ports.signals import ended_like_interrupted

QEMU = "qemu-system-x86_64"
INSTALL = {
    "qemu": "Install QEMU: apt install qemu-system-x86, dnf install qemu-system-x86, pacman -S qemu-system-x86, or "
    "brew install qemu",
    "firmware": "Install the UEFI firmware: apt install ovmf, dnf install edk2-ovmf, pacman -S edk2-ovmf; Homebrew's "
    "qemu brings it",
}
# Code and variables; without Secure Boot, under which ESXi runs no %firstboot.
FIRMWARE = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("/usr/share/edk2-ovmf/x64/OVMF_CODE.fd", "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd"),
    ("/opt/homebrew/share/qemu/edk2-x86_64-code.fd", "/opt/homebrew/share/qemu/edk2-i386-vars.fd"),
    ("/usr/local/share/qemu/edk2-x86_64-code.fd", "/usr/local/share/qemu/edk2-i386-vars.fd"),
    ("/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd"),
)
IGNORE_MSRS = Path("/sys/module/kvm/parameters/ignore_msrs")
PROBE_SECONDS = 20
POLL_SECONDS = 1.0
END_SECONDS = 10
TAIL = 4096


@dataclass(frozen=True)
class Emulator:
    """What is installed here. `acceleration` is kvm, hvf or tcg; `slow` says why it is tcg, else it is empty."""

    program: str
    code: Path
    variables: Path
    acceleration: str
    slow: str = ""


@dataclass(frozen=True)
class Machine:
    """One PC: its stick's image, which is written to, and what it is made of. `log` gets the serial console."""

    stick: Path
    log: Path
    mac: str
    memory_mib: int = 4096
    cpus: int = 2


def find_emulator(root: Path = Path("/")) -> Emulator:
    """QEMU and its firmware, with the fastest way that works; UsageError names what has to be installed."""
    program = shutil.which(QEMU)
    if program is None:
        raise UsageError(f"{QEMU} is not installed", where="PATH", advice=INSTALL["qemu"])
    for code, variables in FIRMWARE:
        pair = root / code.lstrip("/"), root / variables.lstrip("/")
        if all(path.exists() for path in pair):
            acceleration, slow = _acceleration(program)
            return Emulator(program, *pair, acceleration, slow)
    where = ", ".join(dict.fromkeys(str(Path(code).parent) for code, _ in FIRMWARE))
    raise UsageError("QEMU's UEFI firmware was not found", where=where, advice=INSTALL["firmware"])


def _acceleration(program: str) -> tuple[str, str]:
    """KVM or HVF when a machine really starts with it; a device node alone proves nothing."""
    name = "hvf" if sys.platform == "darwin" else "kvm"
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return "tcg", f"this is a machine of another kind ({platform.machine()})"
    if name == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg", "/dev/kvm is not there" if not Path("/dev/kvm").exists() else "you may not use /dev/kvm"
    argv = [program, "-accel", name, "-cpu", "host", "-machine", "q35", "-m", "64", "-nodefaults"]
    argv += ["-display", "none", "-monitor", "stdio"]
    try:
        done = process.run(process.Child("QEMU", argv, PROBE_SECONDS, stdin=b"quit\n"))
    except DeadlinePassed:
        return "tcg", f"{name} gave no answer within {PROBE_SECONDS} s"
    except HomelabError as error:
        return "tcg", f"{name} cannot be tried: {error.what}"
    if done.status:
        said = done.stderr.strip().splitlines()[:1]
        return "tcg", f"{name} does not work here: {' '.join(said) or f'exit {done.status}'}"
    return name, ""


def msrs_matter(emulator: Emulator) -> bool:
    """Tell whether KVM would stop ESXi where it asks for a register that no emulated machine has."""
    try:
        return emulator.acceleration == "kvm" and IGNORE_MSRS.read_text().strip() not in ("Y", "1")
    except OSError:
        return False


def command(emulator: Emulator, machine: Machine, variables: Path) -> list[str]:
    """The command line: the only disk is the stick, the only way out of the network is none."""
    tcg = emulator.acceleration == "tcg"
    return [
        *(emulator.program, "-name", "homelab", "-machine", "q35", "-accel", emulator.acceleration),
        *("-cpu", "max" if tcg else "host", "-smp", str(machine.cpus), "-m", str(machine.memory_mib)),
        *("-nodefaults", "-display", "none", "-vga", "std", "-no-reboot"),
        *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={_quoted(emulator.code)}"),
        *("-drive", f"if=pflash,unit=1,format=raw,file={_quoted(variables)}"),
        *("-device", "qemu-xhci", "-drive", f"if=none,id=stick,format=raw,file={_quoted(machine.stick)}"),
        *("-device", "usb-storage,drive=stick,removable=on,bootindex=0"),
        *("-netdev", "user,id=nowhere,restrict=on", "-device", f"e1000e,netdev=nowhere,mac={machine.mac}"),
        *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
    ]


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace(",", ",,")


def run_until_reboot(
    emulator: Emulator, machine: Machine, seconds: float, watch: Callable[[str], None], what: str
) -> None:
    """Run the machine until its guest reboots or switches off; `watch` gets the console's last line every second.

    `watch` may raise to end it. DeadlinePassed after `seconds`, naming `what` was waited for; HomelabError when QEMU
    itself fails. QEMU has ended when this returns, however it returns.
    """
    with (
        tempfile.TemporaryDirectory(prefix="homelab-") as folder,
        machine.log.open("ab") as log,
        ended_like_interrupted(),
    ):
        # What an earlier run, or anybody else, wrote there stays.
        began = log.tell()
        variables, errors = Path(folder) / "variables.fd", Path(folder) / "errors.txt"
        shutil.copyfile(emulator.variables, variables)
        with errors.open("wb") as stderr:
            argv = command(emulator, machine, variables)
            running = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True
            )
            try:
                last = _watch(running, log, seconds, watch)
                code = running.wait(END_SECONDS) if last is not None else None
            finally:
                _end(running)
        if code is None:
            shown = _last(machine.log, began)
            raise DeadlinePassed(
                f"waited {seconds:.0f} s for {what}; last answer: {shown}",
                where=str(machine.log),
                advice="Read the console's log; with --minutes it may take longer",
            )
        if code:
            said = errors.read_text(errors="replace").strip().splitlines()[-1:]
            what = f"QEMU failed with exit {code}: {' '.join(said) or 'it said nothing'}"
            raise HomelabError(what, where=" ".join(argv[:1]), advice="See that QEMU works here, then run it again")


def _watch(process: "subprocess.Popen[bytes]", log: BinaryIO, seconds: float, watch: Callable[[str], None]) -> Any:
    """The last line when the console ended; None when the time was up."""
    assert process.stdout is not None
    deadline, tail, last, told = time.monotonic() + seconds, b"", "nothing yet", 0.0
    while time.monotonic() < deadline:
        ready, _, _ = select.select([process.stdout], [], [], POLL_SECONDS)
        piece = os.read(process.stdout.fileno(), 1 << 16) if ready else b""
        if ready and not piece:
            watch(last)
            return last
        log.write(piece)
        log.flush()
        tail = (tail + piece)[-TAIL:]
        last = (lines(tail) or [last])[-1]
        if time.monotonic() - told >= POLL_SECONDS:
            told = time.monotonic()
            watch(last)
    return None


def _last(log: Path, began: int) -> str:
    return (lines(log.read_bytes()[began:][-TAIL:]) or ["nothing"])[-1]


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout:
        process.stdout.close()
