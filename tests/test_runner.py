"""The runner, with steps that work on a dict instead of machines."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from homelab.errors import HomelabError, Interrupted
from homelab.graph import full_graph
from homelab.runner import Event, Runner
from homelab.step import Blocked, Change, HandOver, Node, Planned, Step
from tests.sample import sample_lab

LAB = sample_lab()


@dataclass
class Shelf:
    """The world of these tests: names and whether they are done."""

    done: set[str] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)
    logged: list[str] = field(default_factory=list)
    files: Any = field(default_factory=lambda: SimpleNamespace(log=Path("run.log"), cannot_write=None))

    def at(self, waiting: Callable[..., None]) -> "Shelf":
        return self

    def log(self, text: str) -> None:
        self.logged.append(text)


@dataclass(frozen=True)
class Do(Change):
    name: str = ""
    disruptive_now: bool = False

    @property
    def disruptive(self) -> bool:  # type: ignore[override]
        return self.disruptive_now

    @property
    def sentence(self) -> str:
        return f"do {self.name}"

    @property
    def reason(self) -> str:
        return "it is not done"

    @property
    def undo(self) -> str:
        return "undo it"


class Doing(Step):
    """Puts `NAME TARGET` on the shelf; `apply_as` replaces what apply does."""

    def __init__(
        self,
        name: str,
        after: str = "",
        apply_as: Callable[[Shelf, Do], None] | None = None,
        plan_as: Callable[[str], Sequence[Planned]] | None = None,
        disruptive: bool = False,
    ) -> None:
        self.name = name  # type: ignore[misc]
        self._after, self._apply, self._plan, self._disruptive = after, apply_as, plan_as, disruptive

    def targets(self, lab: Any) -> Sequence[str]:
        return ["a", "b"]

    def after(self, lab: Any, target: str) -> Iterable[Node]:
        return [Node(self._after, target)] if self._after else []

    def observe(self, world: Shelf, target: str) -> bool:
        return f"{self.name} {target}" in world.done

    def plan(self, lab: Any, target: str, observed: bool) -> Sequence[Planned]:
        if self._plan:
            return self._plan(target)
        return [] if observed else [Do(target, f"{self.name} {target}", self._disruptive)]

    def apply(self, world: Shelf, change: Do) -> None:
        if self._apply:
            self._apply(world, change)
        else:
            world.done.add(change.name)


def run(*steps: Step, shelf: Shelf | None = None, consent: bool = True) -> tuple[dict[str, int], list[Event], Shelf]:
    shelf = shelf or Shelf()
    events: list[Event] = []
    runner = Runner(LAB, steps, full_graph(LAB, steps), shelf, events.append)  # type: ignore[arg-type]
    return dict(runner.run(lambda node, change: consent)), events, shelf


def kinds(events: list[Event], node: Node) -> list[str]:
    return [event.kind for event in events if event.node == node]


def fail_on(target: str) -> Callable[[Shelf, Do], None]:
    def apply(world: Shelf, change: Do) -> None:
        if change.target == target:
            raise HomelabError("it broke", where=target, advice="mend it")
        world.done.add(change.name)

    return apply


def test_everything_is_done_once_and_a_second_run_changes_nothing() -> None:
    steps = (Doing("first"), Doing("second", after="first"))
    counts, events, shelf = run(*steps)
    assert counts == {"changed": 4, "unchanged": 0, "failed": 0, "blocked": 0, "handed_over": 0}
    assert kinds(events, Node("second", "a")) == ["start", "changed"]
    counts, _, _ = run(*steps, shelf=shelf)
    assert (counts["changed"], counts["unchanged"]) == (0, 4)


def test_what_does_not_depend_on_a_failure_still_completes_and_running_again_goes_on() -> None:
    counts, events, shelf = run(Doing("first", apply_as=fail_on("a")), Doing("second", after="first"))
    assert (counts["changed"], counts["failed"], counts["blocked"]) == (2, 1, 1)
    assert kinds(events, Node("first", "a")) == ["start", "failed"]
    [blocked] = [event for event in events if event.node == Node("second", "a")]
    assert (blocked.kind, blocked.data["until"]) == ("blocked", "first a is done")
    counts, _, _ = run(Doing("first"), Doing("second", after="first"), shelf=shelf)
    assert counts == {"changed": 2, "unchanged": 2, "failed": 0, "blocked": 0, "handed_over": 0}


def test_a_change_that_does_not_take_is_a_failure() -> None:
    counts, events, _ = run(Doing("first", apply_as=lambda world, change: None))
    assert (counts["changed"], counts["failed"]) == (2, 2)
    failed = next(event for event in events if event.kind == "failed")
    assert "did not take" in failed.data["what"]


def test_an_unforeseen_exception_is_said_without_a_traceback_and_logged_with_it() -> None:
    def crash(world: Shelf, change: Do) -> None:
        raise KeyError("oops")

    counts, events, shelf = run(Doing("first", apply_as=crash))
    assert counts["failed"] == 2
    failed = next(event for event in events if event.kind == "failed")
    assert "a mistake of homelab itself: KeyError" in failed.data["what"]
    assert "Traceback" in shelf.logged[0]


@pytest.mark.parametrize(
    ("item", "kind", "count"),
    [(Blocked("a", "later"), "blocked", "blocked"), (HandOver("a", "plug it in"), "hand_over", "handed_over")],
)
def test_what_cannot_be_done_now_blocks_what_follows(item: Planned, kind: str, count: str) -> None:
    steps = (Doing("first", plan_as=lambda target: [item] if target == "a" else []), Doing("second", after="first"))
    counts, events, _ = run(*steps)
    assert kinds(events, Node("first", "a")) == ["start", kind]
    assert counts[count] >= 1
    assert kinds(events, Node("second", "a")) == ["blocked"]
    assert kinds(events, Node("second", "b"))[-1] == "changed"


def test_a_disruptive_change_without_consent_is_not_made() -> None:
    counts, _, shelf = run(Doing("first", disruptive=True), consent=False)
    assert counts["failed"] == 2
    assert shelf.done == set()
    counts, _, _ = run(Doing("first", disruptive=True), consent=True)
    assert counts["changed"] == 2


def test_the_plan_reads_only_and_keeps_failures_apart() -> None:
    def plan(target: str) -> Sequence[Planned]:
        if target == "a":
            raise HomelabError("no answer", where="a", advice="look")
        return [Do("b", "first b")]

    shelf = Shelf()
    steps = (Doing("first", plan_as=plan),)
    found = Runner(LAB, steps, full_graph(LAB, steps), shelf, lambda event: None).plan()  # type: ignore[arg-type]
    assert list(found.failures) == [Node("first", "a")]
    [change] = found.document()["changes"]
    assert change == {
        "step": "first",
        "target": "b",
        "sentence": "do first b",
        "reason": "it is not done",
        "before": "absent",
        "after": "present",
        "disruptive": False,
        "undo": "undo it",
    }
    assert shelf.done == set()


def test_a_step_that_breaks_while_it_looks_costs_its_own_node_alone() -> None:
    def plan(target: str) -> Sequence[Planned]:
        if target == "a":
            raise KeyError("runtime.bootTime")
        return [Do("b", "first b")]

    shelf = Shelf()
    steps = (Doing("first", plan_as=plan),)
    found = Runner(LAB, steps, full_graph(LAB, steps), shelf, lambda event: None).plan()  # type: ignore[arg-type]
    assert "a mistake of homelab itself: KeyError" in found.failures[Node("first", "a")].what
    assert "Traceback" in shelf.logged[0]
    assert [node for node, _ in found.of(Change)] == [Node("first", "b")]


def test_a_disruptive_change_that_is_not_planned_any_more_is_refused_and_the_new_plan_shown() -> None:
    looks: list[str] = []

    def plan(target: str) -> Sequence[Planned]:
        looks.append(target)
        # Between the question and the act somebody puts something on the disk.
        return [Do(target, "format it" if looks.count(target) == 1 else "format it with a file on it", True)]

    counts, events, shelf = run(Doing("first", plan_as=plan, disruptive=True))
    assert counts["failed"] == 2
    assert shelf.done == set()
    failed = next(event for event in events if event.kind == "failed")
    assert "do format it (now: absent)" in failed.data["what"]
    assert "Planned now: do format it with a file on it" in failed.data["what"]


def test_after_an_interruption_nothing_begins_and_what_is_left_is_named() -> None:
    shelf = Shelf()

    def interrupt(world: Shelf, change: Do) -> None:
        if change.target == "a":
            os.kill(os.getpid(), signal.SIGINT)
            assert world.stop.wait(10)
        world.done.add(change.name)

    # Where the tests run in the background SIGINT is ignored by inheritance.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        steps = (Doing("first", apply_as=interrupt), Doing("second", after="first"))
        with pytest.raises(Interrupted) as told:
            run(*steps, shelf=shelf)
    finally:
        signal.signal(signal.SIGINT, before)
    # The write that was under way came to its end.
    assert "first a" in shelf.done
    assert "second a" not in shelf.done
    assert "second a" in told.value.what


def test_when_the_logs_cannot_be_written_what_is_under_way_ends_and_nothing_new_begins() -> None:
    shelf = Shelf()

    def fill_the_disk(world: Shelf, change: Do) -> None:
        world.files.cannot_write = "run.log cannot be written: No space left on device"
        world.done.add(change.name)

    counts, events, _ = run(Doing("first", apply_as=fill_the_disk), Doing("second", after="first"), shelf=shelf)
    assert not any(name.startswith("second") for name in shelf.done)
    assert counts["failed"] >= 1
    assert any("No space left on device" in event.data["what"] for event in events if event.kind == "failed")
