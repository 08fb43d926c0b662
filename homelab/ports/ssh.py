"""The door to SSH: one connection at a time, host keys by pins, commands as lists of arguments."""

import logging
import re
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from homelab.errors import HomelabError, HostFault, Interrupted, LoginRefused, Unreachable
from homelab.formats.trust.known_hosts import known_host_name
from homelab.ports.files.home import HomeFiles
from homelab.ports.files.record import recorded
from homelab.ports.files.trust_files import host_key_changed
from homelab.ports.ssh_sessions import Sessions

# Loaded where it is used: most commands never speak SSH.
if TYPE_CHECKING:
    import paramiko

# Without a handler of ours, paramiko's threads would write to a person's terminal by themselves.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
MOST = 4 << 20
PIECE = 1 << 16
# How often an interruption is looked for, and how long a command may take to end once we were interrupted.
LOOK_SECONDS = 0.25
GRACE_SECONDS = 20.0
KEEP_ALIVE_SECONDS = 10
# Of what a command that failed printed, in characters.
SHOWN = 2000


@dataclass(frozen=True)
class Login:
    """Where and how to log in: a password (ESXi) or a private key's file (guests). `timeout` in seconds."""

    name: str
    address: str
    port: int
    user: str
    timeout: float
    password: str | None = None
    key: Path | None = None

    @property
    def where(self) -> str:
        """The name and address as errors show them."""
        return f"{self.name} ({self.address}:{self.port}, SSH)"

    @property
    def known_as(self) -> str:
        """Its name in known_hosts."""
        return known_host_name(self.address, self.port)


@dataclass(frozen=True)
class Output:
    """What a command printed. `status` is -1 when the connection dropped before the command ended."""

    status: int
    stdout: str
    stderr: str


def _said(error: Exception) -> str:
    from paramiko.ssh_exception import NoValidConnectionsError

    # paramiko wraps the reasons of all addresses it tried into one error without words.
    inner = next(iter(error.errors.values())) if isinstance(error, NoValidConnectionsError) else error
    return getattr(inner, "strerror", None) or str(inner) or type(inner).__name__


def file_option(name: str, path: Path) -> str:
    """An option of OpenSSH that names a file, whatever characters its path has (ssh_config(5): quotes, tokens)."""
    text = str(path.absolute()).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'{name}="{text}"'


def _text(data: bytes | bytearray) -> str:
    return data.decode(errors="replace")


class _TooMuch(Exception):
    """A command printed more than MOST bytes."""


class _Stopped(Exception):
    """We were interrupted, and the command did not end in the moment that it was given."""


@dataclass(frozen=True)
class Watch:
    """What a long command is watched with: `heard` gets what it printed last, `stop` is set when we are interrupted."""

    heard: Callable[[str], None]
    stop: threading.Event


def _wait(event: threading.Event, end: float, watch: Watch | None) -> None:
    """Raises TimeoutError once `end` (monotonic) has passed, _Stopped a moment after an interruption."""
    if watch is None:
        if not event.wait(max(0.0, end - time.monotonic())):
            raise TimeoutError
        return
    stopped: float | None = None
    while not event.wait(min(LOOK_SECONDS, max(0.0, end - time.monotonic()))):
        now = time.monotonic()
        stopped = stopped or (now if watch.stop.is_set() else None)
        if stopped and now > stopped + GRACE_SECONDS:
            raise _Stopped
        if now > end:
            raise TimeoutError


def _read(channel: "paramiko.Channel", end: float, watch: Watch | None) -> Output:
    """Both streams and the exit status. Raises TimeoutError once `end` (monotonic) has passed, _TooMuch, _Stopped."""
    said: tuple[bytearray, bytearray] = (bytearray(), bytearray())
    over = (threading.Event(), threading.Event())

    def drain(read: Callable[[int], bytes], into: bytearray, ended: threading.Event) -> None:
        # The channel's own timeout ends this too; a channel that is closed reads as empty.
        with suppress(OSError):
            while len(into) <= MOST and (piece := read(PIECE)):
                into += piece
                if watch and (last := _last_words(piece)):
                    watch.heard(last)
        ended.set()

    channel.settimeout(max(0.0, end - time.monotonic()))
    for read, into, ended in zip((channel.recv, channel.recv_stderr), said, over, strict=True):
        threading.Thread(target=drain, args=(read, into, ended), daemon=True).start()
    for event in (*over, channel.status_event):
        _wait(event, end, watch)
        if max(map(len, said)) > MOST:
            raise _TooMuch
    return Output(channel.exit_status, _text(said[0]), _text(said[1]))


