"""A real API server on a real etcd, in a network of its own: from the parts of a bundle that was built here."""

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from homelab.ports.files.home import cache_folder
from homelab.ports.ssh import Login, Output
from tests.helpers.cluster_pki import Authority

NAMES = ("etcd", "kube-apiserver", "kubectl")
ADDRESS = "127.0.0.1"
START = """set -e
ip link set lo up
{etcd} --data-dir data --log-level error > etcd.log 2>&1 &
{apiserver} {flags} > apiserver.log 2>&1 &
wait
"""


def lacks() -> str:
    """Why there can be none here; empty when there can."""
    if os.geteuid() or not shutil.which("unshare"):
        return "networks of one's own need root"
    missing = [name for name in NAMES if program(name) is None]
    return f"{', '.join(missing)} was never built here (homelab kubernetes bundle)" if missing else ""


def program(name: str) -> Path | None:
    """The newest one that was built."""
    found = sorted((cache_folder() / "bundle-parts").glob(f"{name}-*/{name}"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


@dataclass(frozen=True)
class ControlPlane:
    """The shell of a machine with kubectl; `environment` has its kubeconfig. It keeps what it was asked in `lines`."""

    inside: int
    admin: Path
    lines: list[str]
    login = Login("cp1", ADDRESS, 22, "homelab", 5.0)

    def run(
        self, argv: Sequence[str], *, stdin: str = "", seconds: float | None = None, writes: bool = False
    ) -> Output:
        """As Shell.run, for commands of kubectl as root."""
        self.lines.append(shlex.join(argv))
        assert argv[:3] == ["sudo", "-n", "env"]
        words = [str(self.admin).join(word.split("/etc/kubernetes/admin.conf")) for word in argv[2:]]
        kubectl = words.index("kubectl")
        command = ["nsenter", f"--net=/proc/{self.inside}/ns/net", *words[:kubectl], str(program("kubectl"))]
        command += words[kubectl + 1 :]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=seconds, check=False)
        return Output(done.returncode, done.stdout, done.stderr)

    def kubectl(self, *words: str, stdin: str = "") -> str:
        """What kubectl prints; it has to succeed."""
        done = self.run(["sudo", "-n", "env", "KUBECONFIG=/etc/kubernetes/admin.conf", "kubectl", *words], stdin=stdin)
        assert done.status == 0, done.stderr
        return done.stdout


@contextmanager
def api_server(folder: Path) -> Iterator[ControlPlane]:
    """Serve until the context ends; nothing of it is left."""
    command = ["unshare", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", START.format(**_programs(folder))]
    with subprocess.Popen(command, cwd=folder) as serving:
        try:
            plane = ControlPlane(serving.pid, folder / "admin.conf", [])
            _await(plane, folder)
            yield plane
        finally:
            serving.kill()


def write_signing_key(path: Path) -> None:
    """The key that signs tokens of service accounts, as PEM."""
    key = rsa.generate_private_key(65537, 2048)
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*pem))


def _programs(folder: Path) -> dict[str, str]:
    pki = Authority(folder, "ca")
    server = pki.signs("server.pem", [("CN", "kube-apiserver")], [ADDRESS])
    pair = pki.signs("admin.pem", [("O", "system:masters"), ("CN", "admin")])
    user = {"client-certificate": str(pair), "client-key": str(pair)}
    cluster = {"server": f"https://{ADDRESS}:6443", "certificate-authority": str(pki.file)}
    config = {
        "clusters": [{"name": "a", "cluster": cluster}],
        "users": [{"name": "a", "user": user}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "current-context": "a",
    }
    (folder / "admin.conf").write_text(yaml.safe_dump(config), encoding="utf-8")
    write_signing_key(folder / "sa.key")
    flags = {
        "etcd-servers": "http://127.0.0.1:2379",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": "sa.key",
        "service-account-signing-key-file": "sa.key",
        "tls-cert-file": str(server),
        "tls-private-key-file": str(server),
        "client-ca-file": str(pki.file),
        "authorization-mode": "RBAC",
        "advertise-address": "192.0.2.1",
        "endpoint-reconciler-type": "none",
    }
    line = " ".join(f"--{name}={value}" for name, value in flags.items())
    return {"etcd": str(program("etcd")), "apiserver": str(program("kube-apiserver")), "flags": line}


def _await(plane: ControlPlane, folder: Path) -> None:
    end = time.monotonic() + 120
    asked = ["sudo", "-n", "env", "KUBECONFIG=/etc/kubernetes/admin.conf", "kubectl", "get", "--raw", "/readyz"]
    while plane.run(asked, seconds=60).stdout != "ok":
        assert time.monotonic() < end, (folder / "apiserver.log").read_text(encoding="utf-8")[-2000:]
    plane.kubectl("get", "namespace", "default")
