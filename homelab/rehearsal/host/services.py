"""The services of a simulated host, and what ntpd does to its clock."""

from collections.abc import Iterator
from datetime import timedelta

from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.parts import Service, fresh_services
from homelab.rehearsal.state.refusals import NotFound


class Services:
    """The services by their keys; NotFound for a key that there is not."""

    def __init__(self, state: HostState) -> None:
        self._state = state
        self._services = fresh_services()

    def __iter__(self) -> Iterator[Service]:
        return iter(self._services.values())

    def __getitem__(self, key: str) -> Service:
        if key not in self._services:
            raise NotFound(f"The object or item referred to could not be found: {key}")
        return self._services[key]

    def set(self, key: str, *, running: bool | None = None, policy: str | None = None) -> None:
        """Start, stop or set the policy of a service. Starting a running one is no error."""
        with self._state.lock:
            service = self[key]
            before = service.running
            service.running = service.running if running is None else running
            service.policy = policy or service.policy
            if key == "ntpd" and running and not before:
                self.read_time()
            self._state.touch(dirty=policy is not None)

    def start_at_boot(self) -> None:
        """What a boot does: those of the policy `on` run, no others."""
        for service in self:
            service.running = service.policy == "on"

    def read_time(self) -> None:
        """What a start of ntpd does: with a server it puts the clock right, however wrong it is (`ntpd -g`)."""
        if self["ntpd"].running and self._state.settings.ntp_servers:
            self._state.set_clock(timedelta(0))
