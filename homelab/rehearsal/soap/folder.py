"""Files of datastores over HTTPS: `/folder/PATH?dcPath=ha-datacenter&dsName=NAME`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import parse_qs, urlsplit

from homelab.rehearsal.host.licences import forbids_changes
from homelab.rehearsal.soap import folder_listing
from homelab.rehearsal.soap.body import BadBody, Body
from homelab.rehearsal.soap.folder_listing import DATACENTER
from homelab.rehearsal.state.harm import reset
from homelab.rehearsal.state.refusals import InvalidDatastorePath, NotFound, Refusal
from homelab.rehearsal.storage.paths import join

if TYPE_CHECKING:
    from homelab.rehearsal.soap.server import Handler

CHUNK = 1024 * 1024
ZEROS = bytes(CHUNK)
DATA = ("-flat.vmdk", "-delta.vmdk")
READS = ("GET", "HEAD")
HTML = "text/html; charset=utf-8"


def serve(handler: Handler, path: str) -> None:
    """Answer one request.

    401 without a login, 404 without the file, 405 for a folder that is written to, 500 for a host's no; 200, 206 or a
    listing for what is read; 200 or 201 for what is laid down, 204 for what is deleted.
    """
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
    host = handler.face.host
    try:
        if query.get("dcPath", [DATACENTER])[0].strip("/") != DATACENTER:
            raise NotFound("The datacenter could not be found.")
        if "dsName" in query:
            _file(handler, query["dsName"][0], path)
        elif path or handler.command not in READS:
            handler.answer(404 if path else 405)
        else:
            page = folder_listing.datastores(host) if "dcPath" in query else folder_listing.datacenters()
            handler.answer(200, page.encode(), HTML)
    except (NotFound, InvalidDatastorePath) as refusal:
        handler.answer(404, refusal.message.encode())
    except Refusal as refusal:
        handler.answer(500, refusal.message.encode())
    finally:
        if handler.command in ("PUT", "DELETE"):
            host.harm.on_write(f"{handler.command} /folder")


def _file(handler: Handler, store: str, path: str) -> None:
    """Read, write or delete one file or folder of a datastore."""
    host, label = handler.face.host, join(store, path)
    file = host.datastores.path_of(label)
    if handler.command == "PUT":
        size = handler.headers.get("Content-Length") or ""
        host.datastores.volumes.check_space(file, label=label, size=int(size) if size.isdigit() else 0)
        host.datastores.volumes.check_unlocked(file, label=label)
        _put(handler, file)
    elif handler.command == "DELETE":
        _delete(handler, file, label)
    elif file.is_dir():
        shown = [item for item in file.iterdir() if not item.name.endswith(".vmdk.d")]
        handler.answer(200, folder_listing.folder(store, path.strip("/"), shown).encode(), HTML)
    else:
        # A running VM's data cannot be opened, its descriptor can.
        if file.name.endswith(DATA):
            host.datastores.volumes.check_unlocked(file, label=label, reading=True)
        _get(handler, file)


def _get(handler: Handler, file: Path) -> None:
    if not file.is_file():
        handler.answer(404)
        return
    size = file.stat().st_size
    # Ranges are for GET alone; If-Range holds for none, for a host tells nothing that it could name.
    ranged = handler.command == "GET" and "If-Range" not in handler.headers
    part = _part(handler.headers.get("Range", "") if ranged else "", size)
    if part is not None and not part:
        handler.answer(416, headers={"Content-Range": f"bytes */{size}"})
        return
    wanted = range(size) if part is None else part
    with file.open("rb") as source:
        handler.send_response(200 if part is None else 206)
        handler.send_header("Content-Type", "application/octet-stream")
        handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("Content-Length", str(len(wanted)))
        if part:
            handler.send_header("Content-Range", f"bytes {part.start}-{part.stop - 1}/{size}")
        handler.end_headers()
        if handler.command == "GET":
            source.seek(wanted.start)
            left = len(wanted)
            while left and (piece := source.read(min(CHUNK, left))):
                handler.wfile.write(piece)
                left -= len(piece)


def _part(header: str, size: int) -> range | None:
    """The bytes that a Range header asks for, empty when there are none; None for the whole file (RFC 9110, 14.2)."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", header.replace(" ", ""), re.ASCII)
    if not found or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        return range(max(0, size - int(last)), size)
    end = min(size, int(last) + 1) if last else size
    return None if last and int(last) < int(first) else range(int(first), max(end, int(first)))


def _put(handler: Handler, file: Path) -> None:
    try:
        body = Body(handler.rfile, handler.headers)
    except BadBody:
        handler.answer(411)
        return
    # A folder cannot be written to (govmomi#1764); one that is missing on the way is made (govmomi#1332).
    above = next(folder for folder in file.parents if folder.exists())
    if file.is_dir() or not above.is_dir():
        handler.answer(405 if file.is_dir() else 404)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
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
