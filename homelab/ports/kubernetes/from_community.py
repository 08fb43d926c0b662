"""A bundle of what the Kubernetes project and its neighbours publish: programs and images, checked by their digests."""

import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from homelab.errors import HomelabError
from homelab.formats.kubernetes.bundle import ARCHITECTURE, PLUGINS
from homelab.formats.kubernetes.image_archive import write_image
from homelab.formats.kubernetes.images import ImageName
from homelab.formats.kubernetes.registry import ACCEPT, Manifest, manifest_of
from homelab.formats.kubernetes.source import CNI_VERSION
from homelab.ports.kubernetes.contents import Contents, digest, wanted_images
from homelab.ports.kubernetes.workshop import Workshop
from homelab.ports.media.download import download

KUBERNETES = ("kubeadm", "kubelet", "kubectl")
ETCD = ("etcdctl", "etcdutl")
# Long enough for a slow line; without any, each connection is dropped in silence.
ASK_SECONDS = 5.0
ARCHIVE = "image.tar"
ADVICE = "Run again; if it stays, a proxy or a mirror on the way hands out another file"


@dataclass(frozen=True)
class Servers:
    """Where things are published; `registry` is the address of every registry, `{}` its name."""

    programs: str = "https://dl.k8s.io"
    registry: str = "https://{}"
    etcd: str = "https://github.com/etcd-io/etcd/releases/download"
    cni: str = "https://github.com/containernetworking/plugins/releases/download"


SERVERS = Servers()
Fetch = Callable[[str, Path], None]


