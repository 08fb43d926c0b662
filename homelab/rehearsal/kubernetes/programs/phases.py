"""kubeadm's phases, those that init and join share: the same files, the same order."""

import os
import secrets
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from . import access, client, pki, plain_yaml
from .configuration import Configuration

ETC = Path("/etc/kubernetes")
MANIFEST = ETC / "manifests/kube-apiserver.yaml"
ADMIN = ETC / "admin.conf"
KUBELET = Path("/var/lib/kubelet")
ETCD = Path("/var/lib/etcd")
CERTIFICATE_KEY_HOURS = 2
SERVER_SECONDS, NODE_SECONDS, UPLOAD_SECONDS = 60.0, 40.0, 10.0


class PhaseError(Exception):
    """A phase failed; the text is what kubeadm tells."""


def say(text: str) -> None:
    """One line of progress."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def preflight(config: Configuration, ignored: set[str]) -> None:
    """Refuses a host that is not fit, naming every check that failed and is not ignored."""
    say("[preflight] Running pre-flight checks")
    failed: dict[str, str] = {}
    if os.geteuid() != 0:
        failed["IsPrivilegedUser"] = "user is not running as root"
    if Path("/proc/sys/net/ipv4/ip_forward").read_text().strip() != "1":
        failed["FileContent--proc-sys-net-ipv4-ip_forward"] = "/proc/sys/net/ipv4/ip_forward contents are not set to 1"
    if not config.socket.exists():
        failed["CRI"] = f"container runtime is not running: no socket at {config.socket}"
    if MANIFEST.exists():
        failed["FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml"] = f"{MANIFEST} already exists"
    if config.join and (ETC / "kubelet.conf").exists():
        failed["FileAvailable--etc-kubernetes-kubelet.conf"] = f"{ETC}/kubelet.conf already exists"
    if ETCD.exists() and any(ETCD.iterdir()):
        failed["DirAvailable--var-lib-etcd"] = f"{ETCD} is not empty"
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", config.port)) == 0:
            failed[f"Port-{config.port}"] = f"Port {config.port} is in use"
    ignored = {name.lower() for name in ignored | config.ignored}
    fatal = {name: text for name, text in failed.items() if not {name.lower(), "all"} & ignored}
    for name in failed.keys() - fatal.keys():
        sys.stderr.write(f"\t[WARNING {name}]: {failed[name]}\n")
    if fatal:
        errors = "".join(f"\t[ERROR {name}]: {text}\n" for name, text in fatal.items())
        raise PhaseError(f"error execution phase preflight: [preflight] Some fatal errors occurred:\n{errors}")


def authorities() -> None:
    """Makes every authority that is missing."""
    for name in pki.AUTHORITIES:
        authority(name)


def authority(name: str) -> None:
    """Makes one authority unless it is there."""
    text = "Generating" if pki.make_authority(name) else "Using existing"
    say(f'[certs] {text} "{name}" certificate and key')


def certificates(config: Configuration) -> None:
    """Makes the certificates of this control plane, and the service accounts' keys."""
    for leaf in leaves(config):
        certificate(config, leaf)
    pki.make_service_account_keys()


def leaves(config: Configuration) -> list[pki.Leaf]:
    """Every certificate of a control plane."""
    host = config.endpoint.rpartition(":")[0]
    service_address = str(next(config.service_network.hosts()))
    return pki.leaves(config.node, config.address, host, config.names, service_address)


def certificate(config: Configuration, leaf: pki.Leaf) -> None:
    """Makes one certificate unless it is there, in the folder that the configuration names."""
    made = pki.make_leaf(leaf, config.certificates, config.certificate_days)
    say(f'[certs] {"Generating" if made else "Using existing"} "{leaf.file}" certificate and key')


def kubeconfigs(config: Configuration, *only: str) -> None:
    """Writes the kubeconfigs, or `only` some; those of this host's own programs ask its own API server."""
    own, cluster = f"https://{config.address}:{config.port}", f"https://{config.endpoint}"
    wanted = [
        ("admin.conf", "kubernetes-admin", pki.ADMINS, cluster),
        ("controller-manager.conf", "system:kube-controller-manager", "", own),
        ("scheduler.conf", "system:kube-scheduler", "", own),
        ("kubelet.conf", f"system:node:{config.node}", "system:nodes", own),
    ]
    if not config.join:
        wanted.insert(1, ("super-admin.conf", "kubernetes-super-admin", "system:masters", cluster))
    name = str(config.cluster.get("clusterName") or "kubernetes")
    for file, user, group, server in wanted:
        if only and file not in only:
            continue
        if (ETC / file).exists():
            say(f'[kubeconfig] Using existing kubeconfig file: "{ETC / file}"')
            continue
        pair = pki.issue(pki.Leaf(file, "ca", user, organization=group))
        text = client.kubeconfig(name, user, server, (pki.PKI / "ca.crt").read_bytes(), pair)
        pki.write_secret(ETC / file, text.encode())
        say(f'[kubeconfig] Writing "{file}" kubeconfig file')


