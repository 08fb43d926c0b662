"""A child process and all that came of it: found by who is whose parent, and ended."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

# How long each of the two requests to end is given.
GRACE_SECONDS = 5.0
POLL_SECONDS = 0.1


def end_family(process: "subprocess.Popen[bytes]", *, group: bool) -> None:
    """End a child and all that came of it: asked first by SIGINT, then by SIGTERM, at last killed."""
    if process.poll() is not None:
        return
    known = _family(process.pid)
    for number in (signal.SIGINT, signal.SIGTERM):
        _signal(process.pid, number, group=group)
        deadline = time.monotonic() + GRACE_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            known |= _family(process.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)
    _kill(process, known)
    process.wait()


def kill_family(process: "subprocess.Popen[bytes]") -> None:
    """Kill a child in a group of its own, and all that came of it, at once."""
    _kill(process, _family(process.pid))


def _kill(process: "subprocess.Popen[bytes]", known: set[tuple[int, str]]) -> None:
    if process.poll() is None:
        process.kill()
    # What still lives under the same number and the same birthday is what we knew; a number alone may be anybody's.
    alive = _table()
    for pid, birthday in known:
        if pid in alive and alive[pid][1] == birthday:
            _signal(pid, signal.SIGKILL, group=False)


def _signal(pid: int, number: signal.Signals, *, group: bool) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, number)


def _family(pid: int) -> set[tuple[int, str]]:
    """A process and all that came of it, each with its birthday."""
    table = _table()
    found, waiting = set(), [pid]
    while waiting:
        parent = waiting.pop()
        if parent in table:
            found.add((parent, table[parent][1]))
        waiting += [child for child, (its_parent, _) in table.items() if its_parent == parent]
    return found


def _table() -> dict[int, tuple[int, str]]:
    """Every process: {pid: (parent, when it was born)}."""
    if not Path("/proc/self/stat").exists():
        return _table_of_ps()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name in brackets may hold anything (proc(5)).
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            found[int(folder.name)] = (int(fields[1]), fields[19])
    return found


def _table_of_ps() -> dict[int, tuple[int, str]]:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        argv = ["ps", "-axo", "pid=,ppid=,lstart="]
        listed = subprocess.run(argv, capture_output=True, timeout=5, check=False, env={**os.environ, "LC_ALL": "C"})
        rows = [line.split(None, 2) for line in listed.stdout.decode(errors="replace").splitlines()]
        return {int(row[0]): (int(row[1]), row[2]) for row in rows if len(row) == 3}
    return {}
