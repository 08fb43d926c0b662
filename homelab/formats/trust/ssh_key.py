"""SSH keys as OpenSSH writes them: made, derived and checked without touching a file."""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass, field
from itertools import pairwise

# The types that an OpenSSH or ESXi server of today shows; DSA is gone from both.
HOST_KEY_TYPES = frozenset(
    {"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"}
)
USER_KEY_TYPES = HOST_KEY_TYPES | {"sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"}


class BadKey(ValueError):
    """What should be a key is none; the text says why, as the end of a sentence."""


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


def public_of(private: bytes) -> str:
    """The public half of a private key, `TYPE BASE64`, as `ssh-keygen -y` derives it. Raises BadKey."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key as load_openssh

    load = load_openssh if b"BEGIN OPENSSH" in private else load_pem_private_key
    try:
        key = load(private, None)
        return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")
    except TypeError:
        # cryptography says so of a key that needs a password.
        raise BadKey("is locked with a passphrase") from None
    except (ValueError, UnsupportedAlgorithm, AttributeError):
        raise BadKey("holds no private key that can be read") from None


def host_key(text: str) -> str:
    """One public host key, `TYPE BASE64` and perhaps a comment, without the comment. Raises BadKey."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    if not text.isprintable():
        raise BadKey("is not one line of text")
    fields = text.split()
    if len(fields) < 2 or fields[0] not in HOST_KEY_TYPES:
        raise BadKey("does not begin with a type of key that is known")
    kind, blob = fields[:2]
    if not is_whole(kind, blob):
        raise BadKey(f"is no whole key of the type {kind}")
    try:
        load_ssh_public_key(f"{kind} {blob}".encode())
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey(f"is no whole key of the type {kind}") from None
    return f"{kind} {blob}"


def authorized_key(text: str) -> str:
    """One line of authorized_keys, with its options and comment, as it is. Raises BadKey.

    The text of the error holds nothing of the line: it may be a private key.
    """
    line = text.strip()
    if "PRIVATE KEY" in line:
        raise BadKey("is a private key")
    if not line.isprintable() or not line:
        raise BadKey("is not one line of text")
    fields = line.split()
    for kind, blob in pairwise(fields):
        if kind in USER_KEY_TYPES and is_whole(kind, blob):
            return line
    raise BadKey("is no public key of OpenSSH's")


def is_whole(kind: str, blob: str) -> bool:
    """Whether base64 text is a key of this type and not cut: strings with their lengths, the first being the type.

    The form is RFC 4253, section 6.6.
    """
    try:
        data = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        return False
    parts: list[bytes] = []
    while data:
        size = struct.unpack(">I", data[:4])[0] if len(data) >= 4 else len(data)
        if size > len(data) - 4:
            return False
        parts.append(data[4 : 4 + size])
        data = data[4 + size :]
    return len(parts) > 1 and parts[0] == kind.encode(errors="replace")


def key_fingerprint(key: str) -> str:
    """`SHA256:` and the digest in base64 of a key `TYPE BASE64`, as OpenSSH shows it."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
