"""The community's servers as a folder behind an HTTP server on loopback: dl.k8s.io, a registry, two release pages.

The layout is theirs: https://dl.k8s.io/release/vX/bin/linux/ARCH with .sha256 files, the OCI distribution API's paths
(v2/NAME/manifests/REFERENCE and v2/NAME/blobs/DIGEST), and the assets of etcd's and the CNI plugins' releases.
"""

import functools
import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from homelab.ports.kubernetes.from_community import Servers

VERSION = "1.36.3"
IMAGES = {
    "kube-apiserver": "v1.36.3",
    "kube-controller-manager": "v1.36.3",
    "kube-scheduler": "v1.36.3",
    "kube-proxy": "v1.36.3",
    "coredns/coredns": "v1.14.2",
    "pause": "3.10.2",
    "etcd": "3.6.8-0",
}
# All that is run of it here: its list of images.
KUBEADM = (
    '#!/bin/sh\n[ "$*" = "config images list --kubernetes-version=v1.36.3" ] || exit 1\ncat <<END\n'
    + "".join(f"registry.k8s.io/{name}:{tag}\n" for name, tag in IMAGES.items())
    + "END\n"
)


@dataclass
class Served:
    """What is served: its folder, the addresses, and the paths that were asked for.

    A path that ends in `stalls` gets half of its content, sets `stalled`, and the other half never; `resumed` lets the
    server go.
    """

    folder: Path
    servers: Servers = field(default_factory=Servers)
    asked: list[str] = field(default_factory=list)
    stalls: str = ""
    stalled: threading.Event = field(default_factory=threading.Event)
    resumed: threading.Event = field(default_factory=threading.Event)

    def file(self, path: str) -> Path:
        """The one served file at this path."""
        [found] = self.folder.glob(path)
        return found


@contextmanager
def community(folder: Path) -> Iterator[Served]:
    """Serve all of a release for as long as the context lasts."""
    _publish(folder)
    served = Served(folder)

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            super().do_GET()

        def copyfile(self, source: Any, outputfile: Any) -> None:
            if served.stalls and self.path.endswith(served.stalls):
                outputfile.write(source.read(os.fstat(source.fileno()).st_size // 2))
                outputfile.flush()
                served.stalled.set()
                served.resumed.wait()
                return
            super().copyfile(source, outputfile)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        at = f"http://127.0.0.1:{server.server_port}"
        served.servers = Servers(f"{at}/dl", f"{at}/{{}}", f"{at}/etcd", f"{at}/cni")
        yield served
        served.resumed.set()
        server.shutdown()


def _publish(folder: Path) -> None:
    for name in ("kubeadm", "kubelet", "kubectl"):
        content = KUBEADM.encode() if name == "kubeadm" else f"the program {name}".encode()
        program = _write(folder / "dl" / "release" / f"v{VERSION}" / "bin" / "linux" / "amd64" / name, content)
        program.with_name(f"{name}.sha256").write_text(_sha256(content))
    for name, tag in IMAGES.items():
        _publish_image(folder / "registry.k8s.io" / "v2" / name, tag)
    etcd = _tgz({f"etcd-v3.6.8-linux-amd64/{name}": name for name in ("etcd", "etcdctl", "etcdutl", "README.md")})
    _write(folder / "etcd" / "v3.6.8" / "etcd-v3.6.8-linux-amd64.tar.gz", etcd)
    sums = f"{'0' * 64}  etcd-v3.6.8-darwin-amd64.zip\n{_sha256(etcd)}  etcd-v3.6.8-linux-amd64.tar.gz\n"
    (folder / "etcd" / "v3.6.8" / "SHA256SUMS").write_text(sums)
    cni = _tgz({f"./{name}": name for name in ("bandwidth", "bridge", "host-local", "loopback", "portmap", "LICENSE")})
    name = "cni-plugins-linux-amd64-v1.9.1.tgz"
    _write(folder / "cni" / "v1.9.1" / name, cni).with_name(f"{name}.sha256").write_text(f"{_sha256(cni)}  {name}\n")


def _publish_image(folder: Path, tag: str) -> None:
    """An image of two layers for this architecture, in a list with another one's."""
    layers = [gzip.compress(f"{folder.name}, layer {number}".encode(), mtime=0) for number in (1, 2)]
    config = json.dumps({"os": "linux", "architecture": "amd64", "name": folder.name}).encode()
    for blob in (config, *layers):
        _write(folder / "blobs" / f"sha256:{_sha256(blob)}", blob)
    manifest = json.dumps({"config": _descriptor(config), "layers": [_descriptor(layer) for layer in layers]}).encode()
    _write(folder / "manifests" / f"sha256:{_sha256(manifest)}", manifest)
    rows = [_descriptor(b"another") | {"platform": {"os": "linux", "architecture": "arm64"}}]
    rows.append(_descriptor(manifest) | {"platform": {"os": "linux", "architecture": "amd64"}})
    _write(folder / "manifests" / tag, json.dumps({"schemaVersion": 2, "manifests": rows}).encode())


def _descriptor(content: bytes) -> dict[str, object]:
    return {"digest": f"sha256:{_sha256(content)}", "size": len(content)}


def _tgz(files: Mapping[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
