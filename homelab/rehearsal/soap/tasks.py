"""Tasks: work in a thread of its own, with the states that vSphere has."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap.managed import ref
from homelab.rehearsal.state.refusals import TaskBroke

RECENT = 20
KEPT = 500


@dataclass
class TaskState:
    """One task. `state` is queued, running, success or error; `progress` in percent while it runs."""

    key: str
    description: str
    entity: Any
    entity_name: str
    state: str = "queued"
    progress: int | None = None
    result: Any = None
    error: Any = None
    queued: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    completed: datetime | None = None
    chain: int = 0
    cancelable: bool = False
    cancelled: bool = False


class Tasks:
    """All tasks of a host since it started."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._numbers = count(1)
        self.all: dict[str, TaskState] = {}

    def start(
        self, target: Any, info: Any, entity_name: str, work: Callable[[TaskState], Any], failed: Callable[..., Any]
    ) -> Any:
        """Queue `work` on a managed object; answers with its reference. `failed` makes a fault of an exception."""
        work = self._half_way if self._host.harm.next_task_fails() else work
        number = next(self._numbers)
        kind = info.typeName
        name = info.name[0].lower() + info.name[1:]
        task = TaskState(
            key=f"haTask-{target._moId}-{kind}.{name}-{number}",
            description=f"{kind.rpartition('.')[2]}.{name}",
            entity=target,
            entity_name=entity_name,
            chain=number,
        )
        with self._host.lock:
            self.all[task.key] = task
            self._forget()
            self._host.touch(dirty=False)
        threading.Thread(target=self._run, args=(task, work, failed), name=task.key, daemon=True).start()
        return ref("Task", task.key)

    def recent(self) -> list[TaskState]:
        """The tasks that a client shows: those under way and the last that ended."""
        with self._host.lock:
            return list(self.all.values())[-RECENT:]

    def clear(self) -> None:
        """The host went down: nobody remembers."""
        with self._host.lock:
            self.all.clear()

    def set_progress(self, task: TaskState, percent: int) -> None:
        """Say how far a task is."""
        self._change(task, progress=percent)

    def _half_way(self, task: TaskState) -> None:
        self.set_progress(task, 50)
        raise TaskBroke("A general system error occurred: Internal error", reason="Internal error")

    def _run(self, task: TaskState, work: Callable[[TaskState], Any], failed: Callable[..., Any]) -> None:
        self._change(task, state="running", started=datetime.now(UTC), progress=0)
        try:
            result = work(task)
        except Exception as error:
            self._change(task, state="error", error=failed(error), completed=datetime.now(UTC))
        else:
            self._change(task, state="success", result=result, progress=None, completed=datetime.now(UTC))

    def _change(self, task: TaskState, **values: Any) -> None:
        with self._host.lock:
            for name, value in values.items():
                setattr(task, name, value)
            self._host.touch(dirty=False)

    def _forget(self) -> None:
        done = [key for key, task in self.all.items() if task.completed]
        for key in done[: max(0, len(self.all) - KEPT)]:
            del self.all[key]
