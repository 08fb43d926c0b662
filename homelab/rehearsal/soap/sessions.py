"""Sessions of one face: made by Login, carried by a cookie, ended by Logout, idleness or a reboot."""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

IDLE_SECONDS = 1800.0


@dataclass
class EventCollector:
    """A client's view on the events: its filter, how long a page is, and the key of the last event read."""

    filter: Any
    page: int = 10
    read: int = 0


@dataclass
class Session:
    """One login, and what belongs to it: property collectors, views, half-read results. Clocks are the host's."""

    cookie: str
    user: str
    key: str
    address: str
    agent: str
    last_use: float
    login_time: datetime
    last_active: datetime
    calls: int = 0
    collectors: dict[str, Any] = field(default_factory=dict)
    views: dict[str, Any] = field(default_factory=dict)
    pages: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, list[Any]] = field(default_factory=dict)
    event_collectors: dict[str, EventCollector] = field(default_factory=dict)
    ended: bool = False


@dataclass
class Caller:
    """Who asks: the session, if there is one, and what Login needs to make one."""

    session: Session | None = None
    address: str = ""
    agent: str = ""


class Sessions:
    """All sessions of a face."""

    def __init__(self, clock: Callable[[], float], now: Callable[[], datetime]) -> None:
        self._clock, self._now = clock, now
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def open(self, user: str, address: str, agent: str) -> Session:
        """A new session after a login."""
        now = self._now()
        session = Session(secrets.token_hex(20), user, secrets.token_hex(16), address, agent, self._clock(), now, now)
        with self._lock:
            self._sessions[session.cookie] = session
        return session

    def find(self, cookie: str) -> Session | None:
        """The live session of a cookie; using it keeps it alive."""
        with self._lock:
            session = self._sessions.get(cookie)
            if session and self._clock() - session.last_use > IDLE_SECONDS:
                self._end(session)
                return None
            if session:
                session.last_use, session.last_active = self._clock(), self._now()
                session.calls += 1
            return session

    def live(self) -> list[Session]:
        """Every session that is not over, oldest first."""
        with self._lock:
            for session in list(self._sessions.values()):
                if self._clock() - session.last_use > IDLE_SECONDS:
                    self._end(session)
            return list(self._sessions.values())

    def close(self, session: Session) -> None:
        """End a session."""
        with self._lock:
            self._end(session)

    def clear(self) -> None:
        """End all: the host goes down."""
        with self._lock:
            for session in list(self._sessions.values()):
                self._end(session)

    def _end(self, session: Session) -> None:
        session.ended = True
        self._sessions.pop(session.cookie, None)
