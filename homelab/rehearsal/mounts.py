"""The datastores of one simulated host: mounting, unmounting, reaching. Knows no protocol."""

import threading
from pathlib import Path

from homelab.rehearsal.journal import Journal
from homelab.rehearsal.parts import NasMount, Vm
from homelab.rehearsal.refusals import AlreadyExists, DatastoreAway, DuplicateName, NotFound, ResourceInUse
from homelab.rehearsal.storage import Volumes


class MountActions:
    """What a host can do about datastores; `Host` inherits it."""

    lock: threading.RLock
    journal: Journal
    address: str
    mounts: dict[str, NasMount]
    vms: dict[str, Vm]
    volumes: Volumes

    def touch(self, *, dirty: bool = True) -> None:
        """Say that something changed; `dirty` if it is configuration that auto-backup must keep."""
        raise NotImplementedError

    def mount_nas(self, server: str, share: str, name: str, *, read_only: bool = False, kind: str = "NFS") -> NasMount:
        """Mount an export under a name; AlreadyExists, DuplicateName, NasRefused with ESXi's sysinfo text."""
        with self.lock:
            for mount in self.mounts.values():
                if (mount.server, mount.share) == (server, share):
                    raise AlreadyExists(
                        f"{server}:{share} is already exported by a volume with the name {mount.name}", name=mount.name
                    )
            if name in self.mounts:
                raise DuplicateName(f"The name '{name}' already exists.", name=name)
            volume = self.volumes.mount(server, share, client=self.address)
            mode = "readOnly" if read_only else "readWrite"
            self.mounts[name] = NasMount(name, server, share, volume, mode, kind)
            self.journal.add("NASDatastoreCreatedEvent", f"Created NAS datastore {name}")
            self.touch()
            return self.mounts[name]

    def unmount_nas(self, name: str) -> None:
        """Unmount a datastore; NotFound, or ResourceInUse while a registered VM lies on it."""
        with self.lock:
            if name not in self.mounts:
                raise NotFound(f"Volume {name} not found")
            if any(_uses(vm, name) for vm in self.vms.values()):
                raise ResourceInUse("NFS Error: Unable to Unmount filesystem: Busy.", type="Datastore", name=name)
            del self.mounts[name]
            self.journal.add("DatastoreRemovedOnHostEvent", f"Removed datastore {name}")
            self.touch()

    def accessible(self, mount: NasMount) -> bool:
        """Whether the datastore's server answers."""
        nas = self.volumes.nas
        return not nas.away and mount.server in nas.addresses

    def _volume(self, datastore: str) -> Path:
        mount = self.mounts.get(datastore)
        if not mount:
            raise NotFound(f"Unable to find datastore '{datastore}'")
        if not self.accessible(mount):
            raise DatastoreAway(f"Unable to access file [{datastore}]", file=f"[{datastore}]")
        return mount.volume.path


def _uses(vm: Vm, datastore: str) -> bool:
    paths = [vm.vmx_path, *(disk.path for disk in vm.disks), *(drive.iso or "" for drive in vm.cdroms)]
    return any(path.startswith(f"[{datastore}]") for path in paths)
