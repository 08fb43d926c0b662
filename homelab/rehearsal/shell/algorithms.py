"""What the SSH server of an ESXi release offers, cut down to what the SSH library here can do.

Nearly all of this is assumed (docs/reference/assumed.md). What was seen: the sshd_config of a 6.0 host names an RSA and
a DSA host key; a recent host of unknown release showed an ECDSA key; a security control for 9.x names the ciphers given
here for 7.0 and 8.0; and a host in FIPS mode was reported to refuse ed25519 keys.
"""

import io
from dataclasses import dataclass

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

RSA_BITS = 2048
COUNTER_MODE = ("aes128-ctr", "aes192-ctr", "aes256-ctr")
GALOIS_MODE = ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr")
SHA2_MACS = ("hmac-sha2-256", "hmac-sha2-512")
CURVES = ("ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521")
GROUPS = ("diffie-hellman-group16-sha512", "diffie-hellman-group-exchange-sha256", "diffie-hellman-group14-sha256")
RSA_KEYS = ("rsa-sha2-512", "rsa-sha2-256")
ECDSA_KEYS = ("ecdsa-sha2-nistp256",)


@dataclass(frozen=True)
class Algorithms:
    """What is offered, the dearest first. `keys` are the signatures of the host's own key."""

    kex: tuple[str, ...]
    keys: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]


RELEASES = {
    (6, 5): Algorithms(
        ("curve25519-sha256@libssh.org", *CURVES, *GROUPS), RSA_KEYS, COUNTER_MODE, (*SHA2_MACS, "hmac-sha1")
    ),
    # FIPS mode: neither curve25519 nor ed25519.
    (6, 7): Algorithms((*CURVES, *GROUPS), RSA_KEYS, COUNTER_MODE, (*SHA2_MACS, "hmac-sha1")),
    (7, 0): Algorithms((*CURVES, *GROUPS), ECDSA_KEYS, GALOIS_MODE, SHA2_MACS),
    (8, 0): Algorithms(CURVES, ECDSA_KEYS, GALOIS_MODE, SHA2_MACS),
}


def algorithms(version: str) -> Algorithms:
    """What a release offers; an unknown one is taken for the newest known before it."""
    wanted = tuple(int(part) for part in version.split(".")[:2])
    return RELEASES[max((one for one in RELEASES if one <= wanted), default=min(RELEASES))]


def offer(transport: paramiko.Transport, version: str) -> None:
    """Let a connection offer what the release does."""
    wanted, options = algorithms(version), transport.get_security_options()
    options.kex, options.key_types = wanted.kex, wanted.keys
    options.ciphers, options.digests = wanted.ciphers, wanted.macs


def new_host_key(version: str = "6.7.0") -> paramiko.PKey:
    """A fresh key of the kind that the release has."""
    if algorithms(version).keys == ECDSA_KEYS:
        return _loaded(paramiko.ECDSAKey, ec.generate_private_key(ec.SECP256R1()))
    return _loaded(paramiko.RSAKey, rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS))


def _loaded(kind: type[paramiko.PKey], key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> paramiko.PKey:
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return kind.from_private_key(io.StringIO(text.decode()))
