"""How many sessions one SSH connection carries at once: sshd refuses the eleventh (sshd_config(5), MaxSessions)."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from homelab.errors import Interrupted

# Two of the ten are left: a session that we gave up counts until its command has ended there.
SHORT, LONG = 3, 5
LOOK_SECONDS = 0.25


class Sessions:
    """The places of one connection. Whoever has one has a deadline of its own, so none is waited for without an end.

    Long commands have places of their own: one may wait for a short one, as a VM that asks while it is switched on.
    Short ones wait for nothing.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._short, self._long = threading.BoundedSemaphore(SHORT), threading.BoundedSemaphore(LONG)

    @contextmanager
    def place(self, what: str, stop: threading.Event | None = None, *, long: bool = False) -> Iterator[None]:
        """Wait for a place, and have it meanwhile. Raises Interrupted."""
        places = self._long if long else self._short
        while not places.acquire(timeout=LOOK_SECONDS):
            if stop is not None and stop.is_set():
                advice = "Run again; it goes on where it stopped"
                raise Interrupted(f"interrupted before `{what}` began", where=self._where, advice=advice)
        try:
            yield
        finally:
            places.release()
