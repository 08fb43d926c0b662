"""An Ansible callback that writes what happens as JSON lines to the file descriptor in HOMELAB_EVENTS_FD."""

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase  # type: ignore[import-untyped]

DOCUMENTATION = """
    name: homelab_events
    type: aggregate
    short_description: JSON lines for the homelab command
    description: One JSON object a line for each task, failure and recap.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Writes `task`, `failed`, `unreachable` and `recap` lines."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "homelab_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._stream = os.fdopen(int(os.environ["HOMELAB_EVENTS_FD"]), "w", buffering=1)

    def _write(self, **data: Any) -> None:
        self._stream.write(json.dumps(data) + "\n")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """A task begins."""
        self._write(event="task", name=task.get_name())

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed on one host."""
        if not ignore_errors:
            self._problem("failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host did not answer, and the play minds."""
        if result.task.ignore_unreachable:
            return
        self._problem("unreachable", result)

    def _problem(self, event: str, result: Any) -> None:
        said = result.result
        message = "hidden, the task handles secrets" if said.get("_ansible_no_log") else self._message(said)
        self._write(event=event, host=result.host.get_name(), task=result.task.get_name(), message=message)

    @staticmethod
    def _message(said: dict[str, Any]) -> str:
        parts = [said.get("msg"), said.get("stderr") or said.get("module_stderr")]
        items = [item for item in said.get("results", []) if item.get("failed")]
        parts += [item.get("msg") for item in items]
        return " ".join(str(part).strip() for part in parts if part)[:2000]

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The recap."""
        self._write(event="recap", hosts={host: stats.summarize(host) for host in stats.processed})
