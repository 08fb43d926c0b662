"""What keeps a simulated host that boots from a stick in order: scratch, logs, core dumps, host cache, its clock."""

import re
from datetime import datetime, timedelta
from pathlib import Path

from homelab.rehearsal.host.harm import Harm
from homelab.rehearsal.host.parts import NO_SCRATCH, SCRATCH, Service, VmfsMount
from homelab.rehearsal.host.refusals import InvalidArgument, NoDiskSpace, NotFound, ResourceInUse
from homelab.rehearsal.storage.mounts import MIB, VOLUMES, MountActions

LOG_DIR, LOG_UNIQUE = "Syslog.global.logDir", "Syslog.global.logDirUnique"
DEFAULT_LOGS = "[] /scratch/log"
DUMPS = "vmkdump"
# Always of one size here; a real host asks its memory.
DUMP_BYTES = 2560 * MIB


class UpkeepActions(MountActions):
    """What a host can do about its own files and its clock; `Host` inherits it."""

    harm: Harm
    services: dict[str, Service]
    boot_time: datetime
    stick_uuid: str

    def find_scratch(self) -> None:
        """What a boot makes of the configured scratch: without that folder, scratch is in memory."""
        wanted = str(self.advanced["ScratchConfig.ConfiguredScratchLocation"])
        self.advanced[SCRATCH] = wanted if self.folder_at(wanted) else NO_SCRATCH

    @property
    def logs_persist(self) -> bool:
        """Whether the logs outlive the next boot: they lie in a folder of a datastore that can be reached."""
        wanted = str(self.advanced[LOG_DIR])
        return self.folder_at(str(self.advanced[SCRATCH]) if wanted in ("", DEFAULT_LOGS) else wanted) is not None

    def read_time(self) -> None:
        """What a start of ntpd does: with a server it puts the clock right, however wrong it is (`ntpd -g`)."""
        if self.services["ntpd"].running and self.settings.ntp_servers:
            self.set_clock(timedelta(0))

    def set_clock(self, skew: timedelta) -> None:
        """Let the clock go that much ahead; the boot's time is told by the clock of now."""
        with self.lock:
            self.boot_time += skew - self.harm.clock_skew
            self.harm.clock_skew = skew
            self.touch(dirty=False)

    def configure_cache(self, datastore: str, mib: int) -> None:
        """Give the host that much of a datastore to swap to; 0 takes it away.

        NotFound; InvalidArgument when it lies on no SSD; NoDiskSpace.
        """
        with self.lock:
            mount = self.mounts.get(datastore)
            if mount is None:
                raise NotFound(f"Unable to find datastore '{datastore}'")
            if not isinstance(mount, VmfsMount) or not self.disks[mount.disk].ssd or mib < 0:
                raise InvalidArgument("A specified parameter was not correct: spec", invalidProperty="spec")
            file = mount.volume.path / self.stick_uuid / "hostCache" / "hostCache.vswp"
            before = self.settings.cache_mib.get(datastore, 0)
            if (mib - before) * MIB > self.volumes.space(mount.volume)[1]:
                raise NoDiskSpace(f"Insufficient disk space on datastore '{datastore}'.", datastore=datastore, file="")
            _take(file, mib * MIB)
            if mib:
                self.settings.cache_mib[datastore] = mib
            else:
                self.settings.cache_mib.pop(datastore, None)
            self.touch()

    def add_dump_file(self, datastore: str | None, name: str | None, size: int | None) -> str:
        """Make a file for core dumps on a VMFS; its path. InvalidArgument where there is no VMFS of that name."""
        with self.lock:
            mounts = [mount for mount in self.vmfs_mounts() if datastore in (None, mount.name, mount.volume.directory)]
            if not mounts:
                raise InvalidArgument(f"Unable to find a VMFS datastore {datastore or 'for the dump file'}")
            folder = mounts[0].volume.path / DUMPS
            file = folder / f"{name or self.stick_uuid.upper()}.dumpfile"
            label = f"[{mounts[0].name}] {DUMPS}/{file.name}"
            if file.exists():
                raise ResourceInUse(f"The file {label} exists already", type="Datastore", name=file.name)
            self.volumes.check_space(file, label=label, size=size or DUMP_BYTES)
            _take(file, size or DUMP_BYTES)
            self.touch(dirty=False)
            return self._dump_path(mounts[0], file)

    def dump_files(self) -> dict[str, Path]:
        """Every file for core dumps by its path."""
        return {
            self._dump_path(mount, file): file
            for mount in self.vmfs_mounts()
            for file in sorted(mount.volume.path.glob(f"{DUMPS}/*.dumpfile"))
        }

    def use_dump_file(self, path: str, *, active: bool = True) -> None:
        """Configure a file for core dumps, none for an empty path; NotFound."""
        with self.lock:
            known = self.dump_files()
            found = next((one for one in known if one == path or known[one] == self._real(path)), "")
            if path and not found:
                raise NotFound(f"Unable to find the dump file {path}")
            self.settings.dump_file, self.settings.dump_active = found, bool(found) and active
            self.touch()

    def _real(self, path: str) -> Path | None:
        found = self.located(path)
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
