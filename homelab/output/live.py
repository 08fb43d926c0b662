"""A run under way, drawn again and again at the foot of a terminal; what is said meanwhile stands above it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live
from rich.text import Text

from homelab.engine.events import Event
from homelab.output.board import Board
from homelab.output.screen import Screen
from homelab.ports.signals import LAST_WORDS

A_SECOND = 4
# The cursor again, and nothing of the drawing below it.
CLEARED = b"\x1b[?25h\r\x1b[J"


class LiveBoard:
    """Draws a board on a screen until it ends. `stopping` tells whether the run was interrupted."""

    def __init__(self, screen: Screen, console: Console, board: Board, stopping: Callable[[], bool]) -> None:
        self._screen, self._board, self._stopping = screen, board, stopping
        self._guard = threading.Lock()
        self._live = Live(
            console=console,
            get_renderable=self._drawn,
            refresh_per_second=A_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def hear(self, event: Event) -> None:
        """Take an event up."""
        with self._guard:
            self._board.hear(event)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """In this context it is there."""
        LAST_WORDS.append(CLEARED)
        try:
            with self._live:
                yield
        finally:
            LAST_WORDS.remove(CLEARED)

    @contextmanager
    def away(self) -> Iterator[None]:
        """In this context it is not, for somebody is asked something."""
        self._live.stop()
        try:
            yield
        finally:
            self._live.start(refresh=True)

    def _drawn(self) -> Text:
        screen = self._screen
        with self._guard:
            lines = self._board.lines(
                datetime.now(UTC), screen.width, screen.height, screen.signs, stopping=self._stopping()
            )
        return screen.text(lines)
