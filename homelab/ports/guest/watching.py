"""Machines that are asked again and again, each by a thread of its own over a connection that is kept.

So one that went silent holds nobody up: the others' answers stay fresh.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

from homelab.errors import HomelabError
from homelab.ports.ssh import Shell

T = TypeVar("T")
# Between two questions, and before a machine that did not answer is tried again.
SECONDS = 1.0


class Watch(Generic[T]):
    """The latest answer of each machine; `away` makes one of an error. Its threads end with the program."""

    def __init__(
        self,
        connect: Callable[[str], AbstractContextManager[Shell]],
        ask: Callable[[Shell, str], T],
        away: Callable[[str, HomelabError], T],
    ) -> None:
        self._connect, self._ask, self._away = connect, ask, away
        self._latest: dict[str, T] = {}
        self._changed = threading.Condition()

    def follow(self, names: Sequence[str]) -> None:
        """Begin to ask these machines."""
        for name in names:
            threading.Thread(target=self._follow, args=(name,), daemon=True).start()

    def latest(self, names: Sequence[str], seconds: float) -> dict[str, T]:
        """What each of these machines answered last; waits for the first answers, so many seconds at most."""
        with self._changed:
            self._changed.wait_for(lambda: set(names) <= self._latest.keys(), seconds)
            return {name: self._latest[name] for name in names if name in self._latest}

    def _follow(self, name: str) -> None:
        while True:
            try:
                with self._connect(name) as shell:
                    while True:
                        began = time.monotonic()
                        self._tell(name, self._ask(shell, name))
                        time.sleep(max(0.0, began + SECONDS - time.monotonic()))
            except HomelabError as error:
                self._tell(name, self._away(name, error))
            time.sleep(SECONDS)

    def _tell(self, name: str, answer: T) -> None:
        with self._changed:
            self._latest[name] = answer
            self._changed.notify_all()
