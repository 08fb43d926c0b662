"""The power of the VMs of one simulated host, and the machines behind them. Knows no protocol."""

import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.machines import GuestSpec, Machines
from homelab.rehearsal.state.refusals import (
    FileNotFound,
    InvalidState,
    NotFound,
    PowerOnRefused,
    Refusal,
    ToolsUnavailable,
)
from homelab.rehearsal.state.vm import Vm, VmCdRom, VmNic
from homelab.rehearsal.storage.datastores import Datastores
from homelab.rehearsal.storage.deltas import MODIFIED, ancestors, is_modified, layers_of, renew_content_id
from homelab.rehearsal.storage.image import read_root_id
from homelab.rehearsal.vms.questions import MoveQuestions
from homelab.rehearsal.vms.registry import VmRegistry
from homelab.rehearsal.vms.start_order import StartOrder
from homelab.rehearsal.vms.states import check_cpus, must_be, note

TICK = 0.1


class VmPower:
    """Switches VMs on and off. A VM that is on holds the locks of its disks."""

    def __init__(
        self,
        state: HostState,
        datastores: Datastores,
        vms: VmRegistry,
        questions: MoveQuestions,
        order: StartOrder,
        machines: Machines,
    ) -> None:
        self._state, self._datastores, self._vms, self._questions = state, datastores, vms, questions
        self._order = order
        self.machines = machines

    def on(self, vm: Vm) -> None:
        """Lock the disks and start the guest; a disk without a known root leaves a VM that runs nothing.

        A VM that was moved or copied asks first: then this waits for the answer.
        """
        with self._state.lock:
            must_be(vm, on=False, wanted="poweredOn")
            self._questions.settle(vm)
            must_be(vm, on=False, wanted="poweredOn")
            if self._state.in_maintenance:
                raise InvalidState("The operation is not allowed in the current state.")
            if self._state.harm.power_on_refused:
                text = "Module 'MonitorLoop' power on failed."
                raise PowerOnRefused(text, reason=text)
            check_cpus(self._state, vm)
            self._open_disks(vm)
            if not vm.location:
                self._vms.rewrite_vmx(vm)
            for drive in vm.cdroms:
                drive.connected = drive.start_connected and self._is_there(drive)
            vm.powered_on, vm.boot_time = True, datetime.now(UTC)
            spec = self._guest(vm)
            if spec:
                self.machines.power_on(spec)
                watch = threading.Thread(target=self.watch, args=(vm, vm.boot_time), daemon=True)
                watch.start()
            note(self._state, "VmPoweredOnEvent", vm, "{vm} is powered on")
            self._state.touch(dirty=False)

    def start_with_host(self) -> None:
        """Switch on the VMs that start with the host, in their order; one that cannot is left off."""
        with self._state.lock:
            for moid, item in self._order.entries.items() if self._order.defaults.enabled else ():
                if item.start_action.lower() == "poweron":
                    self._start_alone(self._state.registered_vms[moid])

    def _start_alone(self, vm: Vm) -> None:
        """Switch a VM on; one that asks a question waits by itself."""

        def start() -> None:
            with suppress(Refusal):
                self.on(vm)

        if self._vms.was_moved(vm):
            threading.Thread(target=start, name=f"{vm.name} asks", daemon=True).start()
        else:
            start()

    def off(self, vm: Vm) -> None:
        """Pull a VM's plug."""
        must_be(vm, on=True, wanted="poweredOff")
        # Waits for the machine to be gone; meanwhile the host answers others.
        self.machines.power_off(vm.name)
        self._went_off(vm)

    def reset(self, vm: Vm) -> None:
        """Press the VM's reset button."""
        self.off(vm)
        self.on(vm)

    def shut_down_guest(self, vm: Vm) -> None:
        """Ask the guest to shut itself down; returns at once, the VM goes off when the guest is done."""
        must_be(vm, on=True, wanted="poweredOff")
        if not self.machines.is_running(vm.name):
            raise ToolsUnavailable("VMware Tools is not running in this virtual machine")
        self.machines.shut_down(vm.name)

    def cut_all(self) -> None:
        """The host goes down: pull every VM's plug, and let nobody wait for an answer."""
        for vm in self._state.registered_vms.values():
            vm.question = None
            if vm.powered_on:
                self.machines.power_off(vm.name)
                self._went_off(vm)

    def forget_all(self) -> None:
        """The host is down: no VM is on, whatever was known of them before."""
        for vm in self._state.registered_vms.values():
            vm.powered_on, vm.boot_time, vm.question = False, None, None

    def _is_there(self, drive: VmCdRom) -> bool:
        """Whether the image of a drive is there; where it is not, the VM comes on with the drive disconnected."""
        try:
            return drive.iso is not None and self._datastores.path_of(drive.iso).is_file()
        except Refusal:
            return False

    def connect(self, vm: Vm, key: int, *, connected: bool) -> None:
        """Connect or disconnect a device of a VM that is on; NotFound without one. It stays so at the next start."""
        with self._state.lock:
            must_be(vm, on=True, wanted="poweredOn")
            devices: list[VmCdRom | VmNic] = [*vm.cdroms, *vm.nics]
            device = next((one for one in devices if one.key == key), None)
            if device is None:
                raise NotFound(f"No device with key {key}")
            device.start_connected = connected
            if isinstance(device, VmCdRom):
                device.connected = connected and self._is_there(device)
            self._vms.rewrite_vmx(vm)

    def _open_disks(self, vm: Vm) -> None:
        """Lock the VM's disks and what they sit on; FileNotFound, FileLocked, PowerOnRefused for a changed parent."""
        disks = [self._datastores.path_of(disk.path) for disk in vm.disks]
        parents = [parent for path in disks for parent in ancestors(path)]
        for path in (*disks, *parents):
            if not path.is_file():
                label = self._datastores.label_of(path)
                raise FileNotFound(f"File {label} was not found", file=label)
        if any(map(is_modified, (*disks, *parents))):
            raise PowerOnRefused(MODIFIED, reason=MODIFIED)
        self._datastores.volumes.lock_files(disks, owner=f"{self._state.name}/{vm.moid}", reads=parents)
        for path in disks:
            renew_content_id(path)

    def watch(self, vm: Vm, boot_time: datetime) -> None:
        """A guest that leaves by itself switches its VM off, whoever asked it to."""
        while vm.powered_on and vm.boot_time == boot_time:
            if not self.machines.is_running(vm.name):
                self._went_off(vm, boot_time)
            time.sleep(TICK)

    def _went_off(self, vm: Vm, boot_time: datetime | None = None) -> None:
        with self._state.lock:
            if not vm.powered_on or (boot_time and vm.boot_time != boot_time):
                return
            vm.powered_on, vm.boot_time = False, None
            for drive in vm.cdroms:
                drive.connected = False
            self._datastores.volumes.unlock_files(owner=f"{self._state.name}/{vm.moid}")
            note(self._state, "VmPoweredOffEvent", vm, "{vm} is powered off")
            self._state.touch(dirty=False)

    def _guest(self, vm: Vm) -> GuestSpec | None:
        for disk in sorted(vm.disks, key=lambda disk: disk.unit):
            path = self._datastores.path_of(disk.path)
            root_id = read_root_id(path)
            if root_id:
                seed = self._datastores.path_of(vm.seed) if vm.seed else None
                mac = vm.nics[0].mac if vm.nics else ""
                folder = path.with_name(path.name + ".d")
                layers = tuple(layers_of(path))
                return GuestSpec(vm.name, folder, root_id, mac, seed, vm.cpus, vm.memory_mib, layers)
        return None
