"""The runner: looks at every node, then brings them into the wanted state on a bounded pool of threads."""

import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import TopologicalSorter
from types import MappingProxyType
from typing import NamedTuple

from homelab.engine.events import Changed, Counts, Event, Failed, HandedOver, HeldUp, Started, Unchanged, Waiting
from homelab.engine.graph import Graph, chosen_graph, earlier, full_graph, in_rows, narrowed, order
from homelab.engine.plan import Plan
from homelab.engine.step import AnyStep, Blocked, Change, HandOver, Node, Planned
from homelab.engine.world import World
from homelab.errors import HomelabError, Interrupted, NotTaken, PersonNeeded, Refused, Unreachable
from homelab.lab import Lab

# Nearly all that a node does is to wait for a machine.
WORKERS = 32
# How many nodes are named when a run is interrupted.
NAMED = 8

Emit = Callable[[Event], None]
Agreed = Callable[[Node, Change], bool]
Selection = Callable[[Node], bool]
Pool = Callable[[], Executor]


@dataclass
class Outcome:
    """How one node ended: done, failed, blocked, handed_over or interrupted.

    `began` when something was or may have been written; `error` is what a failure was.
    """

    status: str
    began: bool = False
    error: HomelabError | None = None

    @property
    def harmful(self) -> bool:
        """Whether it may have left something half done behind."""
        return self.began and self.status != "done"


class Seen(NamedTuple):
    """What one look at a node tells: what is planned, what is remarked, which nodes must be done before."""

    planned: tuple[Planned[Change], ...]
    remarks: tuple[str, ...]
    needs: frozenset[Node]

    @property
    def settled(self) -> bool:
        """Whether nothing has to come first before the plan is known."""
        return all(isinstance(item, Change) for item in self.planned)


def threads() -> Executor:
    """A bounded pool, in which independent nodes run at once."""
    return ThreadPoolExecutor(WORKERS)


