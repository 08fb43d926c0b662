"""Lays out what Linux shows of disks, as /sys, /proc and /dev do on a laptop with a stick."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homelab.ports.media.devices import LinuxDisks
from tests.helpers.checkout import ROOT

USB = "pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block"
SATA = "pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block"

# The command with another machine behind its door to disks; all else is as it is.
COMMAND = """
import sys
from pathlib import Path
from homelab.ports.media import devices
root = Path(sys.argv.pop(1))
devices.here = lambda: devices.LinuxDisks(root / "sys", root / "proc", root / "dev")
from homelab.cli import main
main()
"""
Ended = subprocess.CompletedProcess[str]


@contextmanager
def ended(process: "subprocess.Popen[str]", seconds: float = 40) -> Iterator["subprocess.Popen[str]"]:
    """A process that outlives neither the block nor `seconds`: what is read from it then comes to an end."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        with process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise
    finally:
        timer.cancel()


@dataclass
class Machine:
    """A machine whose disks are files; `disks` reads it."""

    root: Path
    mounts: list[str] = field(default_factory=list)
    swaps: list[str] = field(default_factory=list)

    @property
    def disks(self) -> LinuxDisks:
        (self.root / "proc" / "self").mkdir(parents=True, exist_ok=True)
        (self.root / "proc" / "self" / "mountinfo").write_text("".join(f"{line}\n" for line in self.mounts))
        rows = "".join(f"{self.node(name)} partition 1000 0 -2\n" for name in self.swaps)
        (self.root / "proc" / "swaps").write_text("Filename Type Size Used Priority\n" + rows)
        return LinuxDisks(self.root / "sys", self.root / "proc", self.root / "dev")

    def start(
        self, *argv: str, code: str = COMMAND, around: tuple[str, ...] = (), **pipes: Any
    ) -> "subprocess.Popen[str]":
        """The command as a process on this machine, in its folder; `pipes` are Popen's, variables stand in `env`."""
        assert self.disks
        command = [*around, sys.executable, "-c", code, str(self.root), *argv]
        env = {**os.environ, "PYTHONPATH": str(ROOT), **pipes.pop("env", {})}
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.root, env=env, **{**given, **pipes})  # type: ignore[call-overload]

    def homelab(self, *argv: str, around: tuple[str, ...] = (), **variables: str) -> Ended:
        """The command run to its end, without a terminal; `around` is a program that runs it."""
        process = self.start(*argv, around=around, env=variables)
        out, err = process.communicate(timeout=50)
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def asked(self, *argv: str, until: str, answer: str, meanwhile: Callable[[], None] = lambda: None) -> Ended:
        """The command on a terminal: when it has said `until`, something happens to this machine, then it is answered.

        Only standard input is a terminal, so that what is said can be read apart.
        """
        ours, theirs = os.openpty()
        try:
            with ended(self.start(*argv, stdin=theirs)) as process:
                assert process.stderr is not None
                said = ""
                while until not in said:
                    line = process.stderr.readline()
                    assert line, said
                    said += line
                meanwhile()
                os.write(ours, f"{answer}\n".encode())
                out, err = process.communicate(timeout=50)
                return subprocess.CompletedProcess(argv, process.returncode, out, said + err)
        finally:
            os.close(ours)
            os.close(theirs)

    def node(self, name: str) -> Path:
        return self.root / "dev" / name

    def disk(
        self,
        name: str,
        size: int,
        *,
        bus: str = USB,
        parts: int = 0,
        major: int = 8,
        serial: str = "4C530001",
        **texts: str,
    ) -> Path:
        """A disk of `size` bytes with `parts` partitions of 1 MiB, all blank; its folder in sysfs."""
        # Each stick in a port of its own.
        folder = self.root / "sys" / "devices" / bus.replace("2-1", f"2-{name}") / name
        minor = 16 * (ord(name[-1]) - ord("a"))
        words = {"size": str(size // 512), "ro": "0", "removable": "1", "dev": f"{major}:{minor}"} | texts
        words |= {"device/vendor": "SanDisk ", "device/model": "Ultra Fit       "}
        for path, text in words.items():
            _put(folder / path, text)
        (folder / "holders").mkdir()
        if bus == USB:
            port = next(above for above in folder.parents if above.name == f"2-{name}")
            _put(port / "idVendor", "0781")
            _put(port / "serial", serial)
        link = self.root / "sys" / "block" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(folder)
        _sparse(self.node(name), size)
        for number in range(1, parts + 1):
            self.partition(name, number)
        return folder

    def partition(self, name: str, number: int) -> None:
        """A partition of 1 MiB on a disk that is there, blank."""
        folder = (self.root / "sys" / "block" / name).resolve()
        major, _, minor = (folder / "dev").read_text().strip().partition(":")
        part = folder / f"{name}{number}"
        (part / "holders").mkdir(parents=True)
        texts = {"partition": str(number), "dev": f"{major}:{int(minor) + number}", "size": "2048"}
        for path, text in texts.items():
            _put(part / path, text)
        _sparse(self.node(part.name), 1 << 20)

    def mount(self, numbers: str, point: str, source: str = "/dev/somewhere") -> None:
        self.mounts.append(f"30 1 {numbers} / {point} rw,relatime shared:1 - ext4 {source} rw")


def _sparse(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")
