"""Looks are asked for once: a cache of answers and of failures, one question at a time for each name."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from homelab.errors import HomelabError

T = TypeVar("T")


class Looks(Generic[T]):
    """One answer a name until it is forgotten. A failure is an answer too: a refused login is never tried twice."""

    def __init__(self, ask: Callable[[str], T]) -> None:
        self._ask = ask
        self._answers: dict[str, T | HomelabError] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, name: str) -> T:
        """The answer for a name; raises the HomelabError that asking raised."""
        with self._lock(name):
            if name not in self._answers:
                try:
                    self._answers[name] = self._ask(name)
                except HomelabError as error:
                    self._answers[name] = error
            answer = self._answers[name]
        if isinstance(answer, HomelabError):
            raise answer
        return answer

    def forget(self, name: str) -> None:
        """Ask anew the next time."""
        with self._lock(name):
            self._answers.pop(name, None)

    def _lock(self, name: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(name, threading.Lock())
