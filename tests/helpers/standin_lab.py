"""Nodes for the stand-in: namespaces with a bridge between them, an overlay on /etc and /var/lib, and a small balancer.

Nothing of it reaches the machine's own network or files, and it ends with its first process.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from homelab.rehearsal.kubernetes import make_bundle

VIP, ADDRESSES = "10.99.0.10", {"cp1": "10.99.0.11", "cp2": "10.99.0.12"}
# Ignored, so that what a node's programs leave behind is reaped.
HOLD = "import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execlp('sleep', 'sleep', 'infinity')"
PREPARE = """set -e
mount -t tmpfs tmpfs {work}
for folder in etc var/lib; do
  name=$(echo $folder | tr / -); mkdir -p {work}/$name {work}/$name.work
  mount -t overlay -o lowerdir=/$folder,upperdir={work}/$name,workdir={work}/$name.work overlay /$folder
done
ip link set lo up; ip addr add {address}/24 dev eth0; ip link set eth0 up
echo 1 > /proc/sys/net/ipv4/ip_forward
echo '{vip} api.lab.test' >> /etc/hosts
"""
SYSTEMCTL = """#!/bin/sh
pid=/var/lib/kubelet.pid
case "$1" in
restart|stop)
  if [ -f $pid ]; then kill "$(cat $pid)" 2>/dev/null; while kill -0 "$(cat $pid)" 2>/dev/null; do sleep 0.05; done; fi
  rm -f $pid ;;
esac
if [ "$1" = restart ]; then
  . /var/lib/kubelet/kubeadm-flags.env
  setsid kubelet --kubeconfig=/etc/kubernetes/kubelet.conf \\
    --config=/var/lib/kubelet/config.yaml $KUBELET_KUBEADM_ARGS </dev/null >/var/lib/kubelet.log 2>&1 &
  echo $! > $pid
