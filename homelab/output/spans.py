"""When each node of a run was at work, read from its events, and which of them the run's length comes from. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

RUNNING = "running"
ENDS = ("changed", "unchanged", "failed", "blocked", "hand_over")
PLANNING = "plan"
# Of the name of a run's folder.
RUN_FORMAT = "%Y%m%dT%H%M%S.%fZ"

Key = tuple[str, str]
PLAN: Key = (PLANNING, "")
NOTHING: Key = ("", "")


@dataclass(frozen=True)
class Wait:
    """A wait, in seconds since the run began, and what for; without an end it still lasts."""

    begin: float
    end: float | None
    condition: str


@dataclass
class Span:
    """One node, in seconds since the run began. `outcome` is its last event, `told` what that said.

    `after` are the nodes that it waited for.
    """

    step: str
    target: str
    begin: float
    end: float
    outcome: str = RUNNING
    told: str = ""
    waits: list[Wait] = field(default_factory=list)
    after: tuple[Key, ...] = ()

    @property
    def key(self) -> Key:
        """The node."""
        return self.step, self.target


def spans_of(documents: Iterable[Mapping[str, Any]], run: str = "") -> list[Span]:
    """The nodes of a run in the order in which they began; `run` is the name of its folder, which tells when it began.

    What is no event is passed over: a log may have been cut off.
    """
    reader = _Reader(began_of(run))
    for document in documents:
        with suppress(ValueError, LookupError, TypeError, AttributeError):
            reader.read(document)
    return reader.whole()


def critical(spans: Sequence[Span]) -> list[Span]:
    """From the first to the last: each node that the next one waited for the longest."""
    path = sorted((span for span in spans if span.outcome != "blocked"), key=lambda span: span.end)[-1:]
    while path:
        first = path[0]
        before = [one for one in spans if one.key in first.after and one.begin <= first.begin and one not in path]
        if not before:
            break
        path.insert(0, max(before, key=lambda span: span.end))
    return path


def began_of(run: str) -> datetime | None:
    """When a run began, by the name of its folder."""
    try:
        return datetime.strptime(run, RUN_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


class _Reader:
    def __init__(self, began: datetime | None) -> None:
        self._began = began
        self._spans: list[Span] = []
        # A command may bring a node twice: to its end, and to a new beginning.
        self._current: dict[Key, Span] = {}
        # The last event, for checks that come one after another and have no start.
        self._last, self._last_key = 0.0, NOTHING

    def read(self, document: Mapping[str, Any]) -> None:
        moment = datetime.fromisoformat(document["at"])
        self._began = self._began or moment
        at = max(0.0, (moment - self._began).total_seconds())
        kind, step, target = document["event"], document["step"], document["target"]
        if kind == PLANNING:
            self._add(Span(*PLAN, self._last, at, "unchanged", after=(self._last_key,)))
        elif step:
            self._hear(self._span((str(step), str(target)), at, kind, document), at, kind, document)
        self._last = at

    def _add(self, span: Span) -> Span:
        self._spans.append(span)
        self._current[span.key] = span
        self._last_key = span.key
        return span

    def _span(self, key: Key, at: float, kind: str, document: Mapping[str, Any]) -> Span:
        if kind == "start":
            waited = tuple((str(one["step"]), str(one["target"])) for one in document.get("after", ()))
            return self._add(Span(*key, at, at, after=waited or (PLAN,)))
        if key not in self._current:
            return self._add(Span(*key, at if kind == "blocked" else self._last, at, after=(self._last_key,)))
        return self._current[key]

    def _hear(self, span: Span, at: float, kind: str, document: Mapping[str, Any]) -> None:
        _close(span, at)
        span.end = max(span.end, at)
        if kind == "waiting":
            span.waits.append(Wait(_since(span.waits, at, str(document["for"])), None, str(document["for"])))
        elif kind in ENDS:
            self._last_key = span.key
            span.outcome = kind
            words = (document.get(name) for name in ("what", "until", "do", "sentence"))
            span.told = next((str(word) for word in words if word), "")

    def whole(self) -> list[Span]:
        """All of them; what has no end was at work until the last event."""
        for span in self._spans:
            if span.outcome == RUNNING:
                span.end = max(span.end, self._last)
            _close(span, span.end)
        return sorted(self._spans, key=lambda span: (span.begin, span.end))


def _since(waits: list[Wait], at: float, condition: str) -> float:
    """When a wait began that is told now; one that was told before is the same one."""
    if waits and waits[-1].end == at and waits[-1].condition == condition:
        return waits.pop().begin
    return at


def _close(span: Span, at: float) -> None:
    """A wait lasts until its node tells something else."""
    if span.waits and span.waits[-1].end is None:
        span.waits[-1] = Wait(span.waits[-1].begin, at, span.waits[-1].condition)
