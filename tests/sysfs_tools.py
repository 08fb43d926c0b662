"""Lays out what Linux shows of disks, as /sys, /proc and /dev do on a laptop with a stick."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homelab.ports.devices import LinuxDisks

USB = "pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block"
SATA = "pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block"

ROOT = Path(__file__).parent.parent
# The command with another machine behind its door to disks; all else is as it is.
COMMAND = """
import sys
from pathlib import Path
from homelab.ports import devices
root = Path(sys.argv.pop(1))
devices.here = lambda: devices.LinuxDisks(root / "sys", root / "proc", root / "dev")
from homelab.cli import main
main()
"""


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

    def start(self, *argv: str, code: str = COMMAND, **pipes: Any) -> "subprocess.Popen[str]":
        """The command as a process on this machine, in its folder; `pipes` are Popen's, variables stand in `env`."""
        assert self.disks
        command = [sys.executable, "-c", code, str(self.root), *argv]
        env = {**os.environ, "PYTHONPATH": str(ROOT), **pipes.pop("env", {})}
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.root, env=env, **{**given, **pipes})  # type: ignore[call-overload]

    def homelab(self, *argv: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """The command run to its end, without a terminal."""
        process = self.start(*argv, env=variables)
        out, err = process.communicate(timeout=50)
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def node(self, name: str) -> Path:
        return self.root / "dev" / name

    def disk(self, name: str, size: int, *, bus: str = USB, parts: int = 0, major: int = 8, **texts: str) -> Path:
        """A disk of `size` bytes with `parts` partitions; its folder in sysfs."""
        folder = self.root / "sys" / "devices" / bus / name
        minor = 16 * (ord(name[-1]) - ord("a"))
        words = {"size": str(size // 512), "ro": "0", "removable": "1", "dev": f"{major}:{minor}"} | texts
        words |= {"device/vendor": "SanDisk ", "device/model": "Ultra Fit       "}
        for path, text in words.items():
            _put(folder / path, text)
        (folder / "holders").mkdir()
        for number in range(1, parts + 1):
            part = folder / f"{name}{number}"
            (part / "holders").mkdir(parents=True)
            for path, text in {"partition": str(number), "dev": f"{major}:{minor + number}", "size": "2048"}.items():
                _put(part / path, text)
        if bus == USB:
            port = self.root / "sys" / "devices" / USB.partition("/2-1:1.0")[0]
            _put(port / "idVendor", "0781")
            _put(port / "serial", "4C530001")
        link = self.root / "sys" / "block" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(folder)
        node = self.node(name)
        node.parent.mkdir(parents=True, exist_ok=True)
        with node.open("wb") as file:
            file.truncate(size)
        return folder

    def mount(self, numbers: str, point: str, source: str = "/dev/somewhere") -> None:
        self.mounts.append(f"30 1 {numbers} / {point} rw,relatime shared:1 - ext4 {source} rw")


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")
