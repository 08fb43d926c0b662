"""The power of a simulated host: what a reboot, a power cut and the button do, and what a boot is."""

import threading
from collections.abc import Callable

from homelab.rehearsal.host.auto_backup import AutoBackup
from homelab.rehearsal.host.drivers import Drivers
from homelab.rehearsal.host.network import HostNetwork
from homelab.rehearsal.host.services import Services
from homelab.rehearsal.host.system_files import SystemFiles
from homelab.rehearsal.state.harm import LOOK_SECONDS
from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.vms.power import VmPower


def _nothing() -> None:
    return None


class Power:
    """Switches a host off and on. `state` is up, down, or unreachable: on, and without a network.

    `on_down` and `on_up` are called when its network goes and comes.
    """

    def __init__(
        self,
        state: HostState,
        drivers: Drivers,
        services: Services,
        network: HostNetwork,
        system_files: SystemFiles,
        auto_backup: AutoBackup,
        vm_power: VmPower,
    ) -> None:
        self._state, self._drivers, self._services, self._network = state, drivers, services, network
        self._system_files, self._auto_backup, self._vm_power = system_files, auto_backup, vm_power
        self.state = "down"
        self.boots, self._hostd_at = 0, 0.0
        self.on_down: Callable[[], None] = _nothing
        self.on_up: Callable[[], None] = _nothing
        self._restarting = False
        self._stopped = threading.Event()
        self._button = threading.Event()
        self._button.set()

    @property
    def reachable(self) -> bool:
        """Whether the management network is up."""
        return self.state == "up"

    @property
    def api_ready(self) -> bool:
        """Whether hostd answers: later than sshd after a boot."""
        return self.reachable and self._state.clock() >= self._hostd_at

    def answer_now(self) -> None:
        """End hostd's wait."""
        with self._state.lock:
            self._hostd_at = min(self._hostd_at, self._state.clock())
            self._state.touch(dirty=False)

    def reboot(self) -> None:
        """A clean reboot; returns at once. VMs go off, the configuration is kept."""
        self._restart(clean=True)

    def cut(self) -> None:
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
        with self._state.lock:
            if self._restarting:
                return
            self._restarting = True
        name = f"{self._state.name} boots"
        threading.Thread(target=self._cycle, kwargs={"clean": clean}, name=name, daemon=True).start()

    def _cycle(self, *, clean: bool) -> None:
        timing, harm = self._state.timing, self._state.harm
        if clean and self._stopped.wait(timing.shut_down_seconds):
            return
        self._go_down(clean=clean)
        self.on_down()
        if self._stopped.wait(timing.boot_seconds):
            return
        while harm.reboot_hangs or harm.stick_lost == "gone" or not self._button.is_set():
            if self._stopped.wait(LOOK_SECONDS):
                return
        with self._state.lock:
            self.boot()
            self._restarting = False
            up = self.reachable
        if up:
            self.on_up()
        self._vm_power.start_with_host()

    def _go_down(self, *, clean: bool) -> None:
        with self._state.lock:
            self._vm_power.cut_all()
            if clean:
                self._auto_backup.keep()
            if not clean or self._state.harm.stick_lost:
                self._auto_backup.restore()
            self._state.journal.clear()
            self._vm_power.forget_all()
            if not clean:
                self._vm_power.read_again()
            self.state = "down"
            self._state.touch(dirty=False)

    def boot(self) -> None:
        """What a boot makes of the configuration; no driver, no network."""
        state = self._state
        for setting in state.kernel_settings.values():
            setting.runtime = setting.configured
        self._system_files.find_scratch()
        self._drivers.load()
        self._services.start_at_boot()
        self.boots += 1
        state.boot_time = state.now()
        self._services.read_time()
        held = [nic.name for nic in state.nics if nic.driver]
        late = 0 if self.boots == 1 else state.timing.api_delay_seconds + state.harm.api_delay_seconds
        # Before the network is up: who asks without the lock must not meet the hostd of the last boot.
        self._hostd_at = state.clock() + late
        self.state = "up" if set(held) & set(self._network.management_uplinks) else "unreachable"
        state.touch(dirty=False)
