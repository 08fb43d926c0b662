"""A real Kubernetes on real guests, from bare hosts on. One lab, one story: the tests run in the order they stand in.

`make e2e-kubernetes` runs it; it needs a bundle (`make bundle`).
"""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from homelab.ports.files.data import data_folder
from homelab.ports.files.home import cache_folder
from homelab.rehearsal.kubernetes.bundles import find_bundle
from homelab.rehearsal.outside.launch import guests_possible
from tests.helpers.checkout import HELPERS
from tests.helpers.served import Lab, events, failures, served, summary, until

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]
VIP, VERSION = "192.168.2.100", "1.36.3"
NODES = {"cp1": "192.168.2.21", "cp2": "192.168.2.22", "cp3": "192.168.2.23", "worker1": "192.168.2.41"}
KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
RATE = 25


def tell(line: str) -> None:
    """For who watches the run."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def with_a_worker(folder: Path) -> Path:
    """The sample inventory with the worker that stands in its comments."""
    copy = folder / "sample"
    shutil.copytree(data_folder("inventory"), copy)
    path = copy / "hosts.yml"
    hosts = yaml.safe_load(path.read_text(encoding="utf-8"))
    hosts["all"]["children"]["workers"] = {"hosts": {"worker1": {"ansible_host": NODES["worker1"]}}}
    path.write_text(yaml.safe_dump(hosts), encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The sample lab with one worker, bare at first."""
    if lack := guests_possible():
        pytest.skip(lack)
    if find_bundle(cache_folder(), VERSION) is None:
        pytest.skip(f"there is no bundle of Kubernetes {VERSION}: make bundle")
    folder = tmp_path_factory.mktemp("kubernetes")
    with served(folder / "lab", "--kubernetes", "real", inventory=with_a_worker(folder)) as running:
        yield running


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


@dataclass
class Seen:
    """What became of the requests of a load, once it is over."""

    asked: int = 0
    slow: int = 0
    failed: list[tuple[float, str]] = field(default_factory=list)

    def lost(self, since: float = 0.0) -> list[str]:
        """Why those failed that were sent after an instant; what is under way when a server dies, is cut."""
        return [why for sent, why in self.failed if sent > since]


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


def phases(output: str) -> dict[str, tuple[float, float]]:
    """When each step began and ended, in seconds from the first event."""
    seen = [(datetime.fromisoformat(event["at"]).timestamp(), event) for event in events(output) if event.get("step")]
    first = min(at for at, _ in seen)
    spans: dict[str, list[float]] = {}
    for at, event in seen:
        if event["event"] != "plan":
            spans.setdefault(event["step"], []).append(at - first)
    return {step: (min(times), max(times)) for step, times in spans.items()}


def test_bootstrap_ends_with_four_nodes_ready(lab: Lab) -> None:
    began = time.monotonic()
    done = lab.homelab("--yes", "-o", "json", "bootstrap", timeout=890)
    assert done.returncode == 0, failures(done.stdout) or done.stderr
    took = time.monotonic() - began
    for step, (start, end) in phases(done.stdout).items():
        tell(f"{step:20} {start:6.1f} to {end:6.1f} s")
    until(lambda: all(map(is_ready, nodes(lab).values())), 60, "all nodes are Ready")
    known = nodes(lab)
    assert set(known) == set(NODES)
    assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in known.values()} == {f"v{VERSION}"}
    tell(f"bare hosts to {len(known)} nodes Ready, Kubernetes v{VERSION}: {took:.0f} s")


def test_a_second_bootstrap_changes_nothing(lab: Lab) -> None:
    began = time.monotonic()
    done = lab.homelab("--yes", "-o", "json", "bootstrap", timeout=300)
    assert done.returncode == 0, failures(done.stdout)
    assert summary(done.stdout)["changed"] == 0
    tell(f"second bootstrap: nothing changed, {time.monotonic() - began:.0f} s")


def test_pods_reach_each_other_and_the_service(lab: Lab) -> None:
    """CoreDNS says over HTTP how it is, and answers at its service's address, on every node."""
    pods = json.loads(on(lab, "cp1", f"{KUBECTL} -n kube-system get pods -l k8s-app=kube-dns -o json").strip())
    addresses = [pod["status"]["podIP"] for pod in pods["items"]]
    assert len(addresses) == 2
    for name in NODES:
        for address in addresses:
            assert "OK" in on(lab, name, f"curl -sf -m 5 http://{address}:8080/health")
        assert "ok" in on(lab, name, "curl -skf -m 5 https://10.96.0.1/readyz")


def test_no_request_is_lost_when_an_api_server_is_killed(lab: Lab) -> None:
    with load(lab) as seen:
        killed = float(on(lab, "cp2", "pkill -9 kube-apiserver; date +%s.%N"))
        until(lambda: is_well(lab, "cp2"), 90, "it is back")
    lost = seen.lost(killed)
    cut = len(seen.failed) - len(lost)
    tell(f"an API server killed: {len(lost)} of {seen.asked} requests lost, {cut} cut, {seen.slow} slow")
    assert lost == []


def test_a_control_plane_is_made_anew_while_the_api_stays(lab: Lab) -> None:
    """The inventory's first one: it leaves etcd, and joins by way of another."""
    with load(lab) as seen:
        done = lab.homelab("--yes", "-o", "json", "vm", "rebuild", "cp1", timeout=600)
    assert done.returncode == 0, failures(done.stdout) or done.stderr
    until(lambda: all(map(is_ready, nodes(lab, "cp2").values())), 60, "all nodes are Ready")
    seconds = summary(done.stdout)["seconds"]
    tell(f"cp1 made anew in {seconds:.0f} s: {len(seen.lost())} of {seen.asked} requests lost, {seen.slow} slow")
    assert seen.lost() == []


def test_a_join_that_is_killed_half_way_is_cleared_away_and_done_again(lab: Lab) -> None:
    """Its member of etcd is there by then, and its node may be."""
    process = lab.begin("homelab", "--yes", "-o", "json", "vm", "rebuild", "cp3")
    kill = "test -e /etc/kubernetes/manifests/etcd.yaml && pgrep -f '^kubeadm join' && pkill -9 -f '^kubeadm join'"
    until(lambda: lab.ssh("cp3", kill).returncode == 0, 400, "it was killed")
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert ("kubernetes", "cp3") in failures(out)
    done = lab.homelab("--yes", "-o", "json", "bootstrap", timeout=600)
    assert done.returncode == 0, failures(done.stdout) or done.stderr
    until(lambda: all(map(is_ready, nodes(lab).values())), 60, "all nodes are Ready")
    tell(f"a join killed half-way: done again in {summary(done.stdout)['seconds']:.0f} s")


def test_after_a_power_cut_of_all_nodes_the_cluster_comes_back_by_itself(lab: Lab) -> None:
    for name in NODES:
        # The connection dies with the machine.
        lab.ssh(name, "systemctl poweroff -ff")
    done = lab.homelab("--yes", "-o", "json", "up", timeout=300)
    assert done.returncode == 0, failures(done.stdout) or done.stderr

    def all_ready() -> bool:
        asked = lab.ssh("cp1", f"{KUBECTL} get nodes -o json")
        return asked.returncode == 0 and all(map(is_ready, json.loads(asked.stdout)["items"]))

    tell(f"a power cut of all nodes: all Ready after {until(all_ready, 300, 'all nodes are Ready'):.0f} s")
    # The last heartbeat may be from before the cut: the pods answer now.
    until(lambda: lab.homelab("-o", "json", "verify", timeout=120).returncode == 0, 180, "verify is content")
