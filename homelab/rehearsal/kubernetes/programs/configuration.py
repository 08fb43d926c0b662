"""kubeadm's configuration file (v1beta4), as strict as kubeadm: an unknown field is an error.

Source: kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4.
"""

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import plain_yaml
from .apiserver import seconds
from .pki import LEAF_DAYS, PKI

API_VERSION = "kubeadm.k8s.io/v1beta4"
OTHERS = {
    "KubeletConfiguration": "kubelet.config.k8s.io/v1beta1",
    "KubeProxyConfiguration": "kubeproxy.config.k8s.io/v1alpha1",
}
NODE_FIELDS = {"dryRun", "nodeRegistration", "patches", "skipPhases", "timeouts"}
FIELDS = {
    "InitConfiguration": NODE_FIELDS | {"bootstrapTokens", "certificateKey", "localAPIEndpoint"},
    "JoinConfiguration": NODE_FIELDS | {"caCertPath", "controlPlane", "discovery"},
    "ClusterConfiguration": {
        *("apiServer", "caCertificateValidityPeriod", "certificateValidityPeriod", "certificatesDir", "clusterName"),
        *("controlPlaneEndpoint", "controllerManager", "dns", "encryptionAlgorithm", "etcd", "featureGates"),
        *("imageRepository", "kubernetesVersion", "networking", "proxy", "scheduler"),
    },
}


class ConfigurationError(Exception):
    """The configuration file is wrong, or lacks what is needed."""


@dataclass(frozen=True)
class Configuration:
    """The documents of one file by their kind; a missing one is empty."""

    init: dict[str, Any]
    join: dict[str, Any]
    cluster: dict[str, Any]

    @property
    def node(self) -> str:
        """The node's name: the configuration's, else the host's."""
        return str(self._registration.get("name") or socket.gethostname())

    @property
    def address(self) -> str:
        """The address that the API server advertises."""
        return str(self._required(self._endpoint.get("advertiseAddress"), "localAPIEndpoint.advertiseAddress"))

    @property
    def port(self) -> int:
        """The port that the API server binds."""
        return int(self._endpoint.get("bindPort") or 6443)

    @property
    def node_ip(self) -> str:
        """The address that the kubelet is told; a control plane's is that of its API server as well."""
        arguments = self._registration.get("kubeletExtraArgs") or []
        told = next((argument["value"] for argument in arguments if argument["name"] == "node-ip"), "")
        return str(told or self.address)

    @property
    def taints(self) -> list[dict[str, str]]:
        """The taints of a control plane: kubeadm's own where none are given, and an empty list is given."""
        given = self._registration.get("taints")
        own = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
        return [own] if given is None else list(given)

    @property
    def ignored(self) -> set[str]:
        """The preflight checks that may fail."""
        return set(self._registration.get("ignorePreflightErrors") or [])

    @property
    def socket(self) -> Path:
        """The container runtime's socket."""
        address = self._registration.get("criSocket") or "unix:///run/containerd/containerd.sock"
        return Path(str(address).removeprefix("unix://"))

    @property
    def endpoint(self) -> str:
        """The cluster's controlPlaneEndpoint, HOST:PORT."""
        return str(self._required(self.cluster.get("controlPlaneEndpoint"), "controlPlaneEndpoint"))

    @property
    def names(self) -> list[str]:
        """The further names and addresses of the API server's certificate."""
        return [str(name) for name in (self.cluster.get("apiServer") or {}).get("certSANs") or []]

    @property
    def service_network(self) -> ipaddress.IPv4Network:
        """The network of the services."""
        return ipaddress.IPv4Network((self.cluster.get("networking") or {}).get("serviceSubnet") or "10.96.0.0/12")

    @property
    def api_server_flags(self) -> dict[str, str]:
        """The further flags of the API server."""
        return {arg["name"]: arg["value"] for arg in (self.cluster.get("apiServer") or {}).get("extraArgs") or []}

    @property
    def certificates(self) -> Path | None:
        """The folder of the certificates, where it is another one than kubeadm's own."""
        found = self.cluster.get("certificatesDir")
        return Path(found) if found and Path(found) != PKI else None

    @property
    def certificate_days(self) -> float:
        """How long a certificate lives; for authorities kubeadm has another field, which the stand-in does not read."""
        period = self.cluster.get("certificateValidityPeriod")
        return seconds(str(period)) / 86400 if period else LEAF_DAYS

    @property
    def _registration(self) -> dict[str, Any]:
        return (self.join or self.init).get("nodeRegistration") or {}

    @property
    def _endpoint(self) -> dict[str, Any]:
        owner = (self.join.get("controlPlane") or {}) if self.join else self.init
        return owner.get("localAPIEndpoint") or {}

    def _required(self, value: Any, name: str) -> Any:
        if not value:
            raise ConfigurationError(f"{name}: required by the stand-in")
        return value


def read(path: str) -> Configuration:
    """The file's configuration; ConfigurationError when kubeadm would refuse it."""
    try:
        documents = plain_yaml.load_all(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"unable to read config from {path}: {error}") from error
    by_kind: dict[str, dict[str, Any]] = {}
    for document in documents:
        kind = str(document.get("kind"))
        _check(kind, document)
        by_kind[kind] = document
    if not by_kind.keys() & FIELDS.keys():
        raise ConfigurationError(f"no kubeadm configuration in {path}")
    return Configuration(*(by_kind.get(f"{kind}Configuration", {}) for kind in ("Init", "Join", "Cluster")))


def _check(kind: str, document: dict[str, Any]) -> None:
    wanted = OTHERS.get(kind, API_VERSION)
    if kind not in FIELDS and kind not in OTHERS:
        raise ConfigurationError(f"no kind {kind!r} is registered for {document.get('apiVersion')}")
    if document.get("apiVersion") != wanted:
        raise ConfigurationError(f"{kind}: apiVersion {document.get('apiVersion')!r} is not {wanted}")
    if kind in OTHERS:
        return
    for name in sorted(document.keys() - FIELDS[kind] - {"apiVersion", "kind"}):
        raise ConfigurationError(f'{kind}: strict decoding error: unknown field "{name}"')
    registration = (document.get("nodeRegistration") or {}).get("kubeletExtraArgs") or []
    for argument in [*((document.get("apiServer") or {}).get("extraArgs") or []), *registration]:
        if not isinstance(argument, dict) or not all(isinstance(argument.get(key), str) for key in ("name", "value")):
            raise ConfigurationError(f"{kind}: an extra argument needs a name and a value, both text: {argument!r}")
