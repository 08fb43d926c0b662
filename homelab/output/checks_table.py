"""The checks of `doctor` as one table by machine, and what is not fine at length. Pure."""

from collections.abc import Mapping, Sequence

from homelab.checks.check import Result
from homelab.output.signs import Line, wrapped

# What a check says to do when its answer tells that itself.
SEE_THE_ANSWER = "See the answer"
GOOD, BAD, UNKNOWN = "ok", "NO", "-"
GAP = "  "

Cell = tuple[str, str]


def machines_table(results: Sequence[Result], kinds: Mapping[str, str], width: int) -> list[Line]:
    """A row for each machine and a column for each concern, under a head for each kind of machine.

    `kinds` tells what each target is. Where the words would not fit, ok and NO stand in their place.
    """
    grouped: dict[str, dict[str, list[Result]]] = {}
    for result in results:
        grouped.setdefault(kinds[result.check.target], {}).setdefault(result.check.target, []).append(result)
    lines: list[Line] = []
    for kind, machines in grouped.items():
        rows = {name: _cells(of) for name, of in machines.items()}
        made = _table(kind, rows)
        if max(map(_length, made)) > width:
            made = _table(kind, {name: {head: _short(cell) for head, cell in of.items()} for name, of in rows.items()})
        lines += made
    return lines


def details(results: Sequence[Result], width: int) -> list[Line]:
    """What is not fine: what was asked, what was answered, what to do; one answer to several checks is told once."""
    told: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if not result.answer.ok:
            told.setdefault((result.check.target, result.answer.text), []).append(result)
    lines: list[Line] = []
    for (_, text), (first, *others) in told.items():
        lines += [(), *(((line, "red"),) for line in wrapped("", "  ", f"not so: {first.check.sentence}", width))]
        lines += [((line, ""),) for line in wrapped("  ", "  ", text, width)]
        if first.check.advice != SEE_THE_ANSWER:
            lines += [((line, ""),) for line in wrapped("  to do: ", "    ", first.check.advice, width)]
        if others:
            unknown = f"so not known: {', '.join(result.check.concern for result in others)}"
            lines += [((line, "dim"),) for line in wrapped("  ", "  ", unknown, width)]
    return lines


def all_of_it(results: Sequence[Result]) -> list[str]:
    """Every check as a sentence with its answer."""
    return [f"{GOOD if result.answer.ok else BAD}  {result.check.sentence}: {result.answer.text}" for result in results]


def _cells(results: Sequence[Result]) -> dict[str, Cell]:
    """The words of one machine; what is not known because of an answer that was told already is a dash."""
    cells, seen = {}, set()
    for result in results:
        answer = result.answer
        if answer.ok:
            cell = (answer.word or GOOD, "")
        elif answer.text in seen:
            cell = (UNKNOWN, "dim")
        else:
            seen.add(answer.text)
            cell = (f"{BAD}: {answer.word}" if answer.word else BAD, "bold red")
        cells[result.check.concern] = cell
    return cells


def _short(cell: Cell) -> Cell:
    text, style = cell
    return (BAD if style == "bold red" else UNKNOWN if text == UNKNOWN else GOOD, style)


def _table(kind: str, rows: Mapping[str, Mapping[str, Cell]]) -> list[Line]:
    heads = list(dict.fromkeys(concern for cells in rows.values() for concern in cells))
    lines = [
        [(kind, "bold"), *((head, "bold") for head in heads)],
        *([(name, ""), *(cells.get(head, ("", "")) for head in heads)] for name, cells in rows.items()),
    ]
    widths = [max(len(line[column][0]) for line in lines) for column in range(len(heads) + 1)]
    # Nothing stands behind the last column.
    gaps = [width + len(GAP) for width in widths[:-1]] + [0]
    return [tuple((text.ljust(room), style) for (text, style), room in zip(line, gaps, strict=True)) for line in lines]


def _length(line: Line) -> int:
    return sum(len(text) for text, _ in line)
