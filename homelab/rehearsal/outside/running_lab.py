"""A lab that runs: who serves it, and the ways into it."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from homelab.errors import UsageError
from homelab.rehearsal.faults import control
from homelab.rehearsal.faults.table import FaultRequest, as_json

END_SECONDS = 45
INTERRUPTED = 130


@dataclass(frozen=True)
class RunningLab:
    """A lab that runs.

    `leader` is the process to enter by, as this machine numbers it; `namespaces` is root, user or none.
    """

    pid: int
    leader: int
    inventories: tuple[str, ...]
    work: str
    namespaces: str
    hosts: list[dict[str, str]]
    control: str

    def ready(self) -> dict[str, Any]:
        """The contract's ready line."""
        return {"event": "ready", "pid": self.pid, "inventory": list(self.inventories), "hosts": self.hosts}

    def command(self, argv: Sequence[str]) -> list[str]:
        """The program `argv` inside the lab's namespaces; working directory, streams and exit code are the caller's."""
        enter = ["nsenter", f"--target={self.leader}", "--mount", "--net", "--pid"]
        if self.namespaces == "user":
            enter += ["--user", "--preserve-credentials"]
        variables = {
            "HOMELAB_INVENTORY": ",".join(self.inventories),
            "ANSIBLE_INVENTORY": ",".join(self.inventories),
            # The sign for commands that would reach real devices: it holds whatever inventory they are given.
            "HOMELAB_REHEARSAL": self.work,
            # Shared connections are named by address, and the real lab has the same addresses.
            "ANSIBLE_SSH_CONTROL_PATH_DIR": f"{self.work}/cp",
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        }
        settings = [f"{name}={value}" for name, value in variables.items()]
        if self.namespaces == "none":
            return ["env", *settings, *argv]
        return [*enter, "env", "--default-signal=INT", f"--chdir={Path.cwd()}", *settings, *argv]


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM ends a rehearsal as Ctrl-C does: by an exception, so that everything is taken down."""

    def interrupt(*_: Any) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def homelab_argv(running: RunningLab, flags: Sequence[str], command: Sequence[str], *, guests: bool) -> list[str]:
    """The homelab command that a rehearsal runs: `bootstrap` unless told, up to `vm` where there are no guests."""
    chosen = list(command) or ["bootstrap"]
    if not guests and chosen[0] == "bootstrap" and not {"--only", "--until"} & set(chosen):
        chosen += ["--until", "vm"]
    inventories = [word for path in running.inventories for word in ("--inventory", path)]
    return [sys.executable, "-m", "homelab", *inventories, *flags, "--yes", *chosen]


def run(running: RunningLab, argv: Sequence[str]) -> int:
    """Run a program in the lab; its exit code, 128 and the signal's number when one ended it.

    Ctrl-C on a terminal reaches the program by itself. Told to end otherwise, we pass that on and wait a while.
    """
    # nsenter only waits for the program, and must not be ended by a Ctrl-C that the program answers in its own way.
    patient = None if running.namespaces == "none" else _ignore_interrupts
    with subprocess.Popen(running.command(argv), preexec_fn=patient) as process:
        while True:
            try:
                status = process.wait()
                return status if status >= 0 else 128 - status
            except KeyboardInterrupt as told:
                if sys.stdin.isatty() and not isinstance(told, Terminated):
                    continue
                # Whoever told us may have told it as well, and it may have ended.
                with suppress(OSError, IndexError):
                    os.kill(process.pid if patient is None else child_of(process.pid), signal.SIGINT)
                return _wait(process)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _wait(process: "subprocess.Popen[bytes]") -> int:
    try:
        return process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return INTERRUPTED


def enter(home: Path, argv: Sequence[str]) -> int:
    """Run a program in the served lab; its exit code. UsageError when none is served."""
    running = the_running_lab(home)
    with terminated_like_interrupted():
        return run(running, argv)


def fault(home: Path, requests: Sequence[FaultRequest], *, clear: bool) -> list[dict[str, Any]]:
    """Schedule faults in the served lab, or end them all; what is scheduled then, or what was ended."""
    path = the_running_lab(home).control
    if clear:
        return control.ask(path, {"do": "clear"})
    if requests:
        control.ask(path, {"do": "schedule", "requests": as_json(requests)})
    return control.ask(path, {"do": "show"})


def until_told() -> None:
    """Stay until Ctrl-C or SIGTERM."""
    try:
        signal.pause()
    except KeyboardInterrupt:
        return


@contextmanager
def one_at_a_time(home: Path) -> Iterator[IO[str]]:
    """Hold the place of the one served lab; UsageError with the pid of the lab that has it."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / "rehearsal.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = find_running_lab(home)
            raise UsageError(
                f"a rehearsal is being served already, by process {running.pid if running else 'unknown'}",
                where=str(home),
                advice="Use it with `homelab rehearsal enter`, or end that process first",
            ) from None
        file.truncate(0)
        try:
            yield file
        finally:
            file.truncate(0)


def the_running_lab(home: Path) -> RunningLab:
    """The lab that is being served; UsageError when none is."""
    running = find_running_lab(home)
    if running is None:
        raise UsageError(
            "no rehearsal is being served here", where=str(home), advice="Start one: homelab rehearsal serve"
        )
    return running


def find_running_lab(home: Path) -> RunningLab | None:
    """The lab that is being served, if any. A lock that nobody holds is a lab that died."""
    path = home / "rehearsal.lock"
    if not path.exists():
        return None
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = file.read()
            return RunningLab(**json.loads(text)) if text else None
    return None


def child_of(pid: int) -> int:
    """The process that unshare forked, in this machine's numbers."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
