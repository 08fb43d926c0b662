"""A real Kubernetes on real guests, from bare hosts on. One lab, one story: the tests run in the order they stand in.

`make e2e-kubernetes` runs it; it needs a bundle (`make bundle`).
"""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.helpers.real_cluster import (
    CONTROL_PLANES,
    KUBECTL,
    VERSION,
    VIP,
    WORKER,
    bare_lab,
    is_ready,
    is_well,
    killed_half_way,
    load,
    nodes,
    on,
    tell,
)
from tests.helpers.served import Lab, events, failures, recap, summary, until

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]
NODES = (*CONTROL_PLANES, *WORKER)
MOST_BYTES = 6 << 30
# How long HAProxy needs for a server that is silent, by its times in haproxy.py, and what may be connecting to it then:
# `leastconn` hands a server that has just come as many as the others have had for long.
DOWN_SECONDS, MOST_CONNECTING = 6, 12


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The sample lab with one worker, bare at first."""
    with bare_lab(tmp_path_factory.mktemp("kubernetes"), workers=WORKER) as running:
        yield running


def phases(output: str) -> dict[str, tuple[float, float]]:
    """When each step began and ended, in seconds from the first event."""
    seen = [(datetime.fromisoformat(event["at"]).timestamp(), event) for event in events(output) if event.get("step")]
    first = min(at for at, _ in seen)
    spans: dict[str, list[float]] = {}
    for at, event in seen:
        if event["event"] != "plan":
            spans.setdefault(event["step"], []).append(at - first)
    return {step: (min(times), max(times)) for step, times in spans.items()}


def free_bytes() -> int:
    """What the kernel could give to programs that begin now."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def test_bootstrap_ends_with_four_nodes_ready(lab: Lab) -> None:
    began, free = time.monotonic(), free_bytes()
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
    taken = free - free_bytes()
    tell(f"the lab takes {taken / 2**30:.1f} GiB of memory, the guests' disks among it")
    assert taken < MOST_BYTES


def test_a_second_bootstrap_changes_nothing(lab: Lab) -> None:
    began = time.monotonic()
    done = lab.homelab("--yes", "-o", "json", "bootstrap", timeout=300)
    assert done.returncode == 0, failures(done.stdout)
    assert summary(done.stdout)["changed"] == 0
    tell(f"second bootstrap: nothing changed, {time.monotonic() - began:.0f} s")


def test_the_playbook_for_the_whole_job_finds_nothing_to_do(lab: Lab) -> None:
    began = time.monotonic()
    done = lab.play("site.yml")
    assert done.returncode == 0, done.stdout
    assert set(recap(done.stdout).values()) == {0}
    tell(f"site.yml on what bootstrap made: nothing changed, {time.monotonic() - began:.0f} s")


def test_pods_reach_each_other_and_the_service(lab: Lab) -> None:
    """CoreDNS says over HTTP how it is, and answers at its service's address, on every node."""
    pods = json.loads(on(lab, "cp1", f"{KUBECTL} -n kube-system get pods -l k8s-app=kube-dns -o json").strip())
    addresses = [pod["status"]["podIP"] for pod in pods["items"]]
    assert len(addresses) == 2
    for name in NODES:
        for address in addresses:
            assert "OK" in on(lab, name, f"curl -sf -m 5 http://{address}:8080/health")
        assert "ok" in on(lab, name, "curl -skf -m 5 https://10.96.0.1/readyz")


def test_a_pod_answers_behind_the_virtual_address(lab: Lab) -> None:
    """It came with the bootstrap, by `kubernetes_manifests`; a pool of the balancers leads to its NodePort."""
    ask = ("curl", "-sf", "-m", "5", f"http://{VIP}/health")
    took = until(lambda: lab.enter(*ask).stdout == "OK", 60, "the pod answers")
    tell(f"a pod that came with the bootstrap answers at http://{VIP}/, {took:.0f} s later")


