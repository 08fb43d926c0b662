"""The runner, with steps that work on a dict instead of machines."""

import os
import signal
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from homelab.engine.events import Changed, Counts, Event, Failed, HeldUp, Started
from homelab.engine.in_line import InLine
from homelab.engine.plan import Plan
from homelab.engine.runner import Runner
from homelab.engine.step import Blocked, Change, HandOver, Node, Planned, Step, Words
from homelab.engine.world import Report
from homelab.errors import HomelabError, Interrupted, Unreachable
from homelab.output.documents import plan_document
from homelab.ports.signals import stopping
from tests.helpers.sample import sample_lab

LAB = sample_lab()


@dataclass
class ShelfRun:
    """A run whose log is a list."""

    stop: threading.Event = field(default_factory=threading.Event)
    logged: list[str] = field(default_factory=list)
    looked: list[Collection[str] | None] = field(default_factory=list)
    whole_story: str = "The whole story is in run.log"
    cannot_write: str = ""

    def log(self, text: str) -> None:
        self.logged.append(text)

    def during(self, step: str) -> AbstractContextManager[None]:
        return nullcontext()

    def afresh(self, names: Collection[str] | None) -> AbstractContextManager[None]:
        self.looked.append(names)
        return nullcontext()

    def connected(self) -> AbstractContextManager[None]:
        return nullcontext()

    def interruptible(self) -> AbstractContextManager[None]:
        return stopping(self.stop)


@dataclass
class Shelf:
    """The world of these tests: names and whether they are done."""

    done: set[str] = field(default_factory=set)
    run: ShelfRun = field(default_factory=ShelfRun)

    def at(self, report: Report) -> "Shelf":
        return self


@dataclass(frozen=True)
class Do(Change):
    name: str = ""
    disruptive_now: bool = False

    @property
    def disruptive(self) -> bool:  # type: ignore[override]
        return self.disruptive_now

    def _words(self) -> Words:
        return Words(f"do {self.name}", "it is not done", "undo it")


class Doing(Step[bool, Do]):
    """Puts `NAME TARGET` on the shelf; `apply_as` replaces what apply does."""

    def __init__(
        self,
        name: str,
        after: str = "",
        apply_as: Callable[[Shelf, Do], None] | None = None,
        plan_as: Callable[[str], Sequence[Planned[Do]]] | None = None,
        disruptive: bool = False,
    ) -> None:
        self.name = name  # type: ignore[misc]
        self._after, self._apply, self._plan, self._disruptive = after, apply_as, plan_as, disruptive

    def targets(self, lab: Any) -> Sequence[str]:
        return ["a", "b"]

    def after(self, lab: Any, target: str) -> Iterable[Node]:
        return [Node(self._after, target)] if self._after else []

    def observe(self, world: Shelf, lab: Any, target: str) -> bool:
        return f"{self.name} {target}" in world.done

    def plan(self, lab: Any, target: str, observed: bool) -> Sequence[Planned[Do]]:
        if self._plan:
            return self._plan(target)
        return [] if observed else [Do(target, f"{self.name} {target}", self._disruptive)]

    def apply(self, world: Shelf, change: Do) -> None:
        if self._apply:
            self._apply(world, change)
        else:
            world.done.add(change.name)


def run(*steps: Step, shelf: Shelf | None = None, consent: bool = True) -> tuple[Counts, list[Event], Shelf]:
    shelf = shelf or Shelf()
    events: list[Event] = []
    runner = Runner(LAB, steps, shelf, events.append)
    return runner.run(Plan(), lambda node, change: consent), events, shelf


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
    assert counts == Counts(changed=4)
    assert kinds(events, Node("second", "a")) == ["start", "changed"]
    counts, _, _ = run(*steps, shelf=shelf)
    assert (counts.changed, counts.unchanged) == (0, 4)


def test_a_start_tells_what_it_waited_for() -> None:
    _, events, _ = run(Doing("first"), Doing("second", after="first"))
    after = {event.node: event.after for event in events if isinstance(event, Started)}
    assert after[Node("first", "a")] == ()
    assert after[Node("second", "b")] == (Node("first", "b"),)


def test_what_does_not_depend_on_a_failure_still_completes_and_running_again_goes_on() -> None:
    counts, events, shelf = run(Doing("first", apply_as=fail_on("a")), Doing("second", after="first"))
    assert (counts.changed, counts.failed, counts.blocked) == (2, 1, 1)
    assert kinds(events, Node("first", "a")) == ["start", "failed"]
    [blocked] = [event for event in events if event.node == Node("second", "a")]
    assert isinstance(blocked, HeldUp)
    assert blocked.until == "first a is done"
    counts, _, _ = run(Doing("first"), Doing("second", after="first"), shelf=shelf)
    assert counts == Counts(changed=2, unchanged=2)


def test_a_change_that_does_not_take_is_a_failure() -> None:
    counts, events, _ = run(Doing("first", apply_as=lambda world, change: None))
    assert (counts.changed, counts.failed) == (2, 2)
    failed = next(event for event in events if isinstance(event, Failed))
    assert "did not take" in failed.what


