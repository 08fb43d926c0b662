"""Disks that belong to no VM and have a name of their own: making, finding and deleting them."""

import uuid
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pyVmomi import vim

from homelab.rehearsal.soap.managed import Managed, ref, writes
from homelab.rehearsal.soap.taken import refuse_rest
from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.state.disks import FirstClassDisk
from homelab.rehearsal.state.refusals import InvalidArgument, NotFound
from homelab.rehearsal.storage.disk_files import is_thin
from homelab.rehearsal.storage.paths import join, split

FOLDER = "fcd"
# What is taken of a VslmCreateSpec.
TAKEN = ("name", "capacityInMB", *(f"backingSpec.{name}" for name in ("datastore", "path", "provisioningType")))
MIB = 1 << 20


class HostVStorageObjectManager(Managed):
    """First class disks; their snapshots, copies and metadata are not simulated."""

    moid = "ha-vstorage-object-manager"

    @writes
    def HostCreateDisk_Task(self, spec: Any) -> Any:
        """A new disk, in the folder `fcd` unless the specification names another place."""
        backing = spec.backingSpec
        refuse_rest(spec, TAKEN, harmless={"keepAfterDeleteVm": (True,)})
        store = self._store(backing.datastore)
        identity = str(uuid.uuid4())
        folder = join(store, backing.path or FOLDER)
        path = f"{folder}/{identity}.vmdk"
        datastores = self._host.datastores
        if spec.capacityInMB < 1:
            raise InvalidArgument("A specified parameter was not correct: capacityInMB", invalidProperty="spec")
        datastores.path_of(folder).mkdir(exist_ok=True)
        thin = getattr(backing, "provisioningType", None) in (None, "thin")
        datastores.volumes.create_disk(datastores.path_of(path), spec.capacityInMB * MIB, thin=thin, label=path)
        return self._keep(identity, spec.name, path)

    @writes
    def HostRegisterDisk(self, path: str, name: str | None, modifyControlFlags: bool | None, id: Any) -> Any:
        """A disk that is there becomes one of these; `path` is its address below /folder."""
        if modifyControlFlags:
            raise fault("NotSupported", "HostRegisterDisk.modifyControlFlags is not part of the rehearsal")
        parts = urlsplit(path)
        store = parse_qs(parts.query).get("dsName", [""])[0]
        place = join(store, unquote(parts.path).removeprefix("/folder/"))
        self._host.datastores.volumes.capacity(self._host.datastores.path_of(place), label=place)
        if any(disk.path == place for disk in self._disks.values()):
            raise fault("AlreadyExists", f"The disk {place} is registered.", name=place)
        stem = place.rpartition("/")[2].removesuffix(".vmdk")
        return self._keep(id.id if id else str(uuid.uuid4()), name or stem, place)

    def HostListVStorageObject(self, datastore: Any) -> Any:
        """The ids of a datastore's disks."""
        store = self._store(datastore)
        return [vim.vslm.ID(id=key) for key, disk in self._disks.items() if split(disk.path)[0] == store]

    def HostRetrieveVStorageObject(self, id: Any, datastore: Any, diskInfoFlags: Any) -> Any:
        """One disk; NotFound."""
        self._disk(id, datastore)
        return self._object(id.id)

    @writes
    def HostRenameVStorageObject(self, id: Any, datastore: Any, name: str) -> None:
        """Another name."""
        with self._host.lock:
            self._disk(id, datastore).name = name
            self._host.touch()

    @writes
    def HostDeleteVStorageObject_Task(self, id: Any, datastore: Any, isLcParentAttached: Any) -> None:
        """Delete a disk with its files; NotFound."""
        found = self._disk(id, datastore)
        self._host.datastores.volumes.delete_disk(self._host.datastores.path_of(found.path), label=found.path)
        with self._host.lock:
            del self._disks[id.id]
            self._host.touch()

    @property
    def _disks(self) -> dict[str, FirstClassDisk]:
        return self._host.settings.first_class_disks

    def _disk(self, identity: Any, datastore: Any) -> FirstClassDisk:
        found = self._disks.get(identity.id)
        if found is None or split(found.path)[0] != self._store(datastore):
            raise NotFound("The object or item referred to could not be found.")
        return found

    def _keep(self, identity: str, name: str, path: str) -> Any:
        with self._host.lock:
            self._disks[identity] = FirstClassDisk(name, path, self._host.now())
            self._host.touch()
        return self._object(identity)

    def _object(self, identity: str) -> Any:
        disk = self._disks[identity]
        datastores = self._host.datastores
        capacity = datastores.volumes.capacity(datastores.path_of(disk.path), label=disk.path)
        kind = vim.vslm.BaseConfigInfo.DiskFileBackingInfo
        backing = kind(
            datastore=ref("Datastore", datastores.mounts[split(disk.path)[0]].moref),
            filePath=disk.path,
            provisioningType="thin" if is_thin(datastores.path_of(disk.path)) else "lazyZeroedThick",
        )
        config = vim.vslm.VStorageObject.ConfigInfo(
            id=vim.vslm.ID(id=identity),
            name=disk.name,
            createTime=disk.made,
            backing=backing,
            capacityInMB=capacity // MIB,
            consumptionType=["disk"],
        )
        return vim.vslm.VStorageObject(config=config)

    def _store(self, datastore: Any) -> str:
        mounts = self._host.datastores.mounts.values()
        found = next((mount.name for mount in mounts if mount.moref == datastore._moId), None)
        if found is None:
            raise fault("ManagedObjectNotFound", "The datastore is gone", obj=datastore)
        return found
