"""The kubelet's part: keeps the API server of the static Pod's manifest running, and the node registered.

It runs no containers. When it is told to stop, its API server ends gracefully with it.
"""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from . import apiserver, client, plain_yaml
from .access import NODES

MANIFEST = "kube-apiserver.yaml"
LOOK_SECONDS = 0.5
BACK_OFF_SECONDS = 1.0
REGISTER_SECONDS = (1.0, 10.0)


class StaticPod:
    """The API server that the manifest asks for."""

    def __init__(self, manifest: Path) -> None:
        self._manifest = manifest
        self._process: subprocess.Popen[bytes] | None = None
        self._running: tuple[str, ...] = ()
        self._not_before = 0.0

    def reconcile(self) -> None:
        """Starts, restarts or stops it, as the manifest says now."""
        wanted = self._wanted()
        if self._process and self._process.poll() is not None:
            sys.stderr.write(f"kubelet: kube-apiserver ended with {self._process.returncode}\n")
            self._process, self._not_before = None, time.monotonic() + BACK_OFF_SECONDS
        if self._process and wanted != self._running:
            self._process.send_signal(signal.SIGTERM)
            self._running = wanted
        elif not self._process and wanted and time.monotonic() >= self._not_before:
            self._running = wanted
            self._process = subprocess.Popen([sys.executable, sys.argv[0], *wanted])

    def stop(self) -> None:
        """Ends it gracefully, and waits."""
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()

    def _wanted(self) -> tuple[str, ...]:
        try:
            pod = plain_yaml.load(self._manifest.read_text())
            return tuple(pod["spec"]["containers"][0]["command"])
        except FileNotFoundError:
            return ()


def register(kubeconfig: Path, name: str, address: str, version: str) -> bool:
    """Puts the node among the cluster's nodes unless it is there; returns whether the API server knows it now."""
    try:
        api = client.from_file(kubeconfig, timeout=2.0)
        try:
            api.get(f"{NODES}/{name}")
        except client.ApiError as error:
            if error.status != 404:
                return False
            api.put(f"{NODES}/{name}", node(name, address, version))
    except (client.ApiError, OSError):
        return False
    return True


def node(name: str, address: str, version: str) -> dict[str, object]:
    """The node as it is registered."""
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "a stand-in: runs no containers"}
    addresses = [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}]
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    status = {"addresses": addresses, "conditions": [ready], "nodeInfo": {"kubeletVersion": version}}
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": status,
    }


def main(arguments: list[str], version: str) -> int:
    """Runs until SIGTERM; ends at once when kubeadm has not prepared the node yet."""
    if arguments[:1] == ["kube-apiserver"]:
        return apiserver.main(arguments[1:], version)
    if arguments == ["--version"]:
        sys.stdout.write(f"Kubernetes {version}\n")
        return 0
    flags = apiserver.parse_flags(arguments)
    config = Path(flags.get("config", "/var/lib/kubelet/config.yaml"))
    if not config.exists():
        sys.stderr.write(f"kubelet: failed to load kubelet config file {config}: no such file; kubeadm writes it\n")
        return 1
    name = flags.get("hostname-override", socket.gethostname())
    pod = StaticPod(Path(plain_yaml.load(config.read_text())["staticPodPath"]) / MANIFEST)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    next_look = 0.0
    try:
        while True:
            pod.reconcile()
            if time.monotonic() >= next_look:
                known = register(Path(flags["kubeconfig"]), name, flags.get("node-ip", ""), version)
                next_look = time.monotonic() + REGISTER_SECONDS[known]
            time.sleep(LOOK_SECONDS)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pod.stop()
