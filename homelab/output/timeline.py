"""A run as a picture: steps as bars on hosts and guests, waits lighter, failures and critical path marked. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from homelab.output.spans import Span, began_of, critical, spans_of
from homelab.output.svg import LARGE, SMALL, Canvas, fitted, width_of

WIDTH = 960
# In pixels: around everything; the names' column at most; a lane with its text and its bar; between two machines.
MARGIN, NAMES, LANE, BAR, GAP, AXIS, LEAST = 16, 150, 30, 11, 6, 22, 3.0
TICK_ROOM = 64
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200)
MOODS = {
    "changed": "good",
    "unchanged": "off",
    "failed": "bad",
    "blocked": "warn",
    "hand_over": "warn",
    "running": "ours",
}
WORDS = {"hand_over": "for your hands", "running": "not ended"}
RUN = "(run)"


@dataclass(frozen=True)
class Scale:
    """Seconds as pixels."""

    left: float
    room: float
    seconds: float

    def x(self, at: float) -> float:
        """Where a moment is."""
        return self.left + self.room * at / self.seconds


def run_timeline(
    documents: Sequence[Mapping[str, Any]], run: str, width: int = WIDTH, clean: Callable[[str], str] = str
) -> str:
    """The picture of a run, by the events in its log and the name of its folder."""
    spans = spans_of(documents, run)
    began = began_of(run)
    at = f"{began.astimezone():%Y-%m-%d %H:%M}, " if began else ""
    ends = [f"{count} {WORDS.get(kind, kind)}" for kind in MOODS if (count := _count(spans, kind))]
    last = max([span.end for span in spans] or [0.0])
    return timeline(spans, f"{at}{duration(last)}", ", ".join(ends) or "nothing was to do", width, clean)


def _count(spans: Sequence[Span], outcome: str) -> int:
    return sum(span.outcome == outcome for span in spans if span.target)


def timeline(
    spans: Sequence[Span], title: str, told: str, width: int = WIDTH, clean: Callable[[str], str] = str
) -> str:
    """The picture of a run, so many pixels wide; `told` is how its nodes ended."""
    canvas = Canvas(width, clean)
    names = list(dict.fromkeys(span.target or RUN for span in spans))
    column = min(NAMES, max((width_of(canvas.said(name), SMALL, bold=True) for name in names), default=0.0) + 12)
    scale = Scale(MARGIN + column, width - 2 * MARGIN - column, max([span.end for span in spans] or [0.0]) or 1.0)
    canvas.text(MARGIN, 30, title, "bold", room=width - 2 * MARGIN, size=LARGE)
    canvas.text(MARGIN, 50, told, "faint", room=width - 2 * MARGIN, size=SMALL)
    rows = [(name, _lanes([span for span in spans if (span.target or RUN) == name])) for name in names]
    top = 64.0 + AXIS
    bottom = top + sum(len(lanes) * LANE + GAP for _, lanes in rows)
    _axis(canvas, scale, top, bottom)
    path, y = critical(spans), top
    tops: dict[int, float] = {}
    for name, lanes in rows:
        canvas.text(MARGIN, y + LANE - 8, name, "bold", room=column - 12, size=SMALL)
        for lane in lanes:
            _lane(canvas, scale, lane, y)
            tops |= {id(span): y for span in lane}
            y += LANE
        canvas.path("grid", (MARGIN, y + GAP / 2), (width - MARGIN, y + GAP / 2))
        y += GAP
    _path(canvas, scale, path, tops)
    return canvas.svg(_legend(canvas, spans, bottom + 8) + MARGIN, f"{title}: {told}")


def duration(seconds: float) -> str:
    """A length of time."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds % 1 and seconds < 10 else f"{seconds:.0f} s"
    minutes, left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {left} s" if left else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def _clock(at: float) -> str:
    """A moment on the axis: seconds, and from a minute on minutes and seconds."""
    if at < 60:
        return duration(at)
    minutes, seconds = divmod(round(at), 60)
    return f"{minutes}:{seconds:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def _lanes(spans: Sequence[Span]) -> list[list[Span]]:
    """What overlaps lies in lanes of its own."""
    lanes: list[list[Span]] = []
    for span in spans:
        free = next((lane for lane in lanes if lane[-1].end <= span.begin), None)
        if free is None:
            lanes.append([span])
        else:
            free.append(span)
    return lanes


