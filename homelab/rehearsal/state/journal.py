"""What happened on a simulated host, as its events tell it. Forgotten when the host goes down, as hostd's are."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count

KEPT = 1000


@dataclass(frozen=True)
class Entry:
    """One event: `kind` is vSphere's type; `vm` and `vm_name` are of the VM that it is about, if it is about one."""

    key: int
    when: datetime
    kind: str
    message: str
    user: str = ""
    vm: str = ""
    vm_name: str = ""


class Journal:
    """The last events of a host, oldest first. `now` is the time by the host's own clock."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.entries: deque[Entry] = deque(maxlen=KEPT)
        self._keys = count(1)

    def add(self, kind: str, message: str, *, user: str = "", vm: str = "", vm_name: str = "") -> None:
        """Note an event."""
        self.entries.append(Entry(next(self._keys), self._now(), kind, message, user, vm, vm_name))

    def clear(self) -> None:
        """The host went down."""
        self.entries.clear()
