"""The faults of a running lab: which are ordered, when they begin, and that they end."""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from homelab.rehearsal.faults.acts import ACTS, Stage
from homelab.rehearsal.faults.table import Wish, targets

WATCH_SECONDS = 0.2


@dataclass
class Ordered:
    """A wish with its targets; `writes` are those counted since, `begun` whether it is in force."""

    wish: Wish
    targets: tuple[str, ...]
    writes: int = 0
    begun: bool = False

    def fields(self) -> dict[str, Any]:
        """For people and scripts."""
        state = "begun" if self.begun else "not begun yet"
        return {"fault": self.wish.text, "targets": list(self.targets), "begun": self.begun, "state": state}


@dataclass
class Faults:
    """The faults of a running lab. `logs` is where runs write their events."""

    stage: Stage
    logs: Path
    ordered: list[Ordered] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._events = Events(self.logs)
        self._watching = False
        for name, site in self.stage.sites.items():
            site.host.harm.met = self.met
            site.host.harm.wrote = partial(self.wrote, name)

    def order(self, wishes: Sequence[Wish]) -> list[dict[str, Any]]:
        """Take wishes, all or none; those without a WHEN begin before this returns."""
        guests = self.stage.guests is not None
        new = [Ordered(wish, targets(wish, self.stage.lab, guests=guests)) for wish in wishes]
        with self._lock:
            if not self._step_pending():
                self._events.skip()
            self.ordered += new
            for one in new:
                if one.wish.when in (None, 0):
                    self._begin(one)
            if self._step_pending() and not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="faults", daemon=True).start()
        return [one.fields() for one in new]

    def clear(self) -> list[dict[str, Any]]:
        """End every fault, the last one first; what was ordered."""
        with self._lock:
            ended, self.ordered = self.ordered, []
            for one in reversed(ended):
                if one.begun:
                    ACTS[one.wish.name][1](self.stage, one.targets)
            return [one.fields() for one in ended]

    def state(self) -> list[dict[str, Any]]:
        """What is ordered."""
        with self._lock:
            return [one.fields() for one in self.ordered]

    def met(self) -> None:
        """A request came in: a step may have started just before it."""
        if not self._step_pending():
            return
        with self._lock:
            for event in self._events.new():
                if event.get("event") == "start":
                    self._started(str(event.get("step")), str(event.get("target")))

    def wrote(self, host: str, what: str) -> None:
        """Something was written to a host."""
        if not any(isinstance(one.wish.when, int) and not one.begun for one in list(self.ordered)):
            return
        with self._lock:
            for one in self.ordered:
                elsewhere = one.wish.aim in self.stage.sites and host != one.wish.aim
                if isinstance(one.wish.when, int) and not one.begun and not elsewhere:
                    one.writes += 1
                    if one.writes >= one.wish.when:
                        self._begin(one)

    def _started(self, step: str, target: str) -> None:
        for one in self.ordered:
            elsewhere = target in self.stage.sites and one.wish.aim in self.stage.sites and target != one.wish.aim
            if one.wish.when == step and not one.begun and not elsewhere:
                self._begin(one)

    def _begin(self, one: Ordered) -> None:
        one.begun = True
        ACTS[one.wish.name][0](self.stage, one.targets)

    def _step_pending(self) -> bool:
        return any(isinstance(one.wish.when, str) and not one.begun for one in list(self.ordered))

    def _watch(self) -> None:
        """Guests are asked past the lab's faces: for them nobody would look at the events."""
        pause = threading.Event()
        while not pause.wait(WATCH_SECONDS):
            self.met()
            with self._lock:
                if not self._step_pending():
                    self._watching = False
                    return


class Events:
    """The events of the newest run, each once."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._read: dict[Path, int] = {}

    def skip(self) -> None:
        """Pass over all that happened so far."""
        for path in self._logs.glob("*/events.jsonl"):
            self._read[path] = path.stat().st_size

    def new(self) -> list[dict[str, Any]]:
        """What happened since; a line that is still being written waits for its end."""
        newest = max(self._logs.glob("*/events.jsonl"), default=None)
        if newest is None:
            return []
        with newest.open("rb") as file:
            file.seek(self._read.get(newest, 0))
            whole = file.read().rpartition(b"\n")[0]
        if not whole:
            return []
        self._read[newest] = self._read.get(newest, 0) + len(whole) + 1
        return [json.loads(line) for line in whole.splitlines()]
