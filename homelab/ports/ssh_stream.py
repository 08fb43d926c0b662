"""What a command prints over an SSH connection, as bytes, while it runs: more than memory should hold as text."""

import shlex
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from homelab.errors import Interrupted, Unreachable
from homelab.ports.files.record import recorded
from homelab.ports.ssh import LOOK_SECONDS, MOST, PIECE, Output, Shell

if TYPE_CHECKING:
    import paramiko


def stream(
    shell: Shell,
    argv: Sequence[str],
    take: Callable[[bytes], None],
    *,
    stdin: str,
    silence: float,
    stop: threading.Event,
) -> Output:
    """Run one command and hand on what it prints, in pieces; the Output has its status and stderr alone.

    Raises Unreachable when the line breaks or nothing comes for `silence` seconds, Interrupted once `stop` is set. The
    command ends by itself when it prints to nobody.
    """
    import paramiko

    line, where = shlex.join(argv), shell.login.where
    with (
        shell.sessions.place(line, stop, long=True),
        recorded(shell.files, "ssh", shell.login.name, line, writes=False),
    ):
        try:
            with closing(shell.open_session()) as channel:
                channel.settimeout(LOOK_SECONDS)
                channel.exec_command(line)
                channel.sendall(stdin.encode())
                channel.shutdown_write()
                return _read(channel, take, silence, stop)
        except _Stopped:
            raise Interrupted(f"interrupted while `{line}` ran", where=where, advice="Run again") from None
        except TimeoutError:
            what, advice = f"nothing came from `{line}` for {silence:g} s", "See how loaded that machine is; run again"
            raise Unreachable(what, where=where, advice=advice) from None
        except (OSError, paramiko.SSHException, EOFError) as error:
            what = f"the connection broke while running `{line}`: {error or type(error).__name__}"
            raise Unreachable(what, where=where, advice="Check that the machine is on, and run again") from error


class _Stopped(Exception):
    """We were interrupted."""


def _read(channel: "paramiko.Channel", take: Callable[[bytes], None], silence: float, stop: threading.Event) -> Output:
    said, heard = bytearray(), time.monotonic()
    while True:
        if stop.is_set():
            raise _Stopped
        # Both share one window: what is left unread of one would hold up the other.
        while channel.recv_stderr_ready() and len(said) < MOST:
            said += channel.recv_stderr(PIECE)
        try:
            piece = channel.recv(PIECE)
        except TimeoutError:
            if time.monotonic() - heard > silence:
                raise
            continue
        if not piece:
            break
        heard = time.monotonic()
        take(piece)
    if not channel.status_event.wait(silence):
        raise TimeoutError
    while channel.recv_stderr_ready() and len(said) < MOST:
        said += channel.recv_stderr(PIECE)
    return Output(channel.exit_status, "", said.decode(errors="replace"))
