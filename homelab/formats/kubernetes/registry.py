"""What a registry says of an image (OCI distribution and image specifications), read with distrust."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
ACCEPT = ", ".join((*INDEXES, *MANIFESTS))
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Manifest:
    """The digests of an image's config and of its layers, in order: SHA-256 in hexadecimal."""

    config: str
    layers: tuple[str, ...]


def manifest_of(text: bytes, architecture: str) -> Manifest | str:
    """An image's manifest, or of a list of them the digest of the one for Linux on this architecture.

    ValueError for what is neither, or has no such one.
    """
    content = json.loads(text)
    try:
        if "manifests" in content:
            return _of_list(content["manifests"], architecture)
        return Manifest(digest_of(content["config"]), tuple(digest_of(layer) for layer in content["layers"]))
    except (AttributeError, KeyError, TypeError):
        raise ValueError("it is no manifest of an image") from None


def _of_list(manifests: Iterable[Any], architecture: str) -> str:
    for one in manifests:
        platform = one.get("platform") or {}
        if (platform.get("os"), platform.get("architecture")) == ("linux", architecture):
            return digest_of(one)
    raise ValueError(f"there is no image for linux/{architecture}")


def digest_of(descriptor: Any) -> str:
    """The SHA-256 that a descriptor names; ValueError for anything else: it goes into an address and a path."""
    found = _DIGEST.fullmatch(str(descriptor.get("digest")))
    if not found:
        raise ValueError("a digest is no SHA-256")
    return found[1]
