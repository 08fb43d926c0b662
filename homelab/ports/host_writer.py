"""What the host steps write to an ESXi host: the words; over the API or, where that only reads, over SSH.

`ApiWriter` speaks vSphere. `ShellWriter` types the same in the host's shell: the free licence, and an evaluation that
has ended, refuse every write over the API and none there (esxi-facts, Licence).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from homelab.errors import Refused
from homelab.lab import NfsServer

Progress = Callable[[str], None]
Option = str | int | bool


@dataclass(frozen=True)
class NfsMount:
    """An export as one datastore, letter by letter as the host is given it; `nas` names the server to people."""

    nas: str
    server: str
    share: str
    datastore: str
    version: str = "3"
    writable: bool = True

    @classmethod
    def of(cls, nas: NfsServer) -> "NfsMount":
        """The mount that the inventory asks for."""
        return cls(nas.name, nas.server, nas.export, nas.datastore, nas.version)


def check_no_vmkernel(where: str, port_group: str, nics: Sequence[str]) -> None:
    """Refused when vmkernel NICs are on a port group that is to change its VLAN: the host would be cut off."""
    if nics:
        raise Refused(
            f"the port group {port_group} carries {', '.join(nics)} of the host itself; another VLAN would cut it off",
            where=where,
            advice="Give the VMs a port group of their own (vm_network), or change the VLAN at the console "
            "(F2, Configure Management Network)",
        )


class HostWriter(Protocol):
    """Writes to one host. Every method raises HostFault with the host's own words, or Unreachable."""

    def mount_nfs(self, mount: NfsMount) -> None:
        """Mount an export under the datastore's name, with these very strings."""

    def unmount(self, mount: NfsMount) -> None:
        """Unmount a datastore, if it still is this very mount; files on it stay. Raises Refused when it is another."""

    def probe(self, datastore: str) -> None:
        """Write, read and delete a small file: a mount can succeed where writing fails.

        Raises Refused where somebody else's file has its name.
        """

    def make_folder(self, datastore: str, path: str) -> None:
        """Make a folder and its parents; nothing happens when it is there."""

    def add_coredump_file(self, datastore: str, name: str) -> None:
        """Have core dumps written to a file on a VMFS datastore; nothing happens where a file is configured already."""

    def set_options(self, options: Mapping[str, Option]) -> None:
        """Set advanced settings."""

    def set_names(self, hostname: str, domain: str, nameservers: Sequence[str]) -> None:
        """Name the host, and say whom it asks for other names; the domains that it searches stay."""

    def set_hostname(self, hostname: str) -> None:
        """Name the host; whom it asks for other names stays as it is, by DHCP or not."""

    def set_time_servers(self, servers: Sequence[str]) -> None:
        """Say whom the host asks for the time; the service starts anew, and with the host from now on."""

    def set_ssh_policy(self, *, on: bool) -> None:
        """Say whether SSH starts with the host."""

    def add_port_group(self, name: str, switch: str, vlan: int) -> None:
        """Add a port group to a standard switch."""

    def set_vlan(self, name: str, switch: str, vlan: int) -> None:
        """Put a port group on a VLAN; its other settings stay.

        Raises Refused for one that carries a vmkernel NIC: the host would be cut off.
        """

    def enter_maintenance(self, seconds: float, progress: Progress) -> None:
        """Enter maintenance mode; no VM runs."""

    def exit_maintenance(self, seconds: float, progress: Progress) -> None:
        """Leave maintenance mode."""

    def reboot(self) -> None:
        """Begin a clean reboot, which keeps the configuration; the connection dies with it."""
