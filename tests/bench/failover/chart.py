"""The chart: three columns of bars, a group for each fault of one server. Pure; no scripts, no fonts of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from tests.bench.failover.measures import Cell
from tests.bench.failover.report import SERVER_FAULTS, Result, times

# In pixels.
NAMES, COLUMN, BAR, ROW, GROUP, TOP, NUMBER = 190, 250, 11, 15, 30, 78, 46
STYLE = """\
  text { font: 12px system-ui, sans-serif; fill: #1f2328 } .faint { fill: #59636e } .title { font-size: 15px }
  .head { font-weight: 600 } .back { fill: #ffffff } .other { fill: #8c959f } .ours { fill: #0969da }
  .line { stroke: #d1d9e0 }
  @media (prefers-color-scheme: dark) { text { fill: #f0f6fc } .faint { fill: #9198a1 } .back { fill: #0d1117 }
    .other { fill: #6e7681 } .ours { fill: #4493f8 } .line { stroke: #3d444d } }"""


@dataclass(frozen=True)
class Column:
    """A figure as bars; `of` is its size, None when it is never, which has the longest bar."""

    title: str
    of: Callable[[Cell], float | None]
    digits: int
    by_asking: bool = False


COLUMNS = (
    Column("requests lost", lambda cell: cell.median("lost"), 0),
    Column("longest watch gap, s", lambda cell: cell.median("watch_gap"), 1),
    Column("seconds until noticed", lambda cell: cell.median("down"), 1, by_asking=True),
)


def svg(result: Result) -> str:
    """The whole picture: the median of each cell."""
    faults = [fault for fault in SERVER_FAULTS if any((name, fault) in result.cells for name in result.configurations)]
    height = TOP + len(faults) * (GROUP + ROW * len(result.configurations)) + 10
    width = NAMES + COLUMN * len(COLUMNS) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-label="What each configuration loses when one of three API servers fails">',
        f"<style>\n{STYLE}\n</style>",
        f'<rect class="back" width="{width}" height="{height}"/>',
        '<text class="title" x="10" y="26">One of three API servers fails: what 25 requests a second and 12 watches '
        "see of it</text>",
        f'<text class="faint" x="10" y="46">median; each {escape(times(result))}; shorter is better</text>',
    ]
    for number, column in enumerate(COLUMNS):
        left = NAMES + number * COLUMN
        parts.append(f'<text class="head" x="{left}" y="{TOP - 6}">{escape(column.title)}</text>')
        parts += _bars(column, left, faults, result)
    parts += _names(faults, result, width)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _tops(faults: Sequence[str], result: Result) -> list[tuple[str, int]]:
    """Each fault's group, and where it begins."""
    return [(fault, TOP + number * (GROUP + ROW * len(result.configurations))) for number, fault in enumerate(faults)]


def _names(faults: Sequence[str], result: Result, width: int) -> list[str]:
    parts = []
    for fault, top in _tops(faults, result):
        parts.append(f'<line class="line" x1="10" x2="{width - 10}" y1="{top + 2}" y2="{top + 2}"/>')
        parts.append(f'<text class="head" x="10" y="{top + 20}">{escape(result.faults[fault])}</text>')
        for number, name in enumerate(result.configurations):
            parts.append(f'<text x="22" y="{top + GROUP + ROW * number + 8}">{escape(name)}</text>')
    return parts


def _bars(column: Column, left: int, faults: Sequence[str], result: Result) -> list[str]:
    most = max((column.of(cell) or 0.0 for (_, fault), cell in result.cells.items() if fault in faults), default=0.0)
    room = COLUMN - NUMBER - 10
    parts = []
    for fault, top in _tops(faults, result):
        for number, name in enumerate(result.configurations):
            if not (cell := result.cells.get((name, fault))):
                continue
            size, y = column.of(cell), top + GROUP + ROW * number
            if column.by_asking and name in result.passive:
                parts.append(f'<text class="faint" x="{left}" y="{y + 8}">passive</text>')
                continue
            long = room if size is None else round(room * size / (most or 1.0), 1)
            kind = "ours" if name.startswith("ours") else "other"
            faded = ' opacity="0.35"' if size is None else ""
            label = "never" if size is None else f"{size:.{column.digits}f}"
            parts.append(
                f'<rect class="{kind}" x="{left}" y="{y - 2}" width="{max(long, 1.5)}" height="{BAR}"{faded}/>'
                f'<text x="{left + max(long, 1.5) + 5}" y="{y + 8}">{label}</text>'
            )
    return parts
