"""The power of a simulated host: what a reboot, a power cut and the button do, and which driver a boot gives a NIC."""

import threading
from collections.abc import Callable
from datetime import datetime

from homelab.rehearsal.host.hardware import HardwareModel
from homelab.rehearsal.host.harm import LOOK_SECONDS
from homelab.rehearsal.host.parts import KernelSetting, Module, Nic, Timing
from homelab.rehearsal.host.upkeep import UpkeepActions
from homelab.rehearsal.vms.vms import VmActions


def _nothing() -> None:
    return None


class PowerActions(VmActions, UpkeepActions):
    """What switches a host off and on; `Host` inherits it.

    `on_down` and `on_up` are called when its network goes and comes.
    """

    model: HardwareModel
    modules: dict[str, Module]
    nics: list[Nic]
    kernel_settings: dict[str, KernelSetting]
    timing: Timing
    clock: Callable[[], float]

    def keep_configuration(self) -> None:
        """Keep what is configured over a power cut."""
        raise NotImplementedError

    def restore(self) -> None:
        """Go back to what was kept."""
        raise NotImplementedError

    def now(self) -> datetime:
        """The time, by the host's own clock."""
        raise NotImplementedError

    @property
    def management_uplinks(self) -> list[str]:
        """The NICs that carry the management network."""
        raise NotImplementedError

    def plug_in(self) -> None:
        """The first boot, which takes no time: the lab starts with hosts that run."""
        self.boots, self._hostd_at = 0, 0.0
        self.on_down: Callable[[], None] = _nothing
        self.on_up: Callable[[], None] = _nothing
        self._restarting = False
        self._stopped = threading.Event()
        self._button = threading.Event()
        self._button.set()
        self.boot_physics()

    @property
    def reachable(self) -> bool:
        """Whether the management network is up."""
        return self.state == "up"

    @property
    def api_ready(self) -> bool:
        """Whether hostd answers: later than sshd after a boot."""
        return self.reachable and self.clock() >= self._hostd_at

    def answer_now(self) -> None:
        """End hostd's wait."""
        with self.lock:
            self._hostd_at = min(self._hostd_at, self.clock())
            self.touch(dirty=False)

    def reboot(self) -> None:
        """A clean reboot; returns at once. VMs go off, the configuration is kept."""
        self._restart(clean=True)

    def power_cut(self) -> None:
        """The plug is pulled and put back; returns at once. What was not kept is lost."""
        self._restart(clean=False)

    def shut_down(self) -> None:
        """A clean shutdown; returns at once. The host stays off until somebody presses its button."""
        self._button.clear()
        self._restart(clean=True)

    def press_button(self) -> None:
        """Somebody presses the button of a host that is off."""
        self._button.set()

    def stop(self) -> None:
        """End a boot under way at once; the rehearsal is over."""
        self._stopped.set()

    def _restart(self, *, clean: bool) -> None:
        with self.lock:
            if self._restarting:
                return
            self._restarting = True
        threading.Thread(target=self._cycle, kwargs={"clean": clean}, name=f"{self.name} boots", daemon=True).start()

    def _cycle(self, *, clean: bool) -> None:
        if clean and self._stopped.wait(self.timing.shut_down_seconds):
            return
        with self.lock:
            for vm in self.vms.values():
                vm.question = None
                if vm.powered_on:
                    self.machines.power_off(vm.name)
                    self._went_off(vm)
            if clean:
                self.keep_configuration()
            if not clean or self.harm.stick_lost:
                self.restore()
            self.journal.clear()
            for vm in self.vms.values():
                vm.powered_on, vm.boot_time, vm.question = False, None, None
            self.state = "down"
            self.touch(dirty=False)
        self.on_down()
        if self._stopped.wait(self.timing.boot_seconds):
            return
        while self.harm.reboot_hangs or self.harm.stick_lost == "gone" or not self._button.is_set():
            if self._stopped.wait(LOOK_SECONDS):
                return
        with self.lock:
            self.boot_physics()
            self._restarting = False
            up = self.reachable
        if up:
            self.on_up()
        self.start_with_host()

    def boot_physics(self) -> None:
        """What a boot makes of the configuration; no driver, no network."""
        for setting in self.kernel_settings.values():
            setting.runtime = setting.configured
        self.find_scratch()
        self._load_drivers()
        for service in self.services.values():
            service.running = service.policy == "on"
        self.boots += 1
        self.boot_time = self.now()
        self.read_time()
        held = [nic.name for nic in self.nics if nic.driver]
        self.state = "up" if set(held) & set(self.management_uplinks) else "unreachable"
        first = self.boots == 1
        self._hostd_at = self.clock() + (0 if first else self.timing.api_delay_seconds + self.harm.api_delay_seconds)
        self.touch(dirty=False)

    def _load_drivers(self) -> None:
        """Load drivers as configured: native ones first, unless preferVmklinux."""
        legacy_first = self.kernel_settings["preferVmklinux"].runtime == "TRUE"
        order = sorted(self.modules.values(), key=lambda module: module.native == legacy_first)
        for module in order:
            module.loaded = module.enabled and not module.claims
        for nic in self.nics:
            if nic.usb_driver:
                nic.driver, nic.link_up = nic.usb_driver, True
                continue
            held = next((module for module in order if module.enabled and nic.pci_id in module.claims), None)
            held = None if self.harm.no_driver else held
            nic.driver, nic.link_up = (held.name if held else None), held is not None
            if held:
                held.loaded = True
        for device in self.model.pci:
            held = next((module for module in order if module.enabled and device.pci_id in module.claims), None)
            if held:
                held.loaded = True
