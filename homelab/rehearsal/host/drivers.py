"""The drivers of a simulated host: which are configured, which run, and which one a boot gives to a NIC."""

from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.parts import Module, Nic, fresh_modules
from homelab.rehearsal.state.refusals import UnknownModule


class Drivers:
    """The kernel modules. What is configured acts at the next boot: a disabled module stays loaded until then."""

    def __init__(self, state: HostState) -> None:
        self._state = state
        self.modules = fresh_modules(state.model)

    def module(self, name: str) -> Module:
        """The module of that name; UnknownModule when there is none."""
        if name not in self.modules:
            raise UnknownModule(f"Unable to find module: {name}", name=name)
        return self.modules[name]

    def set_enabled(self, name: str, enabled: bool) -> None:
        """Configure a module; it acts at the next boot."""
        with self._state.lock:
            self.module(name).enabled = enabled
            self._state.touch()

    def load(self) -> None:
        """What a boot does: load drivers as configured, native ones first, unless preferVmklinux."""
        legacy_first = self._state.kernel_settings["preferVmklinux"].runtime == "TRUE"
        order = sorted(self.modules.values(), key=lambda module: module.native == legacy_first)
        for module in order:
            module.loaded = module.enabled and not module.claims
        for nic in self._state.nics:
            self._drive(nic, order)
        for device in self._state.model.pci:
            if held := _claimed(device.pci_id, order):
                held.loaded = True

    def _drive(self, nic: Nic, order: list[Module]) -> None:
        """Give a NIC the first enabled module that claims its PCI id; without one it has no link."""
        if nic.usb_driver:
            nic.driver, nic.link_up = nic.usb_driver, True
            return
        held = None if self._state.harm.no_driver else _claimed(nic.pci_id, order)
        nic.driver, nic.link_up = (held.name if held else None), held is not None
        if held:
            held.loaded = True


def _claimed(pci_id: str, order: list[Module]) -> Module | None:
    return next((module for module in order if module.enabled and pci_id in module.claims), None)
