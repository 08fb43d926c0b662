"""SSH keys, made without touching a file."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class HostKey:
    """An ed25519 key pair: `private` in OpenSSH's PEM form with its last newline, `public` as one line without it."""

    private: str = field(repr=False)
    public: str


def new_key(comment: str) -> HostKey:
    """Make a fresh ed25519 key pair; `comment` (no spaces or line breaks) ends the public line."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return HostKey(private=private.decode("ascii"), public=f"{public.decode('ascii')} {comment}")
