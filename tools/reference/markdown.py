"""Markdown as the pages have it. Pure."""

import re
from collections.abc import Iterable, Sequence

HEAD = "<!-- Made from the code by `make reference`. Whatever is written here by hand is lost. -->"


def page(title: str, *parts: str) -> str:
    """A whole page."""
    return "\n\n".join((HEAD, f"# {title}", *(part.strip("\n") for part in parts if part.strip()))) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a cell's own bars and line ends would break it."""
    lines = [_row(heads), "|" + "---|" * len(heads), *(_row(row) for row in rows)]
    return "\n".join(lines) if len(lines) > 2 else ""


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(re.sub(r"\s+", " ", cell).strip().replace("|", "\\|") for cell in cells) + " |"


def code(text: object) -> str:
    """A word as code; nothing for nothing."""
    said = str(text)
    # A bar in code inside of a table is read differently by each reader of Markdown.
    return f"`{said}`" if said and "|" not in said else said


def fenced(text: str, language: str = "") -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def plain(docstring: str | None) -> str:
    """A docstring as paragraphs, each on one line."""
    parts = re.split(r"\n\s*\n", (docstring or "").strip())
    return "\n\n".join(" ".join(part.split()) for part in parts)


def angled(text: str) -> str:
    """Words in capitals that stand for something are no HTML."""
    return text.replace("<", "&lt;")
