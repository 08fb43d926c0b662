"""What all parts of one simulated host share. Knows no protocol and no other room."""

import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from homelab.rehearsal.state.disks import esxi_uuid, fresh_disks
from homelab.rehearsal.state.hardware import HardwareModel
from homelab.rehearsal.state.harm import Harm
from homelab.rehearsal.state.journal import Journal
from homelab.rehearsal.state.parts import (
    Timing,
    fresh_advanced,
    fresh_kernel_settings,
    fresh_nics,
    fresh_rulesets,
    fresh_vibs,
)
from homelab.rehearsal.state.settings import NetworkSettings, Settings
from homelab.rehearsal.state.vm import Vm

EVALUATION = timedelta(days=60)


class HostState:
    """Who a host is, its hardware, what is configured, one lock, its clocks, its events, and how it misbehaves.

    `clock` counts seconds and may run faster than the wall. `changed` wakes everyone who waits for a change. `backups`
    are copies of the configuration by the path that offers them, `edited_files` text files that somebody edited at the
    shell, `authorized_keys` the public keys that may log in as root.
    """

    def __init__(
        self,
        name: str,
        model: HardwareModel,
        network: NetworkSettings,
        timing: Timing | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.model = name, model
        self.version, self.build = model.version, model.build
        self.timing, self.clock = timing or Timing(), clock
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.nics = fresh_nics(name, model)
        self.disks = fresh_disks(name, model)
        self.vibs = fresh_vibs(model)
        self.kernel_settings = fresh_kernel_settings()
        self.advanced = fresh_advanced()
        self.rulesets = fresh_rulesets()
        self.settings = Settings(network)
        self.registered_vms: dict[str, Vm] = {}
        self.stick_uuid = esxi_uuid(name, self.nics[0].mac)
        self.licence = "evaluation"
        self.evaluation_ends = datetime.now(UTC) + EVALUATION
        self.in_maintenance = False
        self.dirty = False
        self.harm = Harm()
        self.journal = Journal(self.now)
        self.boot_time = self.now()
        self.backups: dict[str, bytes] = {}
        self.edited_files: dict[str, str] = {}
        self.authorized_keys: tuple[str, ...] = ()

    @property
    def system_uuid(self) -> str:
        """The mainboard's UUID: the same at every boot."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.model.name} {self.name} {self.nics[0].mac}"))

    def touch(self, *, dirty: bool = True) -> None:
        """Wake everyone who waits for a change; `dirty` if auto-backup must keep it."""
        with self.lock:
            self.dirty = self.dirty or dirty
            self.changed.notify_all()

    def now(self) -> datetime:
        """The time, by the host's own clock."""
        return datetime.now(UTC) + self.harm.clock_skew

    def set_clock(self, skew: timedelta) -> None:
        """Let the clock go that much ahead; the boot's time is told by the clock of now."""
        with self.lock:
            self.boot_time += skew - self.harm.clock_skew
            self.harm.clock_skew = skew
            self.touch(dirty=False)
