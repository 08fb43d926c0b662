"""A backup of a cluster: a tar.gz of etcd's snapshot and of /etc/kubernetes, judged before it is kept. Pure."""

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any

ABOUT, SNAPSHOT = "backup.json", "snapshot.db"
PKI = "etc/kubernetes/pki"
# What no kubeadm makes anew as it was (kubernetes.io/docs/setup/best-practices/certificates).
ORIGINALS = tuple(
    f"{PKI}/{name}"
    for name in (
        "ca.crt",
        "ca.key",
        "etcd/ca.crt",
        "etcd/ca.key",
        "front-proxy-ca.crt",
        "front-proxy-ca.key",
        "sa.key",
        "sa.pub",
    )
)
DIGEST = 32
PIECE = 1 << 20


class NoBackup(ValueError):
    """Bytes that are no backup, or not a whole one."""


@dataclass(frozen=True)
class Backup:
    """What is in a backup: of which node it is, and etcd's revision when it was begun."""

    node: str
    revision: int
    etcd_version: str
    snapshot_bytes: int


def file_name(lab: str, now: datetime) -> str:
    """What a backup is called unless told, such as homelab-kubernetes-20260131T235959Z.backup."""
    return f"{lab}-kubernetes-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.backup"


def read_backup(data: bytes) -> Backup:
    """Read all of a backup and judge it by its own checksums. Raises NoBackup."""
    try:
        # Read to its very end: gzip's own checksum stands there, and tarfile alone would pass over it.
        with gzip.open(io.BytesIO(data)) as plain:
            with tarfile.open(fileobj=plain, mode="r|") as tar:
                about, size, names = _members(tar)
            while plain.read(PIECE):
                pass
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as error:
        raise NoBackup(str(error) or type(error).__name__) from error
    _complete(names)
    try:
        backup = Backup(
            str(about["node"]), int(about["revision"]), str(about["etcd_version"]), int(about["snapshot_bytes"])
        )
    except (LookupError, TypeError, ValueError) as error:
        raise NoBackup(f"{ABOUT} does not tell what it is of") from error
    if backup.snapshot_bytes != size:
        raise NoBackup(f"{SNAPSHOT} has {size} bytes and should have {backup.snapshot_bytes}")
    return backup


def _members(tar: tarfile.TarFile) -> tuple[dict[str, Any], int, Set[str]]:
    about: dict[str, Any] = {}
    size, names = 0, set()
    for member in tar:
        names.add(member.name)
        file = tar.extractfile(member) if member.isfile() else None
        if file and member.name == ABOUT:
            about = json.loads(file.read(PIECE))
        elif file and member.name == SNAPSHOT:
            size = _whole_snapshot(file, member.size)
    return about, size, names


def _whole_snapshot(file: IO[bytes], size: int) -> int:
    """Etcd ends a snapshot with the SHA-256 of what comes before it (etcdutl, snapshot/v3_snapshot.go)."""
    digest, left = hashlib.sha256(), size - DIGEST
    while left > 0 and (piece := file.read(min(PIECE, left))):
        digest.update(piece)
        left -= len(piece)
    if size <= DIGEST or file.read(DIGEST) != digest.digest():
        raise NoBackup(f"{SNAPSHOT} is not whole: its own checksum does not fit")
    return size


def _complete(names: Set[str]) -> None:
    if missing := [name for name in (ABOUT, SNAPSHOT, *ORIGINALS) if name not in names]:
        raise NoBackup(f"it lacks {', '.join(missing)}")
