"""Real guests: each VM that is powered on becomes a Debian container with its own systemd, network and disk.

A guest's disk is an overlay on a cached root. What it writes lies on a file system of its own in memory; a link beside
the disk leads there. All else that is written lies below the work folder, all processes are in the caller's process
namespace: when that ends, so do the guests.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from homelab.errors import HomelabError
from homelab.rehearsal.guests import guest_unit, real_kubernetes, vmware_tools
from homelab.rehearsal.guests.cgroups import ControlGroups
from homelab.rehearsal.guests.network import Network
from homelab.rehearsal.guests.seeds import read_seed
from homelab.rehearsal.state.machines import GuestSpec

SEED_FOLDER = "var/lib/cloud/seed/nocloud"
# systemd-nspawn's exit code for "start me again" when it was told to keep its unit: the guest was rebooted from within.
REBOOT = 133
# What a file system in memory can hold when nobody says otherwise.
ROOMY = "50%"
# A guest that writes just then makes the first ones fail.
FILL_TRIES = 10
# Moves itself into the groups named before "--" and becomes the program after it.
ENTER = 'while [ "$1" != -- ]; do echo $$ >"$1"; shift; done; shift; exec "$@"'


@dataclass
class _Guest:
    """A machine that is on: what runs it, and whether the plug was pulled."""

    spec: GuestSpec
    folder: Path
    unplugged: threading.Event = field(default_factory=threading.Event)
    process: subprocess.Popen[bytes] | None = None
    plugged: bool = True
    space: Path | None = None
    guestinfo: Mapping[str, str] = field(default_factory=dict)

    @property
    def told(self) -> Path:
        """Where the guest finds what its VM tells it."""
        return self.folder / "guestinfo"

    @property
    def root(self) -> Path:
        return self.folder / "root"


class Guests:
    """Powers containers on and off; the `machines.Machines` of a rehearsal with real guests.

    `work` is a folder on a tmpfs, `roots` the folder of cached roots; `pause` is the pause image of a real Kubernetes.
    Memory and CPUs are not limited: a guest's disk lies in memory and would count as its memory, and a quota of CPUs
    would only slow the rehearsal down.
    """

    def __init__(self, work: Path, network: Network, roots: Path, pause: str = "") -> None:
        self._work = work
        self._pause = pause
        self._network = network
        self._roots = roots
        self._groups = ControlGroups()
        self._lock = threading.Lock()
        self._running: dict[str, _Guest] = {}
        self._threads: dict[str, threading.Thread] = {}
        # Machines that are switched on and never come up.
        self.stillborn: set[str] = set()
        # The file systems that were made full, by the guest's name.
        self._filled: dict[str, Path] = {}

    def init_of(self, name: str) -> int | None:
        """The process that is a running guest's init, as this namespace numbers it."""
        guest = self._running.get(name)
        children = _children(guest.process) if guest else []
        return children[0] if children else None

    def power_on(self, spec: GuestSpec) -> None:
        """Switch a machine on; returns at once. One that is on stays as it is."""
        with self._lock:
            if spec.name in self._running:
                return
            guest = _Guest(spec, self._work / "guests" / spec.name, plugged=spec.plugged)
            self._running[spec.name] = guest
            thread = threading.Thread(target=self._live, args=(guest,), name=f"guest {spec.name}", daemon=True)
            self._threads[spec.name] = thread
            thread.start()

    def power_off(self, name: str) -> None:
        """Pull the plug, and wait until the machine is gone; the disk stays."""
        with self._lock:
            guest, thread = self._running.get(name), self._threads.get(name)
            if guest is None or thread is None:
                return
            guest.unplugged.set()
            # What is frozen cannot end.
            self._groups.freeze(name, frozen=False)
        while thread.is_alive():
            _kill(guest.process)
            thread.join(0.05)

    def shut_down(self, name: str) -> None:
        """Press the power button: the machine leaves in its own way; returns at once."""
        with self._lock:
            guest = self._running.get(name)
            if guest is not None and guest.process is not None:
                # systemd-nspawn passes this on to the guest's init as the signal named by --kill-signal.
                guest.process.terminate()

    def reboot(self, name: str) -> None:
        """Have a machine's systemd start anew; the container ends and is begun again."""
        init = self.init_of(name)
        if init is not None:
            os.kill(init, signal.SIGRTMIN + 5)

    def freeze(self, name: str, *, frozen: bool) -> bool:
        """Stop a running machine, cable and all, or let it go on; False where this machine's kernel cannot."""
        done = self._groups.freeze(name, frozen=frozen)
        if done:
            guest = self._running.get(name)
            self._network.set_plug(name, connected=not frozen and guest is not None and guest.plugged)
        return done

    def plug(self, name: str, *, connected: bool) -> None:
        """Pull or put back a running machine's cable."""
        with self._lock:
            guest = self._running.get(name)
            if guest is not None:
                guest.plugged = connected
            if guest is not None and guest.process is not None:
                self._network.set_plug(name, connected=connected)

    def tell(self, name: str, guestinfo: Mapping[str, str]) -> None:
        """What a running machine's VM tells it from now on."""
        with self._lock:
            guest = self._running.get(name)
            if guest is not None and guest.process is not None:
                self._tell(guest, guestinfo)

    def fill_disk(self, name: str) -> None:
        """Leave no room on the disk of a guest that is on; what it frees is taken as well when this is called again."""
        with self._lock:
            guest = self._running.get(name)
            # Before it runs its seed is put in, which must not fail.
            if guest is None or guest.process is None:
                return
            if guest.space is None:
                return
            space = self._filled[name] = guest.space
            for _ in range(FILL_TRIES):
                state = os.statvfs(space)
                if not state.f_bfree or _resize(space, str((state.f_blocks - state.f_bfree) * state.f_frsize)):
                    return

    def free_disk(self, name: str) -> None:
        """Give the room back."""
        with self._lock:
            space = self._filled.pop(name, None)
            if space is not None:
                _resize(space, ROOMY)

    def is_running(self, name: str) -> bool:
        """Whether the machine is on; one that left by itself, or could not start, is not."""
        return name in self._running

    def close(self) -> None:
        """Pull every plug and leave nothing behind."""
        for name in list(self._running):
            self.power_off(name)
        self._groups.close()

    def _live(self, guest: _Guest) -> None:
        """One machine from power-on to power-off, in a thread of its own."""
        try:
            guest.root.mkdir(parents=True, exist_ok=True)
            with (guest.folder / "console.log").open("ab", buffering=0) as console:
                try:
                    self._insert_disk(guest)
                    while guest.spec.name in self.stillborn:
                        if guest.unplugged.wait(0.2):
                            return
                    while self._boot(guest, console) == REBOOT and not guest.unplugged.is_set():
                        pass
                except (HomelabError, OSError, subprocess.SubprocessError) as error:
                    console.write(f"{guest.spec.name} does not start: {error}\n".encode())
        finally:
            self._clean_up(guest)

    def _insert_disk(self, guest: _Guest) -> None:
        disk, lower = guest.spec.disk, self._roots / guest.spec.root_id
        self._give_space(disk)
        # A snapshot gives the place another name while the guest runs.
        guest.space = disk.resolve()
        self.free_disk(guest.spec.name)
        for part in ("upper", "work", "containers"):
            (disk / part).mkdir(parents=True, exist_ok=True)
        layers = ":".join(str(layer).replace(":", "\\:") for layer in (*guest.spec.layers, lower))
        options = f"lowerdir={layers},upperdir={disk / 'upper'},workdir={disk / 'work'}"
        _run(["mount", "-t", "overlay", "-o", options, "rehearsal", str(guest.root)])
        seed = guest.root / SEED_FOLDER
        for old in seed.glob("*"):
            old.unlink()
        if guest.spec.seed is not None:
            seed.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name, content in read_seed(guest.spec.seed).items():
                (seed / name).touch(mode=0o600)
                (seed / name).write_bytes(content)
        guest_unit.install(guest.root)
        if self._pause:
            real_kubernetes.install(guest.root, self._pause)
        shutil.rmtree(guest.told, ignore_errors=True)
        self._tell(guest, guest.spec.guestinfo)
        if guest.guestinfo:
            vmware_tools.install(guest.root)

    def _tell(self, guest: _Guest, guestinfo: Mapping[str, str]) -> None:
        vmware_tools.tell(guest.told, guestinfo, before=guest.guestinfo)
        guest.guestinfo = guestinfo

    def _give_space(self, disk: Path) -> None:
        """Have a disk's writes lie on a file system of their own, so that one can be full and the others not."""
        if disk.is_symlink():
            return
        space = self._work / "disks" / secrets.token_hex(8)
        space.mkdir(parents=True)
        _run(["mount", "-t", "tmpfs", "-o", f"mode=755,nr_inodes=0,size={ROOMY}", "rehearsal", str(space)])
        if disk.is_dir():
            _run(["cp", "-a", "--", f"{disk}/.", str(space)])
            shutil.rmtree(disk)
        disk.symlink_to(space)

    def _boot(self, guest: _Guest, console: BinaryIO) -> int:
        """Run the machine until it halts or reboots; systemd-nspawn's exit code."""
        name = guest.spec.name
        namespace = self._network.add_guest(name, guest.spec.mac)
        try:
            groups = [str(group) for group in self._groups.add(name)]
            command = ["sh", "-c", ENTER, "enter", *groups, "--", *_nspawn(guest, namespace)]
            with self._lock:
                if guest.unplugged.is_set():
                    return 0
                if not guest.plugged:
                    self._network.set_plug(name, connected=False)
                guest.process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
                )
            return guest.process.wait()
        finally:
            guest.process = None
            self._network.remove_guest(name)
            self._groups.remove(name)

    def _clean_up(self, guest: _Guest) -> None:
        try:
            if guest.root.is_mount():
                _run(["umount", "--lazy", str(guest.root)])
        finally:
            with self._lock:
                del self._running[guest.spec.name]


