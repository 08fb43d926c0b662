"""Ctrl-C and SIGTERM: the first asks a run to stop, the second ends it at once."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from homelab.errors import INTERRUPTED
from homelab.ports.process import kill_all

# How often it is looked whether somebody still waits for what this process does.
LOOK_SECONDS = 1.0
ENDED = b"ended at once; run again, it goes on where it stopped\n"
STOPPING = "interrupted: nothing new begins, what is under way comes to its end; once more ends it at once"
# What a terminal must get before a process ends itself: whoever draws on one puts it here meanwhile.
LAST_WORDS: list[bytes] = []


@contextmanager
def stopping(stop: threading.Event, tell: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """In this context the first signal sets `stop`, so that what is under way comes to its end; nothing is raised.

    `tell` says so to people. SIGINT stays ignored where it was ignored by inheritance, as in the background. Elsewhere
    than in the main thread, where no handler can be set, nothing happens.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def told(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os.write(2, b"".join(LAST_WORDS) + ENDED)
            kill_all()
            os._exit(INTERRUPTED)
        stop.set()
        # By a thread of its own: this one may hold what it takes to say something.
        threading.Thread(target=tell, args=(STOPPING,), daemon=True).start()

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        numbers.append(signal.SIGINT)
    before = {number: signal.signal(number, told) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def orphaned(stop: threading.Event) -> Iterator[None]:
    """In this context `stop` is set once the process that began this one is gone: nobody would hear of what follows."""
    parent, done = os.getppid(), threading.Event()

    def watch() -> None:
        while not done.wait(LOOK_SECONDS):
            if os.getppid() != parent:
                stop.set()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


@contextmanager
def ended_like_interrupted() -> Iterator[None]:
    """SIGTERM, and SIGHUP of a terminal that closes, end the block as Ctrl-C does: what is half done can be told.

    A signal that is ignored, or that somebody else answers already, is left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
