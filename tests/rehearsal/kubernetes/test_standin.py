"""The stand-in bundle: what it holds, and a cluster of two made with its programs."""

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from homelab.ports.files.data import data_folder
from homelab.rehearsal.kubernetes import make_bundle
from homelab.rehearsal.kubernetes.programs import access, apiserver, kubeadm, plain_yaml
from tests.helpers.standin_lab import ADDRESSES, VIP, Lab, can_run, names, wait_until

PKI = "/etc/kubernetes/pki"


def test_bundle_holds_what_its_list_says_and_is_made_once(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path, "v1.36.3")
    made = bundle.stat().st_mtime_ns
    assert make_bundle(tmp_path, "1.36.3") == bundle
    assert bundle.stat().st_mtime_ns == made
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]
    with tarfile.open(bundle) as archive:
        content = {
            member.name.removeprefix("kubernetes-bundle/"): (archive.extractfile(member) or io.BytesIO()).read()
            for member in archive
        }
    listed = json.loads(content.pop("bundle.json"))
    assert listed["kubernetes_version"] == "1.36.3"
    assert listed["files"] == {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}


def test_same_sources_make_the_same_bytes(tmp_path: Path) -> None:
    assert make_bundle(tmp_path / "a", "1.36.3").read_bytes() == make_bundle(tmp_path / "b", "1.36.3").read_bytes()


DOCUMENT: dict[str, Any] = {
    "text": "plain", "version": "1.36", "yes": True, "none": None, "number": 6443, "empty": [], "path": "/a/b: c",
    "list": [{"name": "a", "value": "0.001"}, {"name": "b", "inner": {"deep": ["x", "y: z"]}}], "flag": ["--a=b", "-c"],
}  # fmt: skip


def test_plain_yaml_agrees_with_a_real_reader() -> None:
    assert yaml.safe_load(plain_yaml.dump(DOCUMENT)) == DOCUMENT
    assert plain_yaml.load(plain_yaml.dump(DOCUMENT)) == DOCUMENT
    assert plain_yaml.load(yaml.safe_dump(DOCUMENT)) == DOCUMENT


