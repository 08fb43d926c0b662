"""Leases: a VM whose disks are being filled, or read, and who may do so for how long. Knows no protocol."""

import hashlib
import threading
import uuid as uuids
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.refusals import InvalidState, Refusal, Timedout
from homelab.rehearsal.state.vm import Vm, VmDisk
from homelab.rehearsal.storage.datastores import Datastores
from homelab.rehearsal.storage.deltas import ancestors
from homelab.rehearsal.storage.disk_files import flat_of
from homelab.rehearsal.storage.stream_vmdk import BadStream, StreamVmdk
from homelab.rehearsal.storage.stream_writer import stream
from homelab.rehearsal.vms.registry import VmRegistry

LEASE_SECONDS = 300
KEPT = 100
TICK = 0.1


class LeaseOver(Exception):
    """The lease ended while something was being sent."""


@dataclass
class Slot:
    """A disk that can be filled or read; `target_id` is its name in the URL, the keys are vSphere's for it.

    `sha1` and `size` are those of the last stream that came or went whole, `populated` the bytes that it holds.
    """

    target_id: str
    key: str
    import_key: str
    disk: VmDisk
    sha1: str = ""
    size: int = 0
    populated: int = 0


@dataclass
class Lease:
    """One import, or an export (`exports`), which leaves the VM as it is.

    `state` is initializing, ready, done or error; `last` is when a word came, on the host's clock.
    """

    id: str
    last: float
    state: str = "initializing"
    vm: Vm | None = None
    slots: list[Slot] = field(default_factory=list)
    error: Exception | None = None
    percent: int = 0
    exports: bool = False

    @property
    def owner(self) -> str:
        """Who holds the locks on the disks."""
        return f"lease {self.id}"

    def slot(self, target_id: str) -> Slot | None:
        """The disk of that name."""
        return next((slot for slot in self.slots if slot.target_id == target_id), None)


