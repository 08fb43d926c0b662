"""Who may do what at the API server. Pure, and as narrow as kubeadm's own rules."""

import base64
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .pki import ADMINS

CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
KUBEADM_CONFIG = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
KUBEADM_CERTS = "/api/v1/namespaces/kube-system/secrets/kubeadm-certs"
TOKENS = "/api/v1/namespaces/kube-system/secrets/bootstrap-token-"
NODES = "/api/v1/nodes"
# Where a kubelet that joins gets its certificate; a real cluster has a controller that signs requests.
IDENTITIES = "/standin/kubelets/"
HEALTH = ("/readyz", "/livez", "/healthz")
BOOTSTRAPPERS = "system:bootstrappers:kubeadm:default-node-token"


@dataclass(frozen=True)
class Caller:
    """Who asks: a user and its groups."""

    user: str = "system:anonymous"
    groups: tuple[str, ...] = ("system:unauthenticated",)


def by_certificate(certificate: dict[str, Any]) -> Caller:
    """The caller that a verified client certificate names, as ssl.getpeercert() shows it."""
    subject = [pair for part in certificate["subject"] for pair in part]
    groups = tuple(value for key, value in subject if key == "organizationName")
    return Caller(next((value for key, value in subject if key == "commonName"), ""), groups)


def by_front_proxy(certificate: dict[str, Any], names: list[str], user: str, groups: list[str]) -> Caller | None:
    """The caller that a front proxy names; None when it names nobody, or is none of those that may."""
    trusted = not names or by_certificate(certificate).user in names
    return Caller(user, tuple(groups)) if user and trusted else None


def by_token(token: str, secret: Any) -> Caller | None:
    """The caller of a bootstrap token (ID.SECRET), None when the secret says no or its time is over."""
    identifier, _, password = token.partition(".")
    if secret is None or expired(secret):
        return None
    known = base64.b64decode(secret["data"]["token-secret"])
    if not hmac.compare_digest(known, password.encode()):
        return None
    return Caller(f"system:bootstrap:{identifier}", ("system:bootstrappers", BOOTSTRAPPERS))


def expired(value: Any) -> bool:
    """Whether an object's own end has passed."""
    end = value.get("metadata", {}).get("annotations", {}).get("standin/expires")
    return end is not None and datetime.fromisoformat(end) <= datetime.now(UTC)


def allowed(caller: Caller, method: str, path: str) -> bool:
    """Whether the caller may do this."""
    if {"system:masters", ADMINS} & set(caller.groups):
        return True
    if method == "GET" and (path.startswith(HEALTH) or path in ("/version", CLUSTER_INFO)):
        return True
    if "system:nodes" in caller.groups:
        return path.startswith(NODES)
    if BOOTSTRAPPERS in caller.groups:
        if path.startswith(IDENTITIES):
            return method == "POST"
        return method == "GET" and (path in (KUBEADM_CONFIG, KUBEADM_CERTS) or path.startswith(NODES))
    return False
