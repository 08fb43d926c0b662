"""The faults of a running lab: which are scheduled, when they begin, and that they end."""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from homelab.rehearsal.faults.effects import EFFECTS, SimulatedLab
from homelab.rehearsal.faults.table import FaultRequest, aimed, targets

WATCH_SECONDS = 0.2


@dataclass
class ScheduledFault:
    """A request with its targets; `writes` are those counted since, `begun` whether it is in force."""

    request: FaultRequest
    targets: tuple[str, ...]
    writes: int = 0
    begun: bool = False

    def fields(self) -> dict[str, Any]:
        """For people and scripts."""
        state = "begun" if self.begun else "not begun yet"
        return {"fault": self.request.text, "targets": list(self.targets), "begun": self.begun, "state": state}


@dataclass
class Faults:
    """The faults of a running lab. `logs` is where runs write their events."""

    lab: SimulatedLab
    logs: Path
    scheduled: list[ScheduledFault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._events = Events(self.logs)
        self._watching = False
        for name, served in self.lab.hosts.items():
            served.host.harm.on_request = self.on_request
            served.host.harm.on_write = partial(self.on_write, name)

    def schedule(self, requests: Sequence[FaultRequest]) -> list[dict[str, Any]]:
        """Take requests, all or none; those without a WHEN begin before this returns."""
        guests = self.lab.guests is not None
        requests = [aimed(request, self.lab.wanted) for request in requests]
        new = [ScheduledFault(request, targets(request, self.lab.wanted, guests=guests)) for request in requests]
        with self._lock:
            if not self._step_pending():
                self._events.skip()
            self.scheduled += new
            for one in new:
                if one.request.when in (None, 0):
                    self._begin(one)
            if self._step_pending() and not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="faults", daemon=True).start()
        return [one.fields() for one in new]

    def clear(self) -> list[dict[str, Any]]:
        """End every fault, the last one first; what was scheduled."""
        with self._lock:
            ended, self.scheduled = self.scheduled, []
            for one in reversed(ended):
                if one.begun:
                    EFFECTS[one.request.name][1](self.lab, one.targets)
            return [one.fields() for one in ended]

    def state(self) -> list[dict[str, Any]]:
        """What is scheduled."""
        with self._lock:
            return [one.fields() for one in self.scheduled]

    def on_request(self) -> None:
        """A request came in: a step may have started just before it."""
        if not self._step_pending():
            return
        with self._lock:
            for event in self._events.new():
                if event.get("event") == "start":
                    self._started(str(event.get("step")), str(event.get("target")))

    def on_write(self, host: str, what: str) -> None:
        """Something was written to a host."""
        if not any(isinstance(one.request.when, int) and not one.begun for one in list(self.scheduled)):
            return
        with self._lock:
            for one in self.scheduled:
                elsewhere = one.request.aim in self.lab.hosts and host != one.request.aim
                if isinstance(one.request.when, int) and not one.begun and not elsewhere:
                    one.writes += 1
                    if one.writes >= one.request.when:
                        self._begin(one)

    def _started(self, step: str, target: str) -> None:
        for one in self.scheduled:
            elsewhere = target in self.lab.hosts and one.request.aim in self.lab.hosts and target != one.request.aim
            if one.request.when == step and not one.begun and not elsewhere:
                self._begin(one)

    def _begin(self, one: ScheduledFault) -> None:
        one.begun = True
        EFFECTS[one.request.name][0](self.lab, one.targets)

    def _step_pending(self) -> bool:
        return any(isinstance(one.request.when, str) and not one.begun for one in list(self.scheduled))

    def _watch(self) -> None:
        """Guests are asked past the lab's faces: for them nobody would look at the events."""
        pause = threading.Event()
        while not pause.wait(WATCH_SECONDS):
            self.on_request()
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
