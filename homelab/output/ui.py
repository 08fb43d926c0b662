"""What a person or a script sees: the same events as plain lines or as JSON lines.

The result goes to stdout, all else to stderr. Every text passes `_fit`, or is JSON, and nothing is markup: what came
from a host, a file's name or an argument cannot act on the terminal, or fail to be printed.
"""

import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from getpass import getpass
from typing import Any

from rich.console import Console
from rich.text import Text

from homelab.engine.events import Event
from homelab.engine.plan import Plan
from homelab.errors import HomelabError, Interrupted, InventoryError
from homelab.formats.trust.masks import Masks
from homelab.formats.visible import visible
from homelab.output.documents import event_document
from homelab.output.run_lines import QUIET_WAIT, RunLines
from homelab.output.screen import Screen, locale_has_unicode


class Ui:
    """One command's voice. `form` is text or json."""

    def __init__(self, form: str = "text", *, quiet: bool = False, verbose: bool = False, color: bool = True) -> None:
        self.form = form
        self.quiet = quiet
        self.verbose = verbose
        self._color = color
        # A fingerprint such as ...:AB:... must not become an emoji.
        options: dict[str, Any] = {"emoji": False, "soft_wrap": True, "highlight": False}
        options["no_color"] = None if color else True
        self._out = Console(**options)
        self._err = Console(stderr=True, **options)
        _keep_to_the_locale(self._out, sys.stdout)
        _keep_to_the_locale(self._err, sys.stderr)
        self._masks = Masks()
        self.screen = Screen(self._out, self._fit)
        self._lines = RunLines(self._err, self._fit, verbose=verbose)

    def hide(self, masks: Masks) -> None:
        """Mask these secrets from now on."""
        self._masks = masks

    def _fit(self, text: str, *, lines: bool = False) -> str:
        """A text masked and escaped; one line unless `lines`, for a name must not write a line of its own."""
        return visible(self._masks.text(text), lines=lines)

    @property
    def json(self) -> bool:
        """Whether a script listens."""
        return self.form == "json"

    def flags(self) -> list[str]:
        """The arguments that make another command speak the same way."""
        flags = {"--quiet": self.quiet, "--verbose": self.verbose, "--no-color": not self._color}
        return ["--output", self.form, *(flag for flag, is_set in flags.items() if is_set)]

    def note(self, text: str) -> None:
        """A sentence on the way."""
        if not self.quiet:
            self._err.print(Text(self._fit(text)))

    def show(self, text: str) -> None:
        """A fact that somebody is about to agree to: --quiet leaves none of them out."""
        self._err.print(Text(self._fit(text)))

    def warn(self, text: str) -> None:
        """A sentence that should not be missed."""
        self._err.print(Text.assemble(("warning:", "yellow"), f" {self._fit(text)}"))

    def error(self, error: HomelabError) -> None:
        """What happened, where, what to do; for an inventory every mistake."""
        if isinstance(error, InventoryError):
            for mistake in error.mistakes:
                self._err.print(Text(self._fit(str(mistake))))
                if mistake.see:
                    self._err.print(Text(f"  see: {self._fit(mistake.see)}"))
            self._err.print(Text(f"{len(error.mistakes)} mistake(s) in the inventory; nothing was touched"))
            return
        self._err.print(Text(self._fit(error.what), "bold red"))
        self._err.print(Text(f"  where: {self._fit(error.where)}\n  to do: {self._fit(error.advice)}"))
        if error.see:
            self._err.print(Text(f"  see: {self._fit(error.see)}"))

    def trace(self, text: str) -> None:
        """The whole story of a mistake of ours, for -v."""
        self._err.print(Text(self._fit(text, lines=True)))

    def document(self, data: Mapping[str, Any], *, indent: int | None = None) -> None:
        """A JSON document as the result, on one line unless `indent`."""
        sys.stdout.write(self._masks.line(json.dumps(data, default=str, indent=indent)) + "\n")
        sys.stdout.flush()

    def say(self, text: str, *, file: bool = False) -> None:
        """A line of the result; or a whole `file` of ours as it is, which another program reads."""
        if file:
            sys.stdout.write(visible(text))
        else:
            self._out.print(Text(self._fit(text)))

    @property
    def there(self) -> bool:
        """Whether somebody can be asked: a terminal, and not a pipe."""
        return sys.stdin.isatty()

    def under_way(self, plan: Plan, stopping: Callable[[], bool]) -> AbstractContextManager[None]:
        """In this context a terminal shows the plan being carried out, as a table of machines.

        `stopping` tells whether the run was interrupted.
        """
        return nullcontext() if self.json or self.quiet else self._lines.under_way(plan, stopping)

    def event(self, event: Event) -> None:
        """One event of a run."""
        if self.json:
            self.document(event_document(event))
        elif not self.quiet:
            self._lines.event(event)

    def plan(self, plan: Plan, time: str = "") -> None:
        """The plan for people, with the `time` that it may take."""
        from homelab.output.plan_text import PlanText

        self.screen.draw(PlanText(self.screen.room, self.screen.clean, self.verbose).lines(plan, time))

    @contextmanager
    def progress(self, sentence: str) -> Iterator[Callable[[int, int], None]]:
        """How far a transfer is: a bar on a terminal, elsewhere a line now and then. Called with (done, in all)."""
        if self.quiet or not self._err.is_terminal:
            yield _now_and_then(sentence, self.note)
            return
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=self._err, transient=True) as bars:
            task = bars.add_task(self._fit(sentence), total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total or None)

    def ask_secret(self, prompt: str = "Vault password: ") -> str:
        """A password, typed unseen. Raises Interrupted at the end of input."""
        try:
            return getpass(prompt)
        except EOFError:
            raise _left(prompt) from None

    def ask(self, question: str, proposal: str = "") -> str:
        """Ask a person for a value; the proposal when only Enter is pressed. Raises Interrupted at the end of input."""
        self._err.print(Text(self._fit(f"{question} [{proposal}]: " if proposal else f"{question}: ")), end="")
        if not (line := _line()):
            raise _left(question)
        return line.strip() or proposal

    def confirm(self, question: str) -> bool:
        """Ask a person; only an explicit yes counts."""
        with self._lines.asking():
            self._err.print(Text(self._fit(f"{question} [y/N] ")), end="")
            return _line().strip().lower() in ("y", "yes")

    def typed(self, question: str) -> str:
        """Ask a person for a word; empty at the end of input."""
        with self._lines.asking():
            self.show(question)
            return _line().strip()


def _line() -> str:
    """The line that was typed, empty at the end of input; what is no text is no answer."""
    try:
        return sys.stdin.readline()
    except UnicodeDecodeError:
        return "\n"


def _left(question: str) -> Interrupted:
    return Interrupted("the input ended before the answer", where=question.strip(" :"), advice="Run it again")


def _keep_to_the_locale(console: Console, stream: Any) -> None:
    """A terminal whose locale is C gets ASCII, whatever Python takes it for; rich draws its bars with that too."""
    if console.is_terminal and not locale_has_unicode(os.environ) and isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="ascii", errors="backslashreplace")


def _now_and_then(sentence: str, note: Callable[[str], None]) -> Callable[[int, int], None]:
    said = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said >= QUIET_WAIT.total_seconds():
            said = time.monotonic()
            note(f"{sentence}: {done / 1e6:.0f}" + (f" of {total / 1e6:.0f} MB" if total else " MB"))

    return report
