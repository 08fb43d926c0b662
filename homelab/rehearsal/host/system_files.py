"""The own files of a simulated host that boots from a stick: scratch, logs, core dumps, host cache."""

import re
from pathlib import Path

from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.mounts import VmfsMount
from homelab.rehearsal.state.parts import NO_SCRATCH, SCRATCH
from homelab.rehearsal.state.refusals import InvalidArgument, NoDiskSpace, NotFound, ResourceInUse
from homelab.rehearsal.storage.datastores import MIB, VOLUMES, Datastores

LOG_DIR, LOG_UNIQUE = "Syslog.global.logDir", "Syslog.global.logDirUnique"
DEFAULT_LOGS = "[] /scratch/log"
DUMPS = "vmkdump"
# Always of one size here; a real host asks its memory.
DUMP_BYTES = 2560 * MIB


class SystemFiles:
    """What a host puts on datastores for itself."""

    def __init__(self, state: HostState, datastores: Datastores) -> None:
        self._state, self._datastores = state, datastores

    def find_scratch(self) -> None:
        """What a boot makes of the configured scratch: without that folder, scratch is in memory."""
        wanted = str(self._state.advanced["ScratchConfig.ConfiguredScratchLocation"])
        self._state.advanced[SCRATCH] = wanted if self._datastores.folder_at(wanted) else NO_SCRATCH

    @property
    def logs_persist(self) -> bool:
        """Whether the logs outlive the next boot: they lie in a folder of a datastore that can be reached."""
        wanted = str(self._state.advanced[LOG_DIR])
        return (
            self._datastores.folder_at(str(self._state.advanced[SCRATCH]) if wanted in ("", DEFAULT_LOGS) else wanted)
            is not None
        )

    def configure_cache(self, datastore: str, mib: int) -> None:
        """Give the host that much of a datastore to swap to; 0 takes it away.

        NotFound; InvalidArgument when it lies on no SSD; NoDiskSpace.
        """
        with self._state.lock:
            mount = self._datastores.mounts.get(datastore)
            if mount is None:
                raise NotFound(f"Unable to find datastore '{datastore}'")
            if not isinstance(mount, VmfsMount) or not self._state.disks[mount.disk].ssd or mib < 0:
                raise InvalidArgument("A specified parameter was not correct: spec", invalidProperty="spec")
            file = mount.volume.path / self._state.stick_uuid / "hostCache" / "hostCache.vswp"
            before = self._state.settings.cache_mib.get(datastore, 0)
            if (mib - before) * MIB > self._datastores.volumes.space(mount.volume)[1]:
                raise NoDiskSpace(f"Insufficient disk space on datastore '{datastore}'.", datastore=datastore, file="")
            _take(file, mib * MIB)
            if mib:
                self._state.settings.cache_mib[datastore] = mib
            else:
                self._state.settings.cache_mib.pop(datastore, None)
            self._state.touch()

    def add_dump_file(self, datastore: str | None, name: str | None, size: int | None) -> str:
        """Make a file for core dumps on a VMFS; its path. InvalidArgument where there is no VMFS of that name."""
        with self._state.lock:
            mounts = [
                mount
                for mount in self._datastores.vmfs_mounts()
                if datastore in (None, mount.name, mount.volume.directory)
            ]
            if not mounts:
                raise InvalidArgument(f"Unable to find a VMFS datastore {datastore or 'for the dump file'}")
            folder = mounts[0].volume.path / DUMPS
            file = folder / f"{name or self._state.stick_uuid.upper()}.dumpfile"
            label = f"[{mounts[0].name}] {DUMPS}/{file.name}"
            if file.exists():
                raise ResourceInUse(f"The file {label} exists already", type="Datastore", name=file.name)
            self._datastores.volumes.check_space(file, label=label, size=size or DUMP_BYTES)
            _take(file, size or DUMP_BYTES)
            self._state.touch(dirty=False)
            return self._dump_path(mounts[0], file)

    def dump_files(self) -> dict[str, Path]:
        """Every file for core dumps by its path."""
        return {
            self._dump_path(mount, file): file
            for mount in self._datastores.vmfs_mounts()
            for file in sorted(mount.volume.path.glob(f"{DUMPS}/*.dumpfile"))
        }

    def use_dump_file(self, path: str, *, active: bool = True) -> None:
        """Configure a file for core dumps, none for an empty path; NotFound."""
        with self._state.lock:
            known = self.dump_files()
            found = next((one for one in known if one == path or known[one] == self._real(path)), "")
            if path and not found:
                raise NotFound(f"Unable to find the dump file {path}")
            self._state.settings.dump_file, self._state.settings.dump_active = found, bool(found) and active
            self._state.touch()

    def _real(self, path: str) -> Path | None:
        found = self._datastores.located(path)
        return found[0].volume.path / found[1] if found else None

    def _dump_path(self, mount: VmfsMount, file: Path) -> str:
        return f"{VOLUMES}/{mount.volume.directory}/{DUMPS}/{file.name}"


def _take(file: Path, size: int) -> None:
    """Let a file have a size without writing it; none for nothing."""
    if not size:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as opened:
        opened.truncate(size)


def is_path(value: str) -> bool:
    """Whether a value can name a place for scratch or logs."""
    return value == "" or re.match(r"/|\[[^\]]*\]", value) is not None
