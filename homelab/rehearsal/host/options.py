"""The advanced settings of a simulated host, the VMkernel's boot settings among them."""

from typing import Any

from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.parts import fresh_advanced, fresh_kernel_settings
from homelab.rehearsal.state.refusals import NotFound

BOOT = "VMkernel.Boot."


class AdvancedOptions:
    """Reads and writes the settings by their keys, as the API has them."""

    def __init__(self, state: HostState) -> None:
        self._state = state

    def all(self) -> dict[str, Any]:
        """Every setting by its key."""
        kernel = self._state.kernel_settings
        boot = {f"{BOOT}{name}": setting.configured.upper() == "TRUE" for name, setting in kernel.items()}
        return self._state.advanced | boot

    def fresh(self) -> dict[str, Any]:
        """The same of a new host."""
        kernel = fresh_kernel_settings()
        return fresh_advanced() | {f"{BOOT}{name}": one.default == "TRUE" for name, one in kernel.items()}

    def set(self, key: str, value: Any) -> None:
        """Configure a setting; one of the VMkernel's boot settings acts at the next boot."""
        with self._state.lock:
            if key.startswith(BOOT):
                self.set_kernel_setting(key.removeprefix(BOOT), str(value))
            else:
                self._state.advanced[key] = value
                self._state.touch()

    def set_kernel_setting(self, name: str, value: str) -> None:
        """Configure a boot setting; it acts at the next boot. NotFound when there is none of that name."""
        with self._state.lock:
            if name not in self._state.kernel_settings:
                raise NotFound(f"Unknown kernel setting: {name}", name=name)
            self._state.kernel_settings[name].configured = value.upper()
            self._state.touch()
