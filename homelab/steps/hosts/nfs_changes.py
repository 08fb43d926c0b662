"""What the step `nfs-datastore` may change on a host, and the commands that undo it."""

from dataclasses import dataclass

from homelab.engine.step import Change, Words
from homelab.formats.nfs.volume import volume_directory
from homelab.ports.host_writer import NfsMount


@dataclass(frozen=True)
class MountNfs(Change):
    """Mount an export on one host."""

    wanted: NfsMount

    def _words(self) -> Words:
        return Words(
            sentence=self._sentence,
            reason=f"{self.target} has no datastore {self.wanted.datastore}",
            undo=f"{removal(self.wanted)} on {self.target}",
            after=told(self.wanted),
        )

    @property
    def _sentence(self) -> str:
        wanted = self.wanted
        what = f"{wanted.server}:{wanted.share} as datastore {wanted.datastore}"
        return f"mount {what} on {self.target} and write a probe file"


@dataclass(frozen=True)
class Remount(Change):
    """Unmount what is mounted under other strings, and mount the inventory's; nothing uses it."""

    found: NfsMount
    wanted: NfsMount
    disruptive = True

    def _words(self) -> Words:
        return Words(
            sentence=self._sentence,
            reason="ESXi tells datastores apart by every letter of server and path, and by the version of NFS",
            undo=f"{removal(self.wanted)}, then {addition(self.found)}",
            before=self._before,
            after=f"{self.wanted.datastore}: {told(self.wanted)}",
        )

    @property
    def _sentence(self) -> str:
        wanted = self.wanted
        return (
            f"unmount {self.found.datastore} on {self.target} and mount {wanted.server}:{wanted.share} as "
            f"{wanted.datastore} in its place; nothing uses it, and no file is lost"
        )

    @property
    def _before(self) -> str:
        read_only = "" if self.found.writable else ", read-only"
        return f"{self.found.datastore}: {told(self.found)}, NFS {self.found.version}{read_only}"


def told(mount: NfsMount) -> str:
    """An export, and the volume that ESXi makes of its letters."""
    return f"{mount.server}:{mount.share} (volume {volume_directory(mount.server, mount.share)})"


def removal(mount: NfsMount) -> str:
    """The command that takes a mount away."""
    return f"esxcli storage {'nfs' if mount.version == '3' else 'nfs41'} remove --volume-name={mount.datastore}"


def addition(mount: NfsMount) -> str:
    """The command that mounts it."""
    space, host = ("nfs", "--host") if mount.version == "3" else ("nfs41", "--hosts")
    words = [f"{host}={mount.server}", f"--share={mount.share}", f"--volume-name={mount.datastore}"]
    words += [] if mount.writable else ["--readonly"]
    return f"esxcli storage {space} add {' '.join(words)}"