@pytest.mark.parametrize("text", ["a: {b: c}", "a: |\n  b", "a: &x b", "a\nb", "a: b\n  c: d"])
def test_plain_yaml_refuses_what_it_cannot_read(text: str) -> None:
    with pytest.raises(ValueError, match="YAML"):
        plain_yaml.load(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frobnicate"], 'unknown command "frobnicate" for "kubeadm"'),
        (["init", "phase", "etcd", "local"], 'unknown command "phase" for "kubeadm"'),
        (["init", "--frobnicate"], "unknown flag: --frobnicate"),
        (["join", "10.0.0.1:6443"], 'unknown command "10.0.0.1:6443" for "kubeadm"'),
    ],
)
def test_kubeadm_refuses_what_it_does_not_know(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kubeadm.main(arguments, "v1.36.3") == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("apiVersion: kubeadm.k8s.io/v1beta3\nkind: InitConfiguration\n", "v1beta3"),
        ("apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnode: x\n", 'unknown field "node"'),
        ("apiVersion: kubeadm.k8s.io/v1beta4\nkind: Init\n", "no kind 'Init' is registered"),
        ("apiVersion: v1\n", "no kind"),
    ],
)
def test_config_validate_is_strict(text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "kubeadm.yaml"
    path.write_text(text)
    assert kubeadm.main(["config", "validate", "--config", str(path)], "v1.36.3") == 1
    assert message in capsys.readouterr().err


def test_durations_are_go_s() -> None:
    assert [apiserver.seconds(text) for text in ("10s", "1m30s", "500ms", "2h")] == [10, 90, 0.5, 7200]


def test_who_may_do_what() -> None:
    nobody, node = access.Caller(), access.Caller("system:node:cp1", ("system:nodes",))
    joining = access.Caller("system:bootstrap:a", (access.BOOTSTRAPPERS,))
    admin = access.Caller("kubernetes-admin", ("kubeadm:cluster-admins",))
    asked = [("GET", "/readyz"), ("GET", access.CLUSTER_INFO), ("GET", access.KUBEADM_CERTS)]
    asked += [("GET", access.NODES), ("PUT", f"{access.NODES}/cp1"), ("PUT", access.KUBEADM_CERTS)]
    answers = {who: "".join("+" if access.allowed(who, *what) else "-" for what in asked) for who in (nobody, node)}
    assert answers == {nobody: "++----", node: "++-++-"}
    assert [access.allowed(joining, *what) for what in asked] == [True, True, True, True, False, False]
    assert all(access.allowed(admin, *what) for what in asked)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A first control plane, made with `certs ca` before `init`, as the playbooks do."""
    if not can_run():
        pytest.skip("needs Linux, root, unshare, ip, curl, openssl")
    lab = Lab(tmp_path_factory.mktemp("standin"))
    try:
        config = lab.configure("cp1", "InitConfiguration")
        _ok(lab.run("cp1", "kubeadm", "init", "phase", "certs", "ca", "--config", config))
        authority = lab.read("cp1", f"{PKI}/ca.crt")
        _ok(lab.run("cp1", "kubeadm", "init", "--config", config, "--upload-certs", "--skip-certificate-key-print"))
        assert lab.read("cp1", f"{PKI}/ca.crt") == authority
        yield lab
    finally:
        lab.close()


@pytest.fixture(scope="module")
def joined(cluster: Lab) -> Lab:
    """A second control plane, joined through the virtual address; first with wrong secrets, which are refused."""
    config = cluster.configure("cp2", "JoinConfiguration", **_secrets(cluster, pin="sha256:" + "0" * 64))
    assert "is not pinned" in _fails(cluster.run("cp2", "kubeadm", "join", "--config", config))
    config = cluster.configure("cp2", "JoinConfiguration", **_secrets(cluster, key="0" * 64))
    _fails(cluster.run("cp2", "kubeadm", "join", "--config", config))
    config = cluster.configure("cp2", "JoinConfiguration", **_secrets(cluster, token="aaaaaa.0123456789abcdef"))
    assert "Unauthorized" in _fails(cluster.run("cp2", "kubeadm", "join", "--config", config))
    config = cluster.configure("cp2", "JoinConfiguration", **_secrets(cluster))
    _ok(cluster.run("cp2", "kubeadm", "join", "--config", config))
    return cluster


def test_certificates_are_kubeadm_s(cluster: Lab) -> None:
    for leaf, authority in {
        "apiserver": "ca",
        "apiserver-kubelet-client": "ca",
        "front-proxy-client": "front-proxy-ca",
        "etcd/server": "etcd/ca",
        "etcd/peer": "etcd/ca",
        "etcd/healthcheck-client": "etcd/ca",
        "apiserver-etcd-client": "etcd/ca",
    }.items():
        verify = ["openssl", "verify", "-x509_strict", "-CAfile", f"{PKI}/{authority}.crt", f"{PKI}/{leaf}.crt"]
        _ok(cluster.run("cp1", *verify))
    shown = _ok(cluster.run("cp1", "openssl", "x509", "-in", f"{PKI}/apiserver.crt", "-noout", "-subject", "-text"))
    assert "CN = kube-apiserver" in shown
    for name in ("DNS:kubernetes.default.svc", "DNS:api.lab.test", f"Address:{VIP}", "Address:10.96.0.1", "DNS:cp2"):
        assert name in shown
    modes = _ok(cluster.run("cp1", "sh", "-c", f"stat -c %a {PKI}/*.key {PKI}/etcd/*.key /etc/kubernetes/*.conf"))
    assert set(modes.split()) == {"600"}


def test_api_answers_on_the_virtual_address(cluster: Lab) -> None:
    admin = cluster.see_admin()
    assert cluster.curl("/readyz") == (200, "ok")
    assert json.loads(cluster.curl("/version")[1])["gitVersion"] == "v1.36.3+homelab.standin"
    assert cluster.curl("/api/v1/nodes")[0] == 403
    assert cluster.curl("/api/v1/nodes", "-H", "Authorization: Bearer abcdef.0123456789abcdef")[0] == 401
    status, text = cluster.curl("/api/v1/nodes", *admin)
    assert (status, "cp1" in names(text)) == (200, True)
    assert cluster.curl("/api/v1/nodes/nobody", *admin)[0] == 404


def test_a_second_init_is_refused(cluster: Lab) -> None:
    config = cluster.configure("cp1", "InitConfiguration")
    message = _fails(cluster.run("cp1", "kubeadm", "init", "--config", config))
    assert "[ERROR FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml]" in message


@pytest.mark.thorough
def test_joined_node_is_known_everywhere(joined: Lab) -> None:
    admin = joined.see_admin()
    for server in (VIP, VIP, *ADDRESSES.values()):
        assert names(joined.curl("/api/v1/nodes", *admin, server=server)[1]) == ["cp1", "cp2"]
    assert joined.read("cp1", f"{PKI}/ca.key") == joined.read("cp2", f"{PKI}/ca.key")


def test_kubectl_drains_a_node_and_passes_over_one_that_is_not_there(joined: Lab) -> None:
    """As kubectl 1.36 says it; the options are those of the role kubernetes_leave."""
    kubectl = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")
    gently = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=120s")
    assert _ok(joined.run("cp1", *kubectl, "drain", "cp2", *gently)).splitlines()[-1] == "node/cp2 drained"
    assert "NotFound" in _fails(joined.run("cp1", *kubectl, "drain", "cp9", *gently))
    assert _ok(joined.run("cp1", *kubectl, "get", "node", "cp9", "--ignore-not-found", "-o", "json")) == ""
    assert "NotFound" in _fails(joined.run("cp1", *kubectl, "get", "node", "cp9", "-o", "json"))


def test_killed_server_comes_back_and_the_address_answers_all_along(joined: Lab) -> None:
    _ok(joined.run("cp2", "pkill", "-KILL", "-x", "kube-apiserver"))
    assert joined.curl("/readyz") == (200, "ok")
    wait_until(lambda: joined.curl("/readyz", server=ADDRESSES["cp2"]) == (200, "ok"))


def test_graceful_stop_is_unready_first_and_ends_watches(joined: Lab) -> None:
    server, admin = ADDRESSES["cp2"], joined.see_admin()
    watch = joined.folder / "watch"
    command = ["nsenter", "-t", str(joined._net), "-n", "curl", "-sN", "--cacert", f"{joined.folder}/ca.crt", *admin]
    with watch.open("wb") as output:
        watcher = subprocess.Popen([*command, f"https://{server}:6443/api/v1/nodes?watch=1"], stdout=output)
        wait_until(lambda: len(watch.read_text().splitlines()) == 2)
        _ok(joined.run("cp2", "mv", "/etc/kubernetes/manifests/kube-apiserver.yaml", "/etc/kubernetes/"))
        wait_until(lambda: joined.curl("/readyz", server=server)[0] == 500)
        assert "[-]shutdown failed" in joined.curl("/readyz", server=server)[1]
        assert joined.curl("/api/v1/nodes", *admin, server=server)[0] == 200
        assert joined.curl("/livez", server=server) == (200, "ok")
        wait_until(lambda: joined.curl("/livez", server=server)[0] == 0)
        assert watcher.wait(10) == 0
    assert {json.loads(line)["type"] for line in watch.read_text().splitlines()} == {"ADDED"}
    _ok(joined.run("cp2", "mv", "/etc/kubernetes/kube-apiserver.yaml", "/etc/kubernetes/manifests/"))
    wait_until(lambda: joined.curl("/readyz", server=server) == (200, "ok"))


ASK = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("api_answers", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
answer = module.ask("cp2", sys.argv[2] + ":6443", sys.argv[3], 5.0)
print(answer["kind"], answer["said"], sep=": ")
"""


def asked(lab: Lab, server: str, authority: str = "") -> str:
    """What the playbooks' module hears at a server."""
    module = data_folder("playbooks") / "library" / "api_answers.py"
    enter = ["nsenter", "-t", str(lab._net), "-n"]
    return _ok(
        subprocess.run(
            [*enter, sys.executable, "-c", ASK, str(module), server, authority], capture_output=True, text=True
        )
    ).strip()


@pytest.mark.thorough
def test_a_cluster_that_is_well_locked_or_off_is_heard_as_what_it_is(joined: Lab) -> None:
    manifest, server = "/etc/kubernetes/manifests/kube-apiserver.yaml", ADDRESSES["cp2"]
    joined.see_admin()
    assert asked(joined, VIP) == "other: HTTP 200 at /readyz"
    assert asked(joined, VIP, f"{joined.folder}/ca.crt") == "ours: HTTP 200 at /readyz"
    assert asked(joined, "10.99.0.99") == "unrouted: nobody has that address"
    kept = joined.read("cp2", manifest)
    locked = yaml.safe_load(kept)
    locked["spec"]["containers"][0]["command"].append("--anonymous-auth=false")
    _ok(joined.run("cp2", "tee", manifest, input=yaml.safe_dump(locked)))
    wait_until(lambda: asked(joined, server) == "other: HTTP 401 at /readyz")
    _ok(joined.run("cp2", "rm", manifest))
    wait_until(lambda: asked(joined, server) == "refused: it refuses connections")
    _ok(joined.run("cp2", "tee", manifest, input=kept))
    wait_until(lambda: joined.curl("/readyz", server=server) == (200, "ok"))


def test_the_administrator_s_kubeconfig_is_made_anew_from_the_ca(cluster: Lab) -> None:
    _ok(cluster.run("cp1", "mv", "/etc/kubernetes/admin.conf", "/etc/kubernetes/kept"))
    phase = ["init", "phase", "kubeconfig", "admin", "--control-plane-endpoint=api.lab.test:6443"]
    phase += [f"--apiserver-advertise-address={ADDRESSES['cp1']}", "--kubernetes-version=v1.36.3"]
    _ok(cluster.run("cp1", "kubeadm", *phase))
    assert cluster.read("cp1", "/etc/kubernetes/admin.conf") != cluster.read("cp1", "/etc/kubernetes/kept")
    assert cluster.curl("/api/v1/nodes", *cluster.see_admin())[0] == 200


def test_reset_takes_all_away_and_the_node_can_join_again(joined: Lab) -> None:
    _ok(joined.run("cp2", "kubeadm", "reset", "-f"))
    left = _ok(joined.run("cp2", "find", "/etc/kubernetes", "/var/lib/kubelet", "/var/lib/etcd", "-type", "f"))
    assert left.split() == ["/etc/kubernetes/kubeadm.yaml"]
    config = joined.configure("cp2", "JoinConfiguration", **_secrets(joined))
    _ok(joined.run("cp2", "kubeadm", "join", "--config", config))


def _secrets(lab: Lab, pin: str = "", key: str = "", token: str = "") -> dict[str, Any]:
    """What a joining node is told; a value that is given takes the place of the right one."""
    upload = ["init", "phase", "upload-certs", "--upload-certs", "--config", "/etc/kubernetes/kubeadm.yaml"]
    right_key = _ok(lab.run("cp1", "kubeadm", *upload)).split()[-1]
    command = _ok(lab.run("cp1", "kubeadm", "token", "create", "--ttl", "15m", "--print-join-command"))
    found = re.fullmatch(r"kubeadm join (\S+) --token (\S+) --discovery-token-ca-cert-hash (\S+) \n", command)
    assert found
    bootstrap = {"apiServerEndpoint": found[1], "token": token or found[2], "caCertHashes": [pin or found[3]]}
    return {"discovery": {"bootstrapToken": bootstrap}, "controlPlane": {"certificateKey": key or right_key}}


def _ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _fails(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr
