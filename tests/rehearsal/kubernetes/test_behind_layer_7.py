"""A cluster of the stand-in's programs, made and joined through HAProxy and through nginx at layer 7."""

import subprocess
from collections.abc import Iterator

import pytest
import yaml

from homelab.formats.balancer.haproxy import CA, Haproxy, haproxy_cfg
from homelab.formats.balancer.nginx import Nginx, Places, nginx_conf
from homelab.formats.balancer.pools import FRONT_PROXY, SERVING, Pool, Server
from tests.helpers import nginx_bench
from tests.helpers.haproxy_bench import HAPROXY, on_this_machine
from tests.helpers.standin_lab import ADDRESSES, VIP, Lab, can_run, names, wait_until

pytestmark = pytest.mark.thorough
PKI, OURS = "/etc/kubernetes/pki", "/etc/kubernetes/pki/homelab-balancers"
CERTS = ("kubeadm", "init", "phase", "certs")


def ok(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=["haproxy", "nginx"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """cp1 as the role cluster_ca leaves it, a balancer with what was made there, then `kubeadm init` through it."""
    is_here = {"haproxy": HAPROXY is not None, "nginx": nginx_bench.IS_HERE}
    if not can_run() or not is_here[request.param]:
        pytest.skip(f"needs Linux, root, unshare, ip, curl, openssl, {request.param}")
    lab = Lab(tmp_path_factory.mktemp("layer7"), balanced=False)
    try:
        config = lab.configure("cp1", "InitConfiguration")
        for name in ("ca", "front-proxy-ca"):
            ok(lab.run("cp1", *CERTS, name, "--config", config))
        make_pairs(lab, config)
        balance(lab, request.param)
        ok(lab.run("cp1", "kubeadm", "init", "--config", config, "--upload-certs"))
        yield lab
    finally:
        lab.close()


def make_pairs(lab: Lab, config: str) -> None:
    """What tasks/balancers.yml of the role does."""
    documents = list(yaml.safe_load_all(lab.read("cp1", config)))
    documents[1] |= {"certificatesDir": OURS, "certificateValidityPeriod": "87600h0m0s"}
    ok(lab.run("cp1", "mkdir", OURS))
    for name in ("ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key"):
        ok(lab.run("cp1", "ln", "-s", f"../{name}", f"{OURS}/{name}"))
    ok(lab.run("cp1", "tee", f"{OURS}/kubeadm.yaml", input=yaml.safe_dump_all(documents)))
    for name in ("apiserver", "front-proxy-client"):
        ok(lab.run("cp1", *CERTS, name, "--config", f"{OURS}/kubeadm.yaml"))


def balance(lab: Lab, kind: str) -> None:
    """A balancer with what cp1 made, at the virtual address."""
    for pair, name in ((SERVING, "apiserver"), (FRONT_PROXY, "front-proxy-client")):
        text = lab.read("cp1", f"{OURS}/{name}.crt") + lab.read("cp1", f"{OURS}/{name}.key")
        (lab.folder / pair).write_text(text)
    (lab.folder / CA).write_text(lab.read("cp1", f"{PKI}/ca.crt"))
    servers = tuple(Server(name, address, 6443) for name, address in ADDRESSES.items())
    api = Pool("api", VIP, 6443, servers, layer=7, check="readyz")
    if kind == "nginx":
        begin_nginx(lab, api)
        return
    wanted = Haproxy((api,), "", 8404, VIP, "127.0.0.0/8", api_name="api.lab.test", certificates_from="cp1")
    file = lab.folder / "haproxy.cfg"
    file.write_text(on_this_machine(haproxy_cfg(wanted, str(lab.folder)), lab.folder))
    assert HAPROXY is not None
    lab.balance(HAPROXY, "-db", "-f", str(file))
    wait_until((lab.folder / "admin.sock").exists)


def begin_nginx(lab: Lab, api: Pool) -> None:
    folder, pid = str(lab.folder), lab.folder / "nginx.pid"
    places = Places(str(nginx_bench.MODULES), folder, f"{folder}/{CA}", folder)
    file = lab.folder / "nginx.conf"
    file.write_text(nginx_conf(Nginx((api,), 8405, ca="PEM", certificates_from="cp1"), places))
    assert nginx_bench.NGINX is not None
    options = f"daemon off; master_process off; user root; pid {pid};"
    lab.balance(nginx_bench.NGINX, "-e", "stderr", "-c", str(file), "-g", options)
    wait_until(pid.exists)


def test_kubeadm_s_own_clients_are_who_they_are(cluster: Lab) -> None:
    admin = cluster.see_admin()
    status, text = cluster.curl("/api/v1/nodes", *admin)
    assert (status, names(text)) == (200, ["cp1"])
    # Anonymous: cluster-info is what a join asks first.
    assert cluster.curl("/api/v1/namespaces/kube-public/configmaps/cluster-info")[0] == 200
    assert cluster.curl("/api/v1/nodes")[0] == 403
    forged = ["-H", "X-Remote-User: kubernetes-admin", "-H", "X-Remote-Group: system:masters"]
    assert cluster.curl("/api/v1/nodes", *forged)[0] == 403
    assert cluster.curl("/api/v1/nodes", "-H", "Authorization: Bearer abcdef.0123456789abcdef")[0] == 401


def test_the_front_proxy_s_certificate_alone_is_nobody_s(cluster: Lab) -> None:
    cluster.see_admin()
    pair, server = ["--cert", str(cluster.folder / FRONT_PROXY)], ADDRESSES["cp1"]
    assert cluster.curl("/readyz", *pair, server=server)[0] == 401
    named = ["-H", "X-Remote-User: jane", "-H", "X-Remote-Group: kubeadm:cluster-admins"]
    assert cluster.curl("/api/v1/nodes", *pair, *named, server=server)[0] == 200
    assert cluster.curl("/api/v1/nodes", *pair, *named[:2], server=server)[0] == 403
    # Whoever the header names: at the API server it counts from the front proxy alone.
    assert cluster.curl("/api/v1/nodes", *named, server=server)[0] == 403


def test_a_control_plane_joins_through_it(cluster: Lab) -> None:
    token = ok(cluster.run("cp1", "kubeadm", "token", "create", "--print-join-command")).split()
    upload = ok(cluster.run("cp1", "kubeadm", "init", "phase", "upload-certs", "--upload-certs"))
    discovery = {
        "bootstrapToken": {
            "apiServerEndpoint": f"{VIP}:6443",
            "token": token[token.index("--token") + 1],
            "caCertHashes": [token[token.index("--discovery-token-ca-cert-hash") + 1]],
        }
    }
    key = upload.split()[-1]
    config = cluster.configure("cp2", "JoinConfiguration", discovery=discovery, controlPlane={"certificateKey": key})
    ok(cluster.run("cp2", "kubeadm", "join", "--config", config))
    assert names(cluster.curl("/api/v1/nodes", *cluster.see_admin())[1]) == ["cp1", "cp2"]
