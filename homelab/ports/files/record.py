"""The record of a run: every call, command, transfer, play and file of ours, one JSON line each in `record.jsonl`.

A line has `at` (RFC 3339), `kind` (soap, ssh, http, nfs, play, file), `target`, `step`, `what`, `writes`, `seconds` and
`ok`. The last line of a finished run has `counts`: how many there were of each kind, and of writes.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from homelab.ports.files.home import HomeFiles

NAME = "record.jsonl"
_STEP: ContextVar[str | None] = ContextVar("step", default=None)


@contextmanager
def during(step: str) -> Iterator[None]:
    """What is recorded in this thread until the end of the context belongs to a step."""
    token = _STEP.set(step)
    try:
        yield
    finally:
        _STEP.reset(token)


@contextmanager
def recorded(files: "HomeFiles", kind: str, target: str, what: str, *, writes: bool) -> Iterator[None]:
    """Record what happens in this context, whether it ends well or not."""
    if not writes and not files.records_reads:
        yield
        return
    at, began, ok = datetime.now(UTC), time.monotonic(), False
    try:
        yield
        ok = True
    finally:
        line = {
            "at": at.isoformat(timespec="milliseconds"),
            "kind": kind,
            "target": target,
            "step": _STEP.get(),
            "what": what,
            "writes": writes,
            "seconds": round(time.monotonic() - began, 4),
            "ok": ok,
        }
        files.append(NAME, json.dumps(line) + "\n")


def finish(files: "HomeFiles") -> None:
    """Write the counts as the last line, if anything was recorded."""
    path = files.log_folder / NAME
    counts: Counter[str] = Counter()
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        # A disk that was full for a while leaves half a line.
        with suppress(ValueError, LookupError, TypeError):
            entry = json.loads(line)
            counts.update({entry["kind"]: 1, "writes": int(entry["writes"])})
    files.append(NAME, json.dumps({"counts": dict(sorted(counts.items()))}) + "\n")
