"""Machines: network namespaces on one bridge, each with an address, and the processes in them.

All of it lives inside of the namespaces that `apart` starts the bench in, so the kernel takes it away with the bench,
whatever ends it.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from tests.helpers.checkout import ROOT

PREFIX = 24
APART = "HOMELAB_BENCH_APART"
POLL_SECONDS = 0.05


def apart(argv: Sequence[str], scratch: Path) -> int:
    """Run this Python with these arguments in namespaces of its own; its exit code. It ends when we do, by kill -9 too.

    `scratch` is an empty folder, on which there is memory for the machines' files inside.
    """
    spaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    command = ["setpriv", "--pdeathsig", "KILL", *spaces, sys.executable, *argv]
    child = subprocess.Popen(command, env={**os.environ, APART: str(scratch)}, start_new_session=True)

    def end(number: int, frame: FrameType | None) -> None:
        child.kill()
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    return child.wait()


def is_apart() -> bool:
    """Whether this process is the one in namespaces of its own."""
    return APART in os.environ


def settle_in() -> Path:
    """Inside: a loopback, a /run/netns of our own, and the folder for the machines' files, in memory."""
    scratch = Path(os.environ[APART])
    Path("/run/netns").mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
    _run("mount", "-t", "tmpfs", "tmpfs", str(scratch))
    _run("ip", "link", "set", "lo", "up")
    return scratch


class Bridge:
    """One network, LAB: a namespace with a bridge that the machines' links lead to."""

    def __init__(self, lab: str) -> None:
        self.lab = lab
        self.space = f"{lab}-net"
        _run("ip", "netns", "add", self.space)
        # Multicast goes everywhere: keepalived speaks so unless it is told its peers.
        self._batch("link add br0 type bridge stp_state 0 mcast_snooping 0", "link set br0 up")

    def plug(self, name: str, machine_space: str, address: str) -> None:
        """A link between the bridge and a machine's eth0."""
        _run("ip", "netns", "add", machine_space)
        self._batch(f"link add {name} type veth peer name eth0 netns {machine_space}", f"link set {name} master br0 up")
        batch(machine_space, "link set lo up", f"addr add {address}/{PREFIX} dev eth0", "link set eth0 up")

    def link(self, name: str, up: bool) -> None:
        """The machine's cable, in or out."""
        self._batch(f"link set {name} {'up' if up else 'down'}")

    def _batch(self, *lines: str) -> None:
        batch(self.space, *lines)


class Machine:
    """A network namespace and the processes in it; with `root`, they see a Debian of their own.

    `folder` is that Debian as we see it: lower folder ROOT, what is written stays in memory.
    """

    def __init__(self, bridge: Bridge, name: str, address: str, logs: Path, root: Path | None = None) -> None:
        self.bridge, self.name, self.address, self.logs = bridge, name, address, logs
        self.space = f"{bridge.lab}-{name}"
        bridge.plug(name, self.space, address)
        self.folder = logs / f"{name}-root"
        self.started: list[subprocess.Popen[bytes]] = []
        self.rooted = root is not None
        if root is not None:
            self._mount(root)

    def _mount(self, root: Path) -> None:
        upper, work = self.logs / f"{self.name}-upper", self.logs / f"{self.name}-work"
        for folder in (self.folder, upper, work):
            folder.mkdir(parents=True)
        layers = f"lowerdir={root},upperdir={upper},workdir={work}"
        _run("mount", "-t", "overlay", "overlay", "-o", layers, str(self.folder))
        _run("mount", "-t", "proc", "proc", f"{self.folder}/proc")
        for own in ("run", "dev"):
            _run("mount", "-t", "tmpfs", "tmpfs", f"{self.folder}/{own}")
        for device in ("null", "zero", "random", "urandom"):
            (self.folder / "dev" / device).touch()
            _run("mount", "--bind", f"/dev/{device}", f"{self.folder}/dev/{device}")
        keep_journal(self.folder / "dev/log", self.logs / f"{self.name}-journal.log")

    def write(self, files: Mapping[str, str]) -> None:
        """Files by absolute path; programs among them begin with #!."""
        for path, text in files.items():
            target = self.folder / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            target.chmod(0o755 if text.startswith("#!") else 0o644)

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command that runs it on this machine, under its own process id."""
        enter = ["nsenter", f"--net=/run/netns/{self.space}"]
        return [*enter, *(["chroot", str(self.folder)] if self.rooted else []), *argv]

    def run(self, *argv: str, check: bool = True, seconds: float = 20) -> "subprocess.CompletedProcess[str]":
        """A command to its end."""
        return subprocess.run(
            self.command(argv), capture_output=True, text=True, check=check, timeout=seconds, cwd=ROOT
        )

    def start(self, name: str, argv: Sequence[str]) -> "subprocess.Popen[bytes]":
        """A process with a group of its own; what it prints goes to LOGS/MACHINE-NAME.log."""
        with (self.logs / f"{self.name}-{name}.log").open("ab") as log:
            process = subprocess.Popen(
                self.command(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=ROOT
            )
        self.started.append(process)
        return process

    def plugged(self, up: bool) -> None:
        """The machine's cable, in or out."""
        self.bridge.link(self.name, up)

    def has(self, address: str) -> bool:
        """Whether the machine has this address now, as far as one of its processes sees it.

        It is asked ten times a second; to run `ip` each time would take a tenth of what is measured.
        """
        local = re.compile(rf"\|-- {re.escape(address)}\n\s*/32 host LOCAL")
        for process in self.started:
            with contextlib.suppress(OSError):
                if process.poll() is None:
                    return local.search(Path(f"/proc/{process.pid}/net/fib_trie").read_text()) is not None
        return False

    def stop_all(self) -> None:
        """End every process of the machine, those that left their group too."""
        for _ in range(3):
            pids = _run("ip", "netns", "pids", self.space).split()
            for pid in pids:
                _kill(int(pid))
            if not pids:
                break
            time.sleep(POLL_SECONDS)
        self.started.clear()
        batch(self.space, "addr flush dev eth0", f"addr add {self.address}/{PREFIX} dev eth0")


def keep_journal(door: Path, journal: Path) -> None:
    """Take what programs tell syslog, as they do not behave as usual when nobody listens."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(door))
    door.chmod(0o666)

    def take() -> None:
        with journal.open("ab", buffering=0) as file:
            while True:
                file.write(listener.recv(1 << 16) + b"\n")

    threading.Thread(target=take, daemon=True).start()


def batch(space: str, *lines: str) -> None:
    """Several commands of `ip` in one namespace."""
    subprocess.run(
        ["ip", "-n", space, "-batch", "-"], input="\n".join(lines), text=True, check=True, capture_output=True
    )


def wait_for(sentence: str, condition: Callable[[], bool], seconds: float) -> None:
    """Poll until it holds; TimeoutError with the sentence."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{sentence}: not within {seconds:g} s")
        time.sleep(POLL_SECONDS)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
