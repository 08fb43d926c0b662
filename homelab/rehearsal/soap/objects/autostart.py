"""VMs that start and stop with the host."""

from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap.managed import Managed, ref, writes
from homelab.rehearsal.state.refusals import InvalidArgument
from homelab.rehearsal.state.settings import AutoStart

ACTIONS = ("none", "powerOn", "systemDefault", "powerOff", "suspend", "guestShutdown")


class HostAutoStartManager(Managed):
    """What starts with the host, in which order."""

    moid = "ha-autostart-mgr"

    @property
    def config(self) -> Any:
        """The host's own delays, and the VMs."""
        return config(self._host)

    @writes
    def ReconfigureAutostart(self, spec: Any) -> None:
        """Change what is named; a VM whose action is `none` starts with the host no more."""
        rows = list(spec.powerInfo or ())
        for row in rows:
            if row.key._moId not in self._host.registered_vms or row.startAction not in ACTIONS:
                raise InvalidArgument("A specified parameter was not correct: powerInfo", invalidProperty="powerInfo")
        with self._host.lock:
            settings, defaults = self._host.settings, spec.defaults
            if defaults and defaults.enabled is not None:
                settings.autostart_enabled = defaults.enabled
            if defaults and defaults.startDelay is not None:
                settings.autostart_delay = defaults.startDelay
            for row in rows:
                settings.autostart.pop(row.key._moId, None)
                if row.startAction != "none":
                    settings.autostart[row.key._moId] = AutoStart(
                        row.startOrder, row.startDelay, row.stopDelay, row.startAction, row.stopAction
                    )
            self._host.touch()


def config(host: Host) -> Any:
    """HostAutoStartManager.config, and HostSystem.config.autoStart."""
    settings = host.settings
    kind = vim.host.AutoStartManager
    defaults = kind.SystemDefaults(
        enabled=settings.autostart_enabled,
        startDelay=settings.autostart_delay,
        stopDelay=settings.autostart_delay,
        waitForHeartbeat=False,
        stopAction="PowerOff",
    )
    rows = [
        kind.AutoPowerInfo(
            key=ref("VirtualMachine", moid),
            startOrder=item.order,
            startDelay=item.start_delay,
            waitForHeartbeat="systemDefault",
            startAction=item.start_action,
            stopDelay=item.stop_delay,
            stopAction=item.stop_action,
        )
        for moid, item in settings.autostart.items()
        if moid in host.registered_vms
    ]
    return kind.Config(defaults=defaults, powerInfo=rows)
