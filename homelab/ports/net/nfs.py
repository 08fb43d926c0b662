"""The laptop's own look at an NFS export, before any host is asked to mount it. Needs no root, leaves nothing mounted.

NFS version 3 is found as ESXi finds it: rpcbind (RFC 1833) tells the ports, mountd (RFC 1813) the exports. Version 4
answers on port 2049 by itself (RFC 8881).
"""

import contextlib
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from homelab.formats.nfs.export import NOT_REGISTERED, OK, Answers, Export, Finding, doubt_of, line_of, problem_of
from homelab.formats.nfs.onc_rpc import LAST_FRAGMENT, CallRefused, Malformed, Reader, call, result, text, uint
from homelab.lab import NfsServer
from homelab.ports.files.home import HomeFiles
from homelab.ports.files.record import recorded

RPCBIND, NFS, MOUNT = 100000, 100003, 100005
RPCBIND_PORT, NFS_PORT = 111, 2049
TCP = 6
NAMES = {RPCBIND: "rpcbind", NFS: "NFS", MOUNT: "mountd"}
NULL, GETPORT, MNT, UMNT, EXPORT, COMPOUND = 0, 3, 1, 3, 5, 1
MINOR_VERSION_MISMATCH = 10021
SECONDS_PER_CALL = 5.0
MOST = 1 << 22


@dataclass(frozen=True)
class ExportLook:
    """How an export stands, seen from here.

    `versions` are those that answer: 3, 4.1, 4.0, or 4 when the minor version is unclear. `exported` is None when it
    cannot be told; `clients` are those that the export names, none for everybody. `problem` is why no mount can work,
    `doubt` what could not be told from here.
    """

    answers: bool
    versions: tuple[str, ...]
    exported: bool | None
    clients: tuple[str, ...]
    problem: Finding | None
    doubt: Finding | None


def look_at_export(
    nas: NfsServer, hosts: Sequence[IPv4Address], files: HomeFiles, *, timeout: float = SECONDS_PER_CALL
) -> ExportLook:
    """Ask the NAS for its services and its export on behalf of `hosts`; `timeout` in seconds for each of some calls.

    Never raises for what the NAS says or does not say: that is in the look. One that is silent costs two timeouts.
    """
    answers = _ask(_Caller(nas.server, timeout, nas.name, files), nas.export)
    line = line_of(answers, nas.export)
    problem = problem_of(answers, nas.export, nas.version, hosts)
    exported = True if line or answers.mount == OK else None
    if exported is None and answers.exports and problem and nas.version == "3":
        exported = False
    return ExportLook(
        answers=answers.anything,
        versions=answers.versions,
        exported=exported,
        clients=line.clients if line else (),
        problem=problem,
        doubt=None if problem else doubt_of(answers, nas.export, nas.version),
    )


def exports_at(server: str, *, timeout: float = SECONDS_PER_CALL) -> tuple[bool, tuple[Export, ...] | None]:
    """Whether an address has an NFS server, by its port mapper, and its list of exports; None where it tells none.

    Never raises for what is said there; nothing is recorded, for no lab is known yet.
    """
    caller = _Caller(server, timeout)
    try:
        return True, _exports(caller, caller.port_of(MOUNT))
    except _NoAnswer:
        return _ask_for_3(caller) is None, None


class _NoAnswer(Exception):
    """No answer, or none that can be used; the text says why."""


class _Refused(_NoAnswer):
    """It answered, and refused the call."""


@dataclass(frozen=True)
class _Caller:
    """Makes calls over TCP, each over a connection of its own and with its own deadline; recorded where files are."""

    server: str
    timeout: float
    name: str = ""
    files: HomeFiles | None = None

    def call(self, port: int, program: int, version: int, procedure: int, what: str, arguments: bytes = b"") -> Reader:
        """The result of one call, recorded as `what`. Raises _NoAnswer."""
        xid = secrets.randbits(32)
        try:
            # A mount that is taken back at once is a look as well: it changes nothing that anybody sees.
            with self._noted(f"{NAMES[program]} {version} {what}"):
                reply = _exchange(self.server, port, call(xid, program, version, procedure, arguments), self.timeout)
                return result(reply, xid)
        except CallRefused as refused:
            raise _Refused(str(refused)) from refused
        except TimeoutError as error:
            raise _NoAnswer(f"no answer within {self.timeout:g} s") from error
        except (OSError, UnicodeError, Malformed) as error:
            raise _NoAnswer(getattr(error, "strerror", None) or str(error)) from error

    def _noted(self, what: str) -> contextlib.AbstractContextManager[None]:
        files = self.files
        return recorded(files, "nfs", self.name, what, writes=False) if files else contextlib.nullcontext()

    def null(self, port: int, program: int, version: int) -> None:
        """Ask whether a program answers at all. Raises _NoAnswer."""
        self.call(port, program, version, NULL, "NULL")

    def port_of(self, program: int) -> int:
        """Where version 3 of a program listens. Raises _NoAnswer."""
        what = f"GETPORT {NAMES[program]} 3"
        try:
            port = self.call(RPCBIND_PORT, RPCBIND, 2, GETPORT, what, uint(program, 3, TCP, 0)).uint()
        except Malformed as error:
            raise _NoAnswer(str(error)) from error
        if not 0 < port < 1 << 16:
            raise _Refused(NOT_REGISTERED)
        return port


