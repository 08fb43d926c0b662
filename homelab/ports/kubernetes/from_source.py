"""A bundle from source: Go modules, built here."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from homelab.formats.kubernetes.bundle import ARCHITECTURE, PLUGINS, PROGRAMS
from homelab.formats.kubernetes.images import ImageName
from homelab.formats.kubernetes.source import (
    CNI_VERSION,
    KUBERNETES_PROGRAMS,
    NFT_SUITE,
    Module,
    cni_module,
    coredns_module,
    etcd_module,
    kubernetes_module,
    pause_module,
)
from homelab.ports.kubernetes.contents import Contents, wanted_images
from homelab.ports.kubernetes.go import bring_together, build, go_version, kubernetes_go_mod
from homelab.ports.kubernetes.images import program_image
from homelab.ports.kubernetes.nft import fetch_nft
from homelab.ports.kubernetes.workshop import Workshop

# Programs that lie beside an image's own one.
BESIDE = {"etcd": ("etcdctl",)}
# Part of the recipe of images: another number makes them anew.
IMAGE_FORM = 2
UPSTREAM = "go.mod"
ARCHIVE = "image.tar"


class FromSource:
    """Builds what a bundle of one version holds; every part is kept by its recipe, Go's own version included."""

    name = "source"

    def __init__(self, version: str, workshop: Workshop) -> None:
        self._version = version
        self._workshop = workshop
        self._go = go_version()

    def contents(self) -> Contents:
        """Build all that is not there yet. HomelabError with Go's last words."""
        # First, for it needs another tool than Go, and nobody should wait ten minutes to hear so.
        nft = self._workshop.part("nft", [NFT_SUITE, ARCHITECTURE], fetch_nft)
        programs = self._programs(self._kubernetes(), ["kubeadm"])
        images = wanted_images(programs["kubeadm"], self._version)
        versions = {image.name: image.version for image in images}
        programs |= self._programs(self._kubernetes(), KUBERNETES_PROGRAMS[1:])
        for module in (
            etcd_module(versions["etcd"]),
            coredns_module(versions["coredns"]),
            cni_module(),
            pause_module(),
        ):
            programs |= self._programs(module, list(module.packages))
        archives = self._images(images, programs, nft)
        components = {"kubernetes": self._version, "cni-plugins": CNI_VERSION}
        components |= {name: versions[name] for name in ("etcd", "coredns", "pause")}
        return Contents(
            version=self._version,
            files={f"bin/{name}": programs[name] for name in PROGRAMS}
            | {f"cni/{name}": programs[name] for name in PLUGINS}
            | {image.file: archives[image] for image in images},
            images=images,
            components=components,
            made={"from": "source", "go": self._go, "nft": f"Debian {NFT_SUITE}"},
        )

    def _kubernetes(self) -> Module:
        folder = self._workshop.part("go.mod", [self._version], self._fetch_go_mod)
        return kubernetes_module(self._version, (folder / UPSTREAM).read_text(encoding="utf-8"))

    def _fetch_go_mod(self, folder: Path) -> None:
        (folder / UPSTREAM).write_text(kubernetes_go_mod(self._version), encoding="utf-8")

    def _programs(self, module: Module, names: Sequence[str]) -> dict[str, Path]:
        """The programs of these names, built where they are not there."""
        recipe = [dict(module.files), module.flags, self._go, ARCHITECTURE]
        source = self._workshop.part(f"{module.name} modules", recipe, partial(bring_together, module))
        built = {}
        for name in names:
            make = partial(_build, module, name, source)
            built[name] = self._workshop.part(name, [*recipe, name], make) / name
        return built

    def _images(self, images: Sequence[ImageName], programs: Mapping[str, Path], nft: Path) -> dict[ImageName, Path]:
        made = {}
        for image in images:
            inside = [programs[name] for name in (image.name, *BESIDE.get(image.name, ()))]
            beside = nft if image.name == "kube-proxy" else None
            parts = [path.parent.name for path in inside] + ([beside.name] if beside else [])
            make = partial(_image, image, inside, beside)
            made[image] = self._workshop.part(f"{image.name} image", [IMAGE_FORM, str(image), parts], make) / ARCHIVE
        return made


def _build(module: Module, name: str, source: Path, folder: Path) -> None:
    build(module, name, source, folder / name)


def _image(image: ImageName, programs: Sequence[Path], nft: Path | None, folder: Path) -> None:
    program_image(image, programs, nft, folder / ARCHIVE)
