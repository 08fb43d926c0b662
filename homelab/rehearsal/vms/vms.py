"""The VMs of one simulated host: their state, and what can be done to them. Knows no protocol."""

import re
import threading
import time
import uuid as uuids
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from homelab.rehearsal.host.harm import Harm
from homelab.rehearsal.host.parts import Vm
from homelab.rehearsal.host.refusals import (
    DuplicateName,
    FileAlreadyExists,
    FileLocked,
    FileNotFound,
    InvalidArgument,
    InvalidName,
    InvalidPowerState,
    InvalidState,
    NotFound,
    PowerOnRefused,
    Refusal,
    ToolsUnavailable,
)
from homelab.rehearsal.host.settings import Settings
from homelab.rehearsal.storage.deltas import MODIFIED, ancestors, is_modified, layers_of, renew_content_id
from homelab.rehearsal.storage.storage import join, split
from homelab.rehearsal.vms.machines import GuestSpec, Machines
from homelab.rehearsal.vms.moves import MoveQuestions
from homelab.rehearsal.vms.vmx import parse_vmx, render_vmx

ROOT_MARK = b"homelab rehearsal root "
TICK = 0.1


class VmActions(MoveQuestions):
    """What a host can do to its VMs; `Host` inherits it. Every method takes the host's lock."""

    changed: threading.Condition
    machines: Machines
    settings: Settings
    name: str
    harm: Harm
    in_maintenance: bool
    _last_moid: int = 0

    def next_moid(self) -> str:
        """An id for the next VM: ESXi counts up and never uses one twice."""
        self._last_moid += 1
        return str(self._last_moid)

    def vm(self, moid: str) -> Vm:
        """The VM of that id; NotFound when it is gone."""
        with self.lock:
            if moid not in self.vms:
                raise NotFound(f"Unable to find a VM corresponding to {moid!r}")
            return self.vms[moid]

    def vm_named(self, name: str) -> Vm | None:
        """The VM of that name, if there is one."""
        with self.lock:
            return next((vm for vm in self.vms.values() if vm.name == name), None)

    def create_vm(self, vm: Vm) -> Vm:
        """Register a new VM and make its folder and its .vmx; disks are there already or were made before.

        `vm.vmx_path` may name the datastore only (`[NAS]`): then the folder takes the VM's name.
        """
        with self.lock:
            self.check_new_vm(vm)
            store, path = split(vm.vmx_path)
            if not path.endswith(".vmx"):
                path = f"{path.rstrip('/') or vm.name}/{vm.name}.vmx"
            vm.datastore, vm.vmx_path = store, join(store, path)
            if self.volumes.resolve(self._volume(store), path).exists():
                raise FileAlreadyExists(f"File {vm.vmx_path} already exists", file=vm.vmx_path)
            self._give_macs(vm)
            self._write_vmx(vm)
            self.vms[vm.moid] = vm
            self._note("VmCreatedEvent", vm, "Created virtual machine {vm}")
            self.touch()
            return vm

    def register_vm(self, vmx_path: str, name: str | None = None) -> Vm:
        """Add a VM that lies on a datastore to the inventory, as its .vmx tells it."""
        with self.lock:
            if any(vm.vmx_path == vmx_path for vm in self.vms.values()):
                raise _AlreadyRegistered(vmx_path)
            file = self.path_of(vmx_path)
            if not file.is_file():
                raise FileNotFound(f"File {vmx_path} was not found", file=vmx_path)
            vm = parse_vmx(file.read_text(), vmx_path, self.next_moid())
            vm.name = name or vm.name
            for disk in vm.disks:
                with suppress(Refusal):
                    disk.parents = self.parents_of(disk.path)
            self.check_new_vm(vm)
            self.vms[vm.moid] = vm
            self._note("VmRegisteredEvent", vm, "Registered {vm}")
            self.touch()
            return vm

    def unregister_vm(self, vm: Vm) -> None:
        """Forget the VM; its files stay."""
        with self.lock:
            self._must_be(vm, on=False, wanted="poweredOff")
            del self.vms[vm.moid]
            self._note("VmRemovedEvent", vm, "Removed {vm}")
            self.touch()

    def destroy_vm(self, vm: Vm) -> None:
        """Forget the VM and delete its disks, the shared parents of them too, its own files, and an empty folder."""
        with self.lock:
            self._must_be(vm, on=False, wanted="poweredOff")
            for disk in vm.disks:
                self.delete_chain(disk.path)
            own = self.path_of(vm.vmx_path)
            if own.exists():
                self.volumes.delete(own, label=vm.vmx_path)
            with suppress(OSError):
                own.parent.rmdir()
            del self.vms[vm.moid]
            self._note("VmRemovedEvent", vm, "Removed {vm}")
            self.touch()

    def delete_chain(self, path: str) -> None:
        """Delete a disk and all that it sits on; a parent that another VM uses just now stays."""
        top = self.path_of(path)
        parents = ancestors(top)
        if top.exists():
            self.volumes.delete_disk(top, label=path)
        for parent in parents:
            with suppress(FileNotFound, FileLocked):
                self.volumes.delete_disk(parent, label=self._label_of(parent))

    def parents_of(self, path: str) -> tuple[str, ...]:
        """The datastore paths of the disks that a disk sits on, nearest first."""
        return tuple(self._label_of(parent) for parent in ancestors(self.path_of(path)))

    def update_vm(self, vm: Vm) -> None:
        """Write the VM's .vmx again after a change of its configuration."""
        with self.lock:
            self.rewrite_vmx(vm)
            self._note("VmReconfiguredEvent", vm, "Reconfigured {vm}")

    def rewrite_vmx(self, vm: Vm) -> None:
        """Write the VM's .vmx as it is now."""
        with self.lock:
            self._give_macs(vm)
            self._write_vmx(vm)
            self.touch()

    def power_on(self, vm: Vm) -> None:
        """Lock the disks and start the guest; a disk without a known root leaves a VM that runs nothing.

        A VM that was moved or copied asks first: then this waits for the answer.
        """
        with self.lock:
            self._must_be(vm, on=False, wanted="poweredOn")
            self.settle_move(vm)
            self._must_be(vm, on=False, wanted="poweredOn")
            if self.in_maintenance:
                raise InvalidState("The operation is not allowed in the current state.")
            if self.harm.power_on_refused:
                text = "Module 'MonitorLoop' power on failed."
                raise PowerOnRefused(text, reason=text)
            self._open_disks(vm)
            for drive in vm.cdroms:
                drive.connected = drive.start_connected
            vm.powered_on, vm.boot_time = True, datetime.now(UTC)
            spec = self._guest(vm)
            if spec:
                self.machines.power_on(spec)
                watch = threading.Thread(target=self._watch, args=(vm, vm.boot_time), daemon=True)
                watch.start()
            self._note("VmPoweredOnEvent", vm, "{vm} is powered on")
            self.touch(dirty=False)

    def start_with_host(self) -> None:
        """Switch on the VMs that start with the host, in their order; one that cannot is left off."""
        with self.lock:
            settings = self.settings
            wanted = sorted(settings.autostart.items(), key=lambda item: (item[1].order < 0, item[1].order))
            for moid, item in wanted if settings.autostart_enabled else ():
                if moid in self.vms and item.start_action == "powerOn":
                    self._start_alone(self.vms[moid])

    def _start_alone(self, vm: Vm) -> None:
        """Switch a VM on; one that asks a question waits by itself."""

        def start() -> None:
            with suppress(Refusal):
                self.power_on(vm)

        if self.was_moved(vm):
            threading.Thread(target=start, name=f"{vm.name} asks", daemon=True).start()
        else:
            start()

    def power_off(self, vm: Vm) -> None:
        """Pull the VM's plug."""
        self._must_be(vm, on=True, wanted="poweredOff")
        # Waits for the machine to be gone; meanwhile the host answers others.
        self.machines.power_off(vm.name)
        self._went_off(vm)

    def reset(self, vm: Vm) -> None:
        """Press the VM's reset button."""
        self.power_off(vm)
        self.power_on(vm)

    def shut_down_guest(self, vm: Vm) -> None:
        """Ask the guest to shut itself down; returns at once, the VM goes off when the guest is done."""
        self._must_be(vm, on=True, wanted="poweredOff")
        if not self.machines.is_running(vm.name):
            raise ToolsUnavailable("VMware Tools is not running in this virtual machine")
        self.machines.shut_down(vm.name)

    def extend_disk(self, path: str, capacity: int) -> None:
        """Grow a disk, and what VMs that use it know of its size."""
        with self.lock:
            self.volumes.extend_disk(self.path_of(path), capacity, label=path)
            for disk in (disk for vm in self.vms.values() for disk in vm.disks if disk.path == path):
                disk.capacity = capacity
            self.touch(dirty=False)

    def path_of(self, datastore_path: str) -> Path:
        """The file behind `[NAME] path`; FileNotFound or InvalidDatastorePath when the datastore is not mounted."""
        store, path = split(datastore_path)
        return self.volumes.resolve(self._volume(store), path)

    def _open_disks(self, vm: Vm) -> None:
        """Lock the VM's disks and what they sit on; FileNotFound, FileLocked, PowerOnRefused for a changed parent."""
        disks = [self.path_of(disk.path) for disk in vm.disks]
        parents = [parent for path in disks for parent in ancestors(path)]
        for path in (*disks, *parents):
            if not path.is_file():
                raise FileNotFound(f"File {self._label_of(path)} was not found", file=self._label_of(path))
        if any(map(is_modified, (*disks, *parents))):
            raise PowerOnRefused(MODIFIED, reason=MODIFIED)
        self.volumes.lock_files(disks, owner=f"{self.name}/{vm.moid}", reads=parents)
        for path in disks:
            renew_content_id(path)

    def _label_of(self, file: Path) -> str:
        """The datastore path of a file."""
        for mount in self.mounts.values():
            if file.is_relative_to(mount.volume.path):
                return join(mount.name, str(file.relative_to(mount.volume.path)))
        return file.name

    def _watch(self, vm: Vm, boot_time: datetime) -> None:
        """A guest that leaves by itself switches its VM off, whoever asked it to."""
        while vm.powered_on and vm.boot_time == boot_time:
            if not self.machines.is_running(vm.name):
                self._went_off(vm, boot_time)
            time.sleep(TICK)

    def _went_off(self, vm: Vm, boot_time: datetime | None = None) -> None:
        with self.lock:
            if not vm.powered_on or (boot_time and vm.boot_time != boot_time):
                return
            vm.powered_on, vm.boot_time = False, None
            for drive in vm.cdroms:
                drive.connected = False
            self.volumes.unlock_files(owner=f"{self.name}/{vm.moid}")
            self._note("VmPoweredOffEvent", vm, "{vm} is powered off")
            self.touch(dirty=False)

    def _note(self, kind: str, vm: Vm, text: str) -> None:
        where = f"{vm.name} on {self.name} in ha-datacenter"
        self.journal.add(kind, text.format(vm=where), vm=vm.moid, vm_name=vm.name)

    def _guest(self, vm: Vm) -> GuestSpec | None:
        for disk in sorted(vm.disks, key=lambda disk: disk.unit):
            path = self.path_of(disk.path)
            root_id = read_root_id(path)
            if root_id:
                seed = self.path_of(vm.seed) if vm.seed else None
                mac = vm.nics[0].mac if vm.nics else ""
                folder = path.with_name(path.name + ".d")
                layers = tuple(layers_of(path))
                return GuestSpec(vm.name, folder, root_id, mac, seed, vm.cpus, vm.memory_mib, layers)
        return None

    def check_new_vm(self, vm: Vm) -> None:
        """DuplicateName or InvalidName when the host cannot take a VM of that name."""
        if not vm.name or re.search(r"[/\\%]", vm.name):
            raise InvalidName(f"The name '{vm.name}' is not valid.", name=vm.name)
        other = self.vm_named(vm.name)
        if other:
            raise DuplicateName(f"The name '{vm.name}' already exists.", name=vm.name)

    def _give_macs(self, vm: Vm) -> None:
        for index, nic in enumerate(vm.nics):
            if not nic.mac:
                # The last three bytes of the VM's UUID, as ESXi generates them.
                tail = uuids.UUID(vm.uuid).bytes[-3:]
                nic.mac = ":".join(f"{part:02x}" for part in (0, 0x0C, 0x29, *tail[:2], (tail[2] + 10 * index) % 256))
                nic.address_type = "generated"
            elif not re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", nic.mac.lower()):
                raise InvalidArgument(f"Invalid MAC address {nic.mac}", invalidProperty="macAddress")

    def _write_vmx(self, vm: Vm) -> None:
        file = self.path_of(vm.vmx_path)
        vm.location = vm.location or self.location_of(vm)
        self.volumes.check_space(file, label=vm.vmx_path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(render_vmx(vm))

    def _must_be(self, vm: Vm, *, on: bool, wanted: str) -> None:
        if vm.question and not on:
            raise InvalidState("The operation is not allowed in the current state.")
        if vm.powered_on != on:
            state = "poweredOn" if vm.powered_on else "poweredOff"
            raise InvalidPowerState(
                "The attempted operation cannot be performed in the current state "
                f"({'Powered on' if vm.powered_on else 'Powered off'}).",
                requestedState=wanted,
                existingState=state,
            )


class _AlreadyRegistered(FileAlreadyExists):
    fault = "AlreadyExists"

    def __init__(self, vmx_path: str) -> None:
        super().__init__(f"The specified key, name, or identifier '{vmx_path}' already exists.", name=vmx_path)


def read_root_id(descriptor: Path) -> str | None:
    """The root that a rehearsal image's first sector names, or None for any other disk."""
    descriptor = [descriptor, *ancestors(descriptor)][-1]
    flat = descriptor.with_name(f"{descriptor.stem}-flat.vmdk")
    if not flat.is_file():
        return None
    with flat.open("rb") as file:
        sector = file.read(512)
    if not sector.startswith(ROOT_MARK):
        return None
    return sector[len(ROOT_MARK) :].partition(b"\n")[0].decode("ascii", "replace")