def _ask(caller: _Caller, path: str) -> Answers:
    nfs4, minor_1 = _ask_for_4(caller)
    nfs3 = mountd = NOT_REGISTERED
    try:
        port = caller.port_of(MOUNT)
    except _Refused as refused:
        mountd, port = str(refused), 0
    except _NoAnswer as silence:
        return Answers(str(silence), mountd, nfs3, nfs4, minor_1)
    nfs3_or_none = _ask_for_3(caller)
    if not port:
        return Answers(None, mountd, nfs3_or_none, nfs4, minor_1)
    try:
        caller.null(port, MOUNT, 3)
    except _NoAnswer as silence:
        return Answers(None, f"registered for port {port}: {silence}", nfs3_or_none, nfs4, minor_1)
    exports, mount = _exports(caller, port), _try_mount(caller, port, path)
    return Answers(None, None, nfs3_or_none, nfs4, minor_1, exports, mount, _own_address(caller.server))


def _own_address(server: str) -> IPv4Address | None:
    """The address that this machine has towards the NAS; a datagram socket is connected without a packet."""
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((server, NFS_PORT))
        return IPv4Address(probe.getsockname()[0])
    return None


def _ask_for_4(caller: _Caller) -> tuple[str | None, bool | None]:
    """Why NFS 4 does not answer (None when it does), and whether it speaks minor version 1: an empty COMPOUND tells."""
    try:
        caller.null(NFS_PORT, NFS, 4)
    except _NoAnswer as silence:
        return str(silence), None
    try:
        status = caller.call(NFS_PORT, NFS, 4, COMPOUND, "COMPOUND of minor version 1", text("") + uint(1, 0)).uint()
    except (_NoAnswer, Malformed):
        return None, None
    return None, {OK: True, MINOR_VERSION_MISMATCH: False}.get(status)


def _ask_for_3(caller: _Caller) -> str | None:
    try:
        caller.null(caller.port_of(NFS), NFS, 3)
    except _NoAnswer as silence:
        return str(silence)
    return None


def _exports(caller: _Caller, port: int) -> tuple[Export, ...] | None:
    try:
        answer = caller.call(port, MOUNT, 3, EXPORT, "EXPORT")
        return tuple(Export(answer.text(), tuple(answer.text() for _ in answer.chain())) for _ in answer.chain())
    except (_NoAnswer, Malformed, UnicodeError):
        return None


def _try_mount(caller: _Caller, port: int, path: str) -> int | None:
    """The status of MNT; what was mounted is taken back."""
    try:
        status = caller.call(port, MOUNT, 3, MNT, f"MNT {path}", text(path)).uint()
    except (_NoAnswer, Malformed):
        return None
    if status == OK:
        with contextlib.suppress(_NoAnswer):
            caller.call(port, MOUNT, 3, UMNT, f"UMNT {path}", text(path))
    return status


def _exchange(server: str, port: int, record: bytes, timeout: float) -> bytes:
    """The record that answers a record. Raises OSError (TimeoutError past the deadline), Malformed."""
    deadline = time.monotonic() + timeout
    with socket.create_connection((server, port), timeout=timeout) as connection:
        connection.sendall(record)
        reply, last = b"", 0
        while not last:
            mark = int.from_bytes(_exactly(connection, 4, deadline), "big")
            last, length = mark & LAST_FRAGMENT, mark & ~LAST_FRAGMENT
            if len(reply) + length > MOST:
                raise Malformed("it does not speak RPC")
            reply += _exactly(connection, length, deadline)
        return reply


def _exactly(connection: socket.socket, count: int, deadline: float) -> bytes:
    received = bytearray()
    while len(received) < count:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        part = connection.recv(count - len(received))
        if not part:
            raise Malformed("it ends the connection without an answer")
        received += part
    return bytes(received)
