"""How one simulated host misbehaves: plain state that faults set, and that the host and its faces ask."""

import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

SLOW_SECONDS = 1.0
LOOK_SECONDS = 0.05
# On and zero seconds: closing then sends a reset instead of a polite end.
RESET = struct.pack("ii", 1, 0)


def _nothing(*_: object) -> None:
    return None


@dataclass
class Harm:
    """All off on a healthy host.

    `stick_lost` is how the host lost its boot stick: "late", it came when the boot had gone on in memory, or "gone", it
    died since. `backup_bytes` is how much of a copy of its configuration the host has room for. `unknown` are the paths
    of properties that hostd does not tell yet, as in the first moments after a boot: a property collector leaves them
    out. `on_request` is called when a request comes in, before it is looked at; `on_write` with the name of every call,
    command or transfer that writes, before it is answered. Neither may be called by a thread that holds a host's lock.
    """

    reboot_hangs: bool = False
    no_driver: bool = False
    api_delay_seconds: float = 0.0
    api_mute: bool = False
    api_slow: bool = False
    resets: bool = False
    password_changed: bool = False
    account_locked: bool = False
    task_fails: bool = False
    upload_cut: bool = False
    lease_dies: bool = False
    power_on_refused: bool = False
    stick_lost: Literal["", "late", "gone"] = ""
    backup_bytes: int | None = None
    clock_skew: timedelta = timedelta(0)
    unknown: frozenset[str] = frozenset()
    on_request: Callable[[], None] = _nothing
    on_write: Callable[[str], None] = _nothing

    def next_task_fails(self) -> bool:
        """Whether the task that starts now is the one that fails; the next one does not."""
        fails, self.task_fails = self.task_fails, False
        return fails

    def next_lease_dies(self) -> bool:
        """Whether the lease that something is sent to now is the one that dies; the next one does not."""
        dies, self.lease_dies = self.lease_dies, False
        return dies

    def answers(self, connection: socket.socket) -> bool:
        """Whether a request that came in by the API is answered: not while mute, late while slow, never when reset."""
        self.on_request()
        if self.resets:
            reset(connection)
            return False
        mute = self.api_mute
        while self.api_mute:
            time.sleep(LOOK_SECONDS)
        if mute:
            return False
        if self.api_slow:
            time.sleep(SLOW_SECONDS)
        return True


def reset(connection: socket.socket) -> None:
    """Have a connection end with a reset when it is closed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
