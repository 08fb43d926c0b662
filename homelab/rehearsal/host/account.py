"""The accounts of a simulated host, for both faces alike: root, and those that somebody made."""

from homelab.rehearsal.state.host_state import HostState

LOGIN_FAILURES = 5
LOCK_SECONDS = 900.0
NO_ACCESS = -5


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
            if user in self._state.settings.people:
                return self._person_may(user, password)
            if user != self.user or now < self._locked_until or harm.account_locked:
                return False
            if password == self.password and not harm.password_changed:
                self._failures = 0
                return True
            self._failures += 1
            if self._failures >= LOGIN_FAILURES:
                self._failures, self._locked_until = 0, now + LOCK_SECONDS
            return False

    def _person_may(self, user: str, password: str) -> bool:
        """Whether another account logs in: with its password, and with a permission that is more than none."""
        settings = self._state.settings
        allowed = any(one.principal == user and one.role != NO_ACCESS for one in settings.permissions)
        return allowed and password == settings.people[user].password

    def unlock(self) -> None:
        """Forget failed logins, as somebody at the console does."""
        with self._state.lock:
            self._failures, self._locked_until = 0, float("-inf")
