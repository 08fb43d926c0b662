"""A cluster's certificates, with the names that kubeadm puts into them, and those that balancers of layer 7 have."""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVICE = "kubernetes.default.svc"
NAMES = ("kubernetes", "kubernetes.default", SERVICE, f"{SERVICE}.cluster.local", "localhost")
SERVICE_ADDRESS = "10.96.0.1"
# What is written: the CA that clients know, those of clients, what a balancer shows clients and what it shows servers.
CA, CLIENT_CAS, SERVING, FRONT_PROXY = "ca.crt", "client-cas.crt", "balancer.pem", "front-proxy.pem"
SERVES, ASKS = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Authority:
    """A CA."""

    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def pem(self) -> bytes:
        """Its certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, subject: str, purpose: x509.ObjectIdentifier, names: Sequence[x509.GeneralName] = ()) -> bytes:
        """A certificate and its key, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        wanted = _begun(subject, self.name, key).add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if names:
            wanted = wanted.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = wanted.sign(self.key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def authority(name: str) -> Authority:
    """A new one."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _begun(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(name, key, certificate)


def write_certificates(folder: Path, servers: Sequence[tuple[str, str]], vip: str) -> None:
    """Write CA, CLIENT_CAS, SERVING, FRONT_PROXY, and NAME.pem for each server's name and address."""
    cluster, front_proxy = authority("kubernetes"), authority("front-proxy-ca")
    (folder / CA).write_bytes(cluster.pem())
    (folder / CLIENT_CAS).write_bytes(cluster.pem() + front_proxy.pem())
    (folder / FRONT_PROXY).write_bytes(front_proxy.sign("front-proxy-client", ASKS))
    (folder / SERVING).write_bytes(cluster.sign("kube-apiserver", SERVES, _names(vip)))
    for name, address in servers:
        names = [*_names(SERVICE_ADDRESS, address, vip), x509.DNSName(name)]
        (folder / f"{name}.pem").write_bytes(cluster.sign("kube-apiserver", SERVES, names))


def _names(*addresses: str) -> list[x509.GeneralName]:
    wanted = [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
    return [*(x509.DNSName(each) for each in NAMES), *wanted]


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _begun(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
    )
