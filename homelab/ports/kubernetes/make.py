"""The bundle in the cache: the one that is there, or a new one, by the way that is open."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from homelab.errors import DeadlinePassed, HomelabError
from homelab.formats.kubernetes.bundle import bundle_name, recipe_id
from homelab.formats.kubernetes.estimate import FROM_COMMUNITY, FROM_SOURCE
from homelab.formats.kubernetes.source import CNI_VERSION, NFT_SUITE, PAUSE, version_flags
from homelab.ports.files.locks import LockHeld, waited_lock
from homelab.ports.kubernetes.contents import write_bundle
from homelab.ports.kubernetes.from_community import SERVERS, FromCommunity, Servers, released
from homelab.ports.kubernetes.from_source import IMAGE_FORM, FromSource
from homelab.ports.kubernetes.go import go_is_here
from homelab.ports.kubernetes.workshop import Note, Workshop, kept_in_words

Way = Literal["community", "source"]
Wanted = Literal["auto", "community", "source"]
BUNDLES = "bundles"
HERE = "kubernetes bundle"
MACHINE = ("Linux", "x86_64")
# Longer than any build takes.
LOCK_SECONDS = 7200.0


def bundle_there(cache: Path, version: str, wanted: Wanted) -> Path | None:
    """The bundle of a version (`1.36.3`) that is in the cache, made the wanted way; None when there is none."""
    ways: tuple[Way, ...] = ("community", "source") if wanted == "auto" else (wanted,)
    return next((bundle for way in ways if (bundle := _place(cache, version, way)).is_file()), None)


def chosen_way(version: str, wanted: Wanted, servers: Servers = SERVERS) -> Way:
    """How it is to be made. HomelabError when no way is open, or when there is no such release."""
    here = platform.system(), platform.machine()
    if here != MACHINE:
        advice = "Run it on such a machine: the bundle's own kubeadm says what belongs into it"
        raise HomelabError(
            f"a bundle is made on {' '.join(MACHINE)}, this is {' '.join(here)}", where=HERE, advice=advice
        )
    if wanted == "community" or (wanted == "auto" and released(version, servers)):
        return "community"
    if go_is_here():
        return "source"
    what = "there is no Go to build from source"
    if wanted == "auto":
        what = f"{servers.programs} does not answer, and {what}"
    raise HomelabError(
        what,
        where=HERE,
        advice="Run it where the internet can be reached, or install Go (https://go.dev/dl) and run it again",
    )


def make_bundle(cache: Path, version: str, way: Way, note: Note, servers: Servers = SERVERS) -> Path:
    """Make the bundle unless it is there; one process makes it, others wait. HomelabError says what stopped it."""
    bundle = _place(cache, version, way)
    with kept_in_words(bundle):
        bundle.parent.mkdir(parents=True, exist_ok=True)
        with _alone(bundle.with_name(".kubernetes.lock"), note):
            if not bundle.is_file():
                workshop = Workshop(cache, note, FROM_SOURCE if way == "source" else FROM_COMMUNITY)
                maker = FromSource(version, workshop) if way == "source" else FromCommunity(version, workshop, servers)
                write_bundle(maker.contents(), bundle)
    return bundle


def _place(cache: Path, version: str, way: Way) -> Path:
    """Where a bundle lies, or will: its name follows from the recipe alone."""
    recipes = {
        "source": [IMAGE_FORM, CNI_VERSION, NFT_SUITE, PAUSE, version_flags(version)],
        "community": [CNI_VERSION],
    }
    return cache / BUNDLES / bundle_name(version, way, recipe_id(recipes[way]))


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