def _last_words(piece: bytes) -> str:
    """What stands last in a piece of output; programs write their progress over itself."""
    return next((line.strip() for line in reversed(re.split(r"[\r\n]+", _text(piece))) if line.strip()), "")


class Shell:
    """One SSH connection."""

    def __init__(self, client: "paramiko.SSHClient", login: Login, files: HomeFiles) -> None:
        self._client = client
        self._files = files
        self.login = login
        self.sessions = Sessions(login.where)

    @property
    def alive(self) -> bool:
        """Whether the connection still stands, as far as this side knows."""
        transport = self._client.get_transport()
        return transport is not None and transport.is_active()

    def keep_alive(self) -> None:
        """Say a word now and then, so that a connection that a host forgot when it went down is known to be dead."""
        transport = self._client.get_transport()
        if transport is not None:
            transport.set_keepalive(KEEP_ALIVE_SECONDS)

    @property
    def files(self) -> HomeFiles:
        """Where what is done is recorded."""
        return self._files

    def open_sftp(self) -> "paramiko.SFTPClient":
        """The file transfer of this connection. Raises what paramiko raises: sftp.py is its door."""
        return self._client.open_sftp()

    def open_session(self) -> "paramiko.Channel":
        """A session for one command. Raises what paramiko raises, OSError: ssh_stream.py is its door."""
        transport = self._client.get_transport()
        if transport is None:
            raise OSError("the connection is closed")
        return transport.open_session(timeout=self.login.timeout)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        writes: bool = False,
        seconds: float | None = None,
        watch: Watch | None = None,
    ) -> Output:
        """Run one command, within `seconds` (the login's timeout unless told). Raises Unreachable, HostFault.

        Unreachable when the line breaks or the time is up: the command itself may still be running there. Interrupted
        where it is watched, and did not end in the moment that it was given. The time runs once it has a session.
        """
        limit, line = self.login.timeout if seconds is None else seconds, shlex.join(argv)
        with (
            self.sessions.place(line, watch.stop if watch else None, long=watch is not None),
            recorded(self._files, "ssh", self.login.name, line, writes=writes),
        ):
            return self._run(argv, stdin, limit, watch)

    def _run(self, argv: Sequence[str], stdin: str, seconds: float, watch: Watch | None = None) -> Output:
        import paramiko

        end = time.monotonic() + seconds
        try:
            to, out, _ = self._client.exec_command(shlex.join(argv), timeout=seconds)
            with closing(out.channel):
                to.write(stdin)
                out.channel.shutdown_write()
                return _read(out.channel, end, watch)
        except _Stopped:
            raise Interrupted(
                f"interrupted, and the host may go on with `{shlex.join(argv)}` by itself",
                where=self.login.where,
                advice="Run again a little later; it goes on where it stopped",
            ) from None
        except _TooMuch:
            raise HostFault(
                f"`{shlex.join(argv)}` printed more than {MOST >> 20} MiB",
                where=self.login.where,
                advice="Run it by hand on that machine to see more",
            ) from None
        except TimeoutError as error:
            raise Unreachable(
                f"`{shlex.join(argv)}` did not end within {seconds:g} s",
                where=self.login.where,
                advice="It may still be running there. Check that the machine is not overloaded, and run again",
            ) from error
        except (OSError, paramiko.SSHException, EOFError, AttributeError, ValueError) as error:
            raise Unreachable(
                f"the connection broke while running `{shlex.join(argv)}`: {error or type(error).__name__}",
                where=self.login.where,
                advice="Check that the machine is on, and run again",
            ) from error

    def must(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        writes: bool = False,
        seconds: float | None = None,
        watch: Watch | None = None,
    ) -> str:
        """The output of a command that has to succeed. Raises HostFault with its own words."""
        output = self.run(argv, stdin=stdin, writes=writes, seconds=seconds, watch=watch)
        if output.status != 0:
            said = (output.stderr.strip() or output.stdout.strip() or "nothing").replace("\n", " ")[:SHOWN]
            raise HostFault(
                f"`{shlex.join(argv)}` ended with status {output.status} and said: {said}",
                where=self.login.where,
                advice="Run it by hand on that machine to see more",
            )
        return output.stdout


@contextmanager
def connect(login: Login, files: HomeFiles, report: Callable[[str], None]) -> Iterator[Shell]:
    """Log in once, never again after a refusal; the host's key is pinned on first use.

    Raises Unreachable, TrustError, LoginRefused.
    """
    import paramiko

    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(_Pin(login, files, report))  # type: ignore[arg-type]
    try:
        _load_known(client, login, files)
        _check_key(login)
        _open(client, login)
        _without_delay(client)
        yield Shell(client, login, files)
    finally:
        client.close()


