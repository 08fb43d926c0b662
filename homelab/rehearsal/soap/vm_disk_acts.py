"""What a change of a VM does to disks: taken back when the change is refused, and nothing is lost before it holds."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.state.refusals import Refusal
from homelab.rehearsal.state.vm import Vm
from homelab.rehearsal.storage.disk_changes import check_extend
from homelab.rehearsal.vms.states import owner_of


class DiskActs:
    """The acts of one change. Either `keep` or `take_back` ends it; call with the host's lock held."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._made: list[str] = []
        self._folders: list[Path] = []
        self._doomed: list[str] = []
        self._later: list[Callable[[], None]] = []

    def made(self, path: str) -> None:
        """A disk was made."""
        self._made.append(path)

    def make_folder(self, path: Path) -> None:
        """Make a folder for a disk where there is none."""
        if not path.exists():
            path.mkdir(parents=True)
            self._folders.append(path)

    def doom(self, path: str) -> None:
        """Delete a disk, and what it sits on, once the change holds; what speaks against it is told now."""
        file, volumes = self._host.datastores.path_of(path), self._host.datastores.volumes
        volumes.check_writable(file, label=path)
        volumes.check_unlocked(file, label=path)
        self._doomed.append(path)
        self._later.append(partial(self._host.datastores.delete_chain, path))

    def is_doomed(self, path: str) -> bool:
        """Whether a disk will be gone once the change holds."""
        files = [self._host.datastores.path_of(one) for one in self._doomed]
        return self._host.datastores.path_of(path) in files

    def extend(self, vm: Vm, path: str, capacity: int) -> None:
        """Grow a disk once the change holds; what speaks against it is told now."""
        file, volumes = self._host.datastores.path_of(path), self._host.datastores.volumes
        check_extend(volumes, file, capacity, label=path, owner=owner_of(self._host, vm))
        self._later.append(partial(self._host.vms.extend_disk, path, capacity, owner=vm))

    def later(self, act: Callable[[], None]) -> None:
        """Something to be done once the change holds."""
        self._later.append(act)

    def keep(self) -> None:
        """The change holds."""
        for act in self._later:
            act()

    def take_back(self) -> None:
        """The change was refused: the disks that it made go, and their folders."""
        for path in reversed(self._made):
            with suppress(Refusal):
                self._host.datastores.volumes.delete_disk(self._host.datastores.path_of(path), label=path)
        for folder in self._folders:
            with suppress(OSError):
                folder.rmdir()
