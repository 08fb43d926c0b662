"""Runs on a control plane, on its own Python, as root: prints a mark, and then a tar.gz of the cluster as bytes.

Standard library only; Python 3.9 and newer. The snapshot comes from the JSON gateway that etcd has on the port that
kubeadm opens, as the members do in etcd.py: it needs no etcdctl, no container and no API server. It lies in a file
without a name meanwhile, which is gone with this process, however that ends.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import json
import os
import pathlib
import ssl
import sys
import tarfile
import tempfile
import time
from typing import IO, Any

PKI = pathlib.Path("/etc/kubernetes/pki")
KUBERNETES = pathlib.Path("/etc/kubernetes")
# kubeadm keeps copies of etcd there from upgrades.
LEFT_OUT = "tmp"
ADDRESS, PORT = "127.0.0.1", 2379
SECONDS = 30.0
SPOOL = "/var/tmp"
MARK = b"\0homelab kubernetes backup 1\n"
DIGEST = 32
MOST = 1 << 20


def asked(context: ssl.SSLContext, path: str) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
    """The answer to an empty question, which is still to be read. Raises OSError, ValueError, HTTPException."""
    connection = http.client.HTTPSConnection(ADDRESS, PORT, timeout=SECONDS, context=context)
    connection.request("POST", path, b"{}", {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status != http.client.OK:
        raise ValueError(f"etcd answers {answer.status} to {path}: {answer.read(200).decode(errors='replace')}")
    return connection, answer


def status(context: ssl.SSLContext) -> dict[str, Any]:
    """How etcd stands: its version and its revision."""
    connection, answer = asked(context, "/v3/maintenance/status")
    try:
        read = json.loads(answer.read(MOST))
        return {"etcd_version": str(read["version"]), "revision": int(read["header"]["revision"])}
    finally:
        connection.close()


def snapshot(context: ssl.SSLContext, file: IO[bytes]) -> int:
    """Write a snapshot, and see that it is whole; its size. ValueError when it is not."""
    connection, answer = asked(context, "/v3/maintenance/snapshot")
    digest, size, last = hashlib.sha256(), 0, b""
    try:
        # One JSON object a line, each with a piece; the digest of all that comes before it is the end.
        while line := answer.readline():
            part = json.loads(line)
            if "result" not in part:
                raise ValueError(f"etcd broke the snapshot off: {str(part.get('error', part))[:200]}")
            piece = base64.b64decode(part["result"].get("blob", ""))
            file.write(piece)
            size, held = size + len(piece), last + piece
            digest.update(held[:-DIGEST])
            last = held[-DIGEST:]
    finally:
        connection.close()
    if size <= DIGEST or digest.digest() != last:
        raise ValueError(f"the snapshot of {size} bytes is not whole: its own checksum does not fit")
    return size


def wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """All but what kubeadm keeps of upgrades."""
    return None if member.name == f"etc/kubernetes/{LEFT_OUT}" else member


def add(tar: tarfile.TarFile, name: str, size: int, file: IO[bytes]) -> None:
    """A file that only root may read."""
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(time.time())
    tar.addfile(member, file)


def send(out: IO[bytes]) -> None:
    """Everything; nothing is printed before the snapshot is known to be whole."""
    context = ssl.create_default_context(cafile=str(PKI / "etcd/ca.crt"))
    context.load_cert_chain(PKI / "apiserver-etcd-client.crt", PKI / "apiserver-etcd-client.key")
    about = {**status(context), "node": os.uname().nodename, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    with tempfile.TemporaryFile(dir=SPOOL) as file:
        size = snapshot(context, file)
        file.seek(0)
        text = json.dumps({**about, "snapshot_bytes": size}).encode()
        out.write(MARK)
        with tarfile.open(fileobj=out, mode="w|gz") as tar:
            add(tar, "backup.json", len(text), io.BytesIO(text))
            add(tar, "snapshot.db", size, file)
            tar.add(KUBERNETES, "etc/kubernetes", filter=wanted)
    out.flush()


if __name__ == "__main__":
    try:
        send(sys.stdout.buffer)
    except (OSError, ValueError, LookupError, TypeError, http.client.HTTPException) as error:
        sys.exit(str(error) or type(error).__name__)
