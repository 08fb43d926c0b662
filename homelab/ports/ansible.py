"""The door to Ansible: a playbook run as a program, watched through a callback, judged by its events and recap."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homelab.errors import DeadlinePassed, HomelabError, HostFault, Unreachable
from homelab.ports.ansible_inventory import Vault
from homelab.ports.files import write_private

EVENTS = Path(__file__).parent / "ansible_events"


@dataclass(frozen=True)
class Play:
    """One run of a playbook for one host. `variables` go in by a file of mode 0600, never by argv.

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


def run_play(play: Play, log: Callable[[str], None], progress: Callable[[str], None]) -> int:
    """Run a playbook; how many tasks changed something on its host.

    Raises HostFault with the task and its message, Unreachable, or DeadlinePassed. Everything it prints goes to `log`.
    """
    with tempfile.TemporaryDirectory(prefix="homelab-") as folder:
        variables = Path(folder) / "variables.json"
        write_private(variables, json.dumps(dict(play.variables)))
        with play.vault.handed_over() as (arguments, descriptors):
            command = [*_command(play, variables), *arguments]
            events = _watch(command, descriptors, _environment(play, folder), play, log, progress)
    return _judge(play, events)


def _command(play: Play, variables: Path) -> list[str]:
    command = [sys.executable, "-m", "ansible", "playbook", str(play.playbook), "--limit", play.limit]
    for inventory in play.inventories:
        command += ["-i", str(inventory)]
    if play.skip:
        command += ["--skip-tags", ",".join(play.skip)]
    return [*command, "--extra-vars", f"@{variables}"]


def _environment(play: Play, folder: str) -> dict[str, str]:
    # Connections are shared only within this play: sockets lie in its own folder, so a rehearsal, which has the same
    # addresses as the real lab, can never speak through a connection to the real one.
    return {
        **os.environ,
        "ANSIBLE_CALLBACK_PLUGINS": str(EVENTS),
        "ANSIBLE_CALLBACKS_ENABLED": "homelab_events",
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": folder,
        "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=auto -o ControlPersist=30s",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1",
        "ANSIBLE_HOST_PATTERN_MISMATCH": "error",
        "ANSIBLE_LOCAL_TEMP": folder,
        **play.environment,
    }


def _watch(
    command: list[str],
    descriptors: tuple[int, ...],
    environment: dict[str, str],
    play: Play,
    log: Callable[[str], None],
    progress: Callable[[str], None],
) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    read, write = os.pipe()
    try:
        process = subprocess.Popen(
            command,
            env={**environment, "HOMELAB_EVENTS_FD": str(write)},
            pass_fds=[write, *descriptors],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    finally:
        os.close(write)
    timer = threading.Timer(play.seconds, process.kill)
    timer.start()
    reader = threading.Thread(target=lambda: _log_output(process, log), daemon=True)
    reader.start()
    with os.fdopen(read) as stream:
        for line in stream:
            events.append(json.loads(line))
            if events[-1]["event"] == "task":
                progress(events[-1]["name"])
    status = process.wait()
    in_time = timer.is_alive()
    timer.cancel()
    reader.join()
    if not in_time:
        raise DeadlinePassed(
            f"{play.playbook.name} did not end within {play.seconds:g} s",
            where=play.limit,
            advice="Its output is in run.log; run again, it goes on where it stopped",
        )
    events.append({"event": "status", "status": status})
    return events


def _log_output(process: "subprocess.Popen[str]", log: Callable[[str], None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        log(line.rstrip("\n"))


def _judge(play: Play, events: Sequence[Mapping[str, Any]]) -> int:
    """Ansible's exit code says little; its events say which task failed and why."""
    where = f"{play.limit}, {play.playbook.name}"
    recap: Mapping[str, Mapping[str, int]] = next((event["hosts"] for event in events if event["event"] == "recap"), {})
    status = events[-1]["status"]
    if status == 0 and play.limit in recap:
        return int(recap[play.limit]["changed"])
    for event in events:
        if event["event"] == "unreachable":
            raise Unreachable(
                f"Ansible could not reach {event['host']}: {event['message']}",
                where=where,
                advice="Check that the guest is up and answers on SSH",
            )
        if event["event"] == "failed":
            raise HostFault(
                f"task `{event['task']}` failed on {event['host']}: {event['message']}",
                where=where,
                advice="The whole output is in run.log; mend it and run again, only what is missing is done",
            )
    raise HomelabError(
        f"{play.playbook.name} ended with status {status} before it did anything on {play.limit}",
        where=where,
        advice="The whole output is in run.log; an inventory or playbook that cannot be parsed ends like this",
    )
