"""What is asked of an ESXi host only when it matters, beside the one look: each answer is a session of its own."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from homelab.errors import Unreachable
from homelab.lab import EsxiHost
from homelab.ports.esxi.disk_bytes import read_ends
from homelab.ports.esxi.shell import SERVICE as SSH
from homelab.ports.esxi.shell import BootLook, esxi_shell, look_at_boot
from homelab.ports.files.home import HomeFiles
from homelab.ports.files.ssh_notes import ssh_left_on
from homelab.ports.looks import Looks
from homelab.ports.ssh import Shell
from homelab.ports.vsphere import DiskLook, HostLook
from homelab.ports.vsphere.coredump import dump_file
from homelab.ports.vsphere.folders import Folder, list_folder
from homelab.ports.vsphere.hosts import HostEvent, installation_id, installed_vibs, maintenance_events
from homelab.ports.vsphere.kept_sessions import KeptSessions
from homelab.ports.vsphere.local_storage import DiskContents, boot_disks, contents_of
from homelab.ports.vsphere.session import Session
from homelab.ports.vsphere.storage import disk_whole, file_size, small_file

FOLDER_SECONDS = 60.0
T = TypeVar("T")


@dataclass(frozen=True)
class HostReader:
    """Reads one host. Nothing is switched on for a look: what only the shell tells is None where SSH is off."""

    host: EsxiHost
    files: HomeFiles
    note: Callable[[str], None]
    progress: Callable[[str, float], Callable[[str], None]]
    look: Callable[[], HostLook]
    sessions: KeptSessions
    lying: Looks[Any]

    def _session(self) -> AbstractContextManager[Session]:
        return self.sessions.use(self.host)

    def _shell(self) -> AbstractContextManager[Shell]:
        return esxi_shell(self.host, True, self.files, self.note)

    @property
    def _ssh_runs(self) -> bool:
        return self.look().services.get(SSH, False)

    def ssh_left_on(self) -> bool:
        """Whether SSH is on because an earlier run switched it on, and was kept from switching it off."""
        return self._ssh_runs and ssh_left_on(self.files, self.host.name, self.look().boot_time)

    def vibs(self) -> tuple[str, ...]:
        """The software packages."""
        with self._session() as session:
            return installed_vibs(session)

    def boot(self) -> BootLook | None:
        """What the shell tells of the next boot; None where SSH is off."""
        if not self._ssh_runs:
            return None
        with self._shell() as shell:
            return look_at_boot(shell)

    def maintenance_events(self, since: datetime) -> tuple[HostEvent, ...]:
        """Every entering and leaving of maintenance mode since a time."""
        with self._session() as session:
            return maintenance_events(session, since)

    def contents(self, disk: DiskLook) -> DiskContents:
        """What is on a disk; its bytes only where SSH runs."""
        runs = self._ssh_runs
        with self._session() as session:
            found = contents_of(session, disk)
        if not runs or found.partitions or not disk.size:
            return found
        try:
            with self._shell() as shell:
                return replace(found, data=read_ends(shell, disk.path, disk.size))
        except Unreachable:
            return found

    def boot_disks(self) -> frozenset[str]:
        """The names of the disks that the host booted from."""
        with self._session() as session:
            return boot_disks(session)

    def dump_file(self) -> str:
        """The file that the host writes core dumps to, or was told to; empty when there is none."""
        with self._session() as session:
            return dump_file(session)

    def installation_id(self) -> str:
        """The id that the installation got on its boot medium; a copied stick has its original's."""
        with self._session() as session:
            return installation_id(session)

    def file_size(self, datastore: str, path: str) -> int | None:
        """The size in bytes of a file of a datastore, seen through the host; None when there is none."""
        return self._lies("size", datastore, path, lambda session: file_size(session, datastore, path))

    def has_file(self, datastore: str, path: str) -> bool:
        """Whether a datastore, seen through the host, has a file with something in it."""
        return bool(self.file_size(datastore, path))

    def disk_whole(self, datastore: str, path: str) -> bool:
        """Whether a disk lies on a datastore, with all its data."""
        return self._lies("disk", datastore, path, lambda session: disk_whole(session, datastore, path))

    def folder(self, datastore: str, path: str) -> Folder | None:
        """What lies in a folder of a datastore, seen through the host; None when there is no such folder."""
        progress = self.progress(f"[{datastore}] {path} is looked into", FOLDER_SECONDS)

        def ask(session: Session) -> Folder | None:
            return list_folder(session, datastore, path, seconds=FOLDER_SECONDS, progress=progress)

        return self._lies("folder", datastore, path, ask)

    def small_file(self, datastore: str, path: str) -> bytes | None:
        """What a small file of a datastore holds, seen through the host; None when there is none."""
        return self._lies("file", datastore, path, lambda session: small_file(session, datastore, path))

    def _lies(self, what: str, datastore: str, path: str, question: Callable[[Session], T]) -> T:
        """What lies on a datastore is asked for once, until anything is written anywhere."""
        name = f"{what} {self.host.name} [{datastore}] {path}"
        # In a tuple, for None is an answer too.
        found: tuple[T] = self.lying.get(name, lambda: (self.sessions.ask(self.host, question),))
        return found[0]
