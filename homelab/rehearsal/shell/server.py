"""The SSH face of one simulated host: keyboard-interactive and public keys, many sessions, exec and a simple shell.

The `password` method is off, as on ESXi: clients fall back to keyboard-interactive. Failed logins count for the host's
lock-out, which the API shares; public keys do not.
"""

import contextlib
import logging
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any, ClassVar

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    MSG_CHANNEL_REQUEST,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_FAILED_CONNECT_FAILED,
    OPEN_SUCCEEDED,
)
from paramiko.server import InteractiveQuery

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell import dispatch, files
from homelab.rehearsal.shell.algorithms import new_host_key, offer
from homelab.rehearsal.shell.call import Answer
from homelab.rehearsal.shell.sftp import SftpFiles, SftpServer
from homelab.rehearsal.state.harm import reset

__all__ = ["ShellFace", "new_host_key"]

LOG = "homelab.rehearsal.shell"
BACKLOG = 32
CHUNK = 4096
SOFTWARE_ERROR = 70
# Of sessions on one connection (sshd_config(5), MaxSessions).
MOST_SESSIONS = 10

logging.getLogger(LOG).addHandler(logging.NullHandler())


class ShellFace:
    """The ESXi shell of `host` on `address`:`port`; port 0 takes a free one and keeps it.

    `calls` counts the commands that ran: `reboot`, `esxcli system module set`, `vim-cmd vmsvc/getallvms`, `sftp PUT`;
    `logins` the connections that got in. The host key belongs to the face and so outlives every reboot.
    """

    def __init__(self, host: Host, address: str, port: int = 22, host_key: paramiko.PKey | None = None) -> None:
        self.host, self.address, self.port = host, address, port
        if host_key:
            self.host_key = host_key
        self.calls: Counter[str] = Counter()
        self.logins = 0
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._connections: set[paramiko.Transport] = set()

    @cached_property
    def host_key(self) -> paramiko.PKey:
        """Made when SSH is first opened: a key takes a while, and most hosts of a rehearsal never open it."""
        return new_host_key(self.host.version)

    @property
    def known_hosts_line(self) -> str:
        """The host's line for a known_hosts file."""
        name = self.address if self.port == 22 else f"[{self.address}]:{self.port}"
        return f"{name} {self.host_key.get_name()} {self.host_key.get_base64()}\n"

    @property
    def sessions(self) -> int:
        """How many sessions are open, on all connections."""
        with self._lock:
            return sum(map(_sessions, self._connections))

    @property
    def listening(self) -> bool:
        """Whether connections are taken."""
        return self._listener is not None

    def start(self) -> None:
        """Listen and serve in daemon threads; nothing when it listens already. OSError when the address is away."""
        with self._lock:
            if self._listener:
                return
            listener = socket.create_server((self.address, self.port), backlog=BACKLOG)
            # Here, before two connections at once could each make one.
            _ = self.host_key
            self.port = listener.getsockname()[1]
            self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name=f"{self.host.name} sshd", daemon=True).start()

    def stop(self) -> None:
        """Close the listener and every connection, as a host that goes down: clients see their channels drop."""
        with self._lock:
            listener, self._listener = self._listener, None
            connections, self._connections = self._connections, set()
        if listener:
            # Closing alone would not wake the thread that waits in accept().
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for transport in connections:
            transport.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, listener), daemon=True).start()

    def _serve(self, connection: socket.socket, listener: socket.socket) -> None:
        # As OpenSSH does: the small packets of a session would wait for each other's acknowledgement.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host.harm.on_request()
        if self.host.harm.resets:
            reset(connection)
            connection.close()
            return
        transport = _Transport(connection)
        transport.set_log_channel(LOG)
        offer(transport, self.host.version)
        transport.add_server_key(self.host_key)
        transport.set_subsystem_handler("sftp", SftpServer, SftpFiles)
        with self._lock:
            if self._listener is not listener:
                connection.close()
                return
            self._connections.add(transport)
        try:
            transport.start_server(server=_Session(self, transport))
            channels: list[paramiko.Channel] = []
            while transport.is_active():
                # The transport holds channels weakly: one that nobody keeps would close before its request comes.
                opened = transport.accept(1.0)
                channels = [one for one in [*channels, opened] if one and not one.closed]
        except (paramiko.SSHException, EOFError, OSError):
            logging.getLogger(LOG).debug("connection ended", exc_info=True)
        finally:
            with self._lock:
                self._connections.discard(transport)
            transport.close()