def released(version: str, servers: Servers) -> bool:
    """Whether the server of programs answers for this version. HomelabError when it says that there is none."""
    url = f"{_programs(version, servers)}/kubeadm.sha256"
    try:
        with urllib.request.urlopen(url, timeout=ASK_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 404:
            return False
        raise HomelabError(
            f"there is no Kubernetes {version}", where=url, advice="Correct kubernetes_version"
        ) from None
    except (OSError, ValueError):
        return False


class FromCommunity:
    """Fetches what a bundle of one version holds; every part is kept, and checked before it is."""

    def __init__(self, version: str, workshop: Workshop, servers: Servers) -> None:
        self._version = version
        self._workshop = workshop
        self._servers = servers

    def contents(self) -> Contents:
        """Fetch all that is not there yet. HomelabError, Unreachable."""
        base = _programs(self._version, self._servers)
        programs = {name: self._part(name, base, partial(_program, name)) / name for name in KUBERNETES}
        images = wanted_images(programs["kubeadm"], self._version)
        versions = {image.name: image.version for image in images}
        etcd = self._part("etcd", f"{self._servers.etcd}/v{versions['etcd']}", partial(_etcd, versions["etcd"]))
        cni = self._part("cni", f"{self._servers.cni}/v{CNI_VERSION}", _cni)
        return Contents(
            version=self._version,
            files={f"bin/{name}": path for name, path in programs.items()}
            | {f"bin/{name}": etcd / name for name in ETCD}
            | {f"cni/{name}": cni / name for name in PLUGINS}
            | {image.file: self._image(image) for image in images},
            images=images,
            components={"kubernetes": self._version, "cni-plugins": CNI_VERSION}
            | {name: versions[name] for name in ("etcd", "coredns", "pause")},
            made={"from": "community"},
        )

    def _part(self, name: str, base: str, fetch: Fetch) -> Path:
        return self._workshop.part(name, [base, ARCHITECTURE], partial(fetch, base))

    def _image(self, image: ImageName) -> Path:
        base = f"{self._servers.registry.format(image.registry)}/v2/{image.repository}"
        make = partial(_fetch_image, base, image)
        return self._workshop.part(f"{image.name} image", [base, str(image), ARCHITECTURE], make) / ARCHIVE


def _programs(version: str, servers: Servers) -> str:
    return f"{servers.programs}/release/v{version}/bin/linux/{ARCHITECTURE}"


def _program(name: str, base: str, folder: Path) -> None:
    """A program of Kubernetes; beside it lies its SHA-256."""
    expected = _text(f"{base}/{name}.sha256", folder).split()
    _fetch(f"{base}/{name}", folder / name, expected[0] if expected else "")
    (folder / name).chmod(0o755)


def _etcd(version: str, base: str, folder: Path) -> None:
    """Etcd's tools, from the archive that SHA256SUMS has a line for."""
    name = f"etcd-v{version}-linux-{ARCHITECTURE}.tar.gz"
    lines = [line.split() for line in _text(f"{base}/SHA256SUMS", folder).splitlines()]
    _fetch(f"{base}/{name}", folder / name, next((words[0] for words in lines if words[1:] == [name]), ""))
    _unpack(folder / name, ETCD)


def _cni(base: str, folder: Path) -> None:
    """The CNI plugins, from the archive that has its SHA-256 beside it."""
    name = f"cni-plugins-linux-{ARCHITECTURE}-v{CNI_VERSION}.tgz"
    expected = _text(f"{base}/{name}.sha256", folder).split()
    _fetch(f"{base}/{name}", folder / name, expected[0] if expected else "")
    _unpack(folder / name, PLUGINS)


def _unpack(archive: Path, names: Sequence[str]) -> None:
    """Put the files of these names beside the archive, wherever they lie in it, and take the archive away."""
    with tarfile.open(archive) as packed:
        found = {member.name.rpartition("/")[2]: member for member in packed if member.isfile()}
        for name in names:
            if name not in found:
                raise HomelabError(f"{archive.name} holds no {name}", where=archive.name, advice=ADVICE)
            content = packed.extractfile(found[name])
            assert content is not None
            with (archive.parent / name).open("wb") as file:
                shutil.copyfileobj(content, file)
            (archive.parent / name).chmod(0o755)
    archive.unlink()


def _fetch_image(base: str, image: ImageName, folder: Path) -> None:
    """An image's archive, from a registry: by its tag once, all else by digest."""
    manifest = _manifest(base, image.tag, folder)
    for blob in (manifest.config, *manifest.layers):
        _fetch(f"{base}/blobs/sha256:{blob}", folder / blob, blob)
    with ExitStack() as opened, (folder / ARCHIVE).open("wb") as out:
        files = {name: opened.enter_context((folder / name).open("rb")) for name in manifest.layers}
        layers = {name: (file, (folder / name).stat().st_size) for name, file in files.items()}
        write_image(out, str(image), (folder / manifest.config).read_bytes(), layers)
    for blob in {manifest.config, *manifest.layers}:
        (folder / blob).unlink()


def _manifest(base: str, reference: str, folder: Path) -> Manifest:
    url, file = f"{base}/manifests/{reference}", folder / "manifest"
    _fetch(url, file, reference.removeprefix("sha256:") if reference.startswith("sha256:") else None)
    text = file.read_bytes()
    file.unlink()
    try:
        found = manifest_of(text, ARCHITECTURE)
    except ValueError as error:
        raise HomelabError(f"the registry's answer cannot be used: {error}", where=url, advice=ADVICE) from None
    return found if isinstance(found, Manifest) else _manifest(base, f"sha256:{found}", folder)


def _fetch(url: str, file: Path, expected: str | None) -> None:
    """Fetch a file; None for `expected` trusts the server's word."""
    download(url, file, lambda done, total: None, headers={"Accept": f"{ACCEPT}, */*"})
    if expected is not None and (found := digest(file)) != expected:
        raise HomelabError(
            f"the file's SHA-256 is {found}, it should be {expected or 'told beside it'}; it was not kept",
            where=url,
            advice=ADVICE,
        )


def _text(url: str, folder: Path) -> str:
    file = folder / "text"
    _fetch(url, file, None)
    text = file.read_text(encoding="utf-8", errors="replace")
    file.unlink()
    return text