def _nspawn(guest: _Guest, namespace: Path) -> list[str]:
    return [
        # Told by its own option, systemd-nspawn mounts the guest's /sys before it enters the network namespace, and
        # the guest would find the rehearsal's interfaces in /sys/class/net.
        "nsenter",
        f"--net={namespace}",
        "systemd-nspawn",
        "--quiet",
        f"--directory={guest.root}",
        f"--machine={guest.spec.name}",
        f"--bind={guest.told}:{vmware_tools.FOLDER}",
        f"--bind={guest.space}/containers:/{real_kubernetes.CONTAINERS}",
        "--capability=all",
        # The kernel's clock and modules are those of the machine that the rehearsal runs on.
        "--drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE",
        "--system-call-filter=@keyring bpf perf_event_open",
        "--keep-unit",
        "--register=no",
        "--kill-signal=SIGRTMIN+4",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=read-only",
        "--boot",
    ]


def _kill(process: subprocess.Popen[bytes] | None) -> None:
    """Kill a container's init, which takes all of the container with it; systemd-nspawn then cleans up and leaves."""
    for child in _children(process):
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGKILL)


def _children(process: subprocess.Popen[bytes] | None) -> list[int]:
    if process is None:
        return []
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    return []


def _resize(space: Path, size: str) -> bool:
    """Whether a file system has the wanted size now: none may be smaller than what it holds."""
    command = ["mount", "-o", f"remount,size={size}", str(space)]
    return not subprocess.run(command, capture_output=True, check=False).returncode


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HomelabError(
            f"{command[0]} failed: {done.stderr.strip()}",
            where="the rehearsal's guests",
            advice="Guests need root, overlayfs and systemd-nspawn; --guests none does without them",
        )
