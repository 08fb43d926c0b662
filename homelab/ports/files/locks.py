"""The one door for locks between processes: flock, which the kernel frees with the process, however it ends.

What stands in a lock's file tells people who has it, and decides nothing: after a crash the text stays and the lock is
free.
"""

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from homelab.errors import HomelabError, UsageError

# A small file is read and written in milliseconds; whoever holds it longer is stopped or hangs on a dead mount.
FILE_SECONDS = 10.0
TAKEN = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
# NFS without a lock daemon, some FUSE and SMB mounts.
UNKNOWN = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}


@dataclass(frozen=True)
class Holder:
    """Who has a lock: the process, its machine, what it does, and since when (RFC 3339)."""

    pid: int
    host: str
    command: str
    since: str

    def __str__(self) -> str:
        return f"`homelab {self.command}`, process {self.pid} on {self.host}, since {self.since}"


@contextmanager
def short_lock(path: Path) -> Iterator[None]:
    """Nobody else changes the files that this lock stands for. Raises OSError, and HomelabError after FILE_SECONDS."""
    try:
        with waited_lock(path, FILE_SECONDS):
            yield
    except LockHeld:
        raise HomelabError(
            f"another process has held this lock for {FILE_SECONDS:g} s",
            where=str(path),
            advice="End the one that `fuser -v` on this file names, or wait for it, and run again",
        ) from None


class LockHeld(Exception):
    """Somebody else has had a lock for as long as one was ready to wait."""


@contextmanager
def waited_lock(path: Path, seconds: float) -> Iterator[None]:
    """Have a lock, and wait so long for it at the most. Raises LockHeld and OSError."""
    descriptor = _opened(path)
    try:
        end = time.monotonic() + seconds
        while not _locked(descriptor):
            if time.monotonic() > end:
                raise LockHeld
            time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def run_lock(path: Path, command: str, warn: Callable[[str], None]) -> Iterator[None]:
    """The only run that writes. Raises UsageError with who is the one, and OSError."""
    descriptor = _opened(path)
    try:
        if not _locked(descriptor, warn):
            raise _busy(path)
        me = Holder(os.getpid(), socket.gethostname(), command, datetime.now(UTC).isoformat(timespec="seconds"))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(me)).encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    # For writing, as NFS wants it of an exclusive lock. Children do not inherit it (PEP 446).
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _locked(descriptor: int, warn: Callable[[str], None] = lambda _: None) -> bool:
    """Whether it is ours now. A file system that knows no locks gives it, with a word of warning."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in TAKEN:
            return False
        if error.errno in UNKNOWN:
            warn(f"this file system knows no locks ({error.strerror}): see that no second run writes meanwhile")
            return True
        raise
    return True


def _busy(path: Path) -> UsageError:
    holder = _holder(path)
    return UsageError(
        f"another run is at work: {holder or 'it has not said yet which'}",
        where=str(path),
        advice="Wait until it has ended, or end it with Ctrl-C; `plan`, `doctor` and `verify` work beside it",
    )


def _holder(path: Path) -> Holder | None:
    """Who wrote into the lock's file; there is a moment before it has."""
    for _ in range(20):
        try:
            return Holder(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            time.sleep(0.01)
    return None