fi
"""
BALANCER = """
import itertools, socket, sys, threading
turn = itertools.cycle(sys.argv[2:])
def copy(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    for end in (a, b):
        try: end.shutdown(socket.SHUT_RDWR)
        except OSError: pass
def serve(client):
    for _ in sys.argv[2:]:
        try:
            server = socket.create_connection((next(turn), 6443), 1)
            break
        except OSError:
            continue
    else:
        return client.close()
    server.settimeout(None)
    threading.Thread(target=copy, args=(server, client), daemon=True).start()
    copy(client, server)
listener = socket.create_server((sys.argv[1], 6443))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


class Lab:
    """A bridge with the virtual address and the nodes; `run` runs a program on a node, `curl` outside of them."""

    def __init__(self, folder: Path, balanced: bool = True) -> None:
        self.folder = folder
        with tarfile.open(make_bundle(folder / "cache", "1.36.3")) as archive:
            archive.extractall(folder, filter="data")
        self._write("kubernetes-bundle/bin/systemctl", SYSTEMCTL)
        self._holders: list[subprocess.Popen[bytes]] = []
        self._net = self._hold("--net", "--mount")
        self._ip(f"link add br0 type bridge\naddr add {VIP}/24 dev br0\nlink set br0 up\nlink set lo up")
        self._pids = {name: self._node(name, address) for name, address in ADDRESSES.items()}
        if balanced:
            self.balance(sys.executable, "-c", BALANCER, VIP, *ADDRESSES.values())

    def balance(self, *command: str) -> None:
        """Start a balancer where the virtual address is; it ends with the lab."""
        self._holders.append(subprocess.Popen(["nsenter", "-t", str(self._net), "-n", *command]))

    def run(self, node: str, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """A program on a node, with the bundle's programs first in PATH."""
        enter = ["nsenter", "-t", str(self._pids[node]), "-m", "-n", "-p"]
        environment = {"PATH": f"{self.folder}/kubernetes-bundle/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        return subprocess.run([*enter, *command], capture_output=True, text=True, env=environment, **options)

    def read(self, node: str, path: str) -> str:
        """A file of a node."""
        return self.run(node, "cat", path, check=True).stdout

    def curl(self, path: str, *options: str, server: str = VIP) -> tuple[int, str]:
        """The HTTP status and the text of an answer, verified by the cluster's CA (which see_admin() fetches)."""
        authority = self.folder / "ca.crt"
        command = ["curl", "-s", "-m", "5", "--cacert", str(authority), "-w", "\n%{http_code}", *options]
        enter = ["nsenter", "-t", str(self._net), "-n"]
        done = subprocess.run([*enter, *command, f"https://{server}:6443{path}"], capture_output=True, text=True)
        text, _, code = done.stdout.rpartition("\n")
        return int(code or 0), text

    def see_admin(self) -> list[str]:
        """Options of curl for the identity of admin.conf; lays ca.crt down beside it."""
        config = yaml.safe_load(self.read("cp1", "/etc/kubernetes/admin.conf"))
        user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
        assert cluster["server"] == "https://api.lab.test:6443"
        for name, data in (
            ("ca.crt", cluster["certificate-authority-data"]),
            ("admin.crt", user["client-certificate-data"]),
            ("admin.key", user["client-key-data"]),
        ):
            self._write(name, base64.b64decode(data).decode(), 0o600)
        return ["--cert", f"{self.folder}/admin.crt", "--key", f"{self.folder}/admin.key"]

    def configure(self, node: str, kind: str, **fields: Any) -> str:
        """Writes kubeadm's configuration for a node; returns its path there."""
        endpoint = {"advertiseAddress": ADDRESSES[node]}
        own: dict[str, Any] = {"nodeRegistration": {"name": node, "ignorePreflightErrors": ["CRI"]}}
        place = {"controlPlane": {"localAPIEndpoint": endpoint, **fields.pop("controlPlane", {})}}
        own.update({"localAPIEndpoint": endpoint} if kind == "InitConfiguration" else place)
        version = {"apiVersion": "kubeadm.k8s.io/v1beta4"}
        documents = [{**version, "kind": kind, **own, **fields}]
        if kind == "InitConfiguration":
            flags = [{"name": "shutdown-delay-duration", "value": "3s"}]
            server = {"certSANs": [VIP, *ADDRESSES.values(), *ADDRESSES, "127.0.0.1"], "extraArgs": flags}
            cluster = {"kubernetesVersion": "v1.36.3", "controlPlaneEndpoint": "api.lab.test:6443", "apiServer": server}
            documents.append({**version, "kind": "ClusterConfiguration", **cluster})
        path = "/etc/kubernetes/kubeadm.yaml"
        self.run(node, "mkdir", "-p", "/etc/kubernetes", check=True)
        self.run(node, "tee", path, input=yaml.safe_dump_all(documents), check=True)
        return path

    def close(self) -> None:
        """Ends every process that was started; the namespaces go with them."""
        for holder in reversed(self._holders):
            holder.kill()
            holder.wait()

    def _node(self, name: str, address: str) -> int:
        pid = self._hold("--net", "--mount", "--pid", "--mount-proc")
        self._ip(f"link add v{name} type veth peer name eth0 netns {pid}\nlink set v{name} master br0 up")
        work = self.folder / name
        work.mkdir()
        prepare = PREPARE.format(work=work, address=address, vip=VIP)
        enter = ["nsenter", "-t", str(pid), "-m", "-n", "-p"]
        subprocess.run([*enter, "sh", "-c", prepare], check=True)
        return pid

    def _hold(self, *namespaces: str) -> int:
        command = ["unshare", *namespaces, "--fork", "--kill-child", sys.executable, "-c", HOLD]
        holder = subprocess.Popen(command, start_new_session=True)
        self._holders.append(holder)
        children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children")
        pid = int(wait_until(lambda: children.read_text().split())[0])
        wait_until(lambda: Path(f"/proc/{pid}/comm").read_text().strip() == "sleep")
        return pid

    def _ip(self, batch: str) -> None:
        command = ["nsenter", "-t", str(self._net), "-n", "ip", "-batch", "-"]
        subprocess.run(command, input=batch, text=True, check=True)

    def _write(self, name: str, text: str, mode: int = 0o755) -> None:
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)


def wait_until(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    """Polls until the condition is true; fails when the time is over."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)
    return value


def can_run() -> bool:
    """Whether this machine allows it: Linux, root, and the programs."""
    programs = ("unshare", "nsenter", "ip", "curl", "openssl", "/usr/bin/python3")
    return sys.platform == "linux" and os.geteuid() == 0 and all(map(shutil.which, programs))


def names(text: str) -> list[str]:
    """The names of a NodeList."""
    return [item["metadata"]["name"] for item in json.loads(text)["items"]]