def _axis(canvas: Canvas, scale: Scale, top: float, bottom: float) -> None:
    most = max(1, int(scale.room // TICK_ROOM))
    step = next((tick for tick in TICKS if scale.seconds / tick <= most), scale.seconds)
    at = 0.0
    while at <= scale.seconds:
        x = scale.x(at)
        canvas.path("grid", (x, top - 4), (x, bottom))
        is_last = x + TICK_ROOM > canvas.width - MARGIN
        if not is_last or at == 0:
            canvas.text(x, top - 9, _clock(at), "faint", room=TICK_ROOM - 6, size=SMALL)
        at = round(at + step, 3)


def _lane(canvas: Canvas, scale: Scale, lane: Sequence[Span], y: float) -> None:
    for span, after in zip_longest(lane, lane[1:]):
        left, right = scale.x(span.begin), scale.x(span.end)
        canvas.begin(f"{span.step} {span.target}".strip())
        _bar(canvas, scale, span, y)
        room = (scale.x(after.begin) if after else canvas.width - MARGIN) - left - 3
        label = f"{'✕ ' if span.outcome == 'failed' else ''}{span.step}"
        if width_of(label, SMALL) <= room or len(fitted(label, room, SMALL)) > 3:
            canvas.text(left, y + 13, label, _label(span), room=room, size=SMALL)
        elif span.outcome == "failed":
            canvas.text(max(right, left) + 1, y + LANE - 3, "✕", "bad bold", room=14, size=SMALL)
        canvas.end()


def _label(span: Span) -> str:
    return "bad bold" if span.outcome == "failed" else "faint"


def _bar(canvas: Canvas, scale: Scale, span: Span, y: float) -> None:
    """Work in full colour, waits lighter; whatever took no time is still to be seen."""
    mood = MOODS[span.outcome]
    words = f"{span.step} {span.target}".strip()
    told = f": {span.told}" if span.told else ""
    hint = f"{words}, {WORDS.get(span.outcome, span.outcome)} after {duration(span.end - span.begin)}{told}"
    at = span.begin
    top = y + LANE - BAR - 2
    for wait in span.waits:
        end = span.end if wait.end is None else wait.end
        if wait.begin > at:
            _piece(canvas, scale, at, wait.begin, top, mood, hint)
        if end > wait.begin:
            _piece(canvas, scale, wait.begin, end, top, f"{mood} wait", f"{words} waits for: {wait.condition}")
        at = max(at, end)
    if at < span.end or at == span.begin:
        _piece(canvas, scale, at, span.end, top, mood, hint)


def _piece(canvas: Canvas, scale: Scale, begin: float, end: float, y: float, kind: str, hint: str) -> None:
    left = min(scale.x(begin), canvas.width - MARGIN - LEAST)
    canvas.rect(left, y, max(LEAST, scale.x(end) - left), BAR, kind, radius=2, hint=hint)


def _path(canvas: Canvas, scale: Scale, path: Sequence[Span], tops: dict[int, float]) -> None:
    """A frame around each bar of the critical path, and a line from each to the next."""
    for span, after in zip_longest(path, path[1:]):
        y = tops[id(span)] + LANE - BAR - 2
        left = min(scale.x(span.begin), canvas.width - MARGIN - LEAST)
        canvas.rect(left - 1, y - 1, max(LEAST, scale.x(span.end) - left) + 2, BAR + 2, "critical", radius=3)
        if after is not None:
            x, middle = scale.x(after.begin), y + BAR / 2
            below = tops[id(after)] + LANE - BAR / 2 - 2
            canvas.path("critical", (scale.x(span.end), middle), (x, middle), (x, below))


def _legend(canvas: Canvas, spans: Sequence[Span], y: float) -> float:
    """What the colours mean, of those that are there; where it ends."""
    kinds = [(MOODS[kind], WORDS.get(kind, kind)) for kind in MOODS if any(span.outcome == kind for span in spans)]
    if any(span.waits for span in spans):
        kinds.append(("good wait", "waiting"))
    kinds.append(("critical", "the critical path"))
    x = float(MARGIN)
    for kind, word in kinds:
        wide = 16 + width_of(word, SMALL) + 18
        if x > MARGIN and x + wide > canvas.width - MARGIN:
            x, y = MARGIN, y + 20
        canvas.rect(x + 1, y + 3, 11, 11, kind, radius=2)
        canvas.text(x + 18, y + 13, word, "faint", room=canvas.width - MARGIN - x - 18, size=SMALL)
        x += wide
    return y + 20