def test_an_unforeseen_exception_is_said_without_a_traceback_and_logged_with_it() -> None:
    def crash(world: Shelf, change: Do) -> None:
        raise KeyError("oops")

    counts, events, shelf = run(Doing("first", apply_as=crash))
    assert counts.failed == 2
    failed = next(event for event in events if isinstance(event, Failed))
    assert "a mistake of homelab itself: KeyError" in failed.what
    assert "Traceback" in shelf.run.logged[0]


@pytest.mark.parametrize(
    ("item", "kind", "count"),
    [(Blocked("a", "later"), "blocked", "blocked"), (HandOver("a", "plug it in"), "hand_over", "handed_over")],
)
def test_what_cannot_be_done_now_blocks_what_follows(item: Planned[Do], kind: str, count: str) -> None:
    steps = (Doing("first", plan_as=lambda target: [item] if target == "a" else []), Doing("second", after="first"))
    counts, events, _ = run(*steps)
    assert kinds(events, Node("first", "a")) == ["start", kind]
    assert getattr(counts, count) >= 1
    assert kinds(events, Node("second", "a")) == ["blocked"]
    assert kinds(events, Node("second", "b"))[-1] == "changed"


def test_a_disruptive_change_without_consent_is_not_made() -> None:
    counts, _, shelf = run(Doing("first", disruptive=True), consent=False)
    assert counts.failed == 2
    assert shelf.done == set()
    counts, _, _ = run(Doing("first", disruptive=True), consent=True)
    assert counts.changed == 2


def test_the_plan_reads_only_and_keeps_failures_apart() -> None:
    def plan(target: str) -> Sequence[Planned[Do]]:
        if target == "a":
            raise HomelabError("no answer", where="a", advice="look")
        return [Do("b", "first b")]

    shelf = Shelf()
    steps = (Doing("first", plan_as=plan),)
    found = Runner(LAB, steps, shelf, lambda event: None).plan()
    assert list(found.failures) == [Node("first", "a")]
    [change] = plan_document(found)["changes"]
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


class Choosing(Doing):
    """Needs what comes first at `a` or `b`: the shelf tells which; nobody knows before something is on it."""

    def targets(self, lab: Any) -> Sequence[str]:
        return ["c"]

    def perhaps(self, lab: Any, target: str) -> Iterable[Node]:
        return [Node("first", "a"), Node("first", "b")]

    def needs(self, lab: Any, target: str, observed: bool) -> Iterable[Node]:
        return [Node("first", "a")]


def chosen(shelf: Shelf, blind: Callable[[Shelf], bool], *, ends: threading.Event | None = None) -> list[Event]:
    """What becomes of one that needs `first a`: `first b` fails, and lasts until that ends, where it is told."""

    def apply(world: Shelf, change: Do) -> None:
        if change.target == "b":
            assert ends is None or ends.wait(10)
            raise HomelabError("it broke", where="b", advice="mend it")
        world.done.add(change.name)

    class Step(Choosing):
        def observe(self, world: Shelf, lab: Any, target: str) -> bool:
            if blind(world):
                raise Unreachable("no answer", where="c", advice="look")
            return super().observe(world, lab, target)

        def apply(self, world: Shelf, change: Do) -> None:
            super().apply(world, change)
            if ends:
                ends.set()

    events: list[Event] = []
    runner = Runner(LAB, (Doing("first", apply_as=apply), Step("second")), shelf, events.append)
    runner.run(runner.plan(), lambda node, change: True)
    return events


def test_a_node_waits_for_what_it_needs_and_not_for_what_it_might_have_needed() -> None:
    """What it might have needed ends only once it is done."""
    events = chosen(shelf := Shelf(), lambda world: False, ends=threading.Event())
    assert "second c" in shelf.done
    assert [event.what for event in events if isinstance(event, Failed)] == ["it broke"]


def test_while_it_is_not_known_what_a_node_needs_it_waits_for_all_and_goes_on_with_what_it_needs() -> None:
    events = chosen(shelf := Shelf(), lambda world: "first a" not in world.done)
    assert shelf.done == {"first a", "second c"}, events
    kinds_of = [(event.kind, str(event.node)) for event in events]
    assert kinds_of.index(("failed", "first b")) < kinds_of.index(("start", "second c"))


def test_a_node_does_not_begin_on_what_it_needs_and_did_not_end_well() -> None:
    class Needy(Choosing):
        def needs(self, lab: Any, target: str, observed: bool) -> Iterable[Node]:
            return [Node("first", "b")]

    _, events, shelf = run(Doing("first", apply_as=fail_on("b")), Needy("second"))
    assert shelf.done == {"first a"}
    assert [event.until for event in events if isinstance(event, HeldUp)] == ["first b is done"]


def test_what_cannot_be_seen_because_of_a_failure_is_blocked_by_it() -> None:
    events = chosen(shelf := Shelf(), lambda world: True)
    assert shelf.done == {"first a"}
    assert [event.until for event in events if isinstance(event, HeldUp)] == ["first b is done"]


