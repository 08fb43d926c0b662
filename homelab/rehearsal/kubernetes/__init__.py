"""A stand-in for Kubernetes: a bundle of the real one's form, whose programs are small and written in Python.

kubeadm makes the same certificates and files, kubelet serves a small API over TLS; no container runs. The version says
what it is: v1.X.Y+homelab.standin. The bundle's form: docs/reference/bundle.md.
"""

import gzip
import hashlib
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

from homelab.formats.kubernetes.standin import BUILD

PROGRAMS = Path(__file__).parent / "programs"
NAMES = ("kubeadm", "kubelet", "kubectl")
# The folder that every bundle unpacks to.
FOLDER = "kubernetes-bundle"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def make_bundle(cache: Path, version: str) -> Path:
    """Make the stand-in bundle of a Kubernetes version (`1.36.3`) in CACHE/bundles, unless it is there.

    The file's name holds its own hash; it is put in place in one go.
    """
    version = version.removeprefix("v")
    files = {f"bin/{name}": _program(name, f"v{version}+{BUILD}") for name in NAMES}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = json.dumps({"kubernetes_version": version, "files": digests}, indent=2).encode() + b"\n"
    content = _packed({"bundle.json": manifest, **files})
    name = f"kubernetes-{version}-standin-{hashlib.sha256(content).hexdigest()[:16]}.tar.gz"
    bundle = cache / "bundles" / name
    if not bundle.exists():
        bundle.parent.mkdir(parents=True, exist_ok=True)
        unfinished = bundle.with_name(f".{name}.{os.getpid()}")
        unfinished.write_bytes(content)
        unfinished.replace(bundle)
    return bundle


def _program(name: str, version: str) -> bytes:
    """One program as a single file: a Python zip application."""
    entry = f"import sys\n\nfrom programs.{name} import main\n\nsys.exit(main(sys.argv[1:], {version!r}))\n"
    modules = {f"programs/{path.name}": path.read_bytes() for path in sorted(PROGRAMS.glob("*.py"))}
    archive = io.BytesIO(b"")
    archive.write(b"#!/usr/bin/python3\n")
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as zipped:
        for path, content in {"__main__.py": entry.encode(), **modules}.items():
            zipped.writestr(zipfile.ZipInfo(path, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return archive.getvalue()


def _packed(files: dict[str, bytes]) -> bytes:
    # No time stamps: the same content is the same file.
    packed = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", 6, packed, mtime=0) as plain,
        tarfile.open(fileobj=plain, mode="w") as archive,
    ):
        for name, content in files.items():
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size, member.mode = len(content), 0o755 if name.startswith("bin/") else 0o644
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
