"""A cluster's authorities and certificates as kubeadm makes them, in files, for tests of balancers."""

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KINDS = {"CN": NameOID.COMMON_NAME, "O": NameOID.ORGANIZATION_NAME}
Subject = Sequence[tuple[str, str]]


class Authority:
    """One CA in a folder: NAME.crt, and what it signs."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._builder(self.subject, self.key, timedelta(days=10)).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.file = folder / f"{name}.crt"
        self.file.write_bytes(made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def signs(
        self, file: str, subject: Subject, names: Sequence[str] = (), life: timedelta = timedelta(days=7)
    ) -> Path:
        """A certificate and its key in one PEM file; for a server when it has names, else for a client.

        All O that follow each other are one part of the name, as Go (kubeadm, Kubernetes itself) makes it.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        parts: list[list[x509.NameAttribute[str]]] = []
        for kind, value in subject:
            made = x509.NameAttribute(KINDS[kind], value)
            if kind == "O" and parts and parts[-1][0].oid == made.oid:
                parts[-1].append(made)
            else:
                parts.append([made])
        name = x509.Name([x509.RelativeDistinguishedName(part) for part in parts])
        usage = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
        made = self._builder(name, key, life).add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if names:
            made = made.add_extension(x509.SubjectAlternativeName([_general(one) for one in names]), critical=False)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = self.folder / file
        path.write_bytes(made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + private)
        return path

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, life: timedelta) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return x509.CertificateBuilder(
            self.subject, subject, key.public_key(), x509.random_serial_number(), now - timedelta(hours=1), now + life
        )


def server_context(pair: Path, *authorities: Authority) -> ssl.SSLContext:
    """A server's side that asks for a client certificate of these authorities, and takes none as well."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    for authority in authorities:
        context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def client_context(authority: Authority, pair: Path | None = None) -> ssl.SSLContext:
    """A client's side that verifies the server, and shows a certificate where there is one."""
    context = ssl.create_default_context(cafile=str(authority.file))
    if pair is not None:
        context.load_cert_chain(pair)
    return context


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
