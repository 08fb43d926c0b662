"""What the engine wants of the world; steps know the rest of it."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from datetime import datetime
from threading import Event
from typing import Protocol

# Condition, deadline and last answer of a wait.
Report = Callable[[str, datetime, str], None]


class Run(Protocol):
    """The run that a world belongs to. `stop` is set when a person interrupts it."""

    @property
    def stop(self) -> Event:
        """Set once nothing new may begin."""

    @property
    def whole_story(self) -> str:
        """Where the whole story of a mistake of ours is: a sentence."""

    @property
    def cannot_write(self) -> str:
        """Why the logs cannot be written any more; empty when they can."""

    def log(self, text: str) -> None:
        """Add a line to the full log, where there is one."""

    def during(self, step: str) -> AbstractContextManager[None]:
        """In this context what is recorded belongs to a step."""

    def afresh(self, names: Collection[str] | None) -> AbstractContextManager[None]:
        """In this context no look counts that was asked for before it began; with `names`, at those machines alone."""

    def connected(self) -> AbstractContextManager[None]:
        """In this context what is connected may stay so; at its end nothing is."""

    def interruptible(self) -> AbstractContextManager[None]:
        """In this context Ctrl-C and SIGTERM set `stop`, and raise nothing; or end at once what can be ended so."""


class World(Protocol):
    """The ports' door as the runner uses it."""

    @property
    def run(self) -> Run:
        """The run that it belongs to."""

    def at(self, report: Report) -> "World":
        """The same world, reporting its waits as one node's."""
