"""What pictures of text are made of: lines of parts with styles, and the signs they are drawn with. Pure."""

from dataclasses import dataclass
from textwrap import wrap
from typing import TypeAlias

# A style is one of rich's, or empty.
Line: TypeAlias = tuple[tuple[str, str], ...]
LEAST_WIDTH = 40


@dataclass(frozen=True)
class Signs:
    """What a picture is drawn with."""

    full: str
    empty: str
    fork: str
    last: str
    stem: str
    cut: str


UNICODE = Signs("█", "░", "├─ ", "└─ ", "│  ", "…")
ASCII = Signs("#", ".", "|- ", "`- ", "|  ", "...")


def wrapped(head: str, more: str, text: str, width: int) -> list[str]:
    """A text in lines that fit; `more` stands before all but the first."""
    return wrap(text, max(width, LEAST_WIDTH), initial_indent=head, subsequent_indent=more)


def cut(line: Line, width: int, signs: Signs) -> Line:
    """A line that fits."""
    if sum(len(text) for text, _ in line) <= width:
        return line
    left, kept = width - len(signs.cut), []
    for text, style in line:
        kept.append((text[:left], style))
        left -= len(text[:left])
    return (*kept, (signs.cut, "dim"))
