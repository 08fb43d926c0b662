"""The main job with balancers that end TLS in front of the API, on real guests."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from homelab.rehearsal.outside.launch import guests_possible
from homelab.rehearsal.soap.certificate import self_signed
from tests.helpers.served import Lab, failures, served, summary

pytestmark = [pytest.mark.e2e, pytest.mark.guests, pytest.mark.thorough, pytest.mark.timeout(1200)]
VIP = "192.168.2.100"
POOLS = [
    {"name": "www", "port": 443, "layer": 7, "tls": True, "members": ["cp1", "cp2"], "server_port": 8080},
    {"name": "finance", "port": 443, "layer": 7, "tls": True, "path": "/finance", "members": ["cp3"]},
]
# Where each kind has its certificates.
FOLDERS = {"haproxy": ("/etc/haproxy", "homelab-certificate.pem"), "nginx": ("/etc/homelab-nginx", "certificate.pem")}


@pytest.fixture(scope="module", params=FOLDERS)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The sample lab; the API at layer 7, and two pools behind a certificate of their own."""
    if lack := guests_possible():
        pytest.skip(lack)
    folder: Path = tmp_path_factory.mktemp("lab")
    certificate, key = self_signed("www.lab", VIP)
    (folder / "www.pem").write_bytes(certificate + key)
    wanted = {"load_balancer_kind": request.param}
    wanted |= {"load_balancer_layer": 7, "load_balancer_pools": POOLS, "load_balancer_certificate_file": "../www.pem"}
    with served(folder, "--kubernetes", "stand-in", lb1=wanted, lb2=wanted) as made:
        yield made


def test_it_comes_up_and_a_second_run_changes_nothing(lab: Lab) -> None:
    done = lab.homelab("--yes", "-o", "json", "bootstrap", timeout=1000)
    assert done.returncode == 0, failures(done.stdout)
    again = lab.homelab("-o", "json", "bootstrap")
    assert again.returncode == 0, again.stdout
    assert summary(again.stdout)["changed"] == 0
    planned = lab.homelab("-o", "json", "plan")
    assert json.loads(planned.stdout) == {"changes": [], "blocked": [], "hand_overs": []}


def test_keys_are_root_s_and_in_no_log(lab: Lab, request: pytest.FixtureRequest) -> None:
    folder, certificate = FOLDERS[request.node.callspec.params["lab"]]
    files = [f"{folder}/{name}" for name in ("homelab-api.pem", certificate)]
    listed = lab.ssh("lb1", "stat", "-c", "%a:%U:%n", *files)
    assert listed.stdout.count("600:root:") == 2, listed.stdout
    secret = (lab.folder / "www.pem").read_text().splitlines()[-3]
    logs = [
        path.read_text(errors="replace") for path in lab.overlay.parent.rglob("*") if path.suffix in (".log", ".jsonl")
    ]
    assert logs
    assert [log for log in logs if secret in log or "BEGIN PRIVATE KEY" in log] == []


def test_the_administrator_is_known_through_the_balancer(lab: Lab) -> None:
    nodes = lab.ssh("cp1", "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "get", "nodes")
    assert nodes.returncode == 0, nodes.stdout + nodes.stderr
    assert all(name in nodes.stdout for name in ("cp1", "cp2", "cp3"))
    headers = ("-H", "X-Remote-User: kubernetes-admin", "-H", "X-Remote-Group: system:masters")
    words = ("curl", "-sk", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}")
    forged = lab.enter(*words, *headers, f"https://{VIP}:6443/api/v1/nodes")
    assert forged.stdout == "403"
