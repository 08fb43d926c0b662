"""Which VMs of a simulated host start with it, in which order. Knows no protocol.

Positions are 1, 2, 3...: a VM that is put where another one is moves that one, and all behind it, by one
(vim.host.AutoStartManager.AutoPowerInfo.startOrder).
"""

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.refusals import InvalidArgument
from homelab.rehearsal.state.settings import AutoStart, AutoStartDefaults

# In small letters, as hosts take any.
START_ACTIONS = ("none", "poweron")
STOP_ACTIONS = ("none", "systemdefault", "poweroff", "suspend", "guestshutdown")
HEARTBEATS = ("yes", "no", "systemdefault")


class StartOrder:
    """The host's own defaults, and the VMs that take part."""

    def __init__(self, state: HostState) -> None:
        self._state = state

    @property
    def defaults(self) -> AutoStartDefaults:
        """The switch, and what holds where a VM says nothing."""
        return self._state.settings.autostart_defaults

    @property
    def entries(self) -> dict[str, AutoStart]:
        """The VMs that are registered, in their order; those at any position last."""
        found = {moid: item for moid, item in self._all.items() if moid in self._state.registered_vms}
        return dict(sorted(found.items(), key=lambda pair: (pair[1].order < 0, pair[1].order)))

    @property
    def _all(self) -> dict[str, AutoStart]:
        return self._state.settings.autostart

    def put(self, moid: str, item: AutoStart) -> None:
        """Give a VM its place; with neither a start nor a stop action it takes part no more. InvalidArgument."""
        with self._state.lock:
            self._check(moid, item)
            self.leave(moid)
            if (item.start_action.lower(), item.stop_action.lower()) != ("none", "none"):
                if item.order in [other.order for other in self._all.values()] and item.order > 0:
                    self._move(lambda order: order >= item.order, 1)
                self._all[moid] = item
            self._state.touch()

    def put_all(self, rows: Iterable[tuple[str, AutoStart]]) -> None:
        """Give VMs their places one after another; where one is refused, nothing changes."""
        with self._state.lock:
            before = copy.deepcopy(self._all)
            try:
                for moid, item in rows:
                    self.put(moid, item)
            except Exception:
                self._state.settings.autostart = before
                raise

    def leave(self, moid: str) -> None:
        """A VM takes part no more; those behind it move up."""
        with self._state.lock:
            before = self._all.pop(moid, None)
            if before and before.order > 0:
                self._move(lambda order: order > before.order, -1)

    def set_defaults(self, **values: Any) -> None:
        """Change those that are given; None leaves one as it is. InvalidArgument, and nothing changes."""
        with self._state.lock:
            said = {name: value for name, value in values.items() if value is not None}
            wanted = replace(self.defaults, **said)
            _must(wanted.stop_action.lower() in STOP_ACTIONS, "defaults.stopAction")
            _must(wanted.start_delay >= 0, "defaults.startDelay")
            _must(wanted.stop_delay >= 0, "defaults.stopDelay")
            self._state.settings.autostart_defaults = wanted
            self._state.touch()

    def _move(self, which: Callable[[int], bool], by: int) -> None:
        for other in self._all.values():
            if other.order > 0 and which(other.order):
                other.order += by

    def _check(self, moid: str, item: AutoStart) -> None:
        others = [other for vm, other in self.entries.items() if vm != moid and other.order > 0]
        _must(moid in self._state.registered_vms, "powerInfo.key")
        _must(item.start_action.lower() in START_ACTIONS, "powerInfo.startAction")
        _must(item.stop_action.lower() in STOP_ACTIONS, "powerInfo.stopAction")
        _must(item.heartbeat.lower() in HEARTBEATS, "powerInfo.waitForHeartbeat")
        _must(item.start_delay >= -1, "powerInfo.startDelay")
        _must(item.stop_delay >= -1, "powerInfo.stopDelay")
        _must(item.order == -1 or 1 <= item.order <= len(others) + 1, "powerInfo.startOrder")


def _must(right: bool, name: str) -> None:
    if not right:
        raise InvalidArgument(f"A specified parameter was not correct: spec.{name}", invalidProperty=f"spec.{name}")
