"""VMs that start and stop with the host."""

from dataclasses import replace
from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap.managed import Managed, ref, writes
from homelab.rehearsal.soap.taken import refuse_rest
from homelab.rehearsal.state.settings import AutoStart

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
        order, said = self._host.start_order, spec.defaults
        with self._host.lock:
            # Whatever of both is refused, none of it is taken.
            before = replace(order.defaults)
            if said is not None:
                order.set_defaults(
                    enabled=said.enabled,
                    start_delay=said.startDelay,
                    stop_delay=said.stopDelay,
                    heartbeat=said.waitForHeartbeat,
                    stop_action=said.stopAction,
                )
            try:
                order.put_all((row.key._moId, _row(row)) for row in spec.powerInfo or ())
            except Exception:
                self._host.settings.autostart_defaults = before
                raise


def _row(row: Any) -> AutoStart:
    return AutoStart(
        row.startOrder, row.startDelay, row.stopDelay, row.startAction, row.stopAction, str(row.waitForHeartbeat)
    )


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
