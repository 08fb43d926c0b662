"""The snapshots of VMs: their disks, their files, and the way back. Knows no protocol.

As a real host does it (VMware's KB 337269, 304387): the disks are frozen, and the VM goes on in children of them; a
snapshot that is removed leaves nothing behind, but for disks that several children need.
"""

from contextlib import suppress
from pathlib import Path

from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.refusals import FileNotFound, InvalidName, NotFound, NotSimulated, TooManySnapshots
from homelab.rehearsal.state.vm import Snapshot, Vm, VmDisk
from homelab.rehearsal.storage.datastores import Datastores
from homelab.rehearsal.storage.deltas import ancestors
from homelab.rehearsal.storage.disk_files import flat_of, is_thin
from homelab.rehearsal.storage.frozen_writes import commit_writes, freeze_writes
from homelab.rehearsal.storage.paths import split
from homelab.rehearsal.vms.power import VmPower
from homelab.rehearsal.vms.registry import VmRegistry
from homelab.rehearsal.vms.snapshot_files import vmsn_of
from homelab.rehearsal.vms.states import must_be, owner_of

# "Snapshot Limitations" of VMware's administration guide.
LEVELS = 32
# What a VM is called and known by, and what belongs to all of its snapshots.
NOT_REVERTED = ("name", "uuid", "instance_uuid", "location", "machine", "snapshots", "last_snapshot", "leftovers")


