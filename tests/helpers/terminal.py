"""A real terminal, a pty, and what is seen on it: a program runs in it, keys are typed, the screen is read."""

import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pyte

CTRL_C = "\x03"
SECONDS = 30.0
HISTORY = 5000


class Terminal:
    """One program in one terminal of so many columns and rows."""

    def __init__(
        self, argv: Sequence[str], columns: int, rows: int, environment: Mapping[str, str], folder: Path | None
    ) -> None:
        self._ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            argv, cwd=folder, env=environment, preexec_fn=lambda: os.login_tty(theirs), pass_fds=[theirs]
        )
        os.close(theirs)
        self._screen = pyte.HistoryScreen(columns, rows, history=HISTORY)
        self._stream = pyte.ByteStream(self._screen)
        self.ended = False

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def until(self, text: str | Callable[[str], bool], seconds: float = SECONDS) -> str:
        """The screen once it shows a text, or is as a condition wants it; fails after the deadline."""
        end = time.monotonic() + seconds
        seen = (lambda screen: text in screen) if isinstance(text, str) else text
        while not seen(self.screen):
            assert time.monotonic() < end and not self.ended, f"never seen: {text}; the screen is:\n{self.screen}"
            self.read(end - time.monotonic())
        return self.screen

    def end(self, seconds: float = SECONDS) -> int:
        """The exit code, once the program has ended."""
        end = time.monotonic() + seconds
        while not self.ended and time.monotonic() < end:
            self.read(end - time.monotonic())
        return self.process.wait(max(1.0, end - time.monotonic()))

    @property
    def screen(self) -> str:
        """What is on the screen, without blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def all(self) -> str:
        """The same, and what has scrolled away above it."""
        above = [
            "".join(line[column].data for column in range(self._screen.columns)).rstrip()
            for line in self._screen.history.top
        ]
        return "\n".join([*above, self.screen]).strip("\n")

    @property
    def shows_cursor(self) -> bool:
        """Whether the cursor can be seen."""
        return not self._screen.cursor.hidden

    @property
    def cells(self) -> list[list[Any]]:
        """The screen as pyte's characters, which know their colours."""
        return [[line[column] for column in range(self._screen.columns)] for line in self._lines]

    @property
    def _lines(self) -> list[Any]:
        return [self._screen.buffer[number] for number in range(self._screen.lines)]

    def read(self, seconds: float = 0.2) -> None:
        """Take up what the program says within a moment; `ended` once it says no more."""
        if not select.select([self._ours], [], [], max(0.0, min(0.2, seconds)))[0]:
            return
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            data = b""
        self.ended = not data
        self._stream.feed(data)

    def close(self) -> None:
        """End what is left of it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)


@contextmanager
def terminal(
    *argv: str | Path, columns: int = 80, rows: int = 24, folder: Path | None = None, **environment: str
) -> Iterator[Terminal]:
    """A program in a terminal until the end of the context."""
    inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR" and name[:3] != "LC_"}
    given = {**inherited, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environment}
    made = Terminal([*map(str, argv)], columns, rows, given, folder)
    try:
        yield made
    finally:
        made.close()
