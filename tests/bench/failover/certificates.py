"""A cluster's certificates, with the names that kubeadm puts into them, and those that balancers of layer 7 have."""

from collections.abc import Mapping
from pathlib import Path

from tests.helpers.cluster_pki import Authority

SERVICE = "kubernetes.default.svc"
NAMES = ("kubernetes", "kubernetes.default", SERVICE, f"{SERVICE}.cluster.local", "localhost")
SERVICE_ADDRESS = "10.96.0.1"
# What is written: the CA of servers and of most clients, that of the front proxy, and both; what a balancer shows
# clients, and what it shows servers.
CA, FRONT_PROXY_CA, CLIENT_CAS, SERVING, FRONT_PROXY = (
    "ca.crt",
    "front-proxy-ca.crt",
    "client-cas.crt",
    "balancer.pem",
    "front-proxy.pem",
)
SERVER = [("CN", "kube-apiserver")]


def write_certificates(folder: Path, servers: Mapping[str, str], vip: str) -> None:
    """Write all of these, and NAME.pem (certificate and key) for each server's name and address."""
    cluster, front_proxy = Authority(folder, "ca"), Authority(folder, "front-proxy-ca")
    (folder / CLIENT_CAS).write_bytes(cluster.file.read_bytes() + front_proxy.file.read_bytes())
    cluster.signs(SERVING, SERVER, [*NAMES, vip])
    front_proxy.signs(FRONT_PROXY, [("CN", "front-proxy-client")])
    for name, address in servers.items():
        cluster.signs(f"{name}.pem", SERVER, [*NAMES, name, SERVICE_ADDRESS, address, vip])
