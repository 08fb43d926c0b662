"""Looks are asked for once: a cache of answers and of failures, one question at a time for each name."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Generic, TypeVar

from homelab.errors import HomelabError, LoginRefused

T = TypeVar("T")
# Since when a look counts, and at which names; None are all.
_NOT_BEFORE: ContextVar[tuple[float, Collection[str] | None]] = ContextVar("not_before", default=(0.0, None))


@contextmanager
def afresh(names: Collection[str] | None = None) -> Iterator[None]:
    """In this context and thread no look counts that was asked for before it began; each is asked for once more.

    With `names` that holds for looks at those alone.
    """
    token = _NOT_BEFORE.set((time.monotonic(), names))
    try:
        yield
    finally:
        _NOT_BEFORE.reset(token)


class Looks(Generic[T]):
    """One answer a name until it is forgotten. A failure is an answer too: a refused login is never tried twice.

    `forget_too` is called whenever a name is forgotten.
    """

    def __init__(self, ask: Callable[[str], T], forget_too: Callable[[], None] = lambda: None) -> None:
        self._ask, self._forget_too = ask, forget_too
        self._answers: dict[str, T | HomelabError] = {}
        self._first: dict[str, T] = {}
        self._last: dict[str, T] = {}
        self._since = 0.0
        self._asked: dict[str, float] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, name: str, ask: Callable[[], T] | None = None) -> T:
        """The answer for a name; raises the HomelabError that asking raised. `ask` is how this name is asked for."""
        with self._lock(name):
            if self._is_due(name):
                self._asked[name] = time.monotonic()
                try:
                    self._answers[name] = self._last[name] = answer = ask() if ask else self._ask(name)
                    self._first.setdefault(name, answer)
                except HomelabError as error:
                    self._answers[name] = error
            found = self._answers[name]
        if isinstance(found, HomelabError):
            raise found
        return found

    def answered(self, names: Sequence[str]) -> dict[str, T]:
        """The answers for those names that have one; what is not known yet is asked for all at once."""
        due = [name for name in names if self._is_due(name)]
        if len(due) > 1:
            with ThreadPoolExecutor(len(due)) as pool:
                list(pool.map(lambda one: one[0].run(self._try, one[1]), [(copy_context(), name) for name in due]))
        return {name: answer for name in names for answer in self._try(name)}

    def first(self, names: Sequence[str]) -> dict[str, T]:
        """The very first answers for those names that ever had one, whatever has become of it since."""
        self.answered(names)
        return {name: self._first[name] for name in names if name in self._first}

    def last(self, name: str) -> T:
        """The last answer that there ever was, whatever was written since: for what no write of ours changes."""
        return self._last[name] if name in self._last else self.get(name)

    def _try(self, name: str) -> list[T]:
        """The answer, or nothing."""
        try:
            return [self.get(name)]
        except HomelabError:
            return []

    def _is_due(self, name: str) -> bool:
        answer = self._answers.get(name)
        if answer is None or isinstance(answer, LoginRefused):
            return answer is None
        since, names = _NOT_BEFORE.get()
        return self._asked[name] < (max(since, self._since) if names is None or name in names else self._since)

    def forget(self, name: str) -> None:
        """Ask anew the next time."""
        with self._lock(name):
            self._answers.pop(name, None)
        self._forget_too()

    def forget_all(self) -> None:
        """Ask anew for every name; what is being asked for just now too."""
        self._since = time.monotonic()

    def _lock(self, name: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(name, threading.Lock())
