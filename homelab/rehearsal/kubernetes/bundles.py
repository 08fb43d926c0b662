"""The Kubernetes of a rehearsal: a real bundle out of the cache, or the stand-in."""

import json
import platform
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from homelab.errors import UsageError
from homelab.rehearsal.kubernetes import FOLDER, make_bundle

# As Kubernetes calls what `uname -m` says.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PAUSE = "/pause:"
# In a container kubeadm's look at the kernel finds neither its modules nor its configuration.
IGNORED_PREFLIGHT_ERRORS = ("SystemVerification",)


@dataclass(frozen=True)
class Kubernetes:
    """A bundle; `pause` is its pause image's name, empty for the stand-in."""

    bundle: Path
    version: str
    pause: str = ""
    ignored_preflight_errors: Sequence[str] = ()

    @property
    def words(self) -> str:
        """For people."""
        return f"Kubernetes v{self.version} is real" if self.pause else f"Kubernetes v{self.version} is a stand-in"


def choose(cache: Path, version: str, wanted: str) -> Kubernetes:
    """The bundle of a version (`1.36.3`): `real`, `stand-in`, or `auto`: real where the cache has one.

    Raises UsageError when a real one was asked for and there is none.
    """
    version = version.removeprefix("v")
    real = find_bundle(cache, version) if wanted != "stand-in" else None
    if real:
        return Kubernetes(real, version, _pause(real), IGNORED_PREFLIGHT_ERRORS)
    if wanted == "real":
        raise UsageError(
            f"no bundle of Kubernetes {version} is at hand",
            where="--kubernetes real",
            advice=f"Make one: homelab kubernetes bundle (make bundle); it is looked for in {cache / 'bundles'}",
        )
    return Kubernetes(make_bundle(cache, version), version)


def find_bundle(cache: Path, version: str) -> Path | None:
    """The newest real bundle of a version for this machine's processor in CACHE/bundles; None when there is none."""
    architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
    found = (cache / "bundles").glob(f"kubernetes-{version}-{architecture}-*.tar")
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _pause(bundle: Path) -> str:
    """The pause image that a bundle brings."""
    try:
        with tarfile.open(bundle) as archive:
            member = archive.extractfile(f"{FOLDER}/bundle.json")
            images = json.loads(member.read())["images"] if member else {}
        return next(str(image) for image in images.values() if PAUSE in image)
    except (OSError, tarfile.TarError, KeyError, ValueError, AttributeError, StopIteration) as error:
        raise UsageError(
            f"{bundle} is no bundle of Kubernetes: {error!r}",
            where="--kubernetes",
            advice="Remove that file, and make it again: homelab kubernetes bundle; or use --kubernetes stand-in",
        ) from error
