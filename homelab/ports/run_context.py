"""What a run is to whatever works in it: its log, its interruption, and which of its looks still count."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event

from homelab.ports.files.home import HomeFiles
from homelab.ports.files.record import during
from homelab.ports.looks import afresh
from homelab.ports.signals import stopping
from homelab.ports.vsphere.kept_sessions import KeptSessions


@dataclass(frozen=True)
class RunContext:
    """One run; `stop` is set when a person interrupts it."""

    files: HomeFiles
    stop: Event
    sessions: KeptSessions
    note: Callable[[str], None]

    def log(self, text: str) -> None:
        """Add a line to the full log."""
        self.files.append("run.log", f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {text}\n")

    @property
    def whole_story(self) -> str:
        """Where the whole story of a mistake of ours is: a sentence."""
        return f"The whole story is in {self.files.log}"

    @property
    def cannot_write(self) -> str:
        """Why the logs cannot be written any more; empty when they can."""
        return self.files.cannot_write or ""

    def during(self, step: str) -> AbstractContextManager[None]:
        """In this context what is recorded belongs to a step."""
        return during(step)

    def afresh(self, names: Collection[str] | None) -> AbstractContextManager[None]:
        """In this context no look counts that was asked for before it began; with `names`, at those machines alone."""
        return afresh(names)

    def connected(self) -> AbstractContextManager[None]:
        """In this context logins at hosts are kept and used again."""
        return self.sessions.held()

    def interruptible(self) -> AbstractContextManager[None]:
        """In this context the first Ctrl-C or SIGTERM sets `stop`, and raises nothing."""
        return stopping(self.stop, self.note)
