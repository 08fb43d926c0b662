"""The bundle in the cache: the one that is there, or a new one, by the way that is open."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from homelab.errors import DeadlinePassed
from homelab.formats.kubernetes.bundle import bundle_name, recipe_id
from homelab.formats.kubernetes.estimate import FROM_SOURCE
from homelab.formats.kubernetes.source import CNI_VERSION, NFT_SUITE, PAUSE, version_flags
from homelab.ports.files.locks import LockHeld, waited_lock
from homelab.ports.kubernetes.contents import write_bundle
from homelab.ports.kubernetes.from_source import IMAGE_FORM, FromSource
from homelab.ports.kubernetes.workshop import Note, Workshop, kept_in_words

Way = Literal["community", "source"]
BUNDLES = "bundles"
# Longer than any build takes.
LOCK_SECONDS = 7200.0


def kept_bundle(cache: Path, version: str, way: Way) -> Path:
    """Where the bundle of a version (`1.36.3`) lies, or will: its name follows from the recipe alone."""
    recipes = {
        "source": [IMAGE_FORM, CNI_VERSION, NFT_SUITE, PAUSE, version_flags(version)],
        "community": [CNI_VERSION],
    }
    return cache / BUNDLES / bundle_name(version, way, recipe_id(recipes[way]))


def make_bundle(cache: Path, version: str, way: Way, note: Note) -> Path:
    """Make the bundle unless it is there; one process makes it, others wait. HomelabError says what stopped it."""
    bundle = kept_bundle(cache, version, way)
    with kept_in_words(bundle):
        bundle.parent.mkdir(parents=True, exist_ok=True)
        with _alone(bundle.with_name(".kubernetes.lock"), note):
            if not bundle.exists():
                workshop = Workshop(cache, note, FROM_SOURCE)
                contents = FromSource(version, workshop).contents()
                write_bundle(contents, bundle)
    return bundle


@contextmanager
def _alone(path: Path, note: Note) -> Iterator[None]:
    """The only process that makes a bundle."""
    try:
        with waited_lock(path, 0):
            yield
            return
    except LockHeld:
        note("waiting for another process that makes a bundle")
    try:
        with waited_lock(path, LOCK_SECONDS):
            yield
    except LockHeld:
        raise DeadlinePassed(
            f"another process has made a bundle for {LOCK_SECONDS:g} s",
            where=str(path),
            advice="End that process, then run the same command again; it goes on where that one stopped",
        ) from None
