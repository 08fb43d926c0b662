"""Files over an SSH connection, by SFTP: written, renamed, removed one by one. ESXi's sshd has it (sshd_config).

Its own calls are the guards: `remove` takes no folder, `rmdir` none with something in it, and a file that is to be new
is opened so that one that is there is an error.
"""

import errno
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event
from typing import TYPE_CHECKING, BinaryIO

from homelab.errors import HostFault, Interrupted, Refused, Unreachable
from homelab.ports.files.record import recorded
from homelab.ports.ssh import Shell

if TYPE_CHECKING:
    import paramiko

BLOCK = 1 << 18
# What is written may hold secrets (a seed does), and nobody but root has business with it.
MODE = 0o600
Transferred = Callable[[int, int], None]
ADVICE = "For an NFS datastore, check that the export is writable for this host, has no_root_squash and is not full"


class RemoteFiles:
    """Files over a connection. Each call has an SFTP session of its own, and keeps none from others in between."""

    def __init__(self, shell: Shell, stop: Event) -> None:
        self._shell, self._stop = shell, stop

    def write(
        self,
        path: str,
        file: BinaryIO,
        size: int,
        progress: Transferred | None = None,
        *,
        new: bool = False,
        mode: int | None = MODE,
    ) -> None:
        """Write `size` bytes into a file in a folder that is there; its size is asked for afterwards.

        Over one that is there, unless it is to be `new`: then Refused. A file of the host's own keeps the mode that it
        has (`mode` None): its sticky bit has it kept over a boot. Interrupted between two blocks of a file that has
        more than one: what lies there then is half a file.
        """
        with self._doing("PUT", path) as client:
            if new and _stat(client, path) is not None:
                raise Refused(
                    f"{path} is there already, and nothing is written over it",
                    where=self._shell.login.where,
                    advice="Look what it is, and move, rename or delete it yourself; then run again",
                )
            with client.open(path, "wxb" if new else "wb") as target:
                if mode is not None:
                    target.chmod(mode)  # before there is anything in it
                target.set_pipelined(True)
                self._send(path, file, size, target, progress)
            found = client.stat(path).st_size
        if found != size:
            raise self._fault(f"{path} has {found} bytes after it was written, sent were {size}")

    def _send(
        self, path: str, file: BinaryIO, size: int, target: "paramiko.SFTPFile", progress: Transferred | None
    ) -> None:
        done = 0
        while block := file.read(BLOCK):
            done += len(block)
            if done >= size:
                # paramiko throws the answers away that come while a file is closed. So the last block waits for all.
                target.set_pipelined(False)
            target.write(block)
            if self._stop.is_set() and done < size:
                raise Interrupted(
                    f"interrupted in the middle of an upload: {path} is half a file, {done} of {size} bytes were sent",
                    where=self._shell.login.where,
                    advice="Run again; the file is sent anew, from its beginning",
                )
            if progress:
                progress(done, size)

    def make_folder(self, path: str) -> None:
        """Make a folder and its parents; nothing happens when it is there."""
        with self._doing("mkdir", path) as client:
            if _is_folder(client, path):
                return
            parts = path.strip("/").split("/")
            for end in range(1, len(parts) + 1):
                folder = "/" + "/".join(parts[:end])
                if not _is_folder(client, folder):
                    client.mkdir(folder)

    def remove(self, path: str) -> None:
        """Remove one file; nothing happens when it is not there. Raises Refused for a folder."""
        with self._doing("rm", path) as client:
            if _is_folder(client, path):
                raise Refused(
                    f"{path} is a folder, and only files are deleted",
                    where=self._shell.login.where,
                    advice="Look what is in it, and move or delete it yourself",
                )
            with suppress(FileNotFoundError):
                client.remove(path)

    def remove_folder(self, path: str) -> bool:
        """Remove an empty folder; whether it is gone. One with something in it stays: the host itself sees to that."""
        with self._doing("rmdir", path) as client:
            with suppress(FileNotFoundError):
                try:
                    client.rmdir(path)
                except OSError:
                    # SFTP has no word for a folder that is not empty.
                    if not client.listdir(path):
                        raise
                    return False
            return True

    def rename(self, path: str, target: str) -> None:
        """Rename a file, over one of that name."""
        with self._doing("mv", f"{path} {target}") as client:
            client.posix_rename(path, target)

    @contextmanager
    def _doing(self, verb: str, what: str) -> Iterator["paramiko.SFTPClient"]:
        import paramiko

        login, doing = self._shell.login, f"{verb} {what}"
        with (
            self._shell.sessions.place(doing, self._stop),
            recorded(self._shell.files, "sftp", login.name, doing, writes=True),
        ):
            try:
                with self._client() as client:
                    yield client
            except (EOFError, ConnectionError, TimeoutError, paramiko.SSHException) as error:
                raise self._broken(doing, error) from error
            except OSError as error:
                if self._shell.alive:
                    raise self._fault(f"{doing}: {_words(error)}") from error
                raise self._broken(doing, error) from error

    @contextmanager
    def _client(self) -> Iterator["paramiko.SFTPClient"]:
        import paramiko

        client = self._opened()
        try:
            channel = client.get_channel()
            if channel is not None:
                channel.settimeout(self._shell.login.timeout)
            yield client
        finally:
            with suppress(OSError, EOFError, paramiko.SSHException):
                client.close()

    def _opened(self) -> "paramiko.SFTPClient":
        import paramiko

        try:
            return self._shell.open_sftp()
        except paramiko.SSHException as error:
            if not self._shell.alive:
                raise
            raise Unreachable(
                f"no file transfer over SSH: {error or type(error).__name__}",
                where=self._shell.login.where,
                advice="ESXi's sshd offers SFTP unless somebody took the line `Subsystem sftp` out of "
                "/etc/ssh/sshd_config; check that, and run again",
            ) from error

    def _broken(self, what: str, error: Exception) -> Unreachable:
        return Unreachable(
            f"the connection broke ({what}): {error or type(error).__name__}",
            where=self._shell.login.where,
            advice="Check that the host is on, and run again; what was done is found again",
        )

    def _fault(self, what: str) -> HostFault:
        return HostFault(what, where=self._shell.login.where, advice=ADVICE)


def _words(error: OSError) -> str:
    if error.errno == errno.EACCES:
        return "Permission denied"
    if error.errno == errno.ENOENT:
        return "No such file or directory"
    return str(error) or type(error).__name__


def _stat(client: "paramiko.SFTPClient", path: str) -> "paramiko.SFTPAttributes | None":
    try:
        return client.stat(path)
    except FileNotFoundError:
        return None


def _is_folder(client: "paramiko.SFTPClient", path: str) -> bool:
    found = _stat(client, path)
    return found is not None and stat.S_ISDIR(found.st_mode or 0)
