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
    NotSimulated,
    PowerOnRefused,
    Refusal,
    ToolsUnavailable,
)
from homelab.rehearsal.state.vm import Vm, VmCdRom, VmNic
from homelab.rehearsal.storage.datastores import Datastores
from homelab.rehearsal.storage.deltas import MODIFIED, ancestors, is_modified, layers_of, renew_content_id
from homelab.rehearsal.storage.image import read_root_id
from homelab.rehearsal.vms.admission import check_start
from homelab.rehearsal.vms.questions import MoveQuestions
from homelab.rehearsal.vms.registry import VmRegistry
from homelab.rehearsal.vms.start_order import StartOrder
from homelab.rehearsal.vms.states import must_be, note, owner_of

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
        # The machines of suspended VMs while the host is down.
        self._asleep: dict[str, str] = {}
        # How often the host went down: who waits to start a VM then waits in vain.
        self._cuts = 0

    def on(self, vm: Vm) -> None:
        """Lock the disks and start the guest; a disk without a known root leaves a VM that runs nothing.

        A VM that was moved or copied asks first: then this waits for the answer.
        """
        # Meanwhile the host answers others, and starts other VMs.
        cuts = self._cuts
        time.sleep(self._state.timing.power_on_seconds)
        with self._state.lock:
            if not vm.suspended:
                must_be(vm, on=False, wanted="poweredOn")
                self._questions.settle(vm)
                must_be(vm, on=False, wanted="poweredOn")
            check_start(self._state, vm)
            if cuts != self._cuts:
                raise InvalidState("The operation is not allowed in the current state.")
            try:
                self._open_disks(vm)
                (self._wake if vm.suspended else self._start)(vm)
            except Exception:
                self._give_up(vm)
                raise
            note(self._state, "VmPoweredOnEvent", vm, "{vm} is powered on")
            self._state.touch(dirty=False)

    def _start(self, vm: Vm) -> None:
        if not vm.location:
            self._vms.rewrite_vmx(vm)
        for nic in vm.nics:
            nic.connected = nic.start_connected
        for drive in vm.cdroms:
            drive.connected = drive.start_connected and self._is_there(drive)
        vm.machine = self._machine_name(vm)
        spec = self._guest(vm)
        if spec:
            self.machines.power_on(spec)
        vm.powered_on, vm.boot_time = True, datetime.now(UTC)
        if spec:
            self._start_watch(vm)

    def _wake(self, vm: Vm) -> None:
        """Go on where the VM was suspended; its disks must not have been written to since."""
        self.machines.freeze(vm.machine_name, frozen=False)
        vm.powered_on, vm.suspended, vm.boot_time = True, False, datetime.now(UTC)
        if self.machines.is_running(vm.machine_name):
            self._start_watch(vm)

    def _give_up(self, vm: Vm) -> None:
        """A VM did not come on: it holds nothing."""
        self._datastores.volumes.unlock_files(owner=owner_of(self._state, vm))
        for device in vm.pluggable:
            device.connected = device.connected and vm.suspended

    def start_with_host(self) -> None:
        """Switch on the VMs that start with the host, in their order; one that cannot is left off.

        The host answers others meanwhile, and may go down again.
        """
        with self._state.lock:
            cuts, entries = self._cuts, self._order.entries if self._order.defaults.enabled else {}
            chosen = [moid for moid, item in entries.items() if item.start_action.lower() == "poweron"]
        for moid in chosen:
            vm = self._state.registered_vms.get(moid)
            if vm and cuts == self._cuts:
                self._start_alone(vm)

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
        """Pull a VM's plug; what a suspended one remembered is lost."""
        if not vm.suspended:
            must_be(vm, on=True, wanted="poweredOff")
        # Waits for the machine to be gone; meanwhile the host answers others.
        self.machines.power_off(vm.machine_name)
        self._went_off(vm)

    def suspend(self, vm: Vm) -> None:
        """Stop a VM where it is; its machine keeps its memory, its disks are free. NotSimulated where it cannot be."""
        with self._state.lock:
            must_be(vm, on=True, wanted="suspended")
            if self.machines.is_running(vm.machine_name) and not self.machines.freeze(vm.machine_name, frozen=True):
                raise NotSimulated("Suspending a guest is not part of the rehearsal on this machine")
            vm.powered_on, vm.suspended, vm.boot_time = False, True, None
            self._datastores.volumes.unlock_files(owner=owner_of(self._state, vm))
            note(self._state, "VmSuspendedEvent", vm, "{vm} is suspended")
            self._state.touch(dirty=False)

    def _machine_name(self, vm: Vm) -> str:
        """The VM's name, unless a VM that was called so runs under it."""
        others = [
            one for one in self._state.registered_vms.values() if one is not vm and one.power_state != "poweredOff"
        ]
        return vm.name if all(one.machine_name != vm.name for one in others) else f"{vm.name}-{vm.moid}"

    def reset(self, vm: Vm) -> None:
        """Press the VM's reset button."""
        must_be(vm, on=True, wanted="poweredOn")
        self.off(vm)
        self.on(vm)

    def shut_down_guest(self, vm: Vm) -> None:
        """Ask the guest to shut itself down; returns at once, the VM goes off when the guest is done."""
        must_be(vm, on=True, wanted="poweredOff")
        self._must_have_tools(vm)
        self.machines.shut_down(vm.machine_name)

    def reboot_guest(self, vm: Vm) -> None:
        """Ask the guest to start anew; returns at once, the VM stays on."""
        must_be(vm, on=True, wanted="poweredOn")
        self._must_have_tools(vm)
        self.machines.reboot(vm.machine_name)

    def stand_by_guest(self, vm: Vm) -> None:
        """Ask the guest to sleep: the rehearsal's guests cannot."""
        must_be(vm, on=True, wanted="suspended")
        self._must_have_tools(vm)
        raise NotSimulated("VirtualMachine.StandbyGuest is not part of the rehearsal")

    def _must_have_tools(self, vm: Vm) -> None:
        if not self.machines.is_running(vm.machine_name):
            raise ToolsUnavailable("VMware Tools is not running in this virtual machine")

    def cut_all(self) -> None:
        """The host goes down: pull every VM's plug, and let nobody wait for an answer. Who sleeps sleeps on."""
        self._cuts += 1
        vms = self._state.registered_vms.values()
        self._asleep = {vm.moid: vm.machine_name for vm in vms if vm.suspended}
        for vm in self._state.registered_vms.values():
            vm.question = None
            if vm.powered_on:
                self.machines.power_off(vm.machine_name)
                self._went_off(vm)

    def forget_all(self) -> None:
        """The host is down: no VM is on, whatever was known of them before."""
        for vm in self._state.registered_vms.values():
            vm.powered_on, vm.boot_time, vm.question = False, None, None
            vm.suspended = vm.moid in self._asleep
            vm.machine = self._asleep.pop(vm.moid, vm.machine)
        for machine in self._asleep.values():
            self.machines.power_off(machine)

    def read_again(self) -> None:
        """What a host knows of its VMs after a power cut is what their files say; what cannot be read stays."""
        for vm in self._state.registered_vms.values():
            with suppress(Refusal):
                self._vms.reload(vm)

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
            device.connected = connected and (isinstance(device, VmNic) or self._is_there(device))
            if device in vm.nics[:1]:
                self.machines.plug(vm.machine_name, connected=connected)
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
        self._datastores.volumes.lock_files(disks, owner=owner_of(self._state, vm), reads=parents)
        for path in disks:
            renew_content_id(path)

    def _start_watch(self, vm: Vm) -> None:
        threading.Thread(target=self.watch, args=(vm, vm.boot_time), daemon=True).start()

    def watch(self, vm: Vm, boot_time: datetime) -> None:
        """A guest that leaves by itself switches its VM off, whoever asked it to."""
        while vm.powered_on and vm.boot_time == boot_time:
            if not self.machines.is_running(vm.machine_name):
                self._went_off(vm, boot_time)
            time.sleep(TICK)

    def _went_off(self, vm: Vm, boot_time: datetime | None = None) -> None:
        with self._state.lock:
            if vm.power_state == "poweredOff" or (boot_time and vm.boot_time != boot_time):
                return
            vm.powered_on, vm.suspended, vm.boot_time = False, False, None
            for device in vm.pluggable:
                device.connected = False
            self._datastores.volumes.unlock_files(owner=owner_of(self._state, vm))
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
                plugged = bool(vm.nics) and vm.nics[0].start_connected
                hardware = (folder, root_id, mac, seed, vm.cpus, vm.memory_mib, layers, plugged)
                return GuestSpec(vm.machine_name, *hardware, guestinfo=vm.guestinfo)
        return None
