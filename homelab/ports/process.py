"""The one door for child processes: a UTF-8 locale, one deadline, bounds, and an end that leaves nobody behind.

What a child prints is decoded with replacement. A child has a session of its own, so that Ctrl-C on the terminal comes
to us alone, and we decide what ends. Ending it ends its whole family: Ansible's workers leave its process group (they
call setsid), so the family is known by who is whose parent, not by the group alone.
"""

import contextlib
import functools
import locale
import os
import selectors
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from homelab.errors import DeadlinePassed, HomelabError, Interrupted
from homelab.ports.family import end_family, kill_family

MOST = 4 << 20
LONGEST_LINE = 1 << 16
PIECE = 1 << 16
POLL_SECONDS = 0.2
# How long what a child printed last may still be on its way.
LINGER_SECONDS = 1.0
UNDER_WAY: set["subprocess.Popen[bytes]"] = set()
UTF_8 = ("C.UTF-8", "en_US.UTF-8")
Line = Callable[[str], None]


@dataclass(frozen=True)
class Child:
    """A program to run; `name` is what errors call it, `where` and `advice` are theirs.

    `environment` is added to ours, without those of ours that begin with `without`; `descriptors` are inherited. `side`
    names a variable that tells the child a descriptor of its own to write lines to. `shares_terminal` leaves it in our
    session: its own children may have to ask something there.
    """

    name: str
    argv: Sequence[str]
    seconds: float
    where: str = "this machine"
    advice: str = "Run it by hand to see more"
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    descriptors: tuple[int, ...] = ()
    stdin: bytes = field(default=b"", repr=False)
    without: str = ""
    side: str = ""
    shares_terminal: bool = False


@dataclass(frozen=True)
class Done:
    """How a child ended, and what it printed."""

    status: int
    stdout: str = field(repr=False)
    stderr: str = field(repr=False)


def run(child: Child, *, most: int = MOST, stop: threading.Event | None = None) -> Done:
    """Run a program to its end. Raises DeadlinePassed; HomelabError when it cannot be started or prints too much.

    Interrupted once `stop` is set. `most` is in bytes, of each of its two outputs. No message holds what it printed:
    that may be secret.
    """
    said = {"stdout": bytearray(), "stderr": bytearray()}
    with _Running(child) as running:
        for name, piece in running.pieces(stop):
            said[name] += piece
            if len(said[name]) > most:
                raise HomelabError(
                    f"{child.name} printed more than {most >> 20} MiB", where=child.where, advice=child.advice
                )
        status = running.process.returncode
    return Done(status, _text(said["stdout"]), _text(said["stderr"]))


def stream(child: Child, line: Line, side: Line, stop: threading.Event) -> int:
    """Run a program and hand over what it prints, line by line, and what it writes to its side; its status.

    DeadlinePassed, or Interrupted once `stop` is set: then it was asked to end, given a moment, and ended.
    """
    lines = {"stdout": _Lines(line), "side": _Lines(side)}
    with _Running(child, merged=True) as running:
        try:
            for name, piece in running.pieces(stop):
                lines[name].add(piece)
        finally:
            for rest in lines.values():
                rest.end()
        return int(running.process.returncode)


def kill_all() -> None:
    """Kill every child that is under way, with its family: for a process that ends itself at once."""
    for process in list(UNDER_WAY):
        kill_family(process)


def _text(data: bytes | bytearray) -> str:
    return data.decode(errors="replace")


class _Lines:
    """Bytes into lines; one without an end is cut, it may be anything."""

    def __init__(self, tell: Line) -> None:
        self._tell, self._rest = tell, b""

    def add(self, piece: bytes) -> None:
        *whole, self._rest = (self._rest + piece).split(b"\n")
        for line in whole:
            self._tell(_text(line.rstrip(b"\r")))
        if len(self._rest) > LONGEST_LINE:
            self.end()

    def end(self) -> None:
        rest, self._rest = self._rest, b""
        if rest:
            self._tell(_text(rest))


