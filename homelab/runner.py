"""The runner: looks at every node, then brings them into the wanted state on a bounded pool of threads."""

import threading
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from typing import Any

from homelab.errors import HomelabError, Interrupted, NotTaken, PersonNeeded, Refused, Unreachable
from homelab.graph import Graph, order
from homelab.lab import Lab
from homelab.ports.looks import afresh
from homelab.ports.record import during
from homelab.ports.signals import stopping
from homelab.ports.world import World
from homelab.step import Blocked, Change, HandOver, Node, Planned, Step

WORKERS = 8
# How many nodes are named when a run is interrupted.
NAMED = 8


@dataclass(frozen=True)
class Event:
    """One thing that happened in a run; `node` is None for the run's own events (plan, summary)."""

    kind: str
    at: datetime
    node: Node | None
    data: Mapping[str, Any]


Emit = Callable[[Event], None]
Consented = Callable[[Node, Change], bool]


@dataclass
class Plan:
    """What every node would do: its planned items, or the error that kept it from being known."""

    items: dict[Node, Sequence[Planned]] = field(default_factory=dict)
    failures: dict[Node, HomelabError] = field(default_factory=dict)
    remarks: dict[Node, Sequence[str]] = field(default_factory=dict)

    def of(self, kind: type[Any]) -> list[tuple[Node, Any]]:
        """All planned items of one kind with their nodes, in the graph's order."""
        return [(node, item) for node, items in self.items.items() for item in items if isinstance(item, kind)]

    @property
    def disruptive(self) -> list[Change]:
        """The changes that reboot, power off, format or destroy."""
        return [change for _, change in self.of(Change) if change.disruptive]

    @property
    def empty(self) -> bool:
        """True when there is nothing to do, to wait for or to hand over."""
        return not any(self.items.values())

    def document(self) -> dict[str, list[dict[str, Any]]]:
        """The plan as the JSON document of the contract; `remarks` stand in it where there are any."""
        remarks = [_fields(node, sentence=said) for node, all_said in self.remarks.items() for said in all_said]
        return {
            "changes": [change_fields(node, change) for node, change in self.of(Change)],
            "blocked": [_fields(node, until=item.until) for node, item in self.of(Blocked)],
            "hand_overs": [_fields(node, do=item.do) for node, item in self.of(HandOver)],
        } | ({"remarks": remarks} if remarks else {})


def change_fields(node: Node, change: Change) -> dict[str, Any]:
    """One change as the contract's JSON object."""
    return _fields(
        node,
        sentence=change.sentence,
        reason=change.reason,
        before=change.before,
        after=change.after,
        disruptive=change.disruptive,
        undo=change.undo,
    )


def _fields(node: Node, **more: Any) -> dict[str, Any]:
    return {"step": node.step, "target": node.target, **more}


@dataclass
class Outcome:
    """How one node ended: done, failed, blocked, handed_over or interrupted.

    `began` when something was or may have been written.
    """

    status: str
    began: bool = False

    @property
    def harmful(self) -> bool:
        """Whether it may have left something half done behind."""
        return self.began and self.status != "done"


