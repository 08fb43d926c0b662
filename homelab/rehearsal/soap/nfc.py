"""Disks of an import over HTTPS: `/nfc/LEASE/disk-0.vmdk`. The lease's id is the ticket, no login is asked for."""

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
    """Answer one upload: 200, 404 without a lease or disk, 500 for what is no streamOptimized VMDK or not all of it."""
    face = handler.face
    stays_open = handler.headers.get("Connection", "").lower() != "close"
    # A body that was not read would be taken for the next request.
    handler.close_connection = True
    lease_id, _, target = path.partition("/")
    lease = face.leases.all.get(lease_id)
    slot = lease.slot(target) if lease and lease.state == "ready" else None
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
