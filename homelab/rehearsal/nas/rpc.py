"""ONC RPC version 2 (RFC 5531): from the bytes of a call to the bytes of its reply. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from homelab.rehearsal.nas.xdr import Malformed, Reader, opaque, uint

CALL, REPLY = 0, 1
ACCEPTED, DENIED = 0, 1
SUCCESS, PROG_UNAVAIL, PROG_MISMATCH, PROC_UNAVAIL, GARBAGE_ARGS = range(5)
RPC_VERSION = 2
NO_AUTH = uint(0) + opaque(b"")
CREDENTIALS = 400

Procedure = Callable[[Reader, str], bytes]


@dataclass(frozen=True)
class Program:
    """The versions of a program that are served: their procedures by number, taking arguments and the peer's address.

    Every version answers procedure 0, NULL.
    """

    number: int
    port: int
    versions: Mapping[int, Mapping[int, Procedure]]


def answer(message: bytes, peer: str, programs: Mapping[int, Program]) -> bytes | None:
    """The reply to one call; None for what is no call at all."""
    reader = Reader(message)
    try:
        xid, kind, rpc_version = reader.uint(), reader.uint(), reader.uint()
        if kind != CALL:
            return None
        if rpc_version != RPC_VERSION:
            return uint(xid, REPLY, DENIED, 0, RPC_VERSION, RPC_VERSION)
        number, version, procedure = reader.uint(), reader.uint(), reader.uint()
        for _ in ("credentials", "verifier"):
            reader.uint()
            reader.opaque(CREDENTIALS)
    except Malformed:
        return None
    return uint(xid, REPLY, ACCEPTED) + NO_AUTH + _result(programs.get(number), version, procedure, reader, peer)


def _result(program: Program | None, version: int, number: int, reader: Reader, peer: str) -> bytes:
    if program is None or not program.versions:
        return uint(PROG_UNAVAIL)
    if version not in program.versions:
        return uint(PROG_MISMATCH, min(program.versions), max(program.versions))
    if number == 0:
        return uint(SUCCESS)
    procedure = program.versions[version].get(number)
    if procedure is None:
        return uint(PROC_UNAVAIL)
    try:
        return uint(SUCCESS) + procedure(reader, peer)
    except Malformed:
        return uint(GARBAGE_ARGS)
