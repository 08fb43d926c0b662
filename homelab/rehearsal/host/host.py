"""One simulated ESXi host: its state and its physics. Knows no protocol; both faces use it under its lock.

What is configured and what runs are two things: a disabled module stays loaded until the next boot, and what was
not kept by auto-backup is lost when the power is cut.
"""

import copy
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Interface
from typing import Any

from homelab.rehearsal.host.hardware import HardwareModel, NicModel, fitted
from homelab.rehearsal.host.harm import Harm
from homelab.rehearsal.host.journal import Journal
from homelab.rehearsal.host.network import NetworkActions, installed
from homelab.rehearsal.host.parts import (
    Account,
    KernelSetting,
    Module,
    Mount,
    NasMount,
    Nic,
    Service,
    Timing,
    Vib,
    Vm,
    VmCdRom,
    VmDisk,
    VmNic,
    fresh_advanced,
    fresh_kernel_settings,
    fresh_modules,
    fresh_nics,
    fresh_rulesets,
    fresh_services,
    fresh_vibs,
)
from homelab.rehearsal.host.power import PowerActions
from homelab.rehearsal.host.refusals import InvalidState, NotFound, Timedout, UnknownModule
from homelab.rehearsal.host.settings import NetworkSettings, Settings
from homelab.rehearsal.storage.disks import esxi_uuid, fresh_disks
from homelab.rehearsal.storage.storage import Volumes
from homelab.rehearsal.vms.machines import Machines

__all__ = [
    "Host",
    "KernelSetting",
    "Module",
    "NasMount",
    "Nic",
    "Service",
    "Timing",
    "Vib",
    "Vm",
    "VmCdRom",
    "VmDisk",
    "VmNic",
]

BOOT = "VMkernel.Boot."
LOGIN_FAILURES = 5
LOCK_SECONDS = 900.0
EVALUATION = timedelta(days=60)


def _nothing() -> None:
    return None


def _installed(name: str, address: str) -> NetworkSettings:
    """Where nobody tells the LAN it is a /24 with the gateway, and the name server, at its first address."""
    lan = IPv4Interface(f"{address}/24").network
    return installed(name, address, lan, str(lan[1]), [str(lan[1])], "")