def control_plane(config: Configuration) -> None:
    """Writes the API server's static Pod; it is the only one that a stand-in has."""
    flags = {
        "advertise-address": config.address,
        "allow-privileged": "true",
        "client-ca-file": f"{pki.PKI}/ca.crt",
        "enable-bootstrap-token-auth": "true",
        "proxy-client-cert-file": f"{pki.PKI}/front-proxy-client.crt",
        "proxy-client-key-file": f"{pki.PKI}/front-proxy-client.key",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-client-ca-file": f"{pki.PKI}/front-proxy-ca.crt",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "secure-port": str(config.port),
        "service-cluster-ip-range": str(config.service_network),
        "tls-cert-file": f"{pki.PKI}/apiserver.crt",
        "tls-private-key-file": f"{pki.PKI}/apiserver.key",
        **config.api_server_flags,
    }
    command = ["kube-apiserver", *(f"--{name}={value}" for name, value in sorted(flags.items()))]
    container = {"name": "kube-apiserver", "image": image("kube-apiserver", config), "command": command}
    labels = {"component": "kube-apiserver", "tier": "control-plane"}
    metadata = {"name": "kube-apiserver", "namespace": "kube-system", "labels": labels}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], "hostNetwork": True},
    }
    pki.write_secret(MANIFEST, plain_yaml.dump(pod).encode())
    say('[control-plane] Creating static Pod manifest for "kube-apiserver"')


def image(name: str, config: Configuration) -> str:
    """The name of a component's image."""
    return f"registry.k8s.io/{name}:{config.cluster.get('kubernetesVersion', '')}"


def start_kubelet(config: Configuration) -> None:
    """Writes the kubelet's configuration and starts it."""
    own = {"kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1"}
    text = plain_yaml.dump({**own, "cgroupDriver": "systemd", "staticPodPath": str(MANIFEST.parent)})
    pki.write_secret(KUBELET / "config.yaml", text.encode(), 0o644)
    arguments = f"--hostname-override={config.node} --node-ip={config.node_ip}"
    pki.write_secret(KUBELET / "kubeadm-flags.env", f'KUBELET_KUBEADM_ARGS="{arguments}"\n'.encode(), 0o644)
    say("[kubelet-start] Starting the kubelet")
    for command in (["daemon-reload"], ["restart", "kubelet"]):
        done = subprocess.run(["systemctl", *command], capture_output=True, text=True)
        if done.returncode:
            raise PhaseError(
                f"error execution phase kubelet-start: systemctl {' '.join(command)}: {done.stderr.strip()}"
            )


def worker(config: Configuration, server: str, authority: str, pair: tuple[bytes, bytes]) -> None:
    """Writes what a worker's kubelet has: the authority, its own certificate, and the way to the API."""
    pki.write_secret(pki.PKI / "ca.crt", authority.encode(), 0o644)
    pki.write_secret(KUBELET / "pki/kubelet-client-current.pem", b"".join(pair))
    text = client.kubeconfig("kubernetes", f"system:node:{config.node}", server, authority.encode(), pair)
    pki.write_secret(ETC / "kubelet.conf", text.encode())


def wait_for_node(config: Configuration) -> None:
    """Waits until the kubelet has registered its node."""
    api, path = client.from_file(ETC / "kubelet.conf"), f"{access.NODES}/{config.node}"
    client.wait_for(f"node {config.node}", lambda: api.get(path), NODE_SECONDS)


def wait_for_server(config: Configuration) -> None:
    """Waits for this host's API server."""
    say("[wait-control-plane] Waiting for the kubelet to boot up the control plane as static Pods")
    api = client.Api(f"https://{config.address}:{config.port}", (pki.PKI / "ca.crt").read_text(), timeout=2.0)
    client.wait_for("[control-plane-check] kube-apiserver", lambda: api.request("GET", "/readyz"), SERVER_SECONDS)


def mark_control_plane(config: Configuration) -> None:
    """Waits for the node to be registered, and marks it."""
    api, path = client.from_file(ADMIN), f"{access.NODES}/{config.node}"
    node = client.wait_for(f"node {config.node}", lambda: api.get(path), NODE_SECONDS)
    node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] = ""
    node["spec"]["taints"] = config.taints
    upload(path, node)
    say(f"[mark-control-plane] Marking the node {config.node} as control-plane")


def upload(path: str, value: dict[str, Any]) -> None:
    """Writes an object through the controlPlaneEndpoint; kubeadm gives up after 10 s as well."""
    api = client.from_file(ADMIN)
    client.wait_for(f"{api.server}{path}", lambda: api.put(path, value), UPLOAD_SECONDS)


def upload_certificates(key: str | None) -> str:
    """Uploads what a joining control plane needs, encrypted; returns the key, a new one unless given."""
    key = key or secrets.token_hex(32)
    say('[upload-certs] Storing the certificates in Secret "kubeadm-certs" in the "kube-system" Namespace')
    data = {name.replace("/", "-"): pki.encrypt((pki.PKI / name).read_bytes(), key).decode() for name in pki.SHARED}
    upload(access.KUBEADM_CERTS, secret("kubeadm-certs", timedelta(hours=CERTIFICATE_KEY_HOURS), data))
    return key


def secret(name: str, lifetime: timedelta, data: dict[str, str]) -> dict[str, Any]:
    """A Secret with an end."""
    end = (datetime.now(UTC) + lifetime).isoformat()
    metadata = {"name": name, "namespace": "kube-system", "annotations": {"standin/expires": end}}
    return {"kind": "Secret", "apiVersion": "v1", "metadata": metadata, "data": data}


def config_map(namespace: str, name: str, data: dict[str, str]) -> dict[str, Any]:
    """A ConfigMap."""
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, "namespace": namespace}, "data": data}
