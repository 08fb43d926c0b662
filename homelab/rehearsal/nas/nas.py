"""The NAS itself: what it exports, and whom it refuses what. Hosts ask it here, other clients by its sockets."""

from dataclasses import dataclass, field

from homelab.rehearsal.state.refusals import NasRefused, ReadOnly, RootSquashed

DENIED = "The NFS server denied the mount request"
NO_CONNECTION = "Unable to connect to NFS server"


@dataclass
class Nas:
    """The NAS as hosts meet it: what it exports, and how it misbehaves.

    `refuses` is a sysinfo text that answers every mount; `read_only` lets mounts pass and writes fail; `away` is
    a NAS that does not answer. `denied` are the hosts that the export does not name, `read_only_to` and `squashed`
    those that it does not let write, or not as root: addresses, or names where hosts share one.
    """

    addresses: set[str] = field(default_factory=set)
    exports: set[str] = field(default_factory=set)
    read_only: bool = False
    refuses: str | None = None
    away: bool = False
    full: bool = False
    denied: set[str] = field(default_factory=set)
    read_only_to: set[str] = field(default_factory=set)
    squashed: set[str] = field(default_factory=set)

    def answers_at(self, server: str) -> bool:
        """Whether the NAS can be reached by that name or address."""
        return not self.away and server in self.addresses

    def check_mount(self, server: str, export: str, *clients: str) -> None:
        """NasRefused with ESXi's sysinfo text when the NAS would not serve a mount to a host of those names."""
        if self.refuses:
            raise NasRefused(self.refuses)
        if not self.answers_at(server):
            raise NasRefused(NO_CONNECTION)
        if not self.exports_to(export, *clients):
            raise NasRefused(DENIED)

    def exports_to(self, export: str, *clients: str) -> bool:
        """Whether there is such an export, and it names the client."""
        return export in self.exports and not self.denied & set(clients)

    def check_write(self, client: str, *, label: str) -> None:
        """ReadOnly when the volume is exported read-only, RootSquashed when root is not taken for root."""
        if self.read_only or client in self.read_only_to:
            raise ReadOnly(f"Cannot access file {label}: Read-only file system", file=label)
        if client in self.squashed:
            raise RootSquashed(f"Cannot access file {label}: Permission denied", file=label)
