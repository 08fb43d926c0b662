"""The snapshots of VMs, and the files that a VM is made of."""

from collections.abc import Iterator
from typing import Any

from pyVmomi import VmomiSupport, vim

from homelab.rehearsal.soap.managed import Managed, ref, writes
from homelab.rehearsal.soap.objects.machine_parts import MachinePart
from homelab.rehearsal.soap.vm_config import config_of
from homelab.rehearsal.soap.vm_files import file_layout
from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.state.vm import Snapshot, Vm


class MachineSnapshots(MachinePart):
    """The part of a VM that is its snapshots."""

    @property
    def snapshot(self) -> Any:
        """The tree, and where in it the VM is; unset when there is none."""
        vm = self._vm
        if not vm.snapshots:
            return None
        now = _ref(vm, vm.current_snapshot) if vm.current_snapshot else None
        return vim.vm.SnapshotInfo(currentSnapshot=now, rootSnapshotList=_tree(vm, 0))

    @property
    def rootSnapshot(self) -> Any:
        """The snapshots that were taken on none."""
        return [_ref(self._vm, one.uid) for one in self._vm.snapshots.values() if not one.parent]

    @writes
    def CreateSnapshot_Task(self, name: str, description: str | None, memory: bool, quiesce: bool) -> Any:
        """Keep it as it is now."""
        vm = self._vm
        made = self._host.vm_snapshots.create(vm, name, description or "", memory=memory, quiesce=quiesce)
        return _ref(vm, made.uid)

    @writes
    def RevertToCurrentSnapshot_Task(self, host: Any, suppressPowerOn: bool | None) -> None:
        """Back to the snapshot that it sits on."""
        self._host.vm_snapshots.revert_to_current(self._vm)

    @writes
    def RemoveAllSnapshots_Task(self, consolidate: bool | None, spec: Any) -> None:
        """Forget them all."""
        _must_consolidate(consolidate, spec)
        self._host.vm_snapshots.remove_all(self._vm)


class MachineStorage(MachinePart):
    """The part of a VM that is its files."""

    @property
    def layoutEx(self) -> Any:
        """Its files, and how disks and snapshots are made of them."""
        return file_layout(self._host, self._vm, {uid: _ref(self._vm, uid) for uid in self._vm.snapshots})

    @property
    def storage(self) -> Any:
        """How much of each datastore its files take."""
        sizes: dict[str, int] = {}
        for file in self.layoutEx.file:
            store = file.name[1:].partition("]")[0]
            sizes[store] = sizes.get(store, 0) + file.size
        mounts = self._host.datastores.mounts
        usage = [
            vim.vm.StorageInfo.UsageOnDatastore(
                datastore=ref("Datastore", mounts[store].moref),
                committed=VmomiSupport.long(size),
                uncommitted=VmomiSupport.long(0),
                unshared=VmomiSupport.long(size),
            )
            for store, size in sizes.items()
        ]
        return vim.vm.StorageInfo(perDatastoreUsage=usage, timestamp=self._host.now())

    def RefreshStorageInfo(self) -> None:
        """It is looked at whenever it is asked for."""


class VirtualMachineSnapshot(Managed):
    """One snapshot."""

    @classmethod
    def ids(cls, face: Any, caller: Any) -> Iterator[str]:
        """The VM's number and the snapshot's own."""
        for vm in list(face.host.registered_vms.values()):
            yield from (_id(vm, uid) for uid in list(vm.snapshots))

    @property
    def config(self) -> Any:
        """How the VM was configured."""
        vm, snapshot = self._found
        return config_of(self._host, self._host.vms.as_it_was(vm, snapshot.uid))

    @property
    def childSnapshot(self) -> Any:
        """Those that were taken on it."""
        vm, snapshot = self._found
        return [_ref(vm, one.uid) for one in vm.snapshots.values() if one.parent == snapshot.uid]

    @property
    def vm(self) -> Any:
        """The VM."""
        return ref("VirtualMachine", self._found[0].moid)

    @writes
    def RevertToSnapshot_Task(self, host: Any, suppressPowerOn: bool | None) -> None:
        """Make the VM what it was."""
        vm, snapshot = self._found
        self._host.vm_snapshots.revert(vm, snapshot.uid)

    @writes
    def RemoveSnapshot_Task(self, removeChildren: bool, consolidate: bool | None) -> None:
        """Forget it, and those on it if wanted."""
        _must_consolidate(consolidate, None)
        vm, snapshot = self._found
        self._host.vm_snapshots.remove(vm, snapshot.uid, children=removeChildren)

    @writes
    def RenameSnapshot(self, name: str | None, description: str | None) -> None:
        """Another name or description."""
        vm, snapshot = self._found
        self._host.vm_snapshots.rename(vm, snapshot.uid, name, description)

    @property
    def _found(self) -> tuple[Vm, Snapshot]:
        moid, _, uid = self._moid.partition("-snapshot-")
        vm = self._host.vms.by_id(moid)
        return vm, vm.snapshots[int(uid)]


def _id(vm: Vm, uid: int) -> str:
    return f"{vm.moid}-snapshot-{uid}"


def _ref(vm: Vm, uid: int) -> Any:
    return ref("VirtualMachineSnapshot", _id(vm, uid))


def _tree(vm: Vm, parent: int) -> list[Any]:
    return [
        vim.vm.SnapshotTree(
            snapshot=_ref(vm, one.uid),
            vm=ref("VirtualMachine", vm.moid),
            name=one.name,
            description=one.description,
            id=one.uid,
            createTime=one.made,
            state="poweredOff",
            quiesced=False,
            childSnapshotList=_tree(vm, one.uid),
            replaySupported=False,
        )
        for one in vm.snapshots.values()
        if one.parent == parent
    ]


def _must_consolidate(consolidate: bool | None, spec: Any) -> None:
    if consolidate is False:
        raise fault("NotSupported", "Removing a snapshot without its disks (consolidate) is not part of the rehearsal")
    if spec is not None:
        raise fault("NotSupported", "A SnapshotSelectionSpec is not part of the rehearsal")
