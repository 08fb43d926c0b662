"""The certificates that kubeadm makes, by `openssl`: the same files, subjects and names.

Keys are ECDSA P-256 (kubeadm's own default is RSA 2048): three servers on two cores notice the difference.
Source: kubernetes.io/docs/setup/best-practices/certificates.
"""

import base64
import hashlib
import ipaddress
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

PKI = Path("/etc/kubernetes/pki")
ADMINS = "kubeadm:cluster-admins"
CA_DAYS, LEAF_DAYS = 3650, 365
AUTHORITIES = {"ca": "kubernetes", "front-proxy-ca": "front-proxy-ca", "etcd/ca": "etcd-ca"}
# What a joining control plane is given: the authorities and the service accounts' keys.
SHARED = (*(f"{name}.{end}" for name in AUTHORITIES for end in ("crt", "key")), "sa.key", "sa.pub")


class PkiError(Exception):
    """`openssl` refused, or a file is not what it should be."""


@dataclass(frozen=True)
class Leaf:
    """One certificate below an authority: `usages` as openssl names them, `names` are DNS names and addresses."""

    file: str
    authority: str
    common_name: str
    usages: str = "clientAuth"
    organization: str = ""
    names: tuple[str, ...] = ()


def openssl(*arguments: str, stdin: bytes = b"", pass_fds: tuple[int, ...] = ()) -> bytes:
    """Runs `openssl`, returns its standard output, raises PkiError with its last words."""
    done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, pass_fds=pass_fds)
    if done.returncode:
        raise PkiError(f"openssl {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def write_secret(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Puts a file in place with its mode from the first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    new.replace(path)


def _pair(leaf: Leaf, extensions: list[str], *signer: str, days: float) -> tuple[bytes, bytes]:
    subject = [f"O={leaf.organization}"] if leaf.organization else []
    config = ["[req]", "distinguished_name=dn", "prompt=no", "x509_extensions=ext", "[dn]", *subject]
    config += [f"CN={leaf.common_name}", "[ext]", *extensions]
    both = openssl(
        *("req", "-x509", "-config", "/dev/stdin", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"),
        *("-sha256", "-days", str(round(days)), "-keyout", "/dev/stdout", "-out", "/dev/stdout", *signer),
        stdin="\n".join(config).encode(),
    )
    found = re.findall(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----\n", both, re.DOTALL)
    blocks = dict(zip(found, re.findall(rb"(-----BEGIN .*?-----END [A-Z ]+-----\n)", both, re.DOTALL), strict=True))
    return blocks[b"CERTIFICATE"], blocks[b"PRIVATE KEY"]


def make_authority(name: str) -> bool:
    """Makes one authority of AUTHORITIES unless it is there; returns whether it was made."""
    certificate, key = PKI / f"{name}.crt", PKI / f"{name}.key"
    if certificate.exists() and key.exists():
        return False
    if certificate.exists() or key.exists():
        raise PkiError(f"{certificate} and {key} must both exist, or neither")
    common_name = AUTHORITIES[name]
    extensions = [
        "keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign",
        "basicConstraints=critical,CA:TRUE",
        "subjectKeyIdentifier=hash",
        f"subjectAltName=DNS:{common_name}",
    ]
    crt, secret = _pair(Leaf(name, "", common_name), extensions, days=CA_DAYS)
    write_secret(key, secret)
    write_secret(certificate, crt, 0o644)
    return True


def issue(leaf: Leaf, folder: Path | None = None, days: float = LEAF_DAYS) -> tuple[bytes, bytes]:
    """A new certificate and its key, in PEM form, signed by the leaf's authority, which lies in PKI unless told."""
    extensions = [
        "keyUsage=critical,digitalSignature,keyEncipherment",
        f"extendedKeyUsage={leaf.usages}",
        "basicConstraints=critical,CA:FALSE",
        "subjectKeyIdentifier=hash",
        "authorityKeyIdentifier=keyid",
    ]
    if leaf.names:
        extensions.append("subjectAltName=" + ",".join(_general_name(name) for name in dict.fromkeys(leaf.names)))
    authority = (folder or PKI) / leaf.authority
    return _pair(leaf, extensions, "-CA", f"{authority}.crt", "-CAkey", f"{authority}.key", days=days)


def kubelet_identity(node: str) -> dict[str, str]:
    """A new certificate of a node's kubelet and its key, in PEM form."""
    crt, key = issue(Leaf("kubelet", "ca", f"system:node:{node}", organization="system:nodes"))
    return {"certificate": crt.decode(), "key": key.decode()}


def make_leaf(leaf: Leaf, folder: Path | None = None, days: float = LEAF_DAYS) -> bool:
    """Makes one certificate below PKI, or in another folder, unless it is there; returns whether it was made."""
    certificate = (folder or PKI) / f"{leaf.file}.crt"
    if certificate.exists():
        return False
    crt, key = issue(leaf, folder, days)
    write_secret(certificate.with_suffix(".key"), key)
    write_secret(certificate, crt, 0o644)
    return True


def make_service_account_keys() -> None:
    """Makes sa.key and sa.pub unless they are there."""
    if not (PKI / "sa.key").exists():
        key = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        write_secret(PKI / "sa.key", key)
        write_secret(PKI / "sa.pub", openssl("pkey", "-pubout", stdin=key), 0o600)


def leaves(node: str, address: str, endpoint: str, names: list[str], service_address: str) -> list[Leaf]:
    """Every certificate of a control plane; `endpoint` is the controlPlaneEndpoint's host, `names` the certSANs."""
    own = ("localhost", node, address, "127.0.0.1", "::1")
    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    served = (node, *service, service_address, address, endpoint, *names)
    both = "serverAuth,clientAuth"
    return [
        Leaf("apiserver", "ca", "kube-apiserver", "serverAuth", names=served),
        Leaf("apiserver-kubelet-client", "ca", "kube-apiserver-kubelet-client", organization=ADMINS),
        Leaf("front-proxy-client", "front-proxy-ca", "front-proxy-client"),
        Leaf("etcd/server", "etcd/ca", node, both, names=own),
        Leaf("etcd/peer", "etcd/ca", node, both, names=own),
        Leaf("etcd/healthcheck-client", "etcd/ca", "kube-etcd-healthcheck-client"),
        Leaf("apiserver-etcd-client", "etcd/ca", "kube-apiserver-etcd-client"),
    ]


def public_key_hash(certificate: str) -> str:
    """What caCertHashes holds: the SHA-256 of the certificate's public key (SubjectPublicKeyInfo, DER)."""
    pem = openssl("x509", "-pubkey", "-noout", stdin=certificate.encode()).decode()
    der = base64.b64decode("".join(pem.strip().splitlines()[1:-1]))
    return "sha256:" + hashlib.sha256(der).hexdigest()


def encrypt(content: bytes, key: str) -> bytes:
    """Base64 text that only the holder of the key can read; the key goes to openssl over a pipe."""
    return _cipher(content, key)


def decrypt(content: bytes, key: str) -> bytes:
    """The opposite of encrypt(); PkiError when the key is another one."""
    return _cipher(content, key, "-d")


def _cipher(content: bytes, key: str, *direction: str) -> bytes:
    reader, writer = os.pipe()
    try:
        os.write(writer, key.encode() + b"\n")
        os.close(writer)
        how = ("-aes-256-cbc", "-pbkdf2", "-md", "sha256", "-base64", "-A", "-pass", f"fd:{reader}")
        return openssl("enc", *how, *direction, stdin=content, pass_fds=(reader,))
    finally:
        os.close(reader)


def _general_name(name: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"
