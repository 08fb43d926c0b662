"""Pictures as SVG text: boxes, lines and texts that stay within their room. Pure.

Nothing in it comes from elsewhere: no fonts, no scripts. Its colours follow the reader's choice of light and dark.
"""

import re
from collections.abc import Callable
from unicodedata import east_asian_width
from xml.sax.saxutils import escape, quoteattr

from homelab.formats.visible import visible

SIZE, SMALL, LARGE = 13, 12, 17
CUT = "…"
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'
# Widths in em of DejaVu Sans, the widest of the usual fonts: what fits with it fits with all.
BOLD = 1.14
WIDTHS = {
    **dict.fromkeys("ijl'", 0.28),
    **dict.fromkeys("I.,:;|/\\ ", 0.34),
    **dict.fromkeys("frt-()[]!", 0.42),
    **dict.fromkeys("mMw%@W", 1.0),
    **dict.fromkeys("ABCDEFGHJKLNOPQRSTUVXYZ&", 0.8),
    **dict.fromkeys("#+<=>^~", 0.84),
}
LETTER, OTHER, WIDE = 0.64, 1.0, 1.15
# XML knows no such characters at all.
NO_XML = re.compile("[\ufffe\uffff]")
LIGHT = """\
text { font: 13px %FONT%; fill: #1f2328 } .small { font-size: 12px } .large { font-size: 17px }
.bold { font-weight: 600 } .faint { fill: #59636e } .page { fill: #ffffff } .box { fill: #f6f8fa; stroke: #d1d9e0 }
.inner { fill: #ffffff; stroke: #d1d9e0 } .marked { stroke: #0969da; stroke-width: 2 } .track { fill: #d1d9e0 }
.good { fill: #1a7f37 } .warn { fill: #9a6700 } .bad { fill: #cf222e } .off { fill: #6e7781 } .ours { fill: #0969da }
.line { stroke: #afb8c1; fill: none } .grid { stroke: #d1d9e0 } .way { stroke: #0969da; stroke-width: 2.5; fill: none }
.wait { opacity: 0.4 } .critical { stroke: #0969da; stroke-width: 2; fill: none }"""
DARK = """\
text { fill: #f0f6fc } .faint { fill: #9198a1 } .page { fill: #0d1117 } .box { fill: #151b23; stroke: #3d444d }
.inner { fill: #0d1117; stroke: #3d444d } .marked { stroke: #4493f8 } .track { fill: #3d444d }
.good { fill: #3fb950 } .warn { fill: #d29922 } .bad { fill: #f85149 } .off { fill: #9198a1 } .ours { fill: #4493f8 }
.line { stroke: #656c76 } .grid { stroke: #262c36 } .way { stroke: #4493f8 } .critical { stroke: #4493f8 }"""
STYLE = f"{LIGHT}\n@media (prefers-color-scheme: dark) {{\n{DARK}\n}}".replace("%FONT%", FONT)


def width_of(text: str, size: float = SIZE, *, bold: bool = False) -> float:
    """How wide a text is at most, in pixels."""
    return sum(map(_em, text)) * size * (BOLD if bold else 1.0)


def _em(sign: str) -> float:
    if sign in WIDTHS:
        return WIDTHS[sign]
    if sign.isascii():
        return LETTER
    return WIDE if east_asian_width(sign) in "WF" else OTHER


def fitted(text: str, room: float, size: float = SIZE, *, bold: bool = False) -> str:
    """The text, cut so that it fits."""
    if width_of(text, size, bold=bold) <= room:
        return text
    left = room - width_of(CUT, size, bold=bold)
    for end, sign in enumerate(text):
        left -= width_of(sign, size, bold=bold)
        if left < 0:
            return text[:end].rstrip() + CUT
    return text


def in_lines(text: str, room: float, most: int, size: float = SMALL) -> list[str]:
    """The text in at most so many lines that fit; what is left over is cut."""
    lines: list[str] = []
    words = text.split()
    while words and len(lines) < most - 1:
        count = 1
        while count < len(words) and width_of(" ".join(words[: count + 1]), size) <= room:
            count += 1
        if width_of(" ".join(words[:count]), size) > room:
            break
        lines.append(" ".join(words[:count]))
        words = words[count:]
    return [*lines, fitted(" ".join(words), room, size)] if words else lines


class Canvas:
    """A picture of a width in pixels; `clean` takes out of every text what nobody may read."""

    def __init__(self, width: int, clean: Callable[[str], str] = str) -> None:
        self.width = width
        self._clean = clean
        self._parts: list[str] = []

    def said(self, text: str) -> str:
        """A text as it is shown: on one line, without secrets."""
        return NO_XML.sub("\ufffd", visible(self._clean(text), lines=False))

    def text(
        self, x: float, y: float, text: str, kind: str = "", *, room: float, size: float = SIZE, end: bool = False
    ) -> float:
        """A text with its baseline at `y`, cut where it has no room, then with all of it as a hint; its width.

        It begins at `x`, or ends there.
        """
        whole, bold = self.said(text), "bold" in kind.split()
        shown = fitted(whole, room, size, bold=bold)
        sizes = {SMALL: " small", LARGE: " large"}
        anchor = ' text-anchor="end"' if end else ""
        hint = f"<title>{escape(whole)}</title>" if shown != whole else ""
        look = f" class={quoteattr((kind + sizes.get(int(size), '')).strip())}" if kind or size != SIZE else ""
        self._parts.append(f'<text x="{_n(x)}" y="{_n(y)}"{look}{anchor}>{escape(shown)}{hint}</text>')
        return width_of(shown, size, bold=bold)

    def rect(
        self, x: float, y: float, width: float, height: float, kind: str, *, radius: float = 6, hint: str = ""
    ) -> None:
        """A box, with a hint where there is one."""
        inside = f"><title>{escape(self.said(hint))}</title></rect>" if hint else "/>"
        place = f'x="{_n(x)}" y="{_n(y)}" width="{_n(max(0.0, width))}" height="{_n(height)}"'
        self._parts.append(f'<rect class="{kind}" {place} rx="{_n(radius)}"{inside}')

    def path(self, kind: str, *points: tuple[float, float]) -> None:
        """A line through some points."""
        line = " ".join(f"{'L' if number else 'M'}{_n(x)} {_n(y)}" for number, (x, y) in enumerate(points))
        self._parts.append(f'<path class="{kind}" d="{line}"/>')

    def begin(self, name: str) -> None:
        """Begin a group of what belongs to one thing, by its name."""
        self._parts.append(f"<g data-name={quoteattr(self.said(name))}>")

    def end(self) -> None:
        """End the group."""
        self._parts.append("</g>")

    def svg(self, height: float, label: str) -> str:
        """The whole picture; `label` says in a sentence what it shows, for who cannot see it."""
        width, tall = self.width, _n(height)
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {tall}" width="{width}" height="{tall}" '
            f'role="img" aria-label={quoteattr(self.said(label))}>'
        )
        page = f'<rect class="page" width="{width}" height="{tall}"/>'
        return "\n".join([head, f"<style>\n{STYLE}\n</style>", page, *self._parts, "</svg>"]) + "\n"


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
