"""File systems and the datastores that a simulated host has mounted: plain state, no behaviour."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Volume:
    """A file system: the folder behind it, its name under /vmfs/volumes, and its size where it has one of its own.

    `overhead` is what the file system itself takes of its size.
    """

    path: Path
    directory: str
    capacity: int | None = None
    overhead: int = 0


@dataclass
class Mount:
    """A mounted datastore; `access_mode` is readWrite or readOnly, `kind` NFS, NFS41 or VMFS."""

    name: str
    volume: Volume
    access_mode: str
    kind: str

    @property
    def moref(self) -> str:
        """The datastore's managed object id on a standalone host."""
        return self.volume.directory

    @property
    def file_system(self) -> str:
        """What the shell calls its kind."""
        return self.kind


@dataclass
class NasMount(Mount):
    """A mounted NFS datastore."""

    server: str
    share: str

    @property
    def moref(self) -> str:
        """Server and share."""
        return f"{self.server}:{self.share}"


@dataclass
class VmfsMount(Mount):
    """A VMFS on a local disk: the disk's canonical name, the partition's number, and the VMFS's major version."""

    disk: str
    partition: int
    version: int

    @property
    def file_system(self) -> str:
        """With the version, as `esxcli storage filesystem list` has it."""
        return f"VMFS-{self.version}"