class _Session(paramiko.ServerInterface):
    """One connection: its logins, and what its channels ask for."""

    def __init__(self, face: ShellFace, transport: paramiko.Transport) -> None:
        self.face, self.transport, self.cut = face, transport, transport.close
        self.host = face.host
        self.ready: dict[int, threading.Thread] = {}
        self._user = ""
        self._terminals: set[int] = set()

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,keyboard-interactive"

    def check_auth_interactive(self, username: str, submethods: str | bytes) -> int | InteractiveQuery:
        self._user = username
        return InteractiveQuery("", "", ("Password: ", False))

    def check_auth_interactive_response(self, responses: list[str]) -> int | InteractiveQuery:
        right = len(responses) == 1 and self.host.account.login(self._user, responses[0])
        self.face.logins += right
        return AUTH_SUCCESSFUL if right else AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = (line.split() for line in files.authorized_keys(self.host))
        right = username == self.host.account.user and any(key.get_base64() in words for words in known)
        self.face.logins += right
        return AUTH_SUCCESSFUL if right else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if kind != "session":
            return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        # The reason that OpenSSH gives (serverloop.c, server_input_channel_open).
        return OPEN_SUCCEEDED if _sessions(self.transport) < MOST_SESSIONS else OPEN_FAILED_CONNECT_FAILED

    def check_channel_pty_request(self, channel: paramiko.Channel, *_: Any) -> bool:
        self._terminals.add(channel.chanid)
        return True

    def check_channel_window_change_request(self, channel: paramiko.Channel, *_: Any) -> bool:
        return channel.chanid in self._terminals

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        line = command.decode("utf-8", "replace")
        self.ready[channel.chanid] = threading.Thread(target=self._execute, args=(channel, line), daemon=True)
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        self.ready[channel.chanid] = threading.Thread(target=self._converse, args=(channel,), daemon=True)
        return True

    def _run(self, line: str) -> Answer:
        self.host.harm.on_request()
        ran: Counter[str] = Counter()
        try:
            with self.host.lock:
                return dispatch.run(self.host, line, ran)
        except Exception as error:
            # A mistake of the simulator's own: without an answer the client would wait for ever.
            logging.getLogger(LOG).exception("%s: %s", self.host.name, line)
            return Answer(err=f"sh: the simulated host failed: {error!r}\n", status=SOFTWARE_ERROR)
        finally:
            self.face.calls.update(ran)
            for label in filter(dispatch.writes, ran.elements()):
                self.host.harm.on_write(label)

    def _execute(self, channel: paramiko.Channel, line: str) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            answer = self._run(line)
            self._send(channel, answer)
            _finish(channel, answer.status)

    def _converse(self, channel: paramiko.Channel) -> None:
        """A shell, a line at a time, until `exit` or the end of the input."""
        terminal = channel.chanid in self._terminals
        prompt = f"[{self.host.account.user}@{self.host.settings.network.full_name}:~] ".encode() if terminal else b""
        status = 0
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            channel.sendall(prompt)
            for line in _lines(channel, echo=terminal):
                if line.split()[:1] in (["exit"], ["logout"]):
                    break
                answer = self._run(line)
                status = answer.status
                self._send(channel, answer, terminal=terminal)
                channel.sendall(prompt)
            _finish(channel, status)

    def _send(self, channel: paramiko.Channel, answer: Answer, *, terminal: bool = False) -> None:
        # Bytes that are no text come out as they went in.
        out, err = answer.out.encode(errors="surrogateescape"), answer.err.encode(errors="surrogateescape")
        if terminal:
            channel.sendall((out + err).replace(b"\n", b"\r\n"))
            return
        channel.sendall(out)
        channel.sendall_stderr(err)


def _sessions(transport: paramiko.Transport) -> int:
    channels = transport._channels.values()  # type: ignore[attr-defined]
    return sum(not channel.closed for channel in channels)


def _lines(channel: paramiko.Channel, *, echo: bool) -> Iterator[str]:
    """The lines that a client types; ends with its input, or with Ctrl-D on a terminal."""
    typed = b""
    while received := channel.recv(CHUNK):
        if echo:
            received = received.replace(b"\r", b"\n")
            channel.sendall(received.replace(b"\n", b"\r\n"))
        typed += received
        while b"\n" in typed:
            line, _, typed = typed.partition(b"\n")
            yield line.decode("utf-8", "replace").strip()
        if echo and b"\x04" in typed:
            return


def _finish(channel: paramiko.Channel, status: int) -> None:
    """The order of OpenSSH: end of output, exit status, close."""
    channel.shutdown_write()
    channel.send_exit_status(status)
    channel.close()


def _handle_request(channel: Any, message: Any) -> None:
    """Answer a channel's request, then start its work: to clients a close that overtakes the answer is an error."""
    channel._handle_request(message)
    session = channel.transport.server_object
    thread = session.ready.pop(channel.chanid, None)
    if thread:
        thread.start()


class _Transport(paramiko.Transport):
    """paramiko has no hook behind the answer to a request, so its table of handlers is the place."""

    _channel_handler_table: ClassVar[dict[int, Any]] = {
        **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]
        MSG_CHANNEL_REQUEST: _handle_request,
    }
