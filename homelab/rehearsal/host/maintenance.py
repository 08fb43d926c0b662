"""Maintenance mode of a simulated host."""

from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.refusals import InvalidState, Timedout


class Maintenance:
    """The way into maintenance mode and out of it."""

    def __init__(self, state: HostState) -> None:
        self._state = state

    def enter(self, timeout: float = 0) -> None:
        """Wait until no VM runs, then enter maintenance mode; Timedout after `timeout` seconds, 0 waits for ever."""
        with self._state.changed:
            if self._state.in_maintenance:
                raise InvalidState("The operation is not allowed in the current state.")
            if not self._state.changed.wait_for(lambda: self.can_be_entered, timeout=timeout or None):
                raise Timedout("Operation timed out.")
            self._set(True, "EnteredMaintenanceModeEvent", "entered")

    def exit(self) -> None:
        """Leave maintenance mode; InvalidState when not in it."""
        with self._state.lock:
            if not self._state.in_maintenance:
                raise InvalidState("The operation is not allowed in the current state.")
            self._set(False, "ExitMaintenanceModeEvent", "exited")

    def _set(self, active: bool, event: str, word: str) -> None:
        self._state.in_maintenance = active
        self._state.journal.add(event, f"Host {self._state.name} has {word} maintenance mode")
        self._state.touch()

    @property
    def can_be_entered(self) -> bool:
        """Whether no VM runs."""
        return not any(vm.powered_on for vm in self._state.registered_vms.values())
