"""The page: what was measured, as Markdown. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.failover.gates import WORDS, Cells, Verdict
from tests.bench.failover.measures import Cell

CHART = "failover.svg"
# On the committed page, everything from here on is written by the bench.
MARK = "<!-- From here on the page is written by `make bench-failover`. -->"
SERVER_FAULTS = ("kill", "restart", "hang", "off", "unready", "graceful")


@dataclass(frozen=True)
class Result:
    """All cells, the names of what was compared, the titles of the faults, and what it was measured on.

    `passive` are the configurations that ask no server by themselves, so that nobody can see whom they take for down.
    `again` is how often a run was begun anew, `disturbed` how many were to be begun anew once more and were taken.
    """

    cells: Cells
    configurations: Sequence[str]
    faults: Mapping[str, str]
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    runs: int
    passive: frozenset[str] = frozenset()
    again: int = 0
    disturbed: int = 0


@dataclass(frozen=True)
class Table:
    """One table: a heading, what its cells mean, the faults that are its rows, and a cell's text."""

    title: str
    meaning: str
    faults: Sequence[str]
    text: Callable[[Cell], str]
    by_asking: bool = False


def figure(name: str, digits: int = 1, never: str = "never") -> Callable[[Cell], str]:
    """`median (worst)` of a figure."""

    def one(value: float | None) -> str:
        return never if value is None else f"{value:.{digits}f}"

    def text(cell: Cell) -> str:
        median, worst = one(cell.median(name)), one(cell.worst(name))
        return median if median == worst else f"{median} ({worst})"

    return text


def lost(cell: Cell) -> str:
    """`lost (worst) of requests`."""
    return f"{figure('lost', 0)(cell)} of {figure('requests', 0)(cell).split()[0]}"


TABLES = (
    Table(
        "Requests lost",
        "Of those sent after it happened: refused, cut off, answered 500, or without an answer for 10 s.",
        (*SERVER_FAULTS, "stall", "balancer-killed", "balancer-stopped", "balancer-off", "reload", "all-down"),
        lost,
    ),
    Table(
        "Slow requests",
        "Answered well, after more than 1 s.",
        (*SERVER_FAULTS, "stall", "balancer-stopped", "balancer-off", "reload"),
        figure("slow", 0),
    ),
    Table(
        "Seconds until the balancer takes the server for down",
        "`never`: not while it was watched; `passive`: it asks nobody, and leaves out who refused a client.",
        (*SERVER_FAULTS, "stall"),
        figure("down"),
        by_asking=True,
    ),
    Table(
        "Longest gap in a watch, in seconds",
        "Every watch has an event each second; a client gives a silent connection up after 45 s.",
        (*SERVER_FAULTS, "stall", "balancer-killed", "balancer-stopped", "balancer-off", "reload"),
        figure("watch_gap"),
    ),
    Table(
        "Longest time without any answer, in seconds",
        "How long the API was away for everybody.",
        ("balancer-killed", "balancer-stopped", "balancer-off", "reload"),
        figure("gap", 2),
    ),
    Table(
        "Seconds until the first answer once all servers are back",
        "They were down for ten seconds.",
        ("all-down",),
        figure("up"),
    ),
    Table(
        "Seconds until nothing is lost or slow any more once all servers are back", "", ("all-down",), figure("settled")
    ),
    Table("Seconds that a silent watch lives", "It was watched for 70 s.", ("silence",), figure("silent")),
    Table("Share of the server with weight 10 of 100", "Of 2,000 connections.", ("weighted",), figure("light", 3)),
)


def markdown(result: Result, verdicts: Iterable[Verdict], chart: str = CHART) -> str:
    """The tables, and how the gates were met; `chart` is the picture beside the page."""
    parts = [_measured_on(result, chart), *(_table(table, result) for table in TABLES), _gates(list(verdicts))]
    return "\n\n".join(part for part in parts if part) + "\n"


def page(text: str, figures: str) -> str:
    """The committed page with other figures; ValueError when it has no place for them."""
    written_by_hand, mark, _ = text.partition(MARK)
    if not mark:
        raise ValueError(f"the page has no line {MARK}")
    return f"{written_by_hand}{MARK}\n\n{figures}"


def _measured_on(result: Result, chart: str) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return (
        f"Every fault {times(result)}; the median, and the worst run in brackets where it differs. {versions}; Linux "
        f"{result.machine['kernel']}, {result.machine['processors']} processors; the load average was at most "
        f"{result.machine['load']:.1f}.{_disturbed(result)}\n\n![Requests lost, watch gaps and detection]({chart})"
    )


def times(result: Result) -> str:
    """How often each fault was run; configurations that had fewer runs are named."""
    runs: dict[str, int] = {}
    for (name, _), cell in result.cells.items():
        runs[name] = min(len(cell.runs), runs.get(name, result.runs))
    fewer = [f"{name} {_often(number)}" for name, number in runs.items() if number < result.runs]
    return _often(result.runs) + (f" ({', '.join(fewer)})" if fewer else "")


def _often(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _disturbed(result: Result) -> str:
    """The machine, or a balancer that loses requests while nothing is wrong."""
    found = f" Runs begun anew, for clients lost a request before the fault, or were late: {result.again}."
    kept = f" Runs in which that was so to the end: {result.disturbed}."
    return (found if result.again else "") + (kept if result.disturbed else "")


def _table(table: Table, result: Result) -> str:
    names = [name for name in result.configurations if any((name, fault) in result.cells for fault in table.faults)]
    rows = [fault for fault in table.faults if any((name, fault) in result.cells for name in names)]
    if not rows:
        return ""
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for fault in rows:
        lines.append(f"| {result.faults[fault]} | {' | '.join(_text(table, result, name, fault) for name in names)} |")
    return "\n\n".join(part for part in (f"## {table.title}", table.meaning, "\n".join(lines)) if part)


def _text(table: Table, result: Result, name: str, fault: str) -> str:
    cell = result.cells.get((name, fault))
    if table.by_asking and name in result.passive:
        return "passive"
    return table.text(cell) if cell else "-"


def _gates(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return ""
    lines = ["| configuration | fault | gate | |", "|---|---|---|---|"]
    lines += [
        f"| {each.configuration} | {each.fault} | {WORDS[each.gate.figure]}: {each.gate.bounds()} | "
        f"{'met' if each.wrong is None else f'**missed**: {each.wrong}'} |"
        for each in verdicts
    ]
    return "\n\n".join(["## Gates", "What `make bench-failover` ends with 1 for.", "\n".join(lines)])
