"""Waiting for tasks by WaitForUpdatesEx, on a collector of the session's own, with a deadline kept here."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from pyVmomi import vim, vmodl

from homelab.errors import DeadlinePassed, HomelabError, Interrupted
from homelab.ports.vsphere.session import Session, fault_error

PATHS = ["info.state", "info.error", "info.progress", "info.result"]
# How long one question waits for news, and how long a task may take to end once we were interrupted.
LOOK_SECONDS = 5
GRACE_SECONDS = 20.0
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Watch:
    """A property of an object that is watched while a task runs; `told` gets each value of it but None."""

    watched: Any
    path: str
    told: Callable[[Any], None]


def wait_for(
    session: Session, task: Any, sentence: str, *, seconds: float, progress: Progress, watch: Watch | None = None
) -> Any:
    """The result of one task. Raises HostFault when it fails, DeadlinePassed after `seconds`.

    `progress` gets the last answer whenever the task reports something.
    """
    [result] = wait_for_all(session, [task], sentence, seconds=seconds, progress=progress, watch=watch)
    return result


def wait_for_all(
    session: Session,
    tasks: Sequence[Any],
    sentence: str,
    *,
    seconds: float,
    progress: Progress,
    watch: Watch | None = None,
    well: tuple[type[Exception], ...] = (),
) -> list[Any]:
    """The results of several tasks, in their order, with one wait. One that ends in a fault of `well` has ended well.

    A task that was issued goes on at the host whatever we do. So an interruption gives it a moment to end; then
    Interrupted names it.
    """
    task_filter = session.collector.CreateFilter(_filter(tasks, watch), partialUpdates=False)
    try:
        seen = _updates(session, tasks, _Patience(session, sentence, seconds), progress, watch)
    finally:
        # The session's end takes it away too; what went wrong before matters more.
        with suppress(vmodl.MethodFault, OSError, HTTPException, HomelabError):
            task_filter.DestroyPropertyFilter()
    for task in tasks:
        fault = seen[task._moId].get("info.error")
        if seen[task._moId].get("info.state") == "error" and not isinstance(fault, well):
            raise fault_error(fault, f"{session.where}, {sentence}") from fault
    return [seen[task._moId].get("info.result") for task in tasks]


def _filter(tasks: Sequence[Any], watch: Watch | None) -> Any:
    collector = vmodl.query.PropertyCollector
    paths = [collector.PropertySpec(type=vim.Task, pathSet=PATHS)]
    objects = [collector.ObjectSpec(obj=task) for task in tasks]
    if watch:
        paths.append(collector.PropertySpec(type=type(watch.watched), pathSet=[watch.path]))
        objects.append(collector.ObjectSpec(obj=watch.watched))
    return collector.FilterSpec(propSet=paths, objectSet=objects)


def _updates(
    session: Session, tasks: Sequence[Any], patience: "_Patience", progress: Progress, watch: Watch | None
) -> dict[str, dict[str, Any]]:
    seen: dict[str, dict[str, Any]] = {task._moId: {} for task in tasks}
    version = ""
    while not _ended(seen):
        left = patience.left(_last(seen))
        # Shorter than the connection's own deadline, or a quiet task would look like a mute host.
        options = vmodl.query.PropertyCollector.WaitOptions(
            maxWaitSeconds=max(1, int(min(left, session.host.api_timeout / 3, LOOK_SECONDS)))
        )
        update = session.collector.WaitForUpdatesEx(version, options)
        if update is None:
            continue
        version = update.version
        for moid, path, value in (c for f in update.filterSet for o in f.objectSet for c in _named(o)):
            if moid in seen:
                seen[moid][path] = value
            elif watch and value is not None:
                watch.told(value)
        if not _ended(seen):
            progress(_last(seen))
    return seen


class _Patience:
    """How long a task is still waited for: its deadline, or a moment once we were interrupted."""

    def __init__(self, session: Session, sentence: str, seconds: float) -> None:
        self._session, self._where = session, f"{session.where}, {sentence}"
        self._deadline, self._interrupted = time.monotonic() + seconds, False

    def left(self, last: str) -> float:
        """Seconds. Raises DeadlinePassed, Interrupted with the last answer."""
        now = time.monotonic()
        if self._session.stop.is_set() and not self._interrupted:
            self._interrupted, self._deadline = True, min(self._deadline, now + GRACE_SECONDS)
        if now < self._deadline:
            return self._deadline - now
        if self._interrupted:
            raise Interrupted(
                f"interrupted, and the host goes on with a task by itself; last answer: {last}",
                where=self._where,
                advice="Look at the host's recent tasks; when that one has ended, run again",
            )
        raise DeadlinePassed(
            f"not done in time; last answer: {last}",
            where=self._where,
            advice="The host may still be busy with it: look at its recent tasks, then run again",
        )


def _ended(seen: dict[str, dict[str, Any]]) -> bool:
    return all(state.get("info.state") in ("success", "error") for state in seen.values())


def _named(update: Any) -> list[tuple[str, str, Any]]:
    return [(update.obj._moId, change.name, change.val) for change in update.changeSet]


def _last(seen: dict[str, dict[str, Any]]) -> str:
    parts = []
    for state in seen.values():
        percent = state.get("info.progress")
        parts.append(f"{state.get('info.state', 'unknown')}{'' if percent is None else f' {percent} %'}")
    return ", ".join(parts)
