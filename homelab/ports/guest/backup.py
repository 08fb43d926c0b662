"""A backup of the cluster as a control plane hands it over; it is in memory alone, and whole."""

import threading
from collections.abc import Callable
from pathlib import Path

from homelab.errors import HostFault
from homelab.formats.kubernetes.backup import Backup, NoBackup, read_backup
from homelab.ports.ssh import Shell
from homelab.ports.ssh_stream import stream

SCRIPT = Path(__file__).parent / "remote" / "backup.py"
MARK = b"\0homelab kubernetes backup 1\n"
# Seconds without a byte: etcd reads all of its data before the first one comes.
SILENCE = 120.0
# Compressed. What encrypts it holds it some twenty times, and a lab's cluster has a hundredth of it.
MOST = 128 << 20
Report = Callable[[int, int], None]


class _TooMuch(Exception):
    """More than MOST came."""


def fetch_backup(shell: Shell, report: Report, stop: threading.Event) -> tuple[Backup, bytes]:
    """The backup that a control plane makes, and what it says of itself; `report` gets the bytes that came so far.

    Raises Unreachable, Interrupted; HostFault when none can be made there, or what came is not whole.
    """
    came = bytearray()

    def take(piece: bytes) -> None:
        came.extend(piece)
        if len(came) > MOST:
            raise _TooMuch
        report(len(came), 0)

    try:
        argv = ["sudo", "-n", "python3", "-"]
        text = SCRIPT.read_text(encoding="utf-8")
        output = stream(shell, argv, take, stdin=text, silence=SILENCE, stop=stop)
    except _TooMuch:
        advice = "Make it by hand there: etcdctl snapshot save, and a tar of /etc/kubernetes"
        raise _fault(shell, f"the backup has more than {MOST >> 20} MB", advice) from None
    if output.status:
        said = output.stderr.strip().rpartition("\n")[2][:300] or "no reason was told"
        advice = "See `homelab verify`, and `crictl logs` of etcd there"
        raise _fault(shell, f"no backup was made: {said}", advice)
    # What a person's .bashrc prints comes before.
    _, mark, data = bytes(came).partition(MARK)
    try:
        if not mark:
            raise NoBackup("it does not begin as one")
        return read_backup(data), data
    except NoBackup as error:
        raise _fault(shell, f"what came is no whole backup: {error}", "Run again") from None


def _fault(shell: Shell, what: str, advice: str) -> HostFault:
    return HostFault(what, where=shell.login.where, advice=advice)
