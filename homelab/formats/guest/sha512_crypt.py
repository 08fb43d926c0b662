"""SHA-512 crypt (`$6$`), as Ulrich Drepper's specification has it. Pure.

Python's own `crypt` is gone in 3.13, and macOS's has no `$6$`.
"""

import hashlib

ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ROUNDS = 5000
SALT_CHARACTERS = 16
# Far dearer than the 5000 rounds of the hash: whoever tries passwords against the salt is slower than against the hash.
SALT_ITERATIONS = 100_000


def salt_for(password: str, purpose: str) -> str:
    """Return 16 characters of salt that are always the same for a password and a purpose, such as a host's name.

    A salt drawn at random would make two images of the same input differ. This one differs from host to host, and tells
    no more about the password than the hash beside it: PBKDF2-HMAC-SHA512 with 100 000 iterations.
    """
    derived = hashlib.pbkdf2_hmac("sha512", password.encode(), f"homelab {purpose}".encode(), SALT_ITERATIONS)
    return "".join(ALPHABET[byte % 64] for byte in derived[:SALT_CHARACTERS])


def sha512_crypt(password: str, salt: str) -> str:
    """Return `$6$SALT$HASH`, 5000 rounds; `salt` is up to 16 characters of the alphabet."""
    key, grain = password.encode(), salt[:SALT_CHARACTERS].encode()
    digest = _first(key, grain)
    p = _repeated(hashlib.sha512(key * len(key)).digest(), len(key))
    s = _repeated(hashlib.sha512(grain * (16 + digest[0])).digest(), len(grain))
    for number in range(ROUNDS):
        text = p if number % 2 else digest
        text += (s if number % 3 else b"") + (p if number % 7 else b"")
        digest = hashlib.sha512(text + (digest if number % 2 else p)).digest()
    return f"$6${grain.decode()}${_encoded(digest)}"


def _first(key: bytes, salt: bytes) -> bytes:
    """Steps 1 to 12 of the specification."""
    other = hashlib.sha512(key + salt + key).digest()
    text = key + salt + _repeated(other, len(key))
    bits = len(key)
    while bits:
        text += other if bits & 1 else key
        bits >>= 1
    return hashlib.sha512(text).digest()


def _repeated(digest: bytes, length: int) -> bytes:
    return (digest * (length // len(digest) + 1))[:length]


def _encoded(digest: bytes) -> str:
    """Three bytes become four characters, in the specification's own order of bytes."""
    text = ""
    a, b, c = 0, 21, 42
    for _ in range(21):
        text += _base64(digest[a] << 16 | digest[b] << 8 | digest[c], 4)
        a, b, c = b + 1, c + 1, a + 1
    return text + _base64(digest[63], 2)


def _base64(number: int, characters: int) -> str:
    return "".join(ALPHABET[number >> 6 * place & 63] for place in range(characters))
