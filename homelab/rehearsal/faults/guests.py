"""What can be done to real guests from outside of them: stop or kill their programs, let them be dead.

A guest's processes are seen from the rehearsal's own namespace. What a guest restarts is found again at the next look,
so a program that is to crash goes on crashing.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterable
from pathlib import Path

from homelab.rehearsal.guests.guests import Guests

LOOK_SECONDS = 0.2
# Read by the stand-in's API server; a real one is unready when its etcd does not answer.
UNREADY = "run/kube-apiserver-unready"


class GuestHarm:
    """The harm that is being done to guests, renewed by one thread for as long as there is any."""

    def __init__(self, guests: Guests) -> None:
        self._guests = guests
        self._lock = threading.RLock()
        # (signal, program) and the guests whose program it is sent to.
        self._signals: dict[tuple[signal.Signals, str], set[str]] = {}
        self._unready: set[str] = set()
        self._full: set[str] = set()
        self._worker: threading.Thread | None = None

    def send(self, number: signal.Signals, program: str, names: Iterable[str]) -> None:
        """Send a signal to a program of some guests, again and again."""
        with self._lock:
            self._signals.setdefault((number, program), set()).update(names)
            self._go_on()

    def end_send(self, number: signal.Signals, program: str, names: Iterable[str]) -> None:
        """Leave a program of some guests alone; one that was stopped goes on."""
        with self._lock:
            self._signals.get((number, program), set()).difference_update(names)
            if number is signal.SIGSTOP:
                for name in names:
                    self._send(signal.SIGCONT, program, name)

    def unready(self, names: Iterable[str]) -> None:
        """Have the API servers of some guests say no at /readyz."""
        with self._lock:
            self._unready.update(names)
            self._go_on()

    def end_unready(self, names: Iterable[str]) -> None:
        """Have them say what is true again."""
        with self._lock:
            self._unready.difference_update(names)
            for name in names:
                if path := self._inside(name, UNREADY):
                    path.unlink(missing_ok=True)

    def full(self, names: Iterable[str]) -> None:
        """Leave no room on the disks of some guests."""
        with self._lock:
            self._full.update(names)
            self._go_on()

    def end_full(self, names: Iterable[str]) -> None:
        """Give them their room back."""
        with self._lock:
            self._full.difference_update(names)
            for name in names:
                self._guests.free_disk(name)

    def stillborn(self, names: Iterable[str]) -> None:
        """Have some guests never come up when they are switched on."""
        self._guests.stillborn.update(names)

    def end_stillborn(self, names: Iterable[str]) -> None:
        """Have them come up: those that are switched on do so at once."""
        self._guests.stillborn.difference_update(names)

    def _go_on(self) -> None:
        """Do it once now, for the caller relies on it; then let the thread do it."""
        self._renew()
        if self._worker is None:
            self._worker = threading.Thread(target=self._work_on, name="harm to guests", daemon=True)
            self._worker.start()

    def _work_on(self) -> None:
        pause = threading.Event()
        while not pause.wait(LOOK_SECONDS):
            with self._lock:
                if not self._unready and not self._full and not any(self._signals.values()):
                    self._worker = None
                    return
                self._renew()

    def _renew(self) -> None:
        for (number, program), names in self._signals.items():
            for name in names:
                self._send(number, program, name)
        for name in self._full:
            self._guests.fill_disk(name)
        for name in self._unready:
            if path := self._inside(name, UNREADY):
                with contextlib.suppress(OSError):
                    path.touch()

    def _send(self, number: signal.Signals, program: str, name: str) -> None:
        for process in self.processes(name, program):
            with contextlib.suppress(OSError):
                os.kill(process, number)

    def processes(self, name: str, program: str) -> list[int]:
        """The processes of a guest that run a program, told by their short name."""
        init = self._guests.init_of(name)
        if init is None:
            return []
        try:
            space = Path(f"/proc/{init}/ns/pid").readlink()
        except OSError:
            return []
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if _runs(path, program, space)]

    def _inside(self, name: str, path: str) -> Path | None:
        """A path of a running guest as this namespace reaches it."""
        init = self._guests.init_of(name)
        return Path(f"/proc/{init}/root") / path if init else None


def _runs(process: Path, program: str, space: Path) -> bool:
    try:
        return (process / "comm").read_text().strip() == program and (process / "ns/pid").readlink() == space
    except OSError:
        return False
