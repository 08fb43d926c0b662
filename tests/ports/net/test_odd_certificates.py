"""Certificates that hosts have: expired, not valid yet, with a small key (field case H). The pin decides."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from homelab.errors import HostFault, TrustError
from homelab.lab import EsxiHost
from homelab.ports.files.home import HomeFiles
from homelab.ports.net.exchange import connection, pinned
from homelab.ports.vsphere import open_session
from tests.helpers.tls_server import ADDRESS, http, says, serving

Pair = tuple[bytes, bytes]
PAGE = says(http(b"<html>login</html>"))


def made(begins: int, ends: int, bits: int = 0) -> Pair:
    """A self-signed pair, valid from and to so many days from now, with an RSA key of so many bits."""
    key = rsa.generate_private_key(65537, bits) if bits else ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost.localdomain")]), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(now + timedelta(begins)).not_valid_after(now + timedelta(ends))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), key.private_bytes(*form)


def meet(port: int, files: HomeFiles) -> list[str]:
    """Open a session with what answers there, which is a web page behind TLS; what was reported on the way."""
    said: list[str] = []
    host = EsxiHost(name="brix3", address=ADDRESS, password="right", api_port=port, api_timeout=5)
    with pytest.raises(HostFault, match="no ESXi answers there, but"), open_session(host, files, said.append):
        pass
    return said


@pytest.mark.parametrize(
    ("pair", "remark"),
    [
        (made(-400, -3), "its certificate expired on"),
        (made(3, 400), "its certificate is valid from"),
        (made(-1, 400, 1024), "its certificate has a small key, RSA with 1024 bits"),
    ],
    ids=["expired", "of tomorrow", "small"],
)
def test_an_odd_certificate_is_met_pinned_and_remarked_on_once(pair: Pair, remark: str, tmp_path: Path) -> None:
    files = HomeFiles(tmp_path)
    with serving(PAGE, pair=pair) as port:
        first, again = meet(port, files), meet(port, files)
    assert sum(remark in sentence for sentence in first) == 1
    assert again == []


def test_the_pin_refuses_another_certificate_however_sound(tmp_path: Path) -> None:
    files, host = HomeFiles(tmp_path), EsxiHost(name="brix3", address=ADDRESS, password="right")
    with serving(PAGE, pair=made(-400, -3)) as port:
        meet(port, files)
    with serving(PAGE, pair=made(-1, 400)) as port:
        moved = host.model_copy(update={"api_port": port, "api_timeout": 5})
        with pytest.raises(TrustError), open_session(moved, files, lambda _: None):
            pass


def test_a_certificate_that_changes_between_two_handshakes_is_not_spoken_to() -> None:
    """The first handshake only looks; what is said goes over the second, and that must show the same certificate."""
    other = x509.load_pem_x509_certificate(made(-1, 400)[0]).public_bytes(serialization.Encoding.DER)
    with serving(PAGE) as port, pytest.raises(OSError, match="not the pinned one"):
        connection(ADDRESS, port, pinned(other), 5)