class _Running:
    """A child under way; leaving the context ends it and its family, however it is left."""

    def __init__(self, child: Child, *, merged: bool = False) -> None:
        self.child = child
        self._merged = merged
        self._end = time.monotonic() + child.seconds
        self._selector = selectors.DefaultSelector()
        self._side: list[int] = []
        self._unsent = memoryview(child.stdin)

    def __enter__(self) -> "_Running":
        try:
            self._start()
            UNDER_WAY.add(self.process)
        except OSError as error:
            self._close()
            raise HomelabError(
                f"{self.child.name} cannot be started: {error.strerror or error}",
                where=self.child.where,
                advice=self.child.advice,
            ) from None
        return self

    def _start(self) -> None:
        child = self.child
        dropped = {name for name in os.environ if child.without and name.startswith(child.without)}
        ours = {name: value for name, value in os.environ.items() if name not in dropped}
        environment = {**ours, **utf_8(), **child.environment}
        descriptors = list(child.descriptors)
        if child.side:
            self._side = list(os.pipe())
            environment[child.side] = str(self._side[1])
            descriptors.append(self._side[1])
        self.process = subprocess.Popen(
            child.argv,
            env=environment,
            pass_fds=descriptors,
            stdin=subprocess.PIPE if child.stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if self._merged else subprocess.PIPE,
            start_new_session=not child.shares_terminal,
        )
        self._selector.register(self.process.stdout, selectors.EVENT_READ, "stdout")  # type: ignore[arg-type]
        if self.process.stderr:
            self._selector.register(self.process.stderr, selectors.EVENT_READ, "stderr")
        if self._side:
            os.close(self._side.pop())
            self._selector.register(self._side[0], selectors.EVENT_READ, "side")
        if self.process.stdin:
            self._selector.register(self.process.stdin, selectors.EVENT_WRITE, "stdin")

    def pieces(self, stop: threading.Event | None) -> Iterator[tuple[str, bytes]]:
        """What it prints, until it has ended. Raises DeadlinePassed, Interrupted."""
        quiet_since = None
        while self._selector.get_map():
            self._check(stop)
            ready = self._selector.select(POLL_SECONDS)
            for key, _ in ready:
                if key.data == "stdin":
                    self._send(key.fileobj)
                elif piece := os.read(key.fd, PIECE):
                    yield key.data, piece
                else:
                    self._selector.unregister(key.fileobj)
            # A grandchild that stays behind holds the pipes open.
            ended = self.process.poll() is not None and not ready
            quiet_since = (quiet_since or time.monotonic()) if ended else None
            if quiet_since and time.monotonic() - quiet_since > LINGER_SECONDS:
                break
        while self.process.poll() is None:
            self._check(stop)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(POLL_SECONDS)

    def _send(self, pipe: Any) -> None:
        try:
            sent = os.write(pipe.fileno(), self._unsent[:512])  # a pipe that is ready takes that much
            self._unsent = self._unsent[sent:]
        except OSError:
            self._unsent = self._unsent[:0]
        if not self._unsent:
            self._selector.unregister(pipe)
            pipe.close()

    def _check(self, stop: threading.Event | None) -> None:
        if time.monotonic() > self._end:
            raise DeadlinePassed(
                f"{self.child.name} did not end within {self.child.seconds:g} s, and was ended",
                where=self.child.where,
                advice=self.child.advice,
            )
        if stop is not None and stop.is_set():
            raise Interrupted(
                f"interrupted while {self.child.name} was under way; it was ended",
                where=self.child.where,
                advice="Run again; it goes on where it stopped",
            )

    def __exit__(self, *_: object) -> None:
        try:
            end_family(self.process, group=not self.child.shares_terminal)
        finally:
            UNDER_WAY.discard(self.process)
            self._close()

    def _close(self) -> None:
        self._selector.close()
        for descriptor in self._side:
            os.close(descriptor)
        process = getattr(self, "process", None)
        for pipe in (process.stdin, process.stdout, process.stderr) if process else ():
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


@functools.cache
def utf_8() -> Mapping[str, str]:
    """The variables that give a child a UTF-8 locale and plain English; Ansible refuses to run in any other."""
    before = locale.setlocale(locale.LC_CTYPE)
    for name in UTF_8:
        try:
            locale.setlocale(locale.LC_CTYPE, name)
        except locale.Error:
            continue
        locale.setlocale(locale.LC_CTYPE, before)
        return {"LC_ALL": name, "LANGUAGE": ""}
    return {}
