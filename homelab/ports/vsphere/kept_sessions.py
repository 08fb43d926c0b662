"""Logins at hosts that are used again: a login is three calls and two handshakes, and most work is a few calls.

A session is lent to one at a time, and kept only while somebody holds a run open (`held`), and only when nothing
went wrong in it. One that nobody used for a moment is asked whether it still is one before it is lent again.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from homelab.errors import HomelabError, HostFault, Unreachable
from homelab.lab import EsxiHost
from homelab.ports.files.home import HomeFiles
from homelab.ports.vsphere.session import Session, open_session, translated

T = TypeVar("T")
# After so long without a word it is asked whether it still is one; and after that nobody counts on it any more.
QUIET_SECONDS = 1.0
IDLE_SECONDS = 15.0
# A session knows its host's clock by its login alone: it is not kept for long, and not at all where that is wrong.
OLD_SECONDS = 60.0
CLOCK_SECONDS = 1.0


@dataclass
class _Kept:
    session: Session
    login: ExitStack
    opened: float
    used: float

    @property
    def too_old(self) -> bool:
        now = time.monotonic()
        return now - self.used > IDLE_SECONDS or now - self.opened > OLD_SECONDS


class KeptSessions:
    """The sessions of one run."""

    def __init__(self, files: HomeFiles, note: Callable[[str], None], stop: threading.Event) -> None:
        self._files, self._note, self._stop = files, note, stop
        self._idle: dict[str, list[_Kept]] = {}
        self._holders = 0
        self._guard = threading.Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """In this context sessions are kept; at the end of the outermost one all are logged out, at once."""
        with self._guard:
            self._holders += 1
        try:
            yield
        finally:
            with self._guard:
                self._holders -= 1
                left = [] if self._holders else [one for kept in self._idle.values() for one in kept]
                if not self._holders:
                    self._idle.clear()
            _end(left)

    @contextmanager
    def use(self, host: EsxiHost) -> Iterator[Session]:
        """A session at a host, for one alone. Errors as of `open_session`."""
        kept = self._waiting(host) or self._opened(host)
        with self._lent(kept) as session:
            yield session

    def ask(self, host: EsxiHost, question: Callable[[Session], T]) -> T:
        """The answer to what only reads; asked again by a login of its own when a kept session is none any more."""
        if kept := self._waiting(host):
            try:
                with self._lent(kept) as session:
                    return question(session)
            except (Unreachable, HostFault) as error:
                if isinstance(error.__cause__, TimeoutError):
                    raise
        with self._lent(self._opened(host)) as session:
            return question(session)

    @contextmanager
    def _lent(self, kept: _Kept) -> Iterator[Session]:
        well = False
        try:
            with translated(kept.session.where):
                yield kept.session
            well = abs(kept.session.clock_error) < CLOCK_SECONDS
        finally:
            kept.used = time.monotonic()
            with self._guard:
                keep = well and self._holders > 0
                if keep:
                    self._idle.setdefault(kept.session.host.name, []).append(kept)
            if not keep:
                kept.login.close()

    def _opened(self, host: EsxiHost) -> _Kept:
        login = ExitStack()
        session = login.enter_context(open_session(host, self._files, self._note, self._stop))
        return _Kept(session, login, time.monotonic(), time.monotonic())

    def _waiting(self, host: EsxiHost) -> _Kept | None:
        """A kept session that still is one. Where the one that was used last is none any more, all of them end.

        A host that fell silent would else be waited for once for each of them.
        """
        with self._guard:
            kept = self._idle.get(host.name) or []
            if not kept:
                return None
            one = kept.pop()
        if not one.too_old and (time.monotonic() - one.used < QUIET_SECONDS or _lives(one.session)):
            return one
        with self._guard:
            others = self._idle.pop(host.name, [])
        _end([one, *others])
        return None


def _end(sessions: Sequence[_Kept]) -> None:
    """Log them out, at once."""
    if sessions:
        with ThreadPoolExecutor(len(sessions)) as pool:
            list(pool.map(lambda one: one.login.close(), sessions))


def _lives(session: Session) -> bool:
    """Whether the host still knows it."""
    try:
        with translated(session.where):
            return session.content.sessionManager.currentSession is not None
    except HomelabError:
        return False
