"""Files of datastores over HTTPS: `/folder/PATH?dcPath=ha-datacenter&dsName=NAME`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import parse_qs, urlsplit

from homelab.rehearsal.host.licences import forbids_changes
from homelab.rehearsal.soap.body import BadBody, Body
from homelab.rehearsal.state.harm import reset
from homelab.rehearsal.state.refusals import InvalidDatastorePath, NotFound, Refusal
from homelab.rehearsal.storage.paths import join

if TYPE_CHECKING:
    from homelab.rehearsal.soap.server import Handler

CHUNK = 1024 * 1024
ZEROS = bytes(CHUNK)


def serve(handler: Handler, path: str) -> None:
    """Answer one request: 401 without a login, 404 without the file, 200 or 201 for one laid down, 204 deleted."""
    # A body that was not read would be taken for the next request.
    handler.close_connection = handler.close_connection or handler.command == "PUT"
    if not handler.authorized():
        headers = {"WWW-Authenticate": 'Basic realm="VMware HTTP server"'}
        handler.answer(401, b"Unauthorized", headers=headers)
        return
    if handler.command in ("PUT", "DELETE") and forbids_changes(handler.face.host):
        handler.answer(403, b"Current license or ESXi version prohibits execution of the requested operation.")
        return
    query = parse_qs(urlsplit(handler.path).query)
    label = join(query.get("dsName", [""])[0], path)
    host = handler.face.host
    try:
        file = host.datastores.path_of(label)
        if handler.command == "PUT":
            size = handler.headers.get("Content-Length") or ""
            host.datastores.volumes.check_space(file, label=label, size=int(size) if size.isdigit() else 0)
            host.datastores.volumes.check_unlocked(file, label=label)
            _put(handler, file)
        elif handler.command == "DELETE":
            _delete(handler, file, label)
        else:
            _get(handler, file)
    except (NotFound, InvalidDatastorePath) as refusal:
        handler.answer(404, refusal.message.encode())
    except Refusal as refusal:
        handler.answer(500, refusal.message.encode())
    finally:
        if handler.command in ("PUT", "DELETE"):
            host.harm.on_write(f"{handler.command} /folder")


def _get(handler: Handler, file: Path) -> None:
    if not file.is_file():
        handler.answer(404)
        return
    with file.open("rb") as source:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/octet-stream")
        handler.send_header("Content-Length", str(file.stat().st_size))
        handler.end_headers()
        if handler.command == "GET":
            shutil.copyfileobj(source, handler.wfile, CHUNK)


def _put(handler: Handler, file: Path) -> None:
    try:
        body = Body(handler.rfile, handler.headers)
    except BadBody:
        handler.answer(411)
        return
    if not file.parent.is_dir() or file.is_dir():
        handler.answer(404)
        return
    status = 200 if file.exists() else 201
    handler.face.host.datastores.volumes.forget_writes(file)
    cut = handler.face.host.harm.upload_cut
    most = int(handler.headers.get("Content-Length") or 2) // 2 if cut else None
    with file.open("wb") as target:
        whole = _receive(body, target, most)
    if most is not None:
        reset(handler.connection)
    elif whole:
        handler.close_connection = handler.headers.get("Connection", "").lower() == "close"
        handler.answer(status)


def _receive(body: Body, target: BinaryIO, most: int | None = None) -> bool:
    """Whether all came, `most` being the bytes after which to stop.

    What arrived stays, as on a real host: a cut upload leaves a part of the file.
    """
    try:
        while piece := body.read(CHUNK if most is None else min(CHUNK, most - target.tell())):
            if piece == ZEROS[: len(piece)]:
                # Kept as a hole: the rehearsal's disks live in memory.
                target.seek(len(piece), os.SEEK_CUR)
            else:
                target.write(piece)
    except BadBody:
        return False
    finally:
        target.truncate()
    return body.whole


def _delete(handler: Handler, file: Path, label: str) -> None:
    if not file.exists():
        handler.answer(404)
        return
    handler.face.host.datastores.volumes.delete(file, label=label)
    handler.answer(204)
