"""What is drawn on a terminal: lines with styles, once or again and again in the same place."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from homelab.output.signs import ASCII, UNICODE, Line, Signs

SIGNS = "█░├└│─…"
PLAIN = ("C", "POSIX")
WIDEST = 10_000


def locale_has_unicode(environment: Mapping[str, str]) -> bool:
    """Whether a person's locale has more than ASCII: the first of LC_ALL, LC_CTYPE and LANG that is set decides.

    Python itself sets LC_CTYPE to C.UTF-8 where the locale is C (PEP 538), so that is nobody's choice.
    """
    if environment.get("LC_CTYPE") == "C.UTF-8" and environment.get("LANG") in PLAIN:
        return environment.get("LC_ALL") not in (*PLAIN, None)
    chosen = (environment.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    return next((one for one in chosen if one), "") not in PLAIN


class Screen:
    """Standard output as a place to draw on; `clean` makes any text fit for it."""

    def __init__(self, console: Console, clean: Callable[[str], str]) -> None:
        self._console = console
        self.clean = clean

    @property
    def is_terminal(self) -> bool:
        """Whether it is a terminal, and not a pipe or a file."""
        return self._console.is_terminal

    @property
    def width(self) -> int:
        """Its columns."""
        return self._console.width

    @property
    def height(self) -> int:
        """Its lines."""
        return self._console.height

    @property
    def signs(self) -> Signs:
        """What pictures are drawn with."""
        return UNICODE if self.unicode else ASCII

    @property
    def room(self) -> int:
        """How long a line may be: what is no terminal takes any."""
        return self.width if self.is_terminal else WIDEST

    @property
    def unicode(self) -> bool:
        """Whether it shows more than ASCII. Python speaks UTF-8 under LC_ALL=C, the terminal may not."""
        try:
            SIGNS.encode(self._console.encoding)
        except (UnicodeError, LookupError):
            return False
        return locale_has_unicode(os.environ)

    def draw(self, lines: Sequence[Line]) -> None:
        """Draw lines, once; for what is no terminal as long as they are, and without blanks at their ends."""
        if self.is_terminal:
            self._console.print(self.text(lines))
        else:
            for line in lines:
                text = self.clean("".join(part for part, _ in line)).rstrip()
                self._console.print(Text(text), crop=False, overflow="ignore", no_wrap=True)

    @contextmanager
    def live(self) -> Iterator[Callable[[Sequence[Line]], None]]:
        """Draw again and again in one place; the last picture stays."""
        with Live(console=self._console, auto_refresh=False, vertical_overflow="ellipsis") as live:
            yield lambda lines: live.update(self.text(lines), refresh=True)

    def text(self, lines: Sequence[Line]) -> Text:
        """Lines as they are drawn."""
        text = Text(no_wrap=True, overflow="crop", end="")
        for number, line in enumerate(lines):
            text.append("\n" if number else "")
            for part, style in line:
                text.append(self.clean(part), style)
        return text
