"""The VMs in the inventory of one simulated host: how they come into it, change, and leave it. Knows no protocol."""

import hashlib
import os
import re
import uuid as uuids
from contextlib import suppress

from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.refusals import (
    DuplicateName,
    FileAlreadyExists,
    FileNotFound,
    InvalidArgument,
    InvalidName,
    NotFound,
    Refusal,
)
from homelab.rehearsal.state.vm import Vm
from homelab.rehearsal.storage.datastores import Datastores
from homelab.rehearsal.storage.disk_changes import extend
from homelab.rehearsal.storage.disk_files import is_thin
from homelab.rehearsal.storage.paths import join, split
from homelab.rehearsal.vms.snapshot_files import render_vmsd, take_vmsd, vmsd_of, vmsn_of
from homelab.rehearsal.vms.start_order import StartOrder
from homelab.rehearsal.vms.states import must_be, note, owner_of
from homelab.rehearsal.vms.vmx import parse_vmx, render_vmx


class VmRegistry:
    """Registers VMs and writes what they are configured to be. Every method takes the host's lock."""

    def __init__(self, state: HostState, datastores: Datastores, order: StartOrder) -> None:
        self._state, self._datastores, self._order = state, datastores, order
        self._last_moid = 0

    def next_moid(self) -> str:
        """An id for the next VM: ESXi counts up and never uses one twice."""
        self._last_moid += 1
        return str(self._last_moid)

    def by_id(self, moid: str) -> Vm:
        """The VM of that id; NotFound when it is gone."""
        with self._state.lock:
            if moid not in self._state.registered_vms:
                raise NotFound(f"Unable to find a VM corresponding to {moid!r}")
            return self._state.registered_vms[moid]

    def named(self, name: str) -> Vm | None:
        """The VM of that name, if there is one."""
        with self._state.lock:
            return next((vm for vm in self._state.registered_vms.values() if vm.name == name), None)

    def create(self, vm: Vm) -> Vm:
        """Register a new VM and make its folder and its .vmx; disks are there already or were made before.

        `vm.vmx_path` may name the datastore only (`[NAS]`): then the folder takes the VM's name.
        """
        with self._state.lock:
            self.check_new(vm)
            store, path = split(vm.vmx_path)
            if not path.endswith(".vmx"):
                path = f"{path.rstrip('/') or vm.name}/{vm.name}.vmx"
            vm.datastore, vm.vmx_path = store, join(store, path)
            if self._datastores.volumes.resolve(self._datastores.folder_of(store), path).exists():
                raise FileAlreadyExists(f"File {vm.vmx_path} already exists", file=vm.vmx_path)
            self._give_macs(vm)
            self._write_vmx(vm)
            self._state.registered_vms[vm.moid] = vm
            note(self._state, "VmCreatedEvent", vm, "Created virtual machine {vm}")
            self._state.touch()
            return vm

    def register(self, vmx_path: str, name: str | None = None) -> Vm:
        """Add a VM that lies on a datastore to the inventory, as its .vmx tells it."""
        with self._state.lock:
            if any(vm.vmx_path == vmx_path for vm in self._state.registered_vms.values()):
                raise _AlreadyRegistered(vmx_path)
            vm = self._read(vmx_path, self.next_moid())
            vm.name = name or vm.name
            self.check_new(vm)
            self._state.registered_vms[vm.moid] = vm
            note(self._state, "VmRegisteredEvent", vm, "Registered {vm}")
            self._state.touch()
            return vm

    def reload(self, vm: Vm) -> None:
        """Read the VM's .vmx again; of a VM that is on nothing changes, for what it runs with is in memory."""
        with self._state.lock:
            if vm.power_state != "poweredOff":
                return
            fresh = self._read(vm.vmx_path, vm.moid)
            vars(vm).update({**vars(fresh), "question": vm.question, "machine": vm.machine})
            self._state.touch()

    def unregister(self, vm: Vm) -> None:
        """Forget the VM; its files stay."""
        with self._state.lock:
            must_be(vm, on=False, wanted="poweredOff")
            self._forget(vm)

    def destroy(self, vm: Vm) -> None:
        """Forget the VM and delete its disks, the shared parents of them too, its own files, and an empty folder."""
        with self._state.lock:
            must_be(vm, on=False, wanted="poweredOff")
            for path in self._disk_paths(vm):
                with suppress(FileNotFound):
                    self._datastores.delete_chain(path)
            own = self._datastores.path_of(vm.vmx_path)
            for path in (vm.vmx_path, vmsd_of(vm), *(vmsn_of(vm, uid) for uid in vm.snapshots)):
                if self._datastores.path_of(path).exists():
                    self._datastores.volumes.delete(self._datastores.path_of(path), label=path)
            with suppress(OSError):
                own.parent.rmdir()
            self._forget(vm)

    def _forget(self, vm: Vm) -> None:
        self._order.leave(vm.moid)
        del self._state.registered_vms[vm.moid]
        note(self._state, "VmRemovedEvent", vm, "Removed {vm}")
        self._state.touch()

    def rename(self, vm: Vm, name: str) -> None:
        """Give a VM another name; its files keep theirs. InvalidName, DuplicateName."""
        with self._state.lock:
            if name != vm.name:
                self.check_new(Vm("", name, vm.datastore, vm.vmx_path))
            vm.name = name
            self.update(vm)

    def _disk_paths(self, vm: Vm) -> list[str]:
        """The disks of a VM, those of its snapshots, and what was left of old ones."""
        then = [self.as_it_was(vm, uid) for uid in vm.snapshots]
        return [disk.path for one in (vm, *then) for disk in one.disks] + vm.leftovers

    def update(self, vm: Vm) -> None:
        """Write the VM's .vmx again after a change of its configuration."""
        with self._state.lock:
            self.rewrite_vmx(vm)
            vm.change_version = self._state.now().isoformat()
            note(self._state, "VmReconfiguredEvent", vm, "Reconfigured {vm}")

    def rewrite_vmx(self, vm: Vm) -> None:
        """Write the VM's .vmx as it is now."""
        with self._state.lock:
            self._give_macs(vm)
            self._write_vmx(vm)
            self._state.touch()

    def extend_disk(self, path: str, capacity: int, *, owner: Vm | None = None) -> None:
        """Grow a disk, and what VMs that use it know of its size; `owner` is the VM that may hold its lock."""
        with self._state.lock:
            holder = owner_of(self._state, owner) if owner else ""
            extend(self._datastores.volumes, self._datastores.path_of(path), capacity, label=path, owner=holder)
            for disk in (disk for vm in self._state.registered_vms.values() for disk in vm.disks if disk.path == path):
                disk.capacity = capacity
            self._state.touch(dirty=False)

    def location_of(self, vm: Vm) -> str:
        """The hash of the host and of the place where a VM's .vmx is, as `uuid.location` has it (VMware KB 1541)."""
        place = os.path.relpath(self._datastores.path_of(vm.vmx_path), self._datastores.volumes.root)
        digits = hashlib.sha256(f"{self._state.system_uuid} {place}".encode()).digest()[:14].hex(" ")
        return f"56 4d {digits[:17]}-{digits[18:]}"

    def was_moved(self, vm: Vm) -> bool:
        """Whether the VM lies elsewhere than its .vmx says, or was registered on another host."""
        return bool(vm.location) and vm.location != self.location_of(vm)

    def check_new(self, vm: Vm) -> None:
        """DuplicateName or InvalidName when the host cannot take a VM of that name."""
        if not vm.name or re.search(r"[/\\%]", vm.name):
            raise InvalidName(f"The name '{vm.name}' is not valid.", name=vm.name)
        other = self.named(vm.name)
        if other:
            raise DuplicateName(f"The name '{vm.name}' already exists.", name=vm.name)

    def _read(self, vmx_path: str, moid: str) -> Vm:
        """What a .vmx, the descriptors of its disks and its list of snapshots tell; FileNotFound, InvalidVmConfig."""
        vm = self._parsed(self._text(vmx_path), vmx_path, moid)
        with suppress(FileNotFound):
            take_vmsd(vm, self._text(vmsd_of(vm)), self._text)
        return vm

    def _text(self, path: str) -> str:
        file = self._datastores.path_of(path)
        if not file.is_file():
            raise FileNotFound(f"File {path} was not found", file=path)
        return file.read_text(errors="replace")

    def _parsed(self, text: str, vmx_path: str, moid: str) -> Vm:
        vm = parse_vmx(text, vmx_path, moid, self._datastores.datastore_path)
        for disk in vm.disks:
            with suppress(Refusal):
                path = self._datastores.path_of(disk.path)
                disk.thin = is_thin(path)
                disk.parents = self._datastores.parents_of(disk.path)
                disk.capacity = self._datastores.volumes.capacity(path, label=disk.path)
        return vm

    def text_of(self, vm: Vm) -> str:
        """The .vmx of a VM as it is now."""
        return render_vmx(vm, self._datastores.shell_path)

    def as_it_was(self, vm: Vm, uid: int) -> Vm:
        """What a VM was when a snapshot was taken."""
        return self._parsed(vm.snapshots[uid].vmx, vm.vmx_path, vm.moid)

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
        file = self._datastores.path_of(vm.vmx_path)
        vm.location = vm.location or self.location_of(vm)
        self._datastores.volumes.check_space(file, label=vm.vmx_path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.text_of(vm))
        if vm.last_snapshot:
            self._datastores.path_of(vmsd_of(vm)).write_text(render_vmsd(vm))
        for uid, one in vm.snapshots.items():
            self._datastores.path_of(vmsn_of(vm, uid)).write_text(one.vmx)


class _AlreadyRegistered(FileAlreadyExists):
    fault = "AlreadyExists"

    def __init__(self, vmx_path: str) -> None:
        super().__init__(f"The specified key, name, or identifier '{vmx_path}' already exists.", name=vmx_path)