class VmSnapshots:
    """Takes snapshots of VMs, goes back to them, and removes them."""

    def __init__(self, state: HostState, datastores: Datastores, vms: VmRegistry, power: VmPower) -> None:
        self._state, self._datastores, self._vms, self._power = state, datastores, vms, power

    def create(self, vm: Vm, name: str, description: str, *, memory: bool, quiesce: bool) -> Snapshot:
        """A snapshot on top of the current one; its memory and a quiet guest are not simulated."""
        with self._state.lock:
            _check_name(name)
            if vm.power_state != "poweredOff" and (memory or quiesce):
                what = "The memory of a VM in a snapshot" if memory else "A quiet file system in a snapshot"
                raise NotSimulated(f"{what} is not part of the rehearsal")
            if vm.suspended:
                raise NotSimulated("A snapshot of a suspended VM is not part of the rehearsal")
            if len(self._line(vm)) >= LEVELS:
                raise TooManySnapshots("Snapshot hierarchy is too deep.")
            self._check_room(vm)
            made = Snapshot(
                vm.last_snapshot + 1, name, description, self._state.now(), self._vms.text_of(vm), vm.current_snapshot
            )
            for disk in vm.disks:
                if disk.mode == "persistent":
                    self._go_on(vm, disk, disk.path)
            vm.last_snapshot = vm.current_snapshot = made.uid
            vm.snapshots[made.uid] = made
            self._vms.update(vm)
            return made

    def revert(self, vm: Vm, uid: int) -> None:
        """Make a VM what it was; a VM that runs is switched off, for no snapshot knows its memory."""
        with self._state.lock:
            self._to_revert_to(vm, uid)
        if vm.power_state != "poweredOff":
            self._power.off(vm)
        with self._state.lock:
            must_be(vm, on=False, wanted="poweredOff")
            then = self._to_revert_to(vm, uid)
            self._leave(vm)
            kept = {name: getattr(vm, name) for name in NOT_REVERTED}
            vars(vm).update(vars(then) | kept)
            vm.current_snapshot = uid
            for disk in vm.disks:
                disk.parents = self._datastores.parents_of(disk.path)
                if disk.mode == "persistent":
                    self._go_on(vm, disk, disk.path)
            self._vms.update(vm)

    def revert_to_current(self, vm: Vm) -> None:
        """The same, for the snapshot that the VM sits on."""
        if not vm.current_snapshot:
            raise NotFound("The virtual machine has no current snapshot.")
        self.revert(vm, vm.current_snapshot)

    def remove(self, vm: Vm, uid: int, *, children: bool) -> None:
        """Forget a snapshot, with those taken on it if wanted; the VM stays what it is."""
        with self._state.lock:
            gone = [self._of(vm, uid).uid]
            self._check_room(vm)
            for one in gone:
                gone += [child.uid for child in vm.snapshots.values() if children and child.parent == one]
            for one in reversed(gone):
                self._forget(vm, one)
            self._vms.update(vm)

    def remove_all(self, vm: Vm) -> None:
        """Forget all snapshots of a VM."""
        with self._state.lock:
            self._check_room(vm)
            for uid in sorted(vm.snapshots, reverse=True):
                self._forget(vm, uid)
            self._vms.update(vm)

    def rename(self, vm: Vm, uid: int, name: str | None, description: str | None) -> None:
        """Another name or description."""
        with self._state.lock:
            found = self._of(vm, uid)
            if name:
                _check_name(name)
            found.name = name or found.name
            found.description = found.description if description is None else description
            self._vms.update(vm)

    def _of(self, vm: Vm, uid: int) -> Snapshot:
        if uid not in vm.snapshots:
            raise NotFound(f"Unable to find a snapshot corresponding to {uid}")
        return vm.snapshots[uid]

    def _check_room(self, vm: Vm) -> None:
        """Whatever there is no room for must be known before the first disk is frozen, merged or deleted."""
        self._datastores.volumes.check_space(self._datastores.path_of(vm.folder), label=vm.vmx_path)
        for disk in vm.disks:
            self._datastores.volumes.check_writable(self._datastores.path_of(disk.path), label=disk.path)

    def _to_revert_to(self, vm: Vm, uid: int) -> Vm:
        """What a VM was when a snapshot was taken, and whether it can be that again."""
        then, owner = self._vms.as_it_was(vm, self._of(vm, uid).uid), owner_of(self._state, vm)
        self._check_room(vm)
        for disk in then.disks:
            file = self._datastores.path_of(disk.path)
            self._datastores.volumes.must_exist(file, label=disk.path)
            self._datastores.volumes.check_unlocked(file, label=disk.path, but=owner, reading=True)
        return then

    def _line(self, vm: Vm) -> list[int]:
        """The snapshots that a VM sits on."""
        found, uid = [], vm.current_snapshot
        while uid:
            found.append(uid)
            uid = vm.snapshots[uid].parent
        return found

    def _go_on(self, vm: Vm, disk: VmDisk, frozen: str) -> None:
        """A VM writes to a new child of a disk from now on."""
        stem = split(frozen)[1].rpartition("/")[2].removesuffix(".vmdk")
        base = stem[:-7] if stem[-7:-6] == "-" and stem[-6:].isdecimal() else stem
        number = 1
        while self._datastores.path_of(f"{vm.folder}/{base}-{number:06}.vmdk").exists():
            number += 1
        path, volumes = f"{vm.folder}/{base}-{number:06}.vmdk", self._datastores.volumes
        parent, child = self._datastores.path_of(frozen), self._datastores.path_of(path)
        owner = owner_of(self._state, vm) if vm.powered_on else ""
        volumes.create_child(child, parent, label=path, parent_label=frozen, owner=owner)
        disk.path, disk.parents, disk.thin = path, self._datastores.parents_of(path), True
        if owner:
            # The guest goes on writing where it writes: that is the child's from now on.
            freeze_writes(parent, child)
            volumes.pass_lock(parent, child, owner=owner)

    def _leave(self, vm: Vm) -> None:
        """Delete the disks that a VM wrote to since its snapshot, and no snapshot knows."""
        frozen = self._kept(vm) | {self._datastores.path_of(path) for path in vm.leftovers}
        for disk in vm.disks:
            file = self._datastores.path_of(disk.path)
            if file not in frozen and frozen & set(ancestors(file)[:1]):
                self._delete(file)

    def _kept(self, vm: Vm) -> set[Path]:
        """The disks of a VM's snapshots."""
        return {file for uid in vm.snapshots for file in self._disks(vm, uid)}

    def _disks(self, vm: Vm, uid: int) -> list[Path]:
        then = self._vms.as_it_was(vm, uid)
        return [self._datastores.path_of(disk.path) for disk in then.disks if disk.mode == "persistent"]

    def _forget(self, vm: Vm, uid: int) -> None:
        """Take one snapshot out of the tree, and its disks out of the chains."""
        files, gone = self._disks(vm, uid), vm.snapshots.pop(uid)
        for one in vm.snapshots.values():
            one.parent = gone.parent if one.parent == uid else one.parent
        vm.current_snapshot = gone.parent if vm.current_snapshot == uid else vm.current_snapshot
        files += [self._datastores.path_of(path) for path in vm.leftovers]
        vm.leftovers = []
        for file in dict.fromkeys(files):
            self._merge(vm, file)
        with suppress(FileNotFound):
            vmsn = vmsn_of(vm, uid)
            self._datastores.volumes.delete(self._datastores.path_of(vmsn), label=vmsn)

    def _merge(self, vm: Vm, file: Path) -> None:
        """A frozen disk that no snapshot keeps any more: into it goes its one child; without one it is deleted."""
        kept = self._kept(vm)
        current = {self._datastores.path_of(disk.path) for disk in vm.disks}
        if file in kept or file in current or not file.is_file():
            return
        children = {one for leaf in kept | current for one in (leaf, *ancestors(leaf)) if file in ancestors(one)[:1]}
        if not children and ancestors(file):
            self._delete(file)
        elif len(children) == 1:
            self._commit(vm, file, children.pop())
        elif children:
            vm.leftovers.append(self._datastores.label_of(file))

    def _commit(self, vm: Vm, parent: Path, child: Path) -> None:
        """What was written to a child becomes its parent's, and whoever sits on the child sits on the parent."""
        before, after = self._datastores.label_of(child), self._datastores.label_of(parent)
        leaves = {self._datastores.path_of(disk.path) for disk in vm.disks} | self._kept(vm)
        disks = {one for leaf in leaves for one in (leaf, *ancestors(leaf))}
        self._datastores.volumes.move_children(child, parent, disks)
        commit_writes(parent, child, running=vm.powered_on)
        if vm.powered_on:
            self._datastores.volumes.pass_lock(child, parent, owner=owner_of(self._state, vm))
        child.unlink()
        for data in (flat_of(child), child.with_name(f"{child.stem}-delta.vmdk")):
            data.unlink(missing_ok=True)
        for disk in vm.disks:
            if disk.path == before:
                disk.path, disk.thin = after, is_thin(parent)
            disk.parents = self._datastores.parents_of(disk.path)
        for uid, one in vm.snapshots.items():
            then = self._vms.as_it_was(vm, uid)
            for disk in then.disks:
                disk.path = after if disk.path == before else disk.path
            one.vmx = self._vms.text_of(then)

    def _delete(self, file: Path) -> None:
        with suppress(FileNotFound):
            self._datastores.volumes.delete_disk(file, label=self._datastores.label_of(file))


def _check_name(name: str) -> None:
    if not name or len(name) > 80:
        raise InvalidName(f"The name '{name}' is not valid.", name=name)
