"""What the API servers know: objects by their REST path, kept in one file, exchanged among the members.

The last writer wins. A member sends all it has and receives all the other has: after each write, and every few seconds.
"""

import json
import threading
import time
from pathlib import Path
from typing import Any

from .pki import write_secret

STATE = Path("/var/lib/etcd/standin.json")
MEMBERS = "/standin/members/"
EXCHANGE = "/standin/exchange"
Entries = dict[str, dict[str, Any]]


class Store:
    """Objects by path. An entry is {"stamp": ns, "value": object}, the value of a deleted object is null."""

    def __init__(self, path: Path = STATE) -> None:
        self._path = path
        self._changed = threading.Condition()
        self._entries: Entries = json.loads(path.read_text()) if path.exists() else {}
        self.revision = 1

    def get(self, path: str) -> Any:
        """The object at a path, None when there is none."""
        with self._changed:
            return self._entries.get(path, {}).get("value")

    def below(self, prefix: str) -> dict[str, Any]:
        """Every object whose path begins so."""
        with self._changed:
            found = {path: entry["value"] for path, entry in sorted(self._entries.items()) if path.startswith(prefix)}
        return {path: value for path, value in found.items() if value is not None}

    def put(self, path: str, value: Any) -> None:
        """Writes an object; None deletes it."""
        stamp = max(time.time_ns(), self.entries().get(path, {}).get("stamp", 0) + 1)
        self.merge({path: {"stamp": stamp, "value": value}})

    def entries(self) -> Entries:
        """All that is known."""
        with self._changed:
            return dict(self._entries)

    def merge(self, others: Entries) -> None:
        """Takes what is newer there."""
        with self._changed:
            newer = {
                path: entry
                for path, entry in others.items()
                if entry["stamp"] > self._entries.get(path, {}).get("stamp", 0)
            }
            if newer:
                self._entries.update(newer)
                write_secret(self._path, json.dumps(self._entries).encode())
                self.revision += 1
                self._changed.notify_all()

    def wait(self, revision: int, seconds: float) -> int:
        """Waits until something is newer than that revision, or the time is over; returns the revision then."""
        with self._changed:
            self._changed.wait_for(lambda: self.revision != revision, seconds)
            return self.revision