def test_coredns_runs_on_more_than_one_node(lab: Lab) -> None:
    pods = json.loads(on(lab, "cp1", f"{KUBECTL} -n kube-system get pods -l k8s-app=kube-dns -o json"))["items"]
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 2


# It is gone when its port is closed: until then the kernel takes connections in its name, and cuts them.
KILL = (
    "kill -9 $(pgrep -x kube-apiserver) && while ss -Hltn sport = :6443 | grep -q .; do sleep 0.01; done; date +%s.%N"
)


def test_no_request_is_lost_when_an_api_server_is_killed(lab: Lab) -> None:
    with load(lab) as seen:
        killed = float(on(lab, "cp2", KILL))
        until(lambda: is_well(lab, "cp2"), 90, "it is back")
    lost = seen.lost(killed)
    cut = len(seen.failed) - len(lost)
    tell(f"an API server killed: {len(lost)} of {seen.asked} requests lost, {cut} cut, {seen.slow} slow")
    assert not lost, lost


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
    killed_half_way(lab, "cp3", "kubeadm join", "vm", "rebuild", "cp3")
    done = lab.homelab("--yes", "-o", "json", "bootstrap", timeout=600)
    assert done.returncode == 0, failures(done.stdout) or done.stderr
    until(lambda: all(map(is_ready, nodes(lab).values())), 60, "all nodes are Ready")
    tell(f"a join killed half-way: done again in {summary(done.stdout)['seconds']:.0f} s")


def test_a_power_cut_of_one_node_costs_the_few_requests_that_were_connecting_to_it(lab: Lab) -> None:
    """What is sent once the balancer takes it for down is not lost, and of what was sent before most is tried again."""
    with load(lab) as seen:
        lab.ssh("cp3", "systemctl poweroff -ff")
        off = time.time()
        until(lambda: not is_well(lab, "cp3"), 30, "it is off")
        done = lab.homelab("--yes", "-o", "json", "up", timeout=300)
        until(lambda: is_well(lab, "cp3"), 180, "it is back")
    assert done.returncode == 0, failures(done.stdout) or done.stderr
    tell(f"a power cut of one node: {len(seen.lost())} of {seen.asked} requests lost, {seen.slow} slow")
    assert seen.lost(off + DOWN_SECONDS) == []
    assert len(seen.lost()) <= MOST_CONNECTING, seen.lost(off)


def test_a_power_cut_of_two_nodes_is_over_when_one_is_back(lab: Lab) -> None:
    """Etcd has no majority meanwhile, so the API is away, and nothing else has to be done."""
    for name in ("cp2", "cp3"):
        lab.ssh(name, "systemctl poweroff -ff")
    until(lambda: not is_well(lab, "cp1"), 60, "etcd has no majority")
    done = lab.homelab("--yes", "-o", "json", "up", timeout=300)
    assert done.returncode == 0, failures(done.stdout) or done.stderr
    took = until(lambda: is_well(lab, "cp1"), 180, "the API is back")
    tell(f"a power cut of two nodes: the API is back {took:.0f} s after they were switched on")


def test_after_a_power_cut_of_all_nodes_the_cluster_comes_back_by_itself(lab: Lab) -> None:
    for name in NODES:
        # The connection dies with the machine.
        lab.ssh(name, "systemctl poweroff -ff")
    done = lab.homelab("--yes", "-o", "json", "up", timeout=300)
    assert done.returncode == 0, failures(done.stdout) or done.stderr

    def all_ready() -> bool:
        asked = lab.ssh("cp1", f"{KUBECTL} get nodes -o json")
        return asked.returncode == 0 and all(map(is_ready, json.loads(asked.stdout)["items"]))

    took = until(all_ready, 300, "all nodes are Ready")
    # The last heartbeat may be from before the cut: the pods answer now.
    took += until(lambda: lab.homelab("-o", "json", "verify", timeout=120).returncode == 0, 180, "verify is content")
    tell(f"a power cut of all nodes: verify is content {took:.0f} s after they were switched on")
