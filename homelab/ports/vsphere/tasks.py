"""Waiting for tasks by WaitForUpdatesEx, on a collector of the session's own, with a deadline kept here."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from pyVmomi import vim, vmodl

from homelab.errors import DeadlinePassed
from homelab.ports.vsphere.session import Session, fault_error

PATHS = ["info.state", "info.error", "info.progress", "info.result"]
Progress = Callable[[str], None]


def wait_for(session: Session, task: Any, sentence: str, *, seconds: float, progress: Progress) -> Any:
    """The result of one task. Raises HostFault when it fails, DeadlinePassed after `seconds`.

    `progress` gets the last answer whenever the task reports something.
    """
    [result] = wait_for_all(session, [task], sentence, seconds=seconds, progress=progress)
    return result


def wait_for_all(
    session: Session, tasks: Sequence[Any], sentence: str, *, seconds: float, progress: Progress
) -> list[Any]:
    """The results of several tasks, in their order, with one wait."""
    task_filter = session.collector.CreateFilter(_filter(tasks), partialUpdates=False)
    try:
        seen = _updates(session, tasks, sentence, time.monotonic() + seconds, progress)
    finally:
        task_filter.DestroyPropertyFilter()
    for task in tasks:
        if seen[task._moId].get("info.state") == "error":
            fault = seen[task._moId]["info.error"]
            raise fault_error(fault, f"{session.where}, {sentence}") from fault
    return [seen[task._moId].get("info.result") for task in tasks]


def _filter(tasks: Sequence[Any]) -> Any:
    collector = vmodl.query.PropertyCollector
    return collector.FilterSpec(
        propSet=[collector.PropertySpec(type=vim.Task, pathSet=PATHS)],
        objectSet=[collector.ObjectSpec(obj=task) for task in tasks],
    )


def _updates(
    session: Session, tasks: Sequence[Any], sentence: str, deadline: float, progress: Progress
) -> dict[str, dict[str, Any]]:
    seen: dict[str, dict[str, Any]] = {task._moId: {} for task in tasks}
    version = ""
    while not _ended(seen):
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeadlinePassed(
                f"not done in time; last answer: {_last(seen)}",
                where=f"{session.where}, {sentence}",
                advice="The host may still be busy with it: look at its recent tasks, then run again",
            )
        # Shorter than the connection's own deadline, or a quiet task would look like a mute host.
        options = vmodl.query.PropertyCollector.WaitOptions(
            maxWaitSeconds=max(1, int(min(left, session.host.api_timeout / 3, 10)))
        )
        update = session.collector.WaitForUpdatesEx(version, options)
        if update is None:
            continue
        version = update.version
        for change in (c for f in update.filterSet for o in f.objectSet for c in _named(o)):
            seen[change[0]][change[1]] = change[2]
        if not _ended(seen):
            progress(_last(seen))
    return seen


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
