"""A child that is started before its answer is asked for, so that it works while we load our own modules."""

import threading
from collections.abc import Callable

from homelab.ports.process import Done

END_SECONDS = 2.0


class Ahead:
    """Runs `work` in a thread; `work` raises once the event that it gets is set."""

    def __init__(self, work: Callable[[threading.Event], Done]) -> None:
        self._work, self._stop = work, threading.Event()
        self._done: Done | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._done = self._work(self._stop)
        except BaseException as error:
            self._error = error

    def result(self) -> Done:
        """What it came to; raises what it raised."""
        self._thread.join()
        if self._done is None:
            assert self._error is not None
            raise self._error
        return self._done

    def end(self) -> None:
        """Nobody wants it any more."""
        self._stop.set()
        self._thread.join(END_SECONDS)
