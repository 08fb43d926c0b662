"""VMs that start and stop with the host."""

from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap.managed import Managed, ref, writes
from homelab.rehearsal.soap.taken import refuse_rest
from homelab.rehearsal.state.refusals import InvalidArgument
from homelab.rehearsal.state.settings import AutoStart, AutoStartDefaults

START_ACTIONS = ("none", "poweron")
STOP_ACTIONS = ("none", "systemdefault", "poweroff", "suspend", "guestshutdown")
# What is taken of a HostAutoStartManagerConfig: all that it has now.
DEFAULTS = ("enabled", "startDelay", "stopDelay", "waitForHeartbeat", "stopAction")
ROW = ("key", "startOrder", "startDelay", "waitForHeartbeat", "startAction", "stopDelay", "stopAction")
TAKEN = (*(f"defaults.{name}" for name in DEFAULTS), *(f"powerInfo.{name}" for name in ROW))


class HostAutoStartManager(Managed):
    """What starts with the host, in which order."""

    moid = "ha-autostart-mgr"

    @property
    def config(self) -> Any:
        """The host's own delays, and the VMs."""
        return config(self._host)

    @writes
    def ReconfigureAutostart(self, spec: Any) -> None:
        """Change what is named: the rows one after another."""
        refuse_rest(spec, TAKEN)
        with self._host.lock:
            settings = self._host.settings
            defaults = _defaults(spec.defaults, settings.autostart_defaults)
            rows = {row.key._moId: _row(row) for row in spec.powerInfo or ()}
            if not rows.keys() <= self._host.registered_vms.keys():
                raise _wrong("powerInfo.key")
            for moid, row in rows.items():
                self._host.start_order.put(moid, row)
            settings.autostart_defaults = defaults
            self._host.touch()


def _defaults(said: Any, now: AutoStartDefaults) -> AutoStartDefaults:
    """The defaults where a client said some over those of now."""
    if said is None:
        return now
    _check_stop(said.stopAction or now.stop_action, "defaults.stopAction")
    return AutoStartDefaults(
        enabled=now.enabled if said.enabled is None else said.enabled,
        start_delay=_delay(said.startDelay, now.start_delay, "defaults.startDelay"),
        stop_delay=_delay(said.stopDelay, now.stop_delay, "defaults.stopDelay"),
        heartbeat=now.heartbeat if said.waitForHeartbeat is None else said.waitForHeartbeat,
        stop_action=said.stopAction or now.stop_action,
    )


def _row(row: Any) -> AutoStart:
    if row.startAction.lower() not in START_ACTIONS:
        raise _wrong("powerInfo.startAction")
    _check_stop(row.stopAction, "powerInfo.stopAction")
    return AutoStart(
        row.startOrder, row.startDelay, row.stopDelay, row.startAction, row.stopAction, str(row.waitForHeartbeat)
    )


def _delay(said: int | None, now: int, name: str) -> int:
    if said is not None and said < 0:
        raise _wrong(name)
    return now if said is None else said


def _check_stop(action: str, name: str) -> None:
    if action.lower() not in STOP_ACTIONS:
        raise _wrong(name)


def _wrong(name: str) -> InvalidArgument:
    return InvalidArgument(f"A specified parameter was not correct: {name}", invalidProperty=name)


def config(host: Host) -> Any:
    """HostAutoStartManager.config, and HostSystem.config.autoStart."""
    kind, own = vim.host.AutoStartManager, host.start_order.defaults
    defaults = kind.SystemDefaults(
        enabled=own.enabled,
        startDelay=own.start_delay,
        stopDelay=own.stop_delay,
        waitForHeartbeat=own.heartbeat,
        stopAction=own.stop_action,
    )
    rows = [
        kind.AutoPowerInfo(
            key=ref("VirtualMachine", moid),
            startOrder=item.order,
            startDelay=item.start_delay,
            waitForHeartbeat=item.heartbeat,
            startAction=item.start_action,
            stopDelay=item.stop_delay,
            stopAction=item.stop_action,
        )
        for moid, item in host.start_order.entries.items()
    ]
    return kind.Config(defaults=defaults, powerInfo=rows)
