"""The one account of a simulated host, for both faces alike."""

from homelab.rehearsal.state.host_state import HostState

LOGIN_FAILURES = 5
LOCK_SECONDS = 900.0


class Account:
    """User, password, and failed logins in a row; locked until a moment on the host's clock."""

    def __init__(self, state: HostState, user: str, password: str) -> None:
        self._state = state
        self.user, self.password = user, password
        self._failures, self._locked_until = 0, float("-inf")

    def login(self, user: str, password: str) -> bool:
        """Whether the login is right. Five failures lock the account for 900 s."""
        harm = self._state.harm
        with self._state.lock:
            now = self._state.clock()
            if user != self.user or now < self._locked_until or harm.account_locked:
                return False
            if password == self.password and not harm.password_changed:
                self._failures = 0
                return True
            self._failures += 1
            if self._failures >= LOGIN_FAILURES:
                self._failures, self._locked_until = 0, now + LOCK_SECONDS
            return False

    def unlock(self) -> None:
        """Forget failed logins, as somebody at the console does."""
        with self._state.lock:
            self._failures, self._locked_until = 0, float("-inf")
