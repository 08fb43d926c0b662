"""A command in a terminal as a picture that moves: one SVG without scripts, fonts or pictures from elsewhere.

`python -m tests.helpers.recording PICTURES` rehearses the sample lab, and writes a recording of that and a picture of
the lab as it then stands into the folder PICTURES.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from tests.helpers.served import HOMELAB, Lab, served
from tests.helpers.terminal import Terminal, terminal

COLUMNS, ROWS = 100, 30
# In pixels: a character, and what is around all of them.
WIDE, HIGH, MARGIN, BAR = 8, 17, 14, 30
# It is shown so much faster than it was, but no picture shorter than that, and the last one for a while.
FASTER, SHORTEST, LAST = 4.0, 0.25, 6.0
SECONDS = 900.0
TITLE = "homelab bootstrap: a rehearsal of the sample lab, four times as fast"
COLOURS = {
    "red": ("#b3261e", "#ff8a80"),
    "green": ("#1a7f37", "#7ee787"),
    "brown": ("#8a5a00", "#e3b341"),
    "blue": ("#0550ae", "#79c0ff"),
    "magenta": ("#8250df", "#d2a8ff"),
    "cyan": ("#006c75", "#76e3ea"),
}
LIGHT, DARK = ("#ffffff", "#1f2328", "#d0d7de", "#656d76"), ("#0d1117", "#e6edf3", "#30363d", "#8b949e")

Row = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Frame:
    """What was on the screen from a moment on, in seconds: rows of (text, class)."""

    at: float
    rows: tuple[Row, ...]


def recorded(shown: Terminal) -> list[Frame]:
    """The screens of a program until it ends, each once."""
    frames: list[Frame] = []
    began = time.monotonic()
    while not shown.ended:
        assert time.monotonic() - began < SECONDS, shown.screen
        shown.read()
        rows = tuple(map(_row, shown.cells))
        if not frames or frames[-1].rows != rows:
            frames.append(Frame(time.monotonic() - began, rows))
    return frames


def _row(cells: Sequence[Any]) -> Row:
    parts = [
        ("".join(cell.data for cell in group), classes)
        for classes, group in groupby(cells, lambda cell: _classes(cell))
    ]
    while parts and not parts[-1][0].strip():
        parts.pop()
    return tuple(parts)


def _classes(cell: Any) -> str:
    return " ".join(filter(None, (cell.fg if cell.fg in COLOURS else "", "bold" if cell.bold else "")))


def film(frames: Sequence[Frame], title: str = TITLE, columns: int = COLUMNS, rows: int = ROWS) -> str:
    """The picture. Frames lie beside each other, and a step of an animation shows the next one; rows are kept once."""
    frames = _slow_enough(frames)
    width, height = columns * WIDE + 2 * MARGIN, rows * HIGH + 2 * MARGIN + BAR
    kept: dict[Row, str] = {}
    strips = []
    for number, frame in enumerate(frames):
        uses = []
        for line, row in enumerate(frame.rows):
            if row:
                name = kept.setdefault(row, f"r{len(kept)}")
                uses.append(f'<use href="#{name}" y="{line * HIGH}"/>')
        strips.append(f'<g transform="translate({number * width})">{"".join(uses)}</g>')
    ends = frames[-1].at + LAST
    places = [f"transform:translateX({-number * width}px)" for number in range(len(frames))]
    moments = [f"{100 * frame.at / ends:.3f}%" for frame in frames]
    keys = "".join(f"{moment}{{{place}}}" for moment, place in zip(moments, places, strict=True))
    defs = "".join(f'<g id="{name}">{_texts(row)}</g>' for row, name in kept.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>'
        f"<style>{_style()}@keyframes film{{{keys}100%{{{places[-1]}}}}}"
        f".film{{animation:film {ends:.1f}s step-end infinite}}"
        f"@media (prefers-reduced-motion:reduce){{.film{{animation:none;{places[-1]}}}}}</style>"
        f'<defs>{defs}</defs><rect class="page" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>'
        f'<text class="title" x="{MARGIN}" y="{BAR - 10}">{escape(title)}</text>'
        f'<line class="rule" x1="0" x2="{width}" y1="{BAR}" y2="{BAR}"/>'
        f'<g transform="translate({MARGIN} {BAR + MARGIN + HIGH - 5})"><g class="film">{"".join(strips)}</g></g>'
        "</svg>\n"
    )


def _slow_enough(frames: Sequence[Frame]) -> list[Frame]:
    """The frames at the speed of the film from the first word on, without those that nobody could see."""
    shown: list[Frame] = []
    began = next((frame.at for frame in frames if any(frame.rows)), 0.0)
    for frame in frames:
        moment = max(0.0, frame.at - began) / FASTER
        if shown and moment - shown[-1].at < SHORTEST:
            shown[-1] = Frame(shown[-1].at, frame.rows)
        else:
            shown.append(Frame(moment, frame.rows))
    return shown


def _texts(row: Row) -> str:
    column, texts = 0, []
    for text, classes in row:
        bare = text.rstrip()
        lead = len(bare) - len(bare.lstrip())
        if bare.strip():
            words, place = bare.lstrip(), (column + lead) * WIDE
            mark = f' class="{classes}"' if classes else ""
            texts.append(f'<text x="{place}" textLength="{len(words) * WIDE}"{mark}>{escape(words)}</text>')
        column += len(text)
    return "".join(texts)


def _style() -> str:
    def theme(index: int, base: tuple[str, str, str, str]) -> str:
        page, ink, rule, faint = base
        colours = "".join(f"--{name}:{pair[index]};" for name, pair in COLOURS.items())
        return f"svg{{--page:{page};--ink:{ink};--rule:{rule};--faint:{faint};{colours}}}"

    return (
        f"{theme(0, LIGHT)}@media (prefers-color-scheme:dark){{{theme(1, DARK)}}}"
        "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:var(--ink);"
        "white-space:pre}.page{fill:var(--page);stroke:var(--rule)}.rule{stroke:var(--rule)}"
        ".title{fill:var(--faint)}.bold{font-weight:bold}"
        + "".join(f".{name}{{fill:var(--{name})}}" for name in COLOURS)
    )


def bootstrap_in(lab: Lab) -> list[Frame]:
    """A bootstrap of a served lab, in a terminal."""
    command = [*HOMELAB, "rehearsal", "enter", "--", "homelab", "--yes", "bootstrap"]
    with terminal(*command, columns=COLUMNS, rows=ROWS, folder=lab.folder) as shown:
        frames = recorded(shown)
        assert shown.end() == 0, shown.all
    return frames


def main(pictures: Path) -> None:
    pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as lab:
        (pictures / "rehearsal.svg").write_text(film(bootstrap_in(lab)), encoding="utf-8")
        done = lab.homelab("status", "--svg", str((pictures / "lab.svg").absolute()))
        assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    main(Path(sys.argv[1]))
