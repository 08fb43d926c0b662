"""A repository of packages as pkgs.k8s.io has one for each minor release: flat, signed, its key beside it.

Its layout is that of https://pkgs.k8s.io/core:/stable:/v1.36/deb/ (InRelease, Release.key, Packages, the packages in a
folder of their architecture). What is in the packages is the rehearsal's stand-in.
"""

import hashlib
import subprocess
import tarfile
from pathlib import Path

CONTROL = """\
Package: {name}
Version: {version}-1.1
Architecture: amd64
Maintainer: nobody <nobody@example.org>
Description: a stand-in for {name}
"""
UNIT = """\
[Unit]
Description=kubelet: The Kubernetes Node Agent
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
RestartSec=10

[Install]
WantedBy=multi-user.target
"""


def run(*words: str | Path, folder: Path | None = None) -> str:
    """What a program says; it has to end well."""
    done = subprocess.run([str(word) for word in words], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def packages(folder: Path, bundle: Path, version: str) -> None:
    """kubeadm, kubelet and kubectl of a bundle as packages."""
    (folder / "amd64").mkdir(parents=True)
    with tarfile.open(bundle) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    [programs] = (folder / "unpacked").glob("*/bin")
    for name in ("kubeadm", "kubelet", "kubectl"):
        tree = folder / f"tree-{name}"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN" / "control").write_text(CONTROL.format(name=name, version=version))
        (tree / "usr" / "bin").mkdir(parents=True)
        (programs / name).rename(tree / "usr" / "bin" / name)
        (tree / "usr" / "bin" / name).chmod(0o755)
        if name == "kubelet":
            units = tree / "usr" / "lib" / "systemd" / "system"
            units.mkdir(parents=True)
            (units / "kubelet.service").write_text(UNIT)
        run("dpkg-deb", "--root-owner-group", "--build", tree, folder / "amd64" / f"{name}_{version}-1.1_amd64.deb")


def sign(folder: Path, keys: Path, owner: str) -> None:
    """Write the index, sign it by a new key of `owner`, and lay the public key beside it."""
    keys.mkdir(mode=0o700)
    gpg = ("gpg", "--homedir", keys, "--batch", "--yes", "--passphrase", "", "--pinentry-mode", "loopback")
    run(*gpg, "--quick-generate-key", owner, "ed25519", "sign", "never")
    index = run("dpkg-scanpackages", "--multiversion", "amd64", folder=folder)
    (folder / "Packages").write_text(index)
    digest, size = hashlib.sha256(index.encode()).hexdigest(), len(index.encode())
    (folder / "Release").write_text(f"Origin: {owner}\nArchitectures: amd64\nSHA256:\n {digest} {size} Packages\n")
    run(*gpg, "--armor", "--output", folder / "InRelease", "--clearsign", folder / "Release")
    (folder / "Release.key").write_text(run(*gpg, "--armor", "--export", owner))
    # gpg begins it by itself, and it would stay.
    run("gpgconf", "--homedir", keys, "--kill", "gpg-agent")
