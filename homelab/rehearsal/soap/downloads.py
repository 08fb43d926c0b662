"""Backups of a host's configuration, offered for download."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from homelab.rehearsal.soap.server import Handler


def serve(handler: Handler, path: str) -> None:
    """Answer one download; the path is the secret, no login is asked for, as on a real host."""
    bundle = handler.face.host.backups.get(path)
    if bundle is None:
        handler.answer(404)
    else:
        handler.answer(200, bundle, "application/octet-stream")