class Runner:
    """Carries a graph out. Independent nodes run at once; what depends on a failure is blocked, all else completes."""

    def __init__(self, lab: Lab, steps: Sequence[Step], graph: Graph, world: World, emit: Emit) -> None:
        self.lab = lab
        self.steps = {step.name: step for step in steps}
        self.graph = graph
        self.world = world
        self._emit = emit
        self._emitting = threading.Lock()
        self.stop = world.stop
        self.made: list[Change] = []
        self.outcomes: dict[Node, Outcome] = {}
        self._began: set[Node] = set()

    def emit(self, kind: str, node: Node | None = None, **data: Any) -> None:
        """Send one event out, stamped with the time; events never interleave."""
        with self._emitting:
            self._emit(Event(kind, datetime.now(UTC), node, data))

    def plan(self) -> Plan:
        """Look at every node, all at once, and decide; nothing is written."""
        plan = Plan()
        with ThreadPoolExecutor(WORKERS) as pool:
            futures = {node: pool.submit(self._look, node) for node in self.graph}
            for node, future in futures.items():
                try:
                    plan.items[node], plan.remarks[node] = future.result()
                except KeyboardInterrupt:
                    self.stop.set()
                    pool.shutdown(cancel_futures=True)
                    raise
                except Exception as error:
                    plan.failures[node] = self._told(node, error)
        self._excuse(plan)
        return plan

    def _excuse(self, plan: Plan) -> None:
        """Silence is no failure where something has to be done first, as a person switching the machine on."""
        for node in self.graph:
            held_by = [before for before in sorted(self.graph[node].after) if plan.items.get(before)]
            if held_by and isinstance(plan.failures.get(node), Unreachable):
                del plan.failures[node]
                plan.items[node] = [Blocked(node.target, f"{held_by[0]} is done")]

    def _look(self, node: Node) -> tuple[Sequence[Planned], Sequence[str]]:
        """What is planned, and what is remarked."""
        step = self.steps[node.step]
        with during(node.step):
            observed = step.observe(self._world_at(node), node.target)
        return step.plan(self.lab, node.target, observed), step.remarks(self.lab, node.target, observed)

    def _apply(self, node: Node, change: Change) -> None:
        self._began.add(node)
        with during(node.step):
            self.steps[node.step].apply(self._world_at(node), change)
        self.made.append(change)

    def _world_at(self, node: Node) -> World:
        return self.world.at(lambda **data: self.emit("waiting", node, **data))

    def _told(self, node: Node, error: Exception) -> HomelabError:
        """An error as one of ours: one that nobody expected costs its own node, and nothing else."""
        if isinstance(error, HomelabError):
            return error
        self.world.log("".join(traceback.format_exception(error)))
        return HomelabError(
            f"a mistake of homelab itself: {type(error).__name__}: {error}",
            where=str(node),
            advice=f"The whole story is in {self.world.files.log}; please report it",
        )

    def run(self, consented: Consented) -> Counter[str]:
        """Bring every node into the wanted state; the counts of the summary.

        `consented` is asked for each disruptive change. After Ctrl-C or SIGTERM nothing begins any more; what is under
        way comes to its end, and Interrupted tells what is left.
        """
        sorter = TopologicalSorter(order(self.graph))
        sorter.prepare()
        running: dict[Future[Outcome], Node] = {}
        with stopping(self.stop), ThreadPoolExecutor(WORKERS) as pool:
            try:
                while sorter.is_active() and not self.stop.is_set():
                    for node in sorter.get_ready():
                        running[pool.submit(self._bring, node, consented)] = node
                    done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                        sorter.done(running.pop(future))
            except BaseException:
                self.stop.set()
                raise
        if self.stop.is_set():
            raise self._interrupted()
        return self.counts()

    def _interrupted(self) -> Interrupted:
        left = [node for node in self.graph if node not in self.outcomes or self.outcomes[node].status != "done"]
        names = ", ".join(map(str, left[:NAMED])) + (f" and {len(left) - NAMED} more" if len(left) > NAMED else "")
        return Interrupted(
            f"interrupted; left undone: {names or 'nothing'}",
            where="this run",
            advice="Run again; it goes on where it stopped",
        )

    def _bring(self, node: Node, consented: Consented) -> Outcome:
        """One node from looking to looking again; every failure becomes an event and an outcome."""
        outcome = self.outcomes[node] = self._brought(node, consented)
        return outcome

    def _brought(self, node: Node, consented: Consented) -> Outcome:
        if self.stop.is_set():
            return Outcome("interrupted")
        edges = self.graph[node]
        held_by = [str(before) for before in sorted(edges.after) if self.outcomes[before].status != "done"]
        held_by += [str(before) for before in sorted(edges.unharmed) if self.outcomes[before].harmful]
        if held_by:
            self.emit("blocked", node, until=f"{', '.join(held_by)} is done")
            return Outcome("blocked")
        try:
            return self._carry_out(node, consented)
        except PersonNeeded as error:
            self.emit("hand_over", node, do=f"{error.where}: {error.what}. {error.advice}")
            return Outcome("handed_over", began=node in self._began)
        except Interrupted as error:
            self.emit("failed", node, what=error.what, where=error.where, advice=error.advice)
            return Outcome("interrupted", began=node in self._began)
        except Exception as error:
            told = self._told(node, error)
            self.emit("failed", node, what=told.what, where=told.where, advice=told.advice)
        return Outcome("failed", began=node in self._began)

    def _carry_out(self, node: Node, consented: Consented) -> Outcome:
        self.emit("start", node)
        planned, remarks = self._look(node)
        for item in planned:
            if isinstance(item, Blocked):
                self.emit("blocked", node, until=item.until)
                return Outcome("blocked")
            if isinstance(item, HandOver):
                self.emit("hand_over", node, do=item.do)
                return Outcome("handed_over")
        changes = [item for item in planned if isinstance(item, Change)]
        for change in changes:
            self._check_may_write(node, change)
            if change.disruptive:
                self._check_agreed(node, change, consented)
            self._apply(node, change)
            self.emit("changed", node, **change_fields(node, change))
        if changes:
            self._check_taken(node)
        else:
            self.emit("unchanged", node, **({"sentence": "; ".join(remarks)} if remarks else {}))
        return Outcome("done", bool(changes))

    def _check_may_write(self, node: Node, change: Change) -> None:
        """Nothing new is begun once the run was interrupted, or cannot be recorded any more."""
        if self.stop.is_set():
            raise Interrupted(
                f"interrupted before this was done: {change.sentence}",
                where=str(node),
                advice="Run again; it goes on where it stopped",
            )
        if self.world.files.cannot_write:
            raise Refused(
                f"not begun: {change.sentence}; {self.world.files.cannot_write}",
                where=str(node),
                advice="A change that nobody could read about afterwards is not made. Make room there, and run again",
            )

    def _check_agreed(self, node: Node, change: Change, consented: Consented) -> None:
        """A disruptive change was agreed to, and is still what is planned when the target is looked at afresh."""
        if not consented(node, change):
            raise HomelabError(
                f"not consented: {change.sentence}",
                where=str(node),
                advice="The plan that was agreed to did not show it; run again and look at the plan",
            )
        with afresh():
            now, _ = self._look(node)
        if change not in now:
            raise Refused(
                f"this was agreed to and is not planned any more, so it was not done: {_at_length(change)}. "
                f"Planned now: {'; '.join(map(_at_length, now)) or 'nothing'}",
                where=str(node),
                advice="Something changed since the plan was shown; run again and look at the new plan",
            )

    def _check_taken(self, node: Node) -> None:
        left = [item for item in self._look(node)[0] if not isinstance(item, Blocked)]
        if not left:
            return
        item = left[0]
        wanted = item.sentence if isinstance(item, Change) else item.do
        raise NotTaken(
            f"the change was made but did not take: {wanted}",
            where=str(node),
            advice="Something else may be changing it back; run again, and look at the target by hand if it stays",
        )

    def counts(self) -> Counter[str]:
        """The numbers of the summary, as they are by now."""
        counts = Counter({"changed": len(self.made), "unchanged": 0, "failed": 0, "blocked": 0, "handed_over": 0})
        for outcome in list(self.outcomes.values()):
            if outcome.status == "done":
                counts["unchanged"] += not outcome.began
            elif outcome.status in counts:
                counts[outcome.status] += 1
        return counts


def _at_length(item: Planned) -> str:
    if isinstance(item, Change):
        return f"{item.sentence} (now: {item.before})"
    return f"blocked until {item.until}" if isinstance(item, Blocked) else f"your hands: {item.do}"
