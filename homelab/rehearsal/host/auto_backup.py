"""What a simulated host keeps over a power cut: the configuration as auto-backup wrote it to the stick last."""

import copy
from typing import Any

from homelab.rehearsal.host.drivers import Drivers
from homelab.rehearsal.host.network import HostNetwork
from homelab.rehearsal.host.services import Services
from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.storage.datastores import Datastores


class AutoBackup:
    """The copy on the stick; what was not kept is lost when the power is cut."""

    def __init__(
        self, state: HostState, drivers: Drivers, services: Services, network: HostNetwork, datastores: Datastores
    ) -> None:
        self._state, self._drivers, self._services = state, drivers, services
        self._network, self._datastores = network, datastores
        self._kept: dict[str, Any] = self._configuration()

    def keep(self) -> None:
        """What /sbin/auto-backup.sh does: what is configured now survives a power cut, where there is a boot stick."""
        with self._state.lock:
            if self._state.harm.stick_lost:
                return
            self._kept = self._configuration()
            self._state.dirty = False

    def _configuration(self) -> dict[str, Any]:
        """Settings, mounts, and the list of VMs (not their power)."""
        state = self._state
        return {
            "modules": {module.name: (module.enabled, module.options) for module in self._drivers.modules.values()},
            "kernel": {setting.name: setting.configured for setting in state.kernel_settings.values()},
            "policies": {service.key: service.policy for service in self._services},
            "advanced": dict(state.advanced),
            "rulesets": dict(state.rulesets),
            # What lies on disks is no configuration.
            "mounts": {mount.name: mount for mount in self._datastores.nas_mounts()},
            "port_groups": dict(self._network.port_groups),
            "settings": copy.deepcopy(state.settings),
            "vms": copy.deepcopy(state.registered_vms),
            "in_maintenance": state.in_maintenance,
        }

    def restore(self) -> None:
        """What a boot finds after a power cut: the configuration that was kept last."""
        state, kept = self._state, copy.deepcopy(self._kept)
        for name, (enabled, options) in kept["modules"].items():
            self._drivers.modules[name].enabled, self._drivers.modules[name].options = enabled, options
        for name, value in kept["kernel"].items():
            state.kernel_settings[name].configured = value
        for key, policy in kept["policies"].items():
            self._services[key].policy = policy
        state.advanced, state.in_maintenance = kept["advanced"], kept["in_maintenance"]
        local = {mount.name: mount for mount in self._datastores.vmfs_mounts()}
        self._datastores.mounts = kept["mounts"] | local
        state.rulesets, state.registered_vms = kept["rulesets"], kept["vms"]
        self._network.port_groups, state.settings = kept["port_groups"], kept["settings"]
        state.dirty = False
