"""The bundle's form: one plain tar, its list first. docs/reference/bundle.md."""

import hashlib
import json
import tarfile
from collections.abc import Mapping
from typing import IO

FOLDER = "kubernetes-bundle"
LIST = "bundle.json"
ARCHITECTURE = "amd64"
# In the order in which they lie in the archive.
PROGRAMS = ("kubeadm", "kubelet", "kubectl", "etcdctl", "etcdutl")
PLUGINS = ("bridge", "host-local", "portmap", "loopback")
RUNNABLE = ("bin/", "cni/")


def bundle_name(version: str, made_from: str, recipe: str) -> str:
    """The file's name in the cache. A stand-in's ends in `.tar.gz`, so `kubernetes-VERSION-*.tar` are the real ones."""
    return f"kubernetes-{version}-{ARCHITECTURE}-{made_from}-{recipe}.tar"


def recipe_id(recipe: object) -> str:
    """The hash that something made is kept under: 16 hexadecimal digits of its recipe, anything that JSON takes."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


def bundle_list(
    version: str,
    components: Mapping[str, str],
    images: Mapping[str, str],
    made: Mapping[str, str],
    digests: Mapping[str, str],
) -> bytes:
    """The text of bundle.json; `images` are the images' names by their files, `digests` the SHA-256 of every file."""
    content = {
        "kubernetes_version": version,
        "architecture": ARCHITECTURE,
        "made": dict(made),
        "components": dict(components),
        "images": dict(images),
        "files": dict(digests),
    }
    return json.dumps(content, indent=2).encode() + b"\n"


def add_file(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    """Add a file to the open archive, by its name in the folder. No time stamps: the same content is the same file."""
    member = tarfile.TarInfo(f"{FOLDER}/{name}")
    member.size, member.mode = size, 0o755 if name.startswith(RUNNABLE) else 0o644
    archive.addfile(member, content)
