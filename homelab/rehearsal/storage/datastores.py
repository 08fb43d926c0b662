"""The datastores of one simulated host: mounting, unmounting, formatting, reaching. Knows no protocol."""

from contextlib import suppress
from pathlib import Path

from homelab.rehearsal.state.disks import LEFTOVER, Disk, Partition, esxi_uuid
from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.mounts import Mount, NasMount, VmfsMount
from homelab.rehearsal.state.parts import SCRATCH
from homelab.rehearsal.state.refusals import (
    AlreadyExists,
    DatastoreAway,
    DuplicateName,
    FileLocked,
    FileNotFound,
    HostConfigFault,
    InvalidArgument,
    NotFound,
    ResourceInUse,
)
from homelab.rehearsal.state.vm import Vm
from homelab.rehearsal.storage.deltas import ancestors
from homelab.rehearsal.storage.paths import join, split
from homelab.rehearsal.storage.volumes import Volumes

VOLUMES = "/vmfs/volumes"
MIB = 1 << 20
# What an empty VMFS of each version takes of its partition.
OVERHEAD = {5: 972 * MIB, 6: 1444 * MIB}
BLOCK = 256 * MIB


class Datastores:
    """What a host has mounted, by name, from the network and from its own disks."""

    def __init__(self, state: HostState, volumes: Volumes) -> None:
        self._state, self.volumes = state, volumes
        self.mounts: dict[str, Mount] = {}
        self._formats = 0

    def mount_nas(self, server: str, share: str, name: str, *, read_only: bool = False, kind: str = "NFS") -> NasMount:
        """Mount an export under a name; AlreadyExists, DuplicateName, NasRefused with ESXi's sysinfo text."""
        with self._state.lock:
            for mount in self.mounts.values():
                if isinstance(mount, NasMount) and (mount.server, mount.share) == (server, share):
                    raise AlreadyExists(
                        f"{server}:{share} is already exported by a volume with the name {mount.name}", name=mount.name
                    )
            self._check_name(name)
            volume = self.volumes.mount(server, share, client=self._state.settings.network.address)
            made = NasMount(name, volume, "readOnly" if read_only else "readWrite", kind, server, share)
            self.mounts[name] = made
            self._state.journal.add("NASDatastoreCreatedEvent", f"Created NAS datastore {name}")
            self._state.touch()
            return made

    def unmount_nas(self, name: str) -> None:
        """Unmount an NFS datastore; NotFound, or ResourceInUse while a registered VM lies on it."""
        with self._state.lock:
            if not isinstance(self.mounts.get(name), NasMount):
                raise NotFound(f"Volume {name} not found")
            if any(uses(vm, name) for vm in self._state.registered_vms.values()):
                raise ResourceInUse("NFS Error: Unable to Unmount filesystem: Busy.", type="Datastore", name=name)
            del self.mounts[name]
            self._state.journal.add("DatastoreRemovedOnHostEvent", f"Removed datastore {name}")
            self._state.touch()

    def create_vmfs(self, disk: Disk, wanted: list[Partition], number: int, name: str, version: int) -> VmfsMount:
        """Lay down a partition table, format one of its partitions, mount it; whatever is not in the table is gone.

        DuplicateName; InvalidArgument for a table that does not fit, cuts what is there, or has no new partition of
        that number; HostConfigFault for a disk that takes no VMFS.
        """
        with self._state.lock:
            self._check_name(name)
            partition = next((one for one in wanted if one.number == number and one.kind == "vmfs"), None)
            if version not in OVERHEAD:
                raise InvalidArgument("A specified parameter was not correct: majorVersion", invalidProperty="vmfs")
            if disk.boot or disk.model.usb or disk.vmfs:
                raise HostConfigFault(f"Unable to create Filesystem on {disk.canonical_name}: Device or resource busy")
            if partition is None or partition in disk.partitions or not disk.fits(wanted):
                raise InvalidArgument("A specified parameter was not correct: partition", invalidProperty="partition")
            if partition.size < 2 * OVERHEAD[version]:
                raise HostConfigFault("Failed to create VMFS: the partition is too small", name=name)
            disk.format, disk.partitions, disk.content = "gpt", list(wanted), {}
            return self._format(disk, partition, name, version)

    def _format(self, disk: Disk, partition: Partition, name: str, version: int) -> VmfsMount:
        # No id comes twice: the next VMFS on the same partition is another one.
        self._formats += 1
        uuid = esxi_uuid(self._state.name, disk.canonical_name, self._formats)
        volume = self.volumes.format_local(uuid, partition.size // BLOCK * BLOCK, OVERHEAD[version])
        made = VmfsMount(name, volume, "readWrite", "VMFS", disk.canonical_name, partition.number, version)
        self.mounts[name] = made
        self._state.journal.add("VMFSDatastoreCreatedEvent", f"Created VMFS datastore {name}")
        self._state.touch(dirty=False)
        return made

    def remove_vmfs(self, name: str) -> None:
        """Delete a VMFS with all on it; NotFound, or ResourceInUse while VMs, the host cache, logs or dumps use it."""
        with self._state.lock:
            mount = self.mounts.get(name)
            if not isinstance(mount, VmfsMount):
                raise NotFound(f"Volume {name} not found")
            if any(uses(vm, name) for vm in self._state.registered_vms.values()) or self._serves_host(mount):
                raise ResourceInUse(f"The resource '{name}' is in use.", type="Datastore", name=name)
            disk = self._state.disks[mount.disk]
            disk.partitions = [one for one in disk.partitions if one.number != mount.partition]
            self.volumes.wipe_local(mount.volume)
            del self.mounts[name]
            self._state.journal.add("DatastoreRemovedOnHostEvent", f"Removed datastore {name}")
            self._state.touch(dirty=False)

    def leave_vmfs(self, disk: Disk, name: str = LEFTOVER) -> VmfsMount:
        """Have a VMFS on a disk as an earlier installation left it: ESXi mounts it by itself."""
        with self._state.lock:
            disk.format, disk.partitions, disk.content = "gpt", [disk.whole], {}
            return self._format(disk, disk.whole, name, 5)

    def accessible(self, mount: Mount) -> bool:
        """Whether the datastore's server or disk answers."""
        return not isinstance(mount, NasMount) or self.volumes.nas.answers_at(mount.server)

    def nas_mounts(self) -> list[NasMount]:
        """The datastores that come from the network."""
        return [mount for mount in self.mounts.values() if isinstance(mount, NasMount)]

    def vmfs_mounts(self) -> list[VmfsMount]:
        """The datastores on the host's own disks."""
        return [mount for mount in self.mounts.values() if isinstance(mount, VmfsMount)]

    def located(self, path: str) -> tuple[Mount, str] | None:
        """The datastore, and the path inside of it, of `/vmfs/volumes/NAME/...` or `[NAME] ...`; None for others."""
        if path.startswith("["):
            name, _, rest = path[1:].partition("]")
        else:
            parts = [part for part in path.split("/") if part not in ("", ".")]
            if not path.startswith("/") or parts[:2] != VOLUMES.strip("/").split("/") or len(parts) < 3:
                return None
            name, rest = parts[2], "/".join(parts[3:])
        mount = next((one for one in self.mounts.values() if name in (one.name, one.volume.directory)), None)
        return None if mount is None or ".." in rest.split("/") else (mount, rest.strip().strip("/"))

    def datastore_path(self, path: str) -> str:
        """A path below /vmfs/volumes as `[NAME] path`; the path itself where the host has no such volume."""
        found = self.located(path)
        return join(found[0].name, found[1]) if found else path

    def shell_path(self, path: str) -> str:
        """`[NAME] path` as a path below /vmfs/volumes, by the volume's own directory."""
        store, rest = split(path)
        mount = self.mounts.get(store)
        return f"{VOLUMES}/{mount.volume.directory if mount else store}/{rest}"

    def folder_at(self, path: str) -> Path | None:
        """The folder of a datastore that a setting names, None where none can be reached."""
        found = self.located(path)
        if found is None or not self.accessible(found[0]):
            return None
        folder = found[0].volume.path / found[1]
        return folder if folder.is_dir() else None

    def _serves_host(self, mount: VmfsMount) -> bool:
        paths = [
            str(self._state.advanced[SCRATCH]),
            str(self._state.advanced["Syslog.global.logDir"]),
            self._state.settings.dump_file,
        ]
        on_it = [found for found in map(self.located, paths) if found and found[0] is mount]
        return bool(on_it) or mount.name in self._state.settings.cache_mib

    def _check_name(self, name: str) -> None:
        if name in self.mounts:
            raise DuplicateName(f"The name '{name}' already exists.", name=name)

    def folder_of(self, datastore: str) -> Path:
        """The folder behind a datastore; NotFound, or DatastoreAway while its server does not answer."""
        mount = self.mounts.get(datastore)
        if not mount:
            raise NotFound(f"Unable to find datastore '{datastore}'")
        if not self.accessible(mount):
            raise DatastoreAway(f"Unable to access file [{datastore}]", file=f"[{datastore}]")
        return mount.volume.path

    def path_of(self, datastore_path: str) -> Path:
        """The file behind `[NAME] path`; NotFound, DatastoreAway, InvalidDatastorePath."""
        store, path = split(datastore_path)
        return self.volumes.resolve(self.folder_of(store), path)

    def label_of(self, file: Path) -> str:
        """The datastore path of a file."""
        for mount in self.mounts.values():
            if file.is_relative_to(mount.volume.path):
                return join(mount.name, str(file.relative_to(mount.volume.path)))
        return file.name

    def parents_of(self, path: str) -> tuple[str, ...]:
        """The datastore paths of the disks that a disk sits on, nearest first."""
        return tuple(self.label_of(parent) for parent in ancestors(self.path_of(path)))

    def delete_chain(self, path: str) -> None:
        """Delete a disk and all that it sits on; a parent that another VM uses just now stays."""
        top = self.path_of(path)
        parents = ancestors(top)
        if top.exists():
            self.volumes.delete_disk(top, label=path)
        for parent in parents:
            with suppress(FileNotFound, FileLocked):
                self.volumes.delete_disk(parent, label=self.label_of(parent))


def uses(vm: Vm, datastore: str) -> bool:
    """Whether any file of a VM lies on a datastore: also one that a disk of its sits on."""
    disks = [path for disk in vm.disks for path in (disk.path, *disk.parents)]
    paths = [vm.vmx_path, *disks, *(drive.iso or "" for drive in vm.cdroms)]
    return any(path.startswith(f"[{datastore}]") for path in paths)
