"""From what clients and balancer were seen to do to figures. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

from tests.bench.failover.places import LIGHT

SLOW_SECONDS = 1.0


@dataclass(frozen=True)
class Seen:
    """What one run saw: the clients' notes (load.py), whom the balancer took for down and when, and the fault's times.

    All times are of one monotonic clock: the fault began, had happened `by`, and was over when all was `whole`.
    """

    clients: Mapping[str, Sequence[Any]]
    polls: Sequence[tuple[float, Sequence[str]]]
    began: float
    ended: float
    by: float
    whole: float | None = None


@dataclass(frozen=True)
class Figures:
    """The figures of one run; None is never, or not to be had. Times in seconds.

    `lost` of `requests` were sent after the fault and not answered well; `cut` were under way when it happened,
    `before` were lost before it. `down` is when the balancer took a server for down, 0 when it did already; `up` when
    the first request was answered well after all was whole again, `settled` when the last one was sent that was not, or
    that was slow. `gap` is the longest time without an answer, `last` when the last request was sent that was lost,
    `silent` how long a watch without events lived, `light` how much of the answers came from the server that has the
    small weight.
    """

    requests: int
    lost: int
    slow: int
    cut: int
    down: float | None
    watch_gap: float
    gap: float
    up: float | None
    settled: float | None
    silent: float
    last: float
    light: float
    before: int


def figures(seen: Seen) -> Figures:
    """Everything that is counted, whatever the fault."""
    rows = [_Request(*row) for row in seen.clients["requests"]]
    after = [row for row in rows if seen.by <= row.sent <= seen.ended]
    bad = [row for row in after if row.why]
    slow = [row for row in after if not row.why and row.seconds > SLOW_SECONDS]
    whole = seen.whole
    return Figures(
        requests=len(after),
        lost=len(bad),
        slow=len(slow),
        cut=sum(1 for row in rows if row.sent < seen.by and seen.began <= row.ended and row.why),
        down=taken_for_down(seen),
        watch_gap=max((longest_gap(events, seen) for events in seen.clients["watches"]), default=0.0),
        gap=longest_gap([row.ended for row in rows if not row.why], seen),
        up=None
        if whole is None
        else min((row.ended - whole for row in after if not row.why and row.ended >= whole), default=None),
        settled=None if whole is None else max([0.0, *(row.sent - whole for row in (*bad, *slow))]),
        silent=max((ended or seen.ended) - began for began, ended, _ in seen.clients["silent"] or [(0, 0, "")]),
        last=max([0.0, *(row.sent - seen.began for row in bad)]),
        light=share([row.server for row in after if not row.why], LIGHT),
        before=sum(1 for row in rows if row.ended < seen.began and row.why),
    )


def taken_for_down(seen: Seen) -> float | None:
    """Seconds until the balancer took a server for down. It tells changes: what it said last before the fault holds."""
    before = [servers for at, servers in seen.polls if at < seen.began]
    if before and before[-1]:
        return 0.0
    return next((at - seen.began for at, servers in seen.polls if servers and at >= seen.began), None)


@dataclass(frozen=True)
class _Request:
    sent: float
    ended: float
    why: str
    server: str

    @property
    def seconds(self) -> float:
        return self.ended - self.sent


def longest_gap(times: Iterable[float], seen: Seen) -> float:
    """The longest time without one of them from the last before the fault to the end."""
    ordered = sorted(at for at in times if at <= seen.ended)
    marks = [max([at for at in ordered if at <= seen.began], default=seen.began)]
    marks += [at for at in ordered if at > seen.began] + [seen.ended]
    return max(later - earlier for earlier, later in pairwise(marks))


@dataclass(frozen=True)
class Cell:
    """Several runs of one fault on one configuration."""

    runs: tuple[Figures, ...]

    def median(self, name: str) -> float | None:
        """The middle of a figure, of an even number the greater of the middle two; None when that is never."""
        ordered = sorted(_never_last(run, name) for run in self.runs)
        middle = ordered[len(ordered) // 2]
        return None if middle == NEVER else middle

    def worst(self, name: str) -> float | None:
        """The greatest; None when it is never in one run."""
        worst = max(_never_last(run, name) for run in self.runs)
        return None if worst == NEVER else worst


NEVER = float("inf")


def _never_last(run: Figures, name: str) -> float:
    value = getattr(run, name)
    return NEVER if value is None else float(value)


def as_json(run: Figures) -> dict[str, Any]:
    """A run's figures, rounded to milliseconds."""
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(run).items()}


def from_json(document: Mapping[str, Any]) -> Figures:
    """The same, read back."""
    return Figures(**{field.name: document[field.name] for field in fields(Figures)})


def share(answers: Sequence[str], server: str) -> float:
    """How much of the answers came from a server, 0 to 1."""
    return sum(1 for each in answers if each == server) / len(answers) if answers else 0.0