def _check_key(login: Login) -> None:
    """A key of ours that cannot be read is no fault of the other machine's."""
    if login.key is None:
        return
    try:
        with login.key.open("rb"):
            return
    except OSError as error:
        raise HomelabError(
            f"the private key cannot be read: {error.strerror}",
            where=str(login.key),
            advice="Guests know this key only: bring it back from a backup, or make their VMs anew",
        ) from error


def await_port(login: Login, seconds: float, stop: threading.Event | None = None) -> None:
    """Wait until something listens on the port. Raises Unreachable with the last answer, Interrupted."""
    stop, end = stop or threading.Event(), time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((login.address, login.port), timeout=login.timeout).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                raise Unreachable(
                    f"SSH was switched on, and nothing listens after {seconds:g} s: {error}",
                    where=login.where,
                    advice="Look at the host's services (TSM-SSH) and its firewall (sshServer), and run again",
                ) from error
            if stop.wait(0.1):
                advice = "Run again; it goes on where it stopped"
                raise Interrupted("interrupted before SSH answered", where=login.where, advice=advice) from error


def _without_delay(client: "paramiko.SSHClient") -> None:
    """Send small packets at once: a command is several, and each would wait some 40 ms for the one before it."""
    transport = client.get_transport()
    if transport is not None and isinstance(transport.sock, socket.socket):
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _load_known(client: "paramiko.SSHClient", login: Login, files: HomeFiles) -> None:
    """The keys of this one machine; whatever else stands in the file is no business of this connection."""
    import paramiko

    for key in files.trust.host_keys_of({login.known_as}):
        # One that paramiko cannot read stays unknown to it, and _Pin refuses whatever is shown instead.
        with suppress(paramiko.SSHException, ValueError):
            entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{login.known_as} {key}")
            if entry is not None and entry.key is not None:
                client.get_host_keys().add(login.known_as, entry.key.get_name(), entry.key)


class _Pin:
    """Trust on first use, kept in `.homelab/known_hosts`: paramiko's MissingHostKeyPolicy."""

    def __init__(self, login: Login, files: HomeFiles, report: Callable[[str], None]) -> None:
        self._login, self._files, self._report = login, files, report

    def missing_host_key(self, client: "paramiko.SSHClient", hostname: str, key: "paramiko.PKey") -> None:
        """Keep the key of a host that is met for the first time; one of another kind than the known one is refused."""
        login, line = self._login, f"{key.get_name()} {key.get_base64()}"
        if self._files.trust.meet_host_key(login.known_as, line, machine=login.name, where=login.where):
            self._report(f"{login.where} is met for the first time; its key is trusted now: {key.fingerprint}")


def _open(client: "paramiko.SSHClient", login: Login) -> None:
    import paramiko

    try:
        client.connect(
            login.address,
            login.port,
            username=login.user,
            password=login.password,
            key_filename=str(login.key) if login.key else None,
            # A password is tried alone: keys that are refused first would count as failed logins on ESXi.
            allow_agent=login.password is None and login.key is None,
            look_for_keys=login.password is None and login.key is None,
            timeout=login.timeout,
            banner_timeout=login.timeout,
            auth_timeout=login.timeout,
            channel_timeout=login.timeout,
        )
    except paramiko.BadHostKeyException as error:
        seen, expected = error.key.fingerprint, error.expected_key.fingerprint
        raise host_key_changed(login.name, login.where, seen, expected) from error
    except paramiko.AuthenticationException as error:
        raise LoginRefused(
            f"the login of {login.user} was refused",
            where=login.where,
            advice="Check the user and the password or key; it was tried once only, because five failures lock an "
            "ESXi account for 15 minutes",
        ) from error
    except HomelabError:
        raise
    except paramiko.ssh_exception.IncompatiblePeer as error:
        raise HostFault(
            f"its SSH offers SHA-1 only, as ESXi 5.x or an early 6.0 does: {_said(error)}",
            where=login.where,
            advice="Signatures with SHA-1 are not accepted any more: update the host to 6.5 or newer",
        ) from error
    except Exception as error:
        # On a peer that is no SSH server paramiko also raises what its parsing meets (ValueError, struct.error).
        raise Unreachable(
            f"no SSH connection: {_said(error)}",
            where=login.where,
            advice="Check that the machine is on and that SSH is running there",
        ) from error
