"""Image archives as `docker save` writes them and `ctr images import` takes them, of files or of a registry's blobs.

manifest.json names a config and the layers; the config holds the SHA-256 of each layer as a plain tar (diff_ids). A
layer may be compressed: containerd keeps it as it is. No time stamps: the same content is the same archive.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, Any, Protocol

# All that is found by its name alone, as kubeadm's manifests call the programs, has to be in PATH.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Programs become a third; higher levels take twice the time for 2 % less.
LEVEL = 6
PIECE = 1 << 20
DIGEST = "sha256:"


@dataclass(frozen=True)
class Entry:
    """A file of a layer, by its path without a leading slash; `link` makes it a symbolic link."""

    path: str
    content: IO[bytes] | None = field(default=None, repr=False)
    size: int = 0
    mode: int = 0o755
    link: str = ""


@dataclass(frozen=True)
class Layer:
    """What a layer is known by: the SHA-256 of the plain tar and of the compressed one, both in hexadecimal."""

    diff_id: str
    digest: str


class _Sink(Protocol):
    def write(self, data: Any, /) -> Any: ...


class _Hashed(io.RawIOBase):
    """Passes on what is written, and hashes it."""

    def __init__(self, out: _Sink) -> None:
        self._out = out
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self._out.write(data)
        return len(data)


def write_layer(out: IO[bytes], entries: Iterable[Entry]) -> Layer:
    """Write a compressed layer of these entries, and the folders above them, to `out`."""
    packed = _Hashed(out)
    with gzip.GzipFile("", "wb", LEVEL, packed, mtime=0) as zipped:
        plain = _Hashed(zipped)
        with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as layer:
            folders: set[str] = set()
            for entry in entries:
                _add_folders(layer, entry.path, folders)
                layer.addfile(_header(entry), entry.content)
    return Layer(plain.sha256.hexdigest(), packed.sha256.hexdigest())


def _add_folders(layer: tarfile.TarFile, path: str, known: set[str]) -> None:
    for parent in reversed(PurePosixPath(path).parents[:-1]):
        if str(parent) not in known:
            known.add(str(parent))
            folder = tarfile.TarInfo(f"{parent}/")
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            layer.addfile(folder)


def _header(entry: Entry) -> tarfile.TarInfo:
    header = tarfile.TarInfo(entry.path)
    header.mode, header.size = entry.mode, entry.size
    if entry.link:
        header.type, header.linkname, header.mode = tarfile.SYMTYPE, entry.link, 0o777
    return header


def image_config(architecture: str, layers: Sequence[Layer], entrypoint: Sequence[str], user: str = "") -> bytes:
    """The config of an image, as the OCI image specification has it."""
    run = {"Entrypoint": list(entrypoint), "Env": [f"PATH={PATH}"], "WorkingDir": "/"} | (
        {"User": user} if user else {}
    )
    return json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": [DIGEST + layer.diff_id for layer in layers]},
        }
    ).encode()


def write_image(out: IO[bytes], tag: str, config: bytes, layers: Mapping[str, tuple[IO[bytes], int]]) -> None:
    """Write the archive of one image: its name, its config and its layers in order, each by digest as (file, bytes)."""
    names = [f"{digest}.tar.gz" for digest in layers]
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [tag], "Layers": names}]).encode()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in (("manifest.json", manifest), (config_name, config)):
            _add(archive, name, io.BytesIO(content), len(content))
        for name, (layer, size) in zip(names, layers.values(), strict=True):
            _add(archive, name, layer, size)


def _add(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    archive.addfile(member, content)
