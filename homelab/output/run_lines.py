"""A run for people: a line a transition, and on a terminal the table of what is under way below them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from homelab.engine.events import Event, Started, Unchanged, Waiting
from homelab.engine.plan import Plan
from homelab.engine.step import Node
from homelab.output.screen import Screen
from homelab.output.sentences import sentence_of
from homelab.output.signs import wrapped

if TYPE_CHECKING:
    from homelab.output.live import LiveBoard

STYLES = {"changed": "green", "failed": "bold red", "blocked": "yellow", "hand_over": "bold magenta", "waiting": "dim"}
# As wide as the time.
INDENT = " " * 10
QUIET_WAIT = timedelta(seconds=2)


class Waits:
    """Which waits were told already."""

    def __init__(self) -> None:
        self._known: dict[tuple[Node | None, str], tuple[datetime, bool]] = {}

    def worth_a_line(self, event: Waiting) -> bool:
        """A wait gets one line, and only when it lasts."""
        key = (event.node, event.condition)
        began, said = self._known.setdefault(key, (event.at, False))
        worth = not said and event.at - began >= QUIET_WAIT
        self._known[key] = (began, said or worth)
        return worth


class RunLines:
    """Tells the events of runs on a console; `fit` makes any text fit for it. Of all of them when `verbose`."""

    def __init__(self, console: Console, fit: Callable[..., str], *, verbose: bool) -> None:
        self._console, self._fit, self._verbose = console, fit, verbose
        self._screen = Screen(console, fit)
        self._waits = Waits()
        self._board: LiveBoard | None = None

    @contextmanager
    def under_way(self, plan: Plan, stopping: Callable[[], bool]) -> Iterator[None]:
        """In this context a terminal shows the plan being carried out; where every event is a line, those suffice."""
        if self._verbose or not self._console.is_terminal:
            yield
            return
        from homelab.output.board import Board
        from homelab.output.live import LiveBoard

        self._board = LiveBoard(self._screen, self._console, Board(plan, self._fit), stopping)
        try:
            with self._board.shown():
                yield
        finally:
            self._board = None

    def asking(self) -> AbstractContextManager[None]:
        """In this context a person can be asked: nothing is drawn over the question."""
        return self._board.away() if self._board else nullcontext()

    def event(self, event: Event) -> None:
        """One event of a run."""
        if event.node is None:
            return
        if self._board:
            self._board.hear(event)
        if self._is_told(event):
            self._line(event, event.node)

    def _is_told(self, event: Event) -> bool:
        if self._verbose:
            return True
        if self._board:
            # The table shows the rest.
            return not isinstance(event, Started | Waiting) and not (
                isinstance(event, Unchanged) and not event.sentence
            )
        return not isinstance(event, Started) and not (
            isinstance(event, Waiting) and not self._waits.worth_a_line(event)
        )

    def _line(self, event: Event, node: Node) -> None:
        head = f"{event.at.astimezone():%H:%M:%S}  {node.step:<16} {node.target:<8} {event.kind:<9}"
        width = self._screen.width if self._screen.is_terminal else None
        text = _below(f"{self._fit(head)} ", self._fit(sentence_of(event), lines=True), width)
        self._console.print(Text(text, STYLES.get(event.kind, "")))


def _below(head: str, text: str, width: int | None) -> str:
    """A head and a text; of so many columns its further lines stand below the text's beginning, or near it."""
    if width is None:
        return f"{head}{text}"
    first, *more = text.split("\n")
    return "\n".join([*wrapped(head, INDENT, first, width), *(INDENT + line.strip() for line in more)])
