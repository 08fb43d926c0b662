"""The images that kubeadm asks for, as `kubeadm config images list` names them."""

import re
from dataclasses import dataclass

# Only a tag's last part, a count of rebuilds of the same version, as in 3.6.8-0.
_REBUILD = re.compile(r"-\d+$")


@dataclass(frozen=True)
class ImageName:
    """`registry.k8s.io/coredns/coredns:v1.14.2` in its parts; `name` is the last one of the path."""

    registry: str
    repository: str
    tag: str

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}:{self.tag}"

    @property
    def name(self) -> str:
        """What it is: `kube-apiserver`, `etcd`, `coredns`, `pause`."""
        return self.repository.rpartition("/")[2]

    @property
    def version(self) -> str:
        """The program's own version, without `v` and without the count of rebuilds: `3.6.8` of `3.6.8-0`."""
        return _REBUILD.sub("", self.tag.removeprefix("v"))

    @property
    def file(self) -> str:
        """Its archive in a bundle."""
        return f"images/{self.name}.tar"


def image_names(listing: str) -> tuple[ImageName, ...]:
    """The images of kubeadm's list, one a line. ValueError for a line that is none."""
    return tuple(image_name(line.strip()) for line in listing.splitlines() if line.strip())


def image_name(text: str) -> ImageName:
    """One image's name in its parts. ValueError when it has no registry or no tag."""
    path, colon, tag = text.rpartition(":")
    registry, slash, repository = path.partition("/")
    if not (colon and slash and repository and tag) or "/" in tag:
        raise ValueError(f"not the name of an image: {text!r}")
    return ImageName(registry, repository, tag)
