"""Running it: each fault on each configuration, some configurations at the same time, several times over."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from tests.bench.failover.api_servers import ApiServers, Real, StandIns
from tests.bench.failover.faults import Fault
from tests.bench.failover.lab import Lab
from tests.bench.failover.measures import Figures, Seen, as_json, figures, from_json
from tests.bench.failover.services import Configuration

WARM_UP_SECONDS = 4.0
# No published check is slower. Runs begin their faults at other moments between two checks, never at one of many.
SLOWEST_CHECK_SECONDS, GOLDEN = 10.0, 0.618
POLL_SECONDS = 0.1
# Starting, being well, warming up, waiting for the last requests, ending: as it was seen to take.
AROUND_SECONDS = 18.0
TRIES = 3
# So much of the requests that were due is enough; with fewer it is the clients that were measured.
KEPT_PACE = 0.97
SERVERS: Mapping[str, Callable[[Lab], ApiServers]] = {"stand-in": StandIns, "real": Real}


@dataclass(frozen=True)
class Run:
    """One run of one fault on one configuration; it was begun so many times (`tries`)."""

    configuration: str
    fault: str
    number: int
    load: float
    figures: Figures
    tries: int = 1

    def document(self) -> dict[str, Any]:
        """What is kept of it as JSON."""
        return {
            "configuration": self.configuration,
            "fault": self.fault,
            "run": self.number,
            "machine_load": self.load,
            "tries": self.tries,
            **as_json(self.figures),
        }


@dataclass(frozen=True)
class Plan:
    """What is to be run."""

    configurations: Sequence[Configuration]
    faults: Sequence[Fault]
    runs: int
    at_once: int
    goes_on: bool = False
    servers: str = "stand-in"
    # Of what others publish; None: as many as of ours.
    runs_of_others: int | None = None

    def rounds(self) -> Iterator[tuple[int, Fault, tuple[Configuration, ...]]]:
        """What goes on at the same time, one after another."""
        for number in range(1, self.runs + 1):
            for fault in self.faults:
                concerned = [each for each in self._in_turn(number) if fault.concerns(each, self.servers)]
                for first in range(0, len(concerned), self.at_once):
                    yield number, fault, tuple(concerned[first : first + self.at_once])

    def _in_turn(self, number: int) -> list[Configuration]:
        others = self.runs if self.runs_of_others is None else self.runs_of_others
        return [each for each in self.configurations if each.gates or number <= others]

    def seconds(self) -> float:
        """About how long all of it takes."""
        return sum(fault.seconds + AROUND_SECONDS for _, fault, _ in self.rounds())


def run_all(plan: Plan, root: Path, scratch: Path, raw: Path, tell: Callable[[str], None]) -> list[Run]:
    """Every round of the plan; what was seen is kept in `raw`, one file a run; what is there may be taken."""
    servers = SERVERS[plan.servers]
    labs = {each.name: Lab(f"n{n}", each, root, scratch, servers) for n, each in enumerate(plan.configurations)}
    raw.mkdir(parents=True, exist_ok=True)
    done: list[Run] = []
    began, left = time.monotonic(), plan.seconds()

    def one(fault: Fault, number: int, name: str) -> Run:
        kept = raw / f"{name}-{fault.name}-{number}.json"
        if plan.goes_on and kept.exists():
            return read_run(kept)
        return run_one(labs[name], fault, number, kept)

    with ThreadPoolExecutor(plan.at_once) as pool:
        for number, fault, together in plan.rounds():
            runs = list(pool.map(one, repeat(fault), repeat(number), [each.name for each in together]))
            done += runs
            left -= fault.seconds + AROUND_SECONDS
            for run in runs:
                tell(sentence(run))
            tell(f"  {(time.monotonic() - began) / 60:.0f} min gone, about {max(left, 0) / 60:.0f} min to go")
    return done


def sentence(run: Run) -> str:
    """A line of progress."""
    seen = run.figures
    down = "" if seen.down is None else f", down after {seen.down:.1f} s"
    return (
        f"{run.number}: {run.configuration}, {run.fault}: {seen.lost} of {seen.requests} lost, {seen.slow} slow, "
        f"watch gap {seen.watch_gap:.1f} s, gap {seen.gap:.2f} s{down}"
        + ("" if seen.up is None else f", up after {seen.up:.1f} s, settled after {seen.settled:.1f} s")
        + (f"; begun {run.tries} times" if run.tries > 1 else "")
        + (f"; {seen.before} lost before it happened" if seen.before else "")
    )


def run_one(lab: Lab, fault: Fault, number: int, kept: Path) -> Run:
    """One run; again when the machine was too busy.

    Then clients lost something before the fault or did not keep their pace, or a program did not start. How often it
    was begun is told, for a balancer that loses requests when nothing is wrong would look the same. What was seen is
    written to `kept`. Raises what went wrong the last time.
    """
    for attempt in range(1, TRIES + 1):
        try:
            seen = observe(lab, fault, number)
        except (TimeoutError, subprocess.SubprocessError):
            if attempt == TRIES:
                raise
            continue
        found = figures(seen)
        if not disturbed(found, fault):
            break
    run = Run(lab.configuration.name, fault.name, number, round(os.getloadavg()[0], 2), found, attempt)
    document = {**run.document(), "began": seen.began, "by": seen.by, "whole": seen.whole, "polls": seen.polls}
    unfinished = kept.with_suffix(".part")
    unfinished.write_text(json.dumps({**document, "clients": seen.clients}))
    unfinished.rename(kept)
    return run


def disturbed(found: Figures, fault: Fault) -> bool:
    """Whether a run tells of the machine: clients lost something before the fault, or did not keep their pace."""
    return found.before > 0 or found.requests < KEPT_PACE * fault.rate * fault.seconds


def read_run(kept: Path) -> Run:
    """A run that was made before, from its file."""
    document = json.loads(kept.read_text())
    names = (document["configuration"], document["fault"], document["run"], document["machine_load"])
    return Run(*names, figures=from_json(document), tries=document.get("tries", 1))


def warm_up_seconds(number: int) -> float:
    """How long clients are at work before the fault of the run with this number, from 1."""
    return WARM_UP_SECONDS + SLOWEST_CHECK_SECONDS * (number * GOLDEN % 1)


def observe(lab: Lab, fault: Fault, number: int) -> Seen:
    """Start everything, let the fault happen under load, and watch."""
    output = lab.folder / "seen.json"
    with lab.started(fault.weights):
        with lab.loaded(output, fault.rate, fault.watchers), polled(lab) as polls:
            time.sleep(warm_up_seconds(number))
            began = time.monotonic()
            happened = fault.act(lab)
            time.sleep(max(0.0, began + fault.seconds - time.monotonic()))
            ended = time.monotonic()
        return Seen(json.loads(output.read_text()), polls, began, ended, happened.by, happened.whole)


class _Polls(list[tuple[float, list[str]]]):
    """Each change of whom the balancer takes for down, and when."""

    def note(self, down: frozenset[str] | None) -> None:
        servers = sorted(down or ())
        if down is not None and (not self or self[-1][1] != servers):
            self.append((time.monotonic(), servers))


class polled:
    """While in it, the balancer is asked again and again whom it takes for down."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.polls, self.over = lab, _Polls(), threading.Event()
        self.thread = threading.Thread(target=self._poll, daemon=True)

    def _poll(self) -> None:
        while not self.over.wait(POLL_SECONDS):
            self.polls.note(self.lab.down())

    def __enter__(self) -> _Polls:
        self.thread.start()
        return self.polls

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.thread.join()