def test_a_step_that_breaks_while_it_looks_costs_its_own_node_alone() -> None:
    def plan(target: str) -> Sequence[Planned[Do]]:
        if target == "a":
            raise KeyError("runtime.bootTime")
        return [Do("b", "first b")]

    shelf = Shelf()
    steps = (Doing("first", plan_as=plan),)
    found = Runner(LAB, steps, shelf, lambda event: None).plan()
    assert "a mistake of homelab itself: KeyError" in found.failures[Node("first", "a")].what
    assert "Traceback" in shelf.run.logged[0]
    assert [node for node, _ in found.of(Change)] == [Node("first", "b")]


def test_a_disruptive_change_that_is_not_planned_any_more_is_refused_and_the_new_plan_shown() -> None:
    looks: list[str] = []

    def plan(target: str) -> Sequence[Planned[Do]]:
        looks.append(target)
        # Between the question and the act somebody puts something on the disk.
        return [Do(target, "format it" if looks.count(target) == 1 else "format it with a file on it", True)]

    counts, events, shelf = run(Doing("first", plan_as=plan, disruptive=True))
    assert counts.failed == 2
    assert shelf.done == set()
    failed = next(event for event in events if isinstance(event, Failed))
    assert "do format it (now: absent)" in failed.what
    assert "Planned now: do format it with a file on it" in failed.what


def test_before_a_disruptive_change_what_it_may_harm_is_looked_at_afresh_and_else_everything() -> None:
    @dataclass(frozen=True)
    class Narrow(Do):
        @property
        def harms(self) -> frozenset[str]:
            return frozenset({"brix1"})

    def plan(target: str) -> Sequence[Planned[Do]]:
        kind = Narrow if target == "a" else Do
        return [] if f"first {target}" in shelf.done else [kind(target, f"first {target}", True)]

    shelf = Shelf()
    run(Doing("first", plan_as=plan), shelf=shelf)
    assert shelf.done == {"first a", "first b"}
    assert sorted(shelf.run.looked, key=str) == [None, frozenset({"brix1"})]


def test_after_an_interruption_nothing_begins_and_what_is_left_is_named() -> None:
    shelf = Shelf()

    def interrupt(world: Shelf, change: Do) -> None:
        if change.target == "a":
            os.kill(os.getpid(), signal.SIGINT)
            assert world.run.stop.wait(10)
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
        world.run.cannot_write = "run.log cannot be written: No space left on device"
        world.done.add(change.name)

    counts, events, _ = run(Doing("first", apply_as=fill_the_disk), Doing("second", after="first"), shelf=shelf)
    assert not any(name.startswith("second") for name in shelf.done)
    assert counts.failed >= 1
    assert any("No space left on device" in event.what for event in events if isinstance(event, Failed))


@dataclass(frozen=True)
class Write(Do):
    """A change that is made whenever it is asked for; `seconds` is known once it was made."""

    seconds: float = 0.0
    anew = True


class Writing(Doing):
    """Its plan is never empty, and what is planned was made all the same."""

    def observe(self, world: Shelf, lab: Any, target: str) -> bool:
        world.run.logged.append(f"look {target}")
        return False

    def plan(self, lab: Any, target: str, observed: bool) -> Sequence[Planned[Do]]:
        return [Write(target, self.name)]

    def apply(self, world: Shelf, change: Do) -> Do:
        assert isinstance(change, Write)
        return replace(change, seconds=2.5)


def test_what_is_made_anew_is_not_looked_at_again_and_tells_what_the_making_told() -> None:
    counts, events, shelf = run(Writing("first"))
    assert counts == Counts(changed=2)
    assert {event.change for event in events if isinstance(event, Changed)} == {
        Write(target, "first", seconds=2.5) for target in ("a", "b")
    }
    assert sorted(shelf.run.logged) == ["look a", "look b"]


def test_a_failure_stays_with_its_node_for_who_asks_afterwards() -> None:
    runner = Runner(LAB, [Doing("first", apply_as=fail_on("a"))], Shelf(), lambda event: None)
    runner.run(Plan(), lambda node, change: True)
    error = runner.outcomes[Node("first", "a")].error
    assert error
    assert (error.what, error.advice) == ("it broke", "mend it")
    assert runner.outcomes[Node("first", "b")].error is None


def test_without_threads_one_node_follows_another_and_ctrl_c_ends_what_is_under_way() -> None:
    made: list[str] = []

    def interrupted(world: Shelf, change: Do) -> None:
        assert threading.current_thread() is threading.main_thread()
        made.append(change.target)
        if change.target == "b":
            raise KeyboardInterrupt
        world.done.add(change.name)

    runner = Runner(LAB, [Doing("first", apply_as=interrupted)], Shelf(), lambda event: None, pool=InLine)
    assert len(runner.plan().of(Change)) == 2
    with pytest.raises(KeyboardInterrupt):
        runner.run(Plan(), lambda node, change: True)
    assert made == ["a", "b"]
    assert runner.world.run.stop.is_set()
