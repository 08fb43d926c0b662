"""What a run has chosen stays chosen, whatever it sees later."""

import threading
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class Choices(Generic[T]):
    """What was chosen by name; one choice at a time, each knowing those before."""

    def __init__(self) -> None:
        self._made: dict[str, T] = {}
        self._lock = threading.Lock()

    def keep(self, choose: Callable[[Mapping[str, T]], Mapping[str, T]]) -> Mapping[str, T]:
        """All choices so far, after `choose` was told them and has added its own; the first one for a name counts."""
        with self._lock:
            self._made = {**choose(self._made), **self._made}
            return self._made
