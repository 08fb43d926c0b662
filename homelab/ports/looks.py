"""Looks are asked for once: a cache of answers and of failures, one question at a time for each name."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Generic, TypeVar

from homelab.errors import HomelabError, LoginRefused

T = TypeVar("T")
_NOT_BEFORE: ContextVar[float] = ContextVar("not_before", default=0.0)


@contextmanager
def afresh() -> Iterator[None]:
    """In this context and thread no look counts that was asked for before it began; each is asked for once more."""
    token = _NOT_BEFORE.set(time.monotonic())
    try:
        yield
    finally:
        _NOT_BEFORE.reset(token)


class Looks(Generic[T]):
    """One answer a name until it is forgotten. A failure is an answer too: a refused login is never tried twice."""

    def __init__(self, ask: Callable[[str], T]) -> None:
        self._ask = ask
        self._answers: dict[str, T | HomelabError] = {}
        self._first: dict[str, T] = {}
        self._asked: dict[str, float] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, name: str) -> T:
        """The answer for a name; raises the HomelabError that asking raised."""
        with self._lock(name):
            if self._is_due(name):
                self._asked[name] = time.monotonic()
                try:
                    self._answers[name] = answer = self._ask(name)
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
        return self._asked[name] < _NOT_BEFORE.get()

    def forget(self, name: str) -> None:
        """Ask anew the next time."""
        with self._lock(name):
            self._answers.pop(name, None)

    def _lock(self, name: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(name, threading.Lock())