class Host(NetworkActions, PowerActions):
    """One host. `clock` counts seconds and may run faster than the wall; the lock-out is measured on it.

    `address` is the one that the DHCP server would give it; `network` tells how it is configured, unless as a host
    that was installed with that address.
    """

    def __init__(
        self,
        name: str,
        address: str,
        model: HardwareModel,
        user: str,
        password: str,
        *,
        volumes: Volumes,
        machines: Machines,
        timing: Timing | None = None,
        clock: Callable[[], float] = time.monotonic,
        network: NetworkSettings | None = None,
    ) -> None:
        self.name, self.lease, self.model = name, address, model
        self.version, self.build = model.version, model.build
        self.user, self.password = user, password
        self.volumes, self.machines = volumes, machines
        self.timing, self.clock = timing or Timing(), clock
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.nics = fresh_nics(name, model)
        self.modules = fresh_modules(model)
        self.vibs = fresh_vibs(model)
        self.services = fresh_services()
        self.kernel_settings = fresh_kernel_settings()
        self.advanced = fresh_advanced()
        self.rulesets = fresh_rulesets()
        self.disks = fresh_disks(name, model)
        self.mounts: dict[str, Mount] = {}
        self.vms: dict[str, Vm] = {}
        self.port_groups = {"VM Network": 0, "Management Network": 0}
        self.settings = Settings(network or _installed(name, address))
        self.stick_uuid = esxi_uuid(name, self.nics[0].mac)
        self.licence = "evaluation"
        self.evaluation_ends = datetime.now(UTC) + EVALUATION
        self.in_maintenance = False
        self.dirty = False
        self.harm = Harm()
        self.backups: dict[str, bytes] = {}
        # Text files that somebody edited at the shell, by path.
        self.edited_files: dict[str, str] = {}
        self.journal = Journal(self.now)
        self.boot_time = self.now()
        self.on_move: Callable[[], None] = _nothing
        self._account = Account()
        self._kept: dict[str, Any] = self._configuration()
        self.plug_in()

    def fit(
        self, *nics: NicModel, management: Sequence[str], others: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Somebody fits other NICs, and wires them: `management` are the uplinks of vSwitch0, `others` of each switch.

        The host knows of it, and of their drivers, as if it had been installed so.
        """
        self.model = fitted(self.model, *nics)
        self.nics, self.modules = fresh_nics(self.name, self.model), fresh_modules(self.model)
        self.vibs = fresh_vibs(self.model)
        self.settings.switches = {"vSwitch0": list(management)} | {k: list(v) for k, v in (others or {}).items()}
        self.keep_configuration()
        self.boot_physics()

    # Configuration

    def touch(self, *, dirty: bool = True) -> None:
        """Wake everyone who waits for a change; `dirty` if auto-backup must keep it."""
        with self.lock:
            self.dirty = self.dirty or dirty
            self.changed.notify_all()

    def module(self, name: str) -> Module:
        """The module of that name; UnknownModule when there is none."""
        if name not in self.modules:
            raise UnknownModule(f"Unable to find module: {name}", name=name)
        return self.modules[name]

    def set_module_enabled(self, name: str, enabled: bool) -> None:
        """Configure a module; it acts at the next boot."""
        with self.lock:
            self.module(name).enabled = enabled
            self.touch()

    def set_kernel_setting(self, name: str, value: str) -> None:
        """Configure a boot setting; it acts at the next boot. NotFound when there is none of that name."""
        with self.lock:
            if name not in self.kernel_settings:
                raise NotFound(f"Unknown kernel setting: {name}", name=name)
            self.kernel_settings[name].configured = value.upper()
            self.touch()

    def options(self) -> dict[str, Any]:
        """The advanced settings, the VMkernel's boot settings among them, as the API has them."""
        boot = {f"{BOOT}{name}": setting.configured.upper() == "TRUE" for name, setting in self.kernel_settings.items()}
        return self.advanced | boot

    def set_option(self, key: str, value: Any) -> None:
        """Configure an advanced setting; one of the VMkernel's boot settings acts at the next boot."""
        with self.lock:
            if key.startswith(BOOT):
                self.set_kernel_setting(key.removeprefix(BOOT), str(value))
            else:
                self.advanced[key] = value
                self.touch()

    def service(self, key: str) -> Service:
        """The service of that key; NotFound when there is none."""
        if key not in self.services:
            raise NotFound(f"The object or item referred to could not be found: {key}")
        return self.services[key]

    def set_service(self, key: str, *, running: bool | None = None, policy: str | None = None) -> None:
        """Start, stop or set the policy of a service. Starting a running one is no error."""
        with self.lock:
            service = self.service(key)
            before = service.running
            service.running = service.running if running is None else running
            service.policy = policy or service.policy
            if key == "ntpd" and running and not before:
                self.read_time()
            self.touch(dirty=policy is not None)

    # Logins

    def login(self, user: str, password: str) -> bool:
        """Whether the login is right. Five failures lock the account for 900 s, for both faces alike."""
        with self.lock:
            account, now = self._account, self.clock()
            if user != self.user or now < account.locked_until or self.harm.account_locked:
                return False
            if password == self.password and not self.harm.password_changed:
                account.failures = 0
                return True
            account.failures += 1
            if account.failures >= LOGIN_FAILURES:
                account.failures, account.locked_until = 0, now + LOCK_SECONDS
            return False

    def unlock_account(self) -> None:
        """Forget failed logins, as somebody at the console does."""
        with self.lock:
            self._account = Account()

    def now(self) -> datetime:
        """The time, by the host's own clock."""
        return datetime.now(UTC) + self.harm.clock_skew

    # Maintenance mode

    def enter_maintenance(self, timeout: float = 0) -> None:
        """Wait until no VM runs, then enter maintenance mode; Timedout after `timeout` seconds, 0 waits for ever."""
        with self.changed:
            if self.in_maintenance:
                raise InvalidState("The operation is not allowed in the current state.")
            if not self.changed.wait_for(self._quiet, timeout=timeout or None):
                raise Timedout("Operation timed out.")
            self.in_maintenance = True
            self.journal.add("EnteredMaintenanceModeEvent", f"Host {self.name} has entered maintenance mode")
            self.touch()

    def exit_maintenance(self) -> None:
        """Leave maintenance mode; InvalidState when not in it."""
        with self.lock:
            if not self.in_maintenance:
                raise InvalidState("The operation is not allowed in the current state.")
            self.in_maintenance = False
            self.journal.add("ExitMaintenanceModeEvent", f"Host {self.name} has exited maintenance mode")
            self.touch()

    def _quiet(self) -> bool:
        return not any(vm.powered_on for vm in self.vms.values())

    # What auto-backup keeps

    def keep_configuration(self) -> None:
        """What /sbin/auto-backup.sh does: what is configured now survives a power cut, where there is a boot stick."""
        with self.lock:
            if self.harm.stick_lost:
                return
            self._kept = self._configuration()
            self.dirty = False

    def _configuration(self) -> dict[str, Any]:
        """What auto-backup keeps: settings, mounts, and the list of VMs (not their power)."""
        return {
            "modules": {module.name: (module.enabled, module.options) for module in self.modules.values()},
            "kernel": {setting.name: setting.configured for setting in self.kernel_settings.values()},
            "policies": {service.key: service.policy for service in self.services.values()},
            "advanced": dict(self.advanced),
            "rulesets": dict(self.rulesets),
            # What lies on disks is no configuration.
            "mounts": {mount.name: mount for mount in self.nas_mounts()},
            "port_groups": dict(self.port_groups),
            "settings": copy.deepcopy(self.settings),
            "vms": copy.deepcopy(self.vms),
            "in_maintenance": self.in_maintenance,
        }

    def restore(self) -> None:
        """What a boot finds after a power cut: the configuration that was kept last."""
        kept = copy.deepcopy(self._kept)
        for name, (enabled, options) in kept["modules"].items():
            self.modules[name].enabled, self.modules[name].options = enabled, options
        for name, value in kept["kernel"].items():
            self.kernel_settings[name].configured = value
        for key, policy in kept["policies"].items():
            self.services[key].policy = policy
        self.advanced, self.in_maintenance = kept["advanced"], kept["in_maintenance"]
        self.mounts = kept["mounts"] | {mount.name: mount for mount in self.vmfs_mounts()}
        self.rulesets, self.vms = kept["rulesets"], kept["vms"]
        self.port_groups, self.settings = kept["port_groups"], kept["settings"]
        self.dirty = False