class Leases:
    """The leases of a host since hostd started."""

    def __init__(self, state: HostState, datastores: Datastores, vms: VmRegistry) -> None:
        self._state, self._datastores, self._vms = state, datastores, vms
        self.all: dict[str, Lease] = {}

    def open(self, make: Callable[[], Vm], *, exports: bool = False) -> Lease:
        """A lease on the VM that `make` makes, with the host's lock held; returns at once."""
        lease = Lease(str(uuids.uuid4()), self._state.clock(), exports=exports)
        with self._state.lock:
            self.all[lease.id] = lease
            over = [one.id for one in self.all.values() if one.state in ("done", "error")]
            for old in over[: max(0, len(self.all) - KEPT)]:
                del self.all[old]
        threading.Thread(target=self._live, args=(lease, make), name=f"lease {lease.id}", daemon=True).start()
        return lease

    def progress(self, lease: Lease, percent: int) -> None:
        """A word from the client, which keeps the lease alive."""
        with self._state.lock:
            self._must_be_open(lease, "ready")
            lease.last, lease.percent = self._state.clock(), percent
            self._state.touch(dirty=False)

    def complete(self, lease: Lease) -> None:
        """The client has sent or read all: the VM is the inventory's, its disks hold what came."""
        with self._state.lock:
            self._must_be_open(lease, "ready")
            self._datastores.volumes.unlock_files(owner=lease.owner)
            self._end(lease, "done")

    def abort(self, lease: Lease, error: Exception) -> None:
        """The client gives up: a VM that was to be imported goes, with its disks."""
        with self._state.lock:
            self._must_be_open(lease, "ready", "initializing")
            self._undo(lease, error)

    def die(self, lease: Lease) -> None:
        """The host gives up on a client."""
        with self._state.lock:
            if lease.state == "ready":
                self._undo(lease, Timedout("Operation timed out."))

    def clear(self) -> None:
        """The host goes down: leases are forgotten, and what was half made stays."""
        with self._state.lock:
            for lease in self.all.values():
                self._datastores.volumes.unlock_files(owner=lease.owner)
                if lease.state in ("initializing", "ready"):
                    lease.state = "error"
            self.all.clear()

    def receive(self, lease: Lease, slot: Slot, read: Callable[[int], bytes]) -> None:
        """Fill a disk from a streamOptimized VMDK; BadStream, LeaseOver. A disk that did not come whole is empty."""
        path = self._datastores.path_of(slot.disk.path)
        self._datastores.volumes.check_space(path, label=slot.disk.path)
        digest, size = hashlib.sha1(usedforsecurity=False), 0

        def watched(most: int) -> bytes:
            nonlocal size
            piece = read(most)
            digest.update(piece)
            size += len(piece)
            with self._state.lock:
                if lease.state != "ready":
                    raise LeaseOver("the lease is over")
                lease.last = self._state.clock()
            return piece

        # The file is held open: when the lease ends meanwhile it is gone, and must not come back.
        with flat_of(path).open("r+b") as data:
            data.truncate(0)
            data.truncate(slot.disk.capacity)
            try:
                populated = _fill(data, slot.disk.capacity, StreamVmdk(watched))
            except Exception:
                data.truncate(0)
                data.truncate(slot.disk.capacity)
                raise
        while watched(1 << 16):
            pass
        slot.sha1, slot.size, slot.populated = digest.hexdigest(), size, populated

    def send(self, lease: Lease, slot: Slot, write: Callable[[bytes], None]) -> None:
        """Hand out a disk as a streamOptimized VMDK; LeaseOver."""
        path = self._datastores.path_of(slot.disk.path)
        digest, size, populated = hashlib.sha1(usedforsecurity=False), 0, 0
        with flat_of([path, *ancestors(path)][-1]).open("rb") as data:
            for piece, held in stream(data, slot.disk.capacity, slot.target_id):
                with self._state.lock:
                    if lease.state != "ready":
                        raise LeaseOver("the lease is over")
                    lease.last = self._state.clock()
                write(piece)
                digest.update(piece)
                size, populated = size + len(piece), populated + held
        slot.sha1, slot.size, slot.populated = digest.hexdigest(), size, populated

    def _live(self, lease: Lease, make: Callable[[], Vm]) -> None:
        """From the VM's making to the lease's end, in a thread of its own."""
        state = self._state
        try:
            with state.lock:
                lease.vm = make()
                lease.slots = [_slot(lease.vm, disk, number) for number, disk in enumerate(lease.vm.disks)]
                if lease.state != "initializing":
                    self._drop(lease)
                    return
                disks = [self._datastores.path_of(disk.path) for disk in lease.vm.disks]
                held, read = ([], disks) if lease.exports else (disks, [])
                self._datastores.volumes.lock_files(held, owner=lease.owner, reads=read)
                lease.state, lease.last = "ready", state.clock()
                state.touch(dirty=False)
        except Exception as error:
            with state.lock:
                lease.error = lease.error or error
                self._end(lease, "error")
            return
        while lease.state == "ready":
            with state.changed:
                state.changed.wait(TICK)
            if state.clock() - lease.last > LEASE_SECONDS:
                self.die(lease)

    def _undo(self, lease: Lease, error: Exception) -> None:
        self._datastores.volumes.unlock_files(owner=lease.owner)
        lease.error = error
        self._end(lease, "error")
        with suppress(Refusal):
            self._drop(lease)

    def _drop(self, lease: Lease) -> None:
        """What was half imported goes; what was to be exported is somebody's."""
        if not lease.exports and lease.vm is not None and lease.vm.moid in self._state.registered_vms:
            self._vms.destroy(lease.vm)

    def _end(self, lease: Lease, state: str) -> None:
        lease.state = state
        self._state.touch(dirty=False)

    def _must_be_open(self, lease: Lease, *states: str) -> None:
        if lease.state not in states:
            if isinstance(lease.error, Timedout):
                raise Timedout("Operation timed out.")
            raise InvalidState("The operation is not allowed in the current state.")


def _slot(vm: Vm, disk: VmDisk, number: int) -> Slot:
    # The IDE controllers are there with every VM.
    kind = vm.controllers.get(disk.controller, "VirtualIDEController")
    name = f"{kind}{disk.controller % 100}:{disk.unit}"
    return Slot(f"disk-{number}.vmdk", f"/{vm.moid}/{name}", f"/{vm.name}/{name}", disk)


def _fill(data: BinaryIO, capacity: int, stream: StreamVmdk) -> int:
    if stream.header.capacity > capacity:
        raise BadStream(f"a disk of {stream.header.capacity} bytes for one of {capacity}")
    populated = 0
    for place, content in stream.grains():
        # Zeros stay holes: the rehearsal's disks live in memory.
        if content.strip(b"\0"):
            data.seek(place)
            data.write(content)
            populated += len(content)
    return populated
