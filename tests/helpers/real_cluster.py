"""A lab with a real Kubernetes in it: its nodes, commands on its guests, and clients at work."""

import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from homelab.ports.files.data import data_folder
from homelab.ports.files.home import cache_folder
from homelab.rehearsal.kubernetes.bundles import find_bundle
from homelab.rehearsal.outside.launch import guests_possible
from tests.helpers.checkout import HELPERS
from tests.helpers.served import Lab, failures, served, until

VIP, VERSION = "192.168.2.100", "1.36.3"
CONTROL_PLANES = ("cp1", "cp2", "cp3")
WORKER = {"worker1": {"ansible_host": "192.168.2.41"}}
KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
RATE = 25


def tell(line: str) -> None:
    """For who watches the run."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def bundle_of(version: str) -> Path:
    """The bundle of a version; skips where there is none, or where real guests cannot run."""
    if lack := guests_possible():
        pytest.skip(lack)
    if found := find_bundle(cache_folder(), version):
        return found
    pytest.skip(f"there is no bundle of Kubernetes {version}: homelab kubernetes bundle --kubernetes-version {version}")


# The only image of a bundle that answers over HTTP without a cluster behind it: CoreDNS says how it is.
HELLO = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: hello}
data:
  Corefile: |
    .:1053 {
        health :8080
        whoami
    }
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: hello}
spec:
  replicas: 2
  selector: {matchLabels: {app: hello}}
  template:
    metadata: {labels: {app: hello}}
    spec:
      containers:
        - name: hello
          image: registry.k8s.io/coredns/coredns:v1.14.2
          args: [-conf, /etc/hello/Corefile]
          volumeMounts: [{name: hello, mountPath: /etc/hello}]
      volumes: [{name: hello, configMap: {name: hello}}]
---
apiVersion: v1
kind: Service
metadata: {name: hello}
spec:
  type: NodePort
  selector: {app: hello}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
"""
POOL = {"name": "hello", "port": 80, "members": [*WORKER], "server_port": 30080, "check": "/health"}


def sample(folder: Path, version: str, workers: Mapping[str, Any]) -> Path:
    """The sample inventory with another version, and with workers: then a first workload behind the VIP, too."""
    copy, manifests = folder / "sample", folder / "manifests"
    shutil.copytree(data_folder("inventory"), copy)
    everyone = copy / "group_vars" / "all.yml"
    everyone.write_text(everyone.read_text(encoding="utf-8").replace(VERSION, version), encoding="utf-8")
    if workers:
        hosts = yaml.safe_load((copy / "hosts.yml").read_text(encoding="utf-8"))
        hosts["all"]["children"]["workers"] = {"hosts": dict(workers)}
        (copy / "hosts.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
        manifests.mkdir()
        (manifests / "hello.yml").write_text(HELLO, encoding="utf-8")
        _add(everyone, kubernetes_manifests=[str(manifests)])
        _add(copy / "group_vars" / "load_balancers.yml", load_balancer_pools=[POOL])
    return copy


@contextmanager
def bare_lab(folder: Path, version: str = VERSION, workers: Mapping[str, Any] = MappingProxyType({})) -> Iterator[Lab]:
    """The sample lab of a version, nothing made yet; skips where that cannot be."""
    bundle_of(version)
    with served(folder / "lab", "--kubernetes", "real", inventory=sample(folder, version, workers)) as running:
        yield running


def _add(path: Path, **variables: Any) -> None:
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{yaml.safe_dump(variables)}", encoding="utf-8")


def on(lab: Lab, name: str, command: str) -> str:
    """What a shell command says on a guest, as root."""
    done = lab.ssh(name, command)
    assert done.returncode == 0, f"{name}: {command}: {done.stdout}{done.stderr}"
    return done.stdout


def nodes(lab: Lab, by: str = "cp1") -> dict[str, Any]:
    """The nodes by name, as the API knows them."""
    return {node["metadata"]["name"]: node for node in json.loads(on(lab, by, f"{KUBECTL} get nodes -o json"))["items"]}


def is_well(lab: Lab, name: str) -> bool:
    """Whether the API server of a control plane is ready."""
    return lab.ssh(name, "curl -skf -m 2 https://127.0.0.1:6443/readyz").returncode == 0


def is_ready(node: dict[str, Any]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"]["conditions"])


def killed_half_way(lab: Lab, name: str, program: str, *command: str) -> None:
    """Kills kubeadm on a control plane once the manifest of its etcd is there; the command that ran it says so."""
    # Into a file: a pipe that nobody empties would hold it up.
    told = lab.folder / f"killed-{name}.jsonl"
    words = shlex.join(["homelab", "--yes", "-o", "json", *command])
    process = lab.begin("sh", "-c", f"exec {words} >{shlex.quote(str(told))}")
    kill = f"test -e /etc/kubernetes/manifests/etcd.yaml && pgrep -f '^{program}' && pkill -9 -f '^{program}'"
    until(lambda: lab.ssh(name, kill).returncode == 0, 400, "it was killed")
    assert process.wait(300) == 1
    assert ("kubernetes", name) in failures(told.read_text())


@dataclass
class Seen:
    """What became of the requests of a load, once it is over."""

    asked: int = 0
    slow: int = 0
    failed: list[tuple[float, str]] = field(default_factory=list)

    def lost(self, since: float = 0.0) -> list[str]:
        """Why those failed that were sent after an instant; what is under way when a server dies, is cut."""
        return [f"{sent - since:.2f} s after: {why}" for sent, why in self.failed if sent > since]


@contextmanager
def load(lab: Lab) -> Iterator[Seen]:
    """Requests through the VIP meanwhile."""
    ca, seen = lab.folder / "ca.crt", Seen()
    ca.write_text(on(lab, "cp2", "cat /etc/kubernetes/pki/ca.crt"))
    process = lab.begin(sys.executable, str(HELPERS / "api_load.py"), VIP, "6443", str(ca), str(RATE))
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "asking"
    try:
        yield seen
    finally:
        os.kill(process.pid, signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
        told = json.loads(out)
        seen.asked, seen.slow, seen.failed = told["asked"], told["slow"], told["lost"]
