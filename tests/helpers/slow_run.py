"""A run for a terminal: two machines, each of which waits for a file: `python -m tests.helpers.slow_run FOLDER`."""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

from homelab.engine.runner import Runner
from homelab.engine.step import Change, Row, Step, Words
from homelab.engine.world import Report
from homelab.errors import Interrupted
from homelab.lab import no_lab
from homelab.output.ui import Ui
from homelab.ports.signals import stopping

FOLDER = Path(sys.argv[1])
UI = Ui()


@dataclass
class Run:
    stop: Event = field(default_factory=Event)
    whole_story: str = ""
    cannot_write: str = ""

    def log(self, text: str) -> None:
        UI.note(text)

    def during(self, step: str) -> AbstractContextManager[None]:
        return nullcontext()

    def afresh(self, names: Any) -> AbstractContextManager[None]:
        return nullcontext()

    def connected(self) -> AbstractContextManager[None]:
        return nullcontext()

    def interruptible(self) -> AbstractContextManager[None]:
        return stopping(self.stop, UI.note)


@dataclass
class World:
    run: Run
    report: Report = lambda condition, deadline, last: None

    def at(self, report: Report) -> "World":
        return World(self.run, report)


@dataclass(frozen=True)
class Send(Change):
    def _words(self) -> Words:
        return Words(f"send the image to {self.target}", f"{self.target} has none", "delete it")


class Sending(Step[bool, Send]):
    """Sends the half of something, waits for the file, and sends the rest."""

    name = "image"
    row = Row("sending", held_up_by="nothing")

    def targets(self, lab: Any) -> Sequence[str]:
        return ["brix1", "brix2"]

    def observe(self, world: World, lab: Any, target: str) -> bool:
        return (FOLDER / f"{target}.sent").exists()

    def plan(self, lab: Any, target: str, observed: bool) -> Sequence[Send]:
        return [] if observed else [Send(target)]

    def apply(self, world: World, change: Send) -> None:
        deadline = datetime.now(UTC) + timedelta(minutes=10)
        for percent in range(0, 60, 10):
            world.report(f"the image is sent to {change.target}", deadline, f"{percent} % of 400 MB")
            Event().wait(0.25)
        while not (FOLDER / "go").exists():
            world.report(f"{change.target} has room", deadline, "it is full")
            Event().wait(0.1)
        (FOLDER / f"{change.target}.sent").touch()


def main() -> int:
    world = World(Run())
    runner = Runner(no_lab(), [Sending()], world, UI.event)
    plan = runner.plan()
    try:
        with UI.under_way(plan, world.run.stop.is_set):
            runner.run(plan, lambda node, change: True)
    except Interrupted as error:
        UI.error(error)
        return error.exit_code
    UI.say("all is well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
