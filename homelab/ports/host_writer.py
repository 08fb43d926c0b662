"""What the host steps write to an ESXi host: the words; over the API or, where that only reads, over SSH.

`ApiWriter` speaks vSphere. `ShellWriter` types the same in the host's shell: the free licence, and an evaluation that
has ended, refuse every write over the API and none there (esxi-facts, Licence).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from homelab.lab import NfsServer

Progress = Callable[[str], None]
Option = str | int | bool


class HostWriter(Protocol):
    """Writes to one host. Every method raises HostFault with the host's own words, or Unreachable."""

    def mount_nfs(self, nas: NfsServer) -> None:
        """Mount the export under the datastore's name, with the very strings of the inventory."""

    def unmount(self, datastore: str) -> None:
        """Unmount a datastore by its name; files on it stay."""

    def probe(self, datastore: str) -> None:
        """Write, read and delete a small file: a mount can succeed where writing fails."""

    def make_folder(self, datastore: str, path: str) -> None:
        """Make a folder and its parents; nothing happens when it is there."""

    def add_coredump_file(self, datastore: str, name: str) -> None:
        """Have core dumps written to a file on a VMFS datastore; nothing happens where a file is in use already."""

    def set_options(self, options: Mapping[str, Option]) -> None:
        """Set advanced settings."""

    def set_names(self, hostname: str, domain: str, nameservers: Sequence[str]) -> None:
        """Name the host, and say whom it asks for other names."""

    def set_time_servers(self, servers: Sequence[str]) -> None:
        """Say whom the host asks for the time; the service starts anew, and with the host from now on."""

    def set_ssh_policy(self, *, on: bool) -> None:
        """Say whether SSH starts with the host."""

    def add_port_group(self, name: str, switch: str, vlan: int) -> None:
        """Add a port group to a standard switch."""

    def set_vlan(self, name: str, switch: str, vlan: int) -> None:
        """Put a port group on a VLAN."""

    def enter_maintenance(self, seconds: float, progress: Progress) -> None:
        """Enter maintenance mode; no VM runs."""

    def exit_maintenance(self, seconds: float, progress: Progress) -> None:
        """Leave maintenance mode."""

    def reboot(self) -> None:
        """Begin a clean reboot, which keeps the configuration; the connection dies with it."""
