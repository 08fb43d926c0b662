"""SFTP of a simulated host, as OpenSSH's sftp-server answers: datastores can be written, all else is text to be read.

Refusals that SFTP 3 has no word for (a folder that is not empty, a file that is there, a full volume) are a plain
failure, as sftp-server makes of every errno that it does not know (errno_to_portable).
"""

import contextlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import paramiko
from paramiko import sftp as codes

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell import files, sftp_acts
from homelab.rehearsal.shell.sftp_acts import ABSENT, FAILED, OK
from homelab.rehearsal.shell.time_programs import NTP_CONF, edit, is_text
from homelab.rehearsal.state.refusals import FileNotFound, Refusal, RootSquashed

if TYPE_CHECKING:
    from homelab.rehearsal.shell.server import _Session

DENIED, UNSUPPORTED = int(codes.SFTP_PERMISSION_DENIED), int(codes.SFTP_OP_UNSUPPORTED)
FOLDER = stat.S_IFDIR | 0o755
TEXT = stat.S_IFREG | 0o644
GUEST_WRITES = ".vmdk.d"
Seen = TypeVar("Seen")


class SftpServer(paramiko.SFTPServer):
    """What sshd starts for the subsystem; it ends with status 0, which scp waits for."""

    def finish_subsystem(self) -> None:
        """The client is done; paramiko's own part closes the channel."""
        channel: Any = self.sock
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            channel.send_exit_status(0)
        super().finish_subsystem()


