"""Questions that are asked at once, each by a thread of its own: one that hangs holds up nobody.

The threads are daemons: a question that never ends does not keep the program from ending.
"""

import threading
import time
import traceback
from collections.abc import Callable, Collection, Mapping
from contextvars import copy_context
from typing import Generic, TypeVar

from homelab.errors import HomelabError

T = TypeVar("T")


class Probes(Generic[T]):
    """The latest answer to each question. `away` makes an answer of why there is none: a name, and a reason.

    A question that has not ended after `seconds` is answered so, until it does end.
    """

    def __init__(
        self,
        questions: Mapping[str, Callable[[], T]],
        away: Callable[[str, str], T],
        *,
        seconds: float,
        log: Callable[[str], None],
    ) -> None:
        self._questions, self._away, self._seconds, self._log = questions, away, seconds, log
        self._answers: dict[str, T] = {}
        self._asked: dict[str, float] = {}
        self._changed = threading.Condition()

    @property
    def names(self) -> Collection[str]:
        """What is asked about."""
        return self._questions.keys()

    def begin(self, pause: float | None) -> None:
        """Ask each once, or again and again with a pause of so many seconds."""
        began = time.monotonic()
        for name in self._questions:
            self._asked[name] = began
        for name in self._questions:
            threading.Thread(target=copy_context().run, args=(self._follow, name, pause), daemon=True).start()

    def latest(self, but: Collection[str] = ()) -> dict[str, T]:
        """What was answered last, `but` to some; waits until each question was answered once, or is overdue."""
        names = [name for name in self._questions if name not in but]
        with self._changed:
            self._changed.wait_for(lambda: all(self._is_told(name) for name in names), self._left(names))
            return {name: self._answer(name) for name in names}

    def first(self, wanted: Callable[[T], bool]) -> T | None:
        """An answer that is wanted, in the order of the questions; None once all were answered, or are overdue."""

        def found() -> list[T]:
            return [self._answers[name] for name in self._questions if name in self._answers]

        with self._changed:
            self._changed.wait_for(
                lambda: any(map(wanted, found())) or all(map(self._is_told, self._questions)),
                self._left(list(self._questions)),
            )
            return next(filter(wanted, found()), None)

    def _left(self, names: Collection[str]) -> float:
        """How long the last of these may still take; one that is not asked yet has all its time."""
        now = time.monotonic()
        due = [self._asked.get(name, now) + self._seconds for name in names if name not in self._answers]
        return max(0.0, max(due, default=now) - now)

    def _is_told(self, name: str) -> bool:
        return name in self._answers or self._is_overdue(name)

    def _is_overdue(self, name: str) -> bool:
        return name in self._asked and time.monotonic() - self._asked[name] >= self._seconds

    def _answer(self, name: str) -> T:
        if name not in self._answers or self._is_overdue(name):
            return self._away(name, f"no answer within {self._seconds:g} s")
        return self._answers[name]

    def _follow(self, name: str, pause: float | None) -> None:
        while True:
            answer = self._asked_now(name)
            with self._changed:
                self._answers[name] = answer
                self._asked.pop(name)
                self._changed.notify_all()
            if pause is None:
                return
            time.sleep(pause)
            with self._changed:
                self._asked[name] = time.monotonic()

    def _asked_now(self, name: str) -> T:
        """One answer; a question that breaks costs itself alone."""
        try:
            return self._questions[name]()
        except HomelabError as error:
            return self._away(name, error.what)
        except Exception as error:
            self._log("".join(traceback.format_exception(error)))
            return self._away(name, f"a mistake of homelab itself: {type(error).__name__}: {error}")
