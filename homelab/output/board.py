"""A run under way as a table of machines: which steps are done, which one is at work, and what it waits for. Pure.

Columns are the run's steps in their order, a sign each, so that machines of one phase stand below each other.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from homelab.engine.events import Changed, Event, Failed, HandedOver, HeldUp, Started, Unchanged, Waiting
from homelab.engine.plan import Plan
from homelab.engine.step import Node
from homelab.output.signs import Line, Signs, cut, wrapped

# A wait that tells how far it is: `40 % of 120 MB`, `running 40 %`.
TRANSFER = re.compile(r"(\d+) %(?: of (\d+) MB)?")
BAR = 10
# Rates are taken over so many seconds at the least, so that they do not jump.
STEADY = 1.0
# A shorter wait needs no words.
LASTS = timedelta(seconds=1)


@dataclass(frozen=True)
class Marks:
    """A sign for each way that a step stands."""

    waits: str
    at_work: str
    changed: str
    unchanged: str
    failed: str
    blocked: str
    hands: str


UNICODE = Marks("·", "▸", "■", "▪", "✗", "=", "!")
ASCII = Marks(".", ">", "#", "-", "x", "=", "!")
STYLES = {
    "at_work": "bold cyan",
    "changed": "green",
    "failed": "bold red",
    "blocked": "yellow",
    "hands": "magenta",
}
KINDS: dict[type[Event], str] = {
    Started: "at_work",
    Changed: "changed",
    Unchanged: "unchanged",
    Failed: "failed",
    HeldUp: "blocked",
    HandedOver: "hands",
}


@dataclass
class Work:
    """One node: how it stands, since when, and its wait. `rate` is in bytes a second."""

    state: str = "waits"
    since: datetime | None = None
    wait: Waiting | None = None
    waits_since: datetime | None = None
    rate: float | None = None
    told: str = ""
    _from: tuple[datetime, float] | None = field(default=None, repr=False)

    def hear(self, event: Event) -> None:
        """What happens to it."""
        if isinstance(event, Waiting):
            self._measure(event)
            self.wait = event
        else:
            self.wait = None
            self.told = event.what if isinstance(event, Failed) else self.told
        if isinstance(event, Started | Waiting):
            self.state, self.since = "at_work", self.since or event.at
        else:
            # After a change the next one may follow at once; that is seen by the next event.
            self.state = KINDS.get(type(event), self.state)

    def _measure(self, event: Waiting) -> None:
        if self.wait is None or self.wait.condition != event.condition:
            self._from, self.rate, self.waits_since = None, None, event.at
        done = _done(event.last)
        if done is None:
            return
        self._from = self._from or (event.at, done)
        began, before = self._from
        if (seconds := (event.at - began).total_seconds()) >= STEADY:
            self.rate = (done - before) / seconds


def _done(last: str) -> float | None:
    """How many bytes are done, where an answer tells that."""
    found = TRANSFER.search(last)
    return int(found[1]) * int(found[2]) * 1e4 if found and found[2] else None


class Board:
    """What is known of a run; `clean` makes any text fit for a terminal, before it is laid out."""

    def __init__(self, plan: Plan, clean: Callable[[str], str]) -> None:
        self._clean = clean
        self._work: dict[Node, Work] = {node: Work() for node in plan.nodes}
        self._steps = list(dict.fromkeys(node.step for node in plan.nodes))
        self._busy = {node.target for node in plan.busy}
        self._began: datetime | None = None

    def hear(self, event: Event) -> None:
        """Take an event up."""
        if event.node is None:
            return
        self._began = self._began or event.at
        if event.node.step not in self._steps:
            self._steps.append(event.node.step)
        self._work.setdefault(event.node, Work()).hear(event)
        if not isinstance(event, Started | Unchanged):
            self._busy.add(event.node.target)

    def lines(self, now: datetime, width: int, height: int, signs: Signs, *, stopping: bool) -> list[Line]:
        """The table, no line longer than `width` and no more lines than `height`."""
        marks = UNICODE if signs.full == "█" else ASCII
        shown = [target for target in dict.fromkeys(node.target for node in self._work) if target in self._busy]
        names = max(map(len, shown), default=0)
        room, kept = max(1, height - 3), {}
        # What is at work is worth more than what is done or waits.
        for target in sorted(shown, key=lambda target: self._now(target) is None):
            lines = [self._row(target, names, marks, signs, now), *self._wait(target, width, now)]
            if len(lines) > room:
                break
            kept[target], room = lines, room - len(lines)
        lines = [line for target in shown for line in kept.get(target, ())]
        if left := len(shown) - len(kept):
            lines.append(((f"and {left} more machines", "dim"),))
        return [cut(line, width, signs) for line in [*lines, self._foot(now, stopping=stopping)]]

    def _now(self, target: str) -> Node | None:
        """The node of a machine that is at work; of several the one that waits for something."""
        at_work = [node for node, work in self._work.items() if node.target == target and work.state == "at_work"]
        return next((node for node in at_work if self._work[node].wait), next(iter(at_work), None))

    def _row(self, target: str, names: int, marks: Marks, signs: Signs, now: datetime) -> Line:
        cells = []
        for step in self._steps:
            work = self._work.get(Node(step, target))
            cells.append((getattr(marks, work.state), STYLES.get(work.state, "dim")) if work else (" ", ""))
        node = self._now(target)
        head = ((f"{self._clean(target):<{names}}  ", ""), *cells, ("  ", ""))
        return (*head, *(self._at_work(node, signs, now) if node else self._ended(target)))

    def _at_work(self, node: Node, signs: Signs, now: datetime) -> Line:
        work = self._work[node]
        name = (f"{node.step}  ", "bold")
        if work.wait is None:
            return (name, (_clock(now - work.since) if work.since else "", "dim"))
        left = (f"  {_clock(max(timedelta(0), work.wait.deadline - now))} left", "dim")
        last = self._clean(work.wait.last)
        if bar := _bar(last, signs):
            rate = f"  {work.rate / 1e6:.1f} MB/s" if work.rate else ""
            return (name, *bar, (f" {last}{rate}", ""), left)
        return (name, ("waits", ""), left)

    def _wait(self, target: str, width: int, now: datetime) -> list[Line]:
        """What a machine waits for, once that lasts, and the last answer."""
        node = self._now(target)
        wait = self._work[node].wait if node else None
        if node is None or wait is None or now - (self._work[node].waits_since or now) < LASTS:
            return []
        condition, last = self._clean(wait.condition), self._clean(wait.last)
        text = condition if TRANSFER.search(last) else f"for: {condition}; last answer: {last}"
        return [((line, "dim"),) for line in wrapped("    ", "      ", text, width)]

    def _ended(self, target: str) -> Line:
        works = {node: work for node, work in self._work.items() if node.target == target}
        if failed := next((node for node, work in works.items() if work.state == "failed"), None):
            return ((f"{failed.step} failed: {self._clean(works[failed].told)}", "red"),)
        states = [work.state for work in works.values()]
        if "hands" in states:
            return (("for your hands", "magenta"),)
        if "waits" in states:
            return (("waits", "dim"),)
        return (("held up", "yellow"),) if "blocked" in states else (("done", "green"),)

    def _foot(self, now: datetime, *, stopping: bool) -> Line:
        ended = sum(work.state not in ("waits", "at_work") for work in self._work.values())
        clock = _clock(now - self._began) if self._began else _clock(timedelta(0))
        if stopping:
            return (("stopping: what is under way comes to its end; Ctrl-C again ends it at once", "bold yellow"),)
        return ((f"{ended} of {len(self._work)} steps, {clock}; Ctrl-C stops after what is under way", "dim"),)


def _bar(last: str, signs: Signs) -> Line:
    found = TRANSFER.search(last)
    if not found:
        return ()
    full = min(BAR, BAR * int(found[1]) // 100)
    return ((signs.full * full, "green"), (signs.empty * (BAR - full), "dim"))


def _clock(time: timedelta) -> str:
    minutes, seconds = divmod(int(time.total_seconds()), 60)
    return f"{minutes}:{seconds:02}"