class SftpFiles(paramiko.SFTPServerInterface):
    """The files of one connection's host."""

    def __init__(self, server: "_Session", *args: Any, **kwargs: Any) -> None:
        super().__init__(server, *args, **kwargs)
        self.session, self.host = server, server.host

    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes] | int:
        """Names and what they are; what a guest wrote is no file of a real datastore."""

        def look() -> list[paramiko.SFTPAttributes] | int:
            names = files.listing(self.host, path)
            if names is None:
                return FAILED
            shown = [name for name in names if not name.endswith(GUEST_WRITES)]
            return [self._told(f"{path.rstrip('/')}/{name}", name) for name in shown]

        return self._look(look)

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        """What a path is."""
        return self._look(lambda: self._told(path, path.rpartition("/")[2]))

    def lstat(self, path: str) -> paramiko.SFTPAttributes | int:
        """The same: links are not simulated here."""
        return self.stat(path)

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        """Open a file; to write, only below a datastore."""
        if not flags & (os.O_WRONLY | os.O_RDWR):
            return self._look(lambda: _Reading(self.host, path))
        if path == NTP_CONF and is_text(self.host):
            return _Editing(self, flags)
        opened: list[_Writing] = []

        def begin(file: Path, label: str) -> int:
            volumes = self.host.datastores.volumes
            volumes.check_space(file, label=label)
            volumes.check_unlocked(file, label=label)
            if file.is_dir() or (flags & os.O_EXCL and file.exists()):
                return FAILED
            if not file.exists() and not flags & os.O_CREAT:
                return ABSENT
            volumes.forget_writes(file)
            opened.append(_Writing(self, file, flags))
            return OK

        answer = self._write(path, begin)
        return opened[0] if opened else answer

    def remove(self, path: str) -> int:
        """Remove a file; a folder is none."""

        def act(file: Path, label: str) -> int:
            if not file.exists():
                return ABSENT
            if file.is_dir():
                return FAILED
            self.host.datastores.volumes.delete(file, label=label)
            return OK

        return self._write(path, act, "sftp rm")

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        """Rename a file, over one of that name."""

        def act(file: Path, label: str) -> int:
            target, target_label = files.real(self.host, newpath), files.datastore_path(self.host, newpath)
            if target is None or target_label is None:
                return UNSUPPORTED
            volumes = self.host.datastores.volumes
            return sftp_acts.rename(volumes, file, target, label=label, target_label=target_label)

        return self._write(oldpath, act, "sftp mv")

    def rename(self, oldpath: str, newpath: str) -> int:
        """Rename a file; one of that name is a failure."""
        there = self._look(lambda: self._told(newpath, newpath)) != ABSENT
        return FAILED if there else self.posix_rename(oldpath, newpath)

    def mkdir(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        """Make a folder in one that is there."""

        def act(file: Path, label: str) -> int:
            if file.exists():
                return FAILED
            if not file.parent.is_dir():
                return ABSENT
            self.host.datastores.volumes.make_directory(file, parents=False, label=label)
            return OK

        return self._write(path, act, "sftp mkdir")

    def rmdir(self, path: str) -> int:
        """Remove an empty folder."""

        def act(file: Path, label: str) -> int:
            if not file.exists():
                return ABSENT
            if not file.is_dir() or any(file.iterdir()):
                return FAILED
            self.host.datastores.volumes.delete(file, label=label)
            return OK

        return self._write(path, act, "sftp rmdir")

    def chattr(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        """Change a file's mode; nothing else is simulated."""
        volumes = self.host.datastores.volumes
        return self._write(path, lambda file, label: sftp_acts.change(volumes, file, attr, label=label))

    def wrote(self, label: str) -> None:
        """Something was written."""
        self.session.face.calls[label] += 1
        self.host.harm.on_write(label)

    def _told(self, path: str, name: str) -> paramiko.SFTPAttributes:
        file = files.real(self.host, path)
        if file is not None:
            return paramiko.SFTPAttributes.from_stat(file.stat(), name)
        told = paramiko.SFTPAttributes()
        told.filename, told.st_uid, told.st_gid = name, 0, 0
        told.st_atime = told.st_mtime = int(time.time())
        names = files.listing(self.host, path)
        told.st_mode = TEXT if names is None else FOLDER
        told.st_size = len(files.read(self.host, path).encode()) if names is None else 0
        return told

    def _look(self, look: Callable[[], Seen]) -> Seen | int:
        """Look with the host's lock held."""
        self.host.harm.on_request()
        try:
            with self.host.lock:
                return look()
        except OSError:
            return ABSENT

    def _write(self, path: str, act: Callable[[Path, str], int], label: str = "") -> int:
        self.host.harm.on_request()
        try:
            with self.host.lock:
                file, where = files.real(self.host, path), files.datastore_path(self.host, path)
                if file is None or where is None:
                    return UNSUPPORTED
                return act(file, where)
        except RootSquashed:
            return DENIED
        except (FileNotFoundError, FileNotFound):
            return ABSENT
        except (Refusal, OSError):
            return FAILED
        finally:
            if label:
                self.wrote(label)


class _Reading(paramiko.SFTPHandle):
    """A file that is read."""

    def __init__(self, host: Host, path: str) -> None:
        super().__init__()
        file = files.real(host, path)
        self._file = file.open("rb") if file else None
        self._text = b"" if file else files.read(host, path).encode()

    def read(self, offset: int, length: int) -> bytes:
        if self._file is None:
            return self._text[offset : offset + length]
        self._file.seek(offset)
        return self._file.read(length)

    def stat(self) -> paramiko.SFTPAttributes:
        if self._file is not None:
            return paramiko.SFTPAttributes.from_stat(os.fstat(self._file.fileno()))
        told = paramiko.SFTPAttributes()
        told.st_mode, told.st_size = TEXT, len(self._text)
        return told

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _Editing(paramiko.SFTPHandle):
    """/etc/ntp.conf, written anew: the one text of the host that is simulated so."""

    def __init__(self, server: SftpFiles, flags: int) -> None:
        super().__init__(flags)
        self._server, self._text = server, bytearray()

    def write(self, offset: int, data: bytes) -> int:  # type: ignore[override]
        self._text[offset : offset + len(data)] = data
        return OK

    def close(self) -> None:
        edit(self._server.host, self._text.decode(errors="replace"))
        self._server.wrote("sftp PUT")


class _Writing(paramiko.SFTPHandle):
    """A file that is written; what arrived stays, however the connection ends. Zeros are kept as holes."""

    def __init__(self, server: SftpFiles, file: Path, flags: int) -> None:
        super().__init__(flags)
        self._server, self._path, self._label = server, file, server.host.datastores.label_of(file)
        self._file = file.open("r+b" if file.exists() and not flags & os.O_TRUNC else "wb")
        self._append = bool(flags & os.O_APPEND)

    def write(self, offset: int, data: bytes) -> int:  # type: ignore[override]
        host = self._server.host
        try:
            host.datastores.volumes.check_space(self._path, label=self._label, size=len(data))
        except Refusal:
            return FAILED
        if host.harm.upload_cut:
            self._put(offset, data[: len(data) // 2])
            self._server.session.cut()
            return FAILED
        self._put(offset, data)
        return OK

    def _put(self, offset: int, data: bytes) -> None:
        end = os.fstat(self._file.fileno()).st_size
        place = end if self._append else offset
        if data.strip(b"\0") or place < end:
            self._file.seek(place)
            self._file.write(data)
            self._file.flush()
        else:
            self._file.truncate(place + len(data))

    def stat(self) -> paramiko.SFTPAttributes:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self._file.fileno()))

    def chattr(self, attr: paramiko.SFTPAttributes) -> int:
        try:
            return sftp_acts.change(self._server.host.datastores.volumes, self._path, attr, label=self._label)
        except Refusal:
            return FAILED

    def close(self) -> None:
        self._file.close()
        self._server.wrote("sftp PUT")
