"""Disks of imports and exports over HTTPS: `/nfc/LEASE/disk-0.vmdk`. The lease's id is the ticket, and no login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homelab.rehearsal.soap.body import BadBody, Body
from homelab.rehearsal.state.harm import reset
from homelab.rehearsal.state.refusals import Refusal
from homelab.rehearsal.storage.stream_vmdk import BadStream
from homelab.rehearsal.vms.leases import LeaseOver

if TYPE_CHECKING:
    from collections.abc import Callable

    from homelab.rehearsal.soap.server import Handler
    from homelab.rehearsal.vms.leases import Lease

CHUNK = 1 << 16
DRAIN = 1 << 28


def serve(handler: Handler, path: str) -> None:
    """Answer one transfer: 200, 404 without a lease or disk, 500 for no streamOptimized VMDK, or not all of one."""
    if handler.command == "GET":
        _send(handler, path)
        return
    face = handler.face
    stays_open = handler.headers.get("Connection", "").lower() != "close"
    # A body that was not read would be taken for the next request.
    handler.close_connection = True
    lease_id, _, target = path.partition("/")
    lease = face.leases.all.get(lease_id)
    slot = lease.slot(target) if lease and lease.state == "ready" and not lease.exports else None
    try:
        body = Body(handler.rfile, handler.headers)
        if lease is None or slot is None or handler.command not in ("PUT", "POST"):
            _drain(body)
            handler.answer(404)
            return
        face.leases.receive(lease, slot, _harmed(handler, lease, body))
        if body.whole:
            handler.close_connection = not stays_open
            handler.answer(200)
    except _Cut:
        reset(handler.connection)
    except BadBody:
        handler.answer(411 if slot else 404)
    except (BadStream, LeaseOver) as error:
        _drain(body)
        handler.answer(500, str(error).encode())
    except Refusal as refusal:
        handler.answer(500, refusal.message.encode())
    finally:
        face.host.harm.on_write(f"{handler.command} /nfc")


def _send(handler: Handler, path: str) -> None:
    """A disk of an export, in chunks: how long it is packed is known at its end."""
    lease_id, _, target = path.partition("/")
    lease = handler.face.leases.all.get(lease_id)
    slot = lease.slot(target) if lease and lease.state == "ready" and lease.exports else None
    if lease is None or slot is None:
        handler.answer(404)
        return
    handler.send_response(200)
    handler.send_header("Content-Type", "application/x-vnd.vmware-streamVmdk")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    try:
        handler.face.leases.send(lease, slot, lambda piece: _chunk(handler, piece))
        _chunk(handler, b"")
    except (LeaseOver, Refusal):
        # The end is missing, and so the client knows.
        handler.close_connection = True


def _chunk(handler: Handler, piece: bytes) -> None:
    handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))


def _drain(body: Body) -> None:
    """A client that is still sending would not see the answer."""
    left = DRAIN
    while left > 0 and (piece := body.read(CHUNK)):
        left -= len(piece)


class _Cut(Exception):
    """A fault broke the connection."""


def _harmed(handler: Handler, lease: Lease, body: Body) -> Callable[[int], bytes]:
    """Reads the body; a fault ends the lease or the connection half-way."""
    harm, leases = handler.face.host.harm, handler.face.leases
    dies, cut = harm.next_lease_dies(), harm.upload_cut
    left = int(handler.headers.get("Content-Length") or 2) // 2

    def read(size: int) -> bytes:
        nonlocal left
        if not dies and not cut:
            return body.read(size)
        if left <= 0:
            if dies:
                leases.die(lease)
            raise _Cut
        piece = body.read(min(size, left))
        left -= len(piece)
        return piece

    return read
