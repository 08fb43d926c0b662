"""What a person may want to know of a certificate: one that is trusted by its pin, or one that runs out. Pure."""

from datetime import datetime

SMALL_RSA = 2048


def end_of(pem: str) -> datetime | None:
    """When a certificate in PEM form ends; None when it cannot be read."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
    except Exception:  # cryptography raises whatever its parsing meets
        return None


def remarks(der: bytes, now: datetime) -> list[str]:
    """Clauses about its dates and its key; empty when nothing is odd, or it cannot be read."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except Exception:  # cryptography raises whatever its parsing meets; to know more is not needed
        return []
    found = []
    if now > ends:
        found.append(f"its certificate expired on {ends:%Y-%m-%d}")
    if now < begins:
        found.append(f"its certificate is valid from {begins:%Y-%m-%d} on only: look at both clocks")
    if isinstance(key, RSAPublicKey) and key.key_size < SMALL_RSA:
        found.append(f"its certificate has a small key, RSA with {key.key_size} bits")
    return found
