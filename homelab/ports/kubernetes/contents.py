"""What a bundle is put together from, whichever way it was made, and putting it together."""

import hashlib
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from homelab.errors import HomelabError
from homelab.formats.kubernetes.bundle import LIST, add_file, bundle_list
from homelab.formats.kubernetes.images import ImageName, image_names
from homelab.ports.files.whole import whole_file
from homelab.ports.process import Child, run

FOR_ALL = 0o644
KUBEADM_SECONDS = 60.0


@dataclass(frozen=True)
class Contents:
    """The files by their names in the bundle; versions by component; how it was made."""

    version: str
    files: Mapping[str, Path] = field(repr=False)
    images: tuple[ImageName, ...]
    components: Mapping[str, str]
    made: Mapping[str, str]


def wanted_images(kubeadm: Path, version: str) -> tuple[ImageName, ...]:
    """The images of this version, asked of its own kubeadm. HomelabError when it does not run here."""
    advice = "A bundle is made on Linux, x86-64, where the guests' programs run too"
    argv = [str(kubeadm), "config", "images", "list", f"--kubernetes-version=v{version}"]
    done = run(Child("kubeadm", argv, KUBEADM_SECONDS, where=str(kubeadm), advice=advice))
    try:
        images = image_names(done.stdout)
    except ValueError as error:
        raise HomelabError(f"kubeadm's list of images: {error}", where=str(kubeadm), advice=advice) from None
    if done.status or not images:
        raise HomelabError("kubeadm did not list its images", where=" ".join(argv), advice=advice)
    return images


def write_bundle(contents: Contents, path: Path) -> None:
    """Write the bundle as `path`, whole or not at all. Raises OSError."""
    digests = {name: digest(file) for name, file in contents.files.items()}
    images = {image.file: str(image) for image in contents.images}
    text = bundle_list(contents.version, contents.components, images, contents.made, digests)
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        whole_file(path, path.with_name(f".{path.name}.part"), mode=FOR_ALL) as out,
        tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        add_file(archive, LIST, BytesIO(text), len(text))
        for name, file in contents.files.items():
            with file.open("rb") as content:
                add_file(archive, name, content, file.stat().st_size)


def digest(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