class Runner:
    """Carries a graph out. Independent nodes run at once; what depends on a failure is blocked, all else completes."""

    def __init__(
        self,
        lab: Lab,
        steps: Sequence[AnyStep],
        world: World,
        emit: Emit,
        selection: Selection = lambda node: True,
        pool: Pool = threads,
    ) -> None:
        self.lab = lab
        self.graph: Graph = chosen_graph(full_graph(lab, steps), selection)
        self._waits = self.graph
        self.world = world
        self.outcomes: dict[Node, Outcome] = {}
        self._steps = {step.name: step for step in steps}
        self._emit = emit
        self._pool = pool
        self._emitting = threading.Lock()
        self._made: list[Change] = []
        self._refused: Mapping[Node, HomelabError] = {}
        self._began: set[Node] = set()

    def emit(self, event: Event) -> None:
        """Send one event out; events never interleave."""
        with self._emitting:
            self._emit(event)

    def plan(self) -> Plan:
        """Look at every node, all at once, and decide; nothing is written."""
        plan = Plan()
        with self.world.run.connected(), self._pool() as pool:
            futures = {node: pool.submit(self._look, node) for node in self.graph}
            for node, future in futures.items():
                try:
                    seen = future.result()
                    plan.items[node], plan.remarks[node] = seen.planned, seen.remarks
                    if self.graph[node].perhaps and seen.settled:
                        plan.needs[node] = seen.needs
                except KeyboardInterrupt:
                    self.world.run.stop.set()
                    pool.shutdown(cancel_futures=True)
                    raise
                except Exception as error:
                    plan.failures[node] = self._told(node, error)
        self._excuse(plan)
        return plan

    def _excuse(self, plan: Plan) -> None:
        """A target that does not answer yet is blocked, not failed, while a step before it has something to do for it.

        So it is with a host that a person has to switch on first.
        """
        for node in self.graph:
            held_by = [before for before in earlier(self.graph, node) if plan.items.get(before)]
            if held_by and isinstance(plan.failures.get(node), Unreachable):
                del plan.failures[node]
                unseen = [before for before in held_by if not isinstance(plan.items[before][0], Change)]
                plan.items[node] = (Blocked(node.target, f"{(unseen or held_by)[0]} is done"),)

    def _look(self, node: Node) -> Seen:
        step, lab, target = self._steps[node.step], self.lab, node.target
        with self.world.run.during(node.step):
            observed = step.observe(self._world_at(node), lab, target)
        planned, remarks = tuple(step.plan(lab, target, observed)), tuple(step.remarks(lab, target, observed))
        return Seen(planned, remarks, frozenset(step.needs(lab, target, observed)) & self.graph.keys())

    def _apply(self, node: Node, change: Change) -> None:
        self._began.add(node)
        with self.world.run.during(node.step):
            made = self._steps[node.step].apply(self._world_at(node), change) or change
        self._made.append(made)
        self.emit(Changed(node=node, change=made))

    def _world_at(self, node: Node) -> World:
        return self.world.at(
            lambda condition, deadline, last: self.emit(
                Waiting(node=node, condition=condition, deadline=deadline, last=last)
            )
        )

    def _told(self, node: Node, error: Exception) -> HomelabError:
        """An error as one of ours: one that nobody expected costs its own node, and nothing else."""
        if isinstance(error, HomelabError):
            return error
        self.world.run.log("".join(traceback.format_exception(error)))
        return HomelabError(
            f"a mistake of homelab itself: {type(error).__name__}: {error}",
            where=str(node),
            advice=f"{self.world.run.whole_story}; please report it",
        )

    def waits(self, plan: Plan) -> Graph:
        """What waits for what when this plan is carried out."""
        return in_rows(narrowed(self.graph, plan.needs), tuple(self._steps.values()), self.lab, plan.busy)

    def run(self, plan: Plan, agreed: Agreed, refused: Mapping[Node, HomelabError] = MappingProxyType({})) -> Counts:
        """Bring every node into the wanted state; the counts of the summary.

        `plan` tells which nodes have something to do; `agreed` is asked for each disruptive change. Nodes that are
        `refused` fail before anything of them is touched. After Ctrl-C or SIGTERM nothing begins any more; what is
        under way comes to its end, and Interrupted tells what is left.
        """
        self._refused = refused
        self._waits = self.waits(plan)
        sorter = TopologicalSorter(order(self._waits))
        sorter.prepare()
        running: dict[Future[Outcome], Node] = {}
        with self.world.run.interruptible(), self.world.run.connected(), self._pool() as pool:
            try:
                while sorter.is_active() and not self.world.run.stop.is_set():
                    for node in sorter.get_ready():
                        running[pool.submit(self._bring, node, agreed)] = node
                    done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                        sorter.done(running.pop(future))
            except BaseException:
                self.world.run.stop.set()
                raise
        if self.world.run.stop.is_set():
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

    def _bring(self, node: Node, agreed: Agreed) -> Outcome:
        """One node from looking to looking again; every failure becomes an event and an outcome."""
        outcome = self.outcomes[node] = self._brought(node, agreed)
        return outcome

    def _brought(self, node: Node, agreed: Agreed) -> Outcome:
        if self.world.run.stop.is_set():
            return Outcome("interrupted")
        edges = self._waits[node]
        held_by = self._undone(edges.after) + [one for one in sorted(edges.unharmed) if self.outcomes[one].harmful]
        if held_by:
            return self._held_up(node, held_by)
        if node in self._refused:
            return self._ended(node, "failed", self._refused[node])
        try:
            return self._carry_out(node, agreed)
        except Unreachable as error:
            # What it would need is not known, and that is why.
            undone = self._undone(edges.perhaps) if node not in self._began else []
            return self._held_up(node, undone) if undone else self._ended(node, "failed", error)
        except PersonNeeded as error:
            self.emit(HandedOver(node=node, do=f"{error.where}: {error.what}. {error.advice}"))
            return Outcome("handed_over", node in self._began, error)
        except Interrupted as error:
            return self._ended(node, "interrupted", error)
        except Exception as error:
            return self._ended(node, "failed", self._told(node, error))

    def _undone(self, nodes: Iterable[Node]) -> list[Node]:
        """Those that have not ended, or not well."""
        return [one for one in sorted(nodes) if one not in self.outcomes or self.outcomes[one].status != "done"]

    def _held_up(self, node: Node, before: Sequence[Node]) -> Outcome:
        self.emit(HeldUp(node=node, until=f"{', '.join(map(str, before))} is done"))
        return Outcome("blocked")

    def _ended(self, node: Node, status: str, error: HomelabError) -> Outcome:
        self.emit(Failed(node=node, what=error.what, where=error.where, advice=error.advice))
        return Outcome(status, node in self._began, error)

    def _carry_out(self, node: Node, agreed: Agreed) -> Outcome:
        self.emit(Started(node=node, after=tuple(sorted(self._waits[node].all))))
        planned, remarks, needs = self._look(node)
        if undone := self._undone(needs):
            return self._held_up(node, undone)
        for item in planned:
            if isinstance(item, Blocked):
                self.emit(HeldUp(node=node, until=item.until))
                return Outcome("blocked")
            if isinstance(item, HandOver):
                self.emit(HandedOver(node=node, do=item.do))
                return Outcome("handed_over")
        changes = [item for item in planned if isinstance(item, Change)]
        for change in changes:
            self._check_may_write(node, change)
            if change.disruptive:
                self._check_agreed(node, change, agreed)
            self._apply(node, change)
        if not all(change.anew for change in changes):
            self._check_taken(node)
        if not changes:
            self.emit(Unchanged(node=node, sentence="; ".join(remarks)))
        return Outcome("done", bool(changes))

    def _check_may_write(self, node: Node, change: Change) -> None:
        """Nothing new is begun once the run was interrupted, or cannot be recorded any more."""
        if self.world.run.stop.is_set():
            raise Interrupted(
                f"interrupted before this was done: {change}",
                where=str(node),
                advice="Run again; it goes on where it stopped",
            )
        if self.world.run.cannot_write:
            raise Refused(
                f"not begun: {change}; {self.world.run.cannot_write}",
                where=str(node),
                advice="A change that nobody could read about afterwards is not made. Make room there, and run again",
            )

    def _check_agreed(self, node: Node, change: Change, agreed: Agreed) -> None:
        """A disruptive change was agreed to, and is still what is planned when the target is looked at afresh."""
        if not agreed(node, change):
            raise HomelabError(
                f"not agreed: {change}",
                where=str(node),
                advice="The plan that was agreed to did not show it; run again and look at the plan",
            )
        with self.world.run.afresh(change.harms):
            now = self._look(node).planned
        if change not in now:
            raise Refused(
                f"this was agreed to and is not planned any more, so it was not done: {_at_length(change)}. "
                f"Planned now: {'; '.join(map(_at_length, now)) or 'nothing'}",
                where=str(node),
                advice="Something changed since the plan was shown; run again and look at the new plan",
            )

    def _check_taken(self, node: Node) -> None:
        left = [item for item in self._look(node).planned if not isinstance(item, Blocked)]
        if not left:
            return
        item = left[0]
        wanted = item.do if isinstance(item, HandOver) else str(item)
        raise NotTaken(
            f"the change was made but did not take: {wanted}",
            where=str(node),
            advice="Something else may be changing it back; run again, and look at the target by hand if it stays",
        )

    def counts(self) -> Counts:
        """The numbers of the summary, as they are by now."""
        ended = list(self.outcomes.values())
        numbers = Counter(outcome.status for outcome in ended)
        return Counts(
            changed=len(self._made),
            unchanged=sum(outcome.status == "done" and not outcome.began for outcome in ended),
            failed=numbers["failed"],
            blocked=numbers["blocked"],
            handed_over=numbers["handed_over"],
        )


def _at_length(item: Planned[Change]) -> str:
    if isinstance(item, Change):
        return f"{item} (now: {item.words.before})"
    return str(item)
