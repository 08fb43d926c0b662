"""Which VMs of a simulated host start with it, in which order. Knows no protocol.

Positions are 1, 2, 3...: a VM that is put where another one is moves that one, and all behind it, by one
(vim.host.AutoStartManager.AutoPowerInfo.startOrder).
"""

from collections.abc import Callable

from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.refusals import InvalidArgument
from homelab.rehearsal.state.settings import AutoStart, AutoStartDefaults

START_ACTIONS = ("none", "poweron", "systemdefault")
STOP_ACTIONS = ("none", "systemdefault", "poweroff", "suspend", "guestshutdown")


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
            before = self._all.pop(moid, None)
            if before and before.order > 0:
                self._move(lambda order: order > before.order, -1)
            if (item.start_action.lower(), item.stop_action.lower()) != ("none", "none"):
                if item.order in [other.order for other in self._all.values()] and item.order > 0:
                    self._move(lambda order: order >= item.order, 1)
                self._all[moid] = item
            self._state.touch()

    def set_defaults(self, **values: object) -> None:
        """Change those that are given; None leaves one as it is."""
        with self._state.lock:
            for name, value in values.items():
                if value is not None:
                    setattr(self.defaults, name, value)
            self._state.touch()

    def _move(self, which: Callable[[int], bool], by: int) -> None:
        for other in self._all.values():
            if other.order > 0 and which(other.order):
                other.order += by

    def _check(self, moid: str, item: AutoStart) -> None:
        known = moid in self._state.registered_vms
        actions = item.start_action.lower() in START_ACTIONS and item.stop_action.lower() in STOP_ACTIONS
        others = [other for vm, other in self.entries.items() if vm != moid and other.order > 0]
        possible = item.order == -1 or 1 <= item.order <= len(others) + 1
        for right, name in ((known, "key"), (actions, "startAction"), (possible, "startOrder")):
            if not right:
                text = f"A specified parameter was not correct: spec.powerInfo.{name}"
                raise InvalidArgument(text, invalidProperty=f"spec.powerInfo.{name}")
