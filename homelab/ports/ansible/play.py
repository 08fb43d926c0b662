"""The door to Ansible: a playbook run as a program, watched through a callback, judged by its events and recap."""

import json
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homelab.errors import HomelabError, HostFault, Interrupted, Unreachable
from homelab.ports import process
from homelab.ports.ansible import settings
from homelab.ports.ansible.complaints import complaint
from homelab.ports.ansible.inventory import Vault
from homelab.ports.files.home import write_private

EVENTS = Path(__file__).parent / "events"
# Among the last lines is why a play ended early.
LINES_KEPT = 200


@dataclass(frozen=True)
class Play:
    """One run of a playbook for one host.

    `variables` go in by a file of mode 0600, never by argv, and as plain text: braces in them are no templates.
    Every role carries its name as a tag; those in `skip` are left out.
    """

    playbook: Path
    limit: str
    skip: Sequence[str]
    inventories: Sequence[Path]
    variables: Mapping[str, Any]
    environment: Mapping[str, str]
    seconds: float
    vault: Vault


def run_play(play: Play, log: Callable[[str], None], progress: Callable[[str], None], stop: threading.Event) -> int:
    """Run a playbook; how many tasks changed something on its host.

    Raises HostFault with the task and its message, Unreachable, DeadlinePassed, or Interrupted once `stop` is set: then
    the play is ended, with all its children, and none begins. Everything it prints goes to `log`.
    """
    if stop.is_set():
        raise Interrupted(
            f"interrupted before {play.playbook.name} began",
            where=play.limit,
            advice="Run again; it goes on where it stopped",
        )
    with _own_folder() as folder:
        variables = Path(folder) / "variables.json"
        write_private(variables, json.dumps(plain(play.variables)))
        with play.vault.handed_over() as (arguments, descriptors):
            child = process.Child(
                name=play.playbook.name,
                argv=[*_command(play, variables), *arguments],
                seconds=play.seconds,
                where=play.limit,
                advice="Its output is in run.log; run again, it goes on where it stopped",
                environment={**settings.environment(), **_environment(play, folder)},
                without=settings.PREFIX,
                descriptors=descriptors,
                side="HOMELAB_EVENTS_FD",
            )
            events: list[dict[str, Any]] = []
            printed: deque[str] = deque(maxlen=LINES_KEPT)

            def keep(line: str) -> None:
                printed.append(line)
                log(line)

            status = process.stream(child, keep, lambda line: _take(line, events, log, progress), stop)
    return _judge(play, events, status, "\n".join(printed))


def plain(value: Any) -> Any:
    """A value as Ansible reads it from JSON without taking any text in it for a template."""
    if isinstance(value, str):
        return {"__ansible_unsafe": value}
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


@contextmanager
def _own_folder() -> Iterator[str]:
    """A folder for one play; a child that is still dying may lay something down in it meanwhile."""
    try:
        with tempfile.TemporaryDirectory(prefix="homelab-", ignore_cleanup_errors=True) as folder:
            yield folder
    except OSError as error:
        raise HomelabError(
            f"a play needs a temporary folder, and none can be used: {error.strerror or error}",
            where=str(error.filename or tempfile.gettempdir()),
            advice="Make room there, or name another folder with TMPDIR; then run again",
        ) from error


def _command(play: Play, variables: Path) -> list[str]:
    command = [sys.executable, "-m", "ansible.cli.playbook", str(play.playbook.absolute()), "--limit", play.limit]
    for inventory in play.inventories:
        command += ["-i", str(inventory.absolute())]
    if play.skip:
        command += ["--skip-tags", ",".join(play.skip)]
    return [*command, "--extra-vars", f"@{variables}"]


def _environment(play: Play, folder: str) -> dict[str, str]:
    # Connections are shared only within this play: sockets lie in its own folder, so a rehearsal, which has the same
    # addresses as the real lab, can never speak through a connection to the real one.
    return {
        "ANSIBLE_CALLBACK_PLUGINS": str(EVENTS),
        "ANSIBLE_CALLBACKS_ENABLED": "homelab_events",
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": folder,
        # Without the -C that Ansible has by itself: a bundle of 400 MB would wait for zlib, 20 seconds a guest.
        "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=30s",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1",
        "ANSIBLE_HOST_PATTERN_MISMATCH": "error",
        "ANSIBLE_LOCAL_TEMP": folder,
        **play.environment,
    }


def _take(line: str, events: list[dict[str, Any]], log: Callable[[str], None], progress: Callable[[str], None]) -> None:
    """One event of our callback; a line that is none was written by somebody else, and is kept in the log."""
    try:
        event = json.loads(line)
        kind = event["event"]
    except (ValueError, LookupError, TypeError):
        log(line)
        return
    events.append(event)
    if kind == "task":
        progress(str(event.get("name", "")))


def _judge(play: Play, events: Sequence[Mapping[str, Any]], status: int, printed: str) -> int:
    """Ansible's exit code says little; its events say which task failed and why."""
    where = f"{play.limit}, {play.playbook.name}"
    if status == 0 and (changed := _changed(play.limit, events)) is not None:
        return changed
    # The last one ended the play: one before it was rescued, or is told in its words.
    for event in reversed(events):
        host, said = event.get("host"), event.get("message")
        if event["event"] == "unreachable":
            raise Unreachable(
                f"Ansible could not reach {host}: {said}",
                where=where,
                advice="Check that the guest is up and answers on SSH",
            )
        if event["event"] == "failed":
            raise HostFault(
                f"task `{event.get('task')}` failed on {host}: {said}",
                where=where,
                advice="The whole output is in run.log; mend it and run again, only what is missing is done",
            )
    why = complaint(printed)
    raise HomelabError(
        f"{play.playbook.name} ended with status {status} before it did anything on {play.limit}"
        f"{f': {why}' if why else ''}",
        where=where,
        advice="The whole output is in run.log; an inventory or playbook that cannot be parsed ends like this",
    )


def _changed(limit: str, events: Sequence[Mapping[str, Any]]) -> int | None:
    """How many tasks changed something, from the recap; None without one for that host."""
    for event in events:
        if event["event"] == "recap":
            with suppress(LookupError, TypeError, ValueError):
                return int(event["hosts"][limit]["changed"])
    return None
