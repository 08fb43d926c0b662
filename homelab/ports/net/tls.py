"""TLS by pins: a certificate is trusted on first use and refused when it changes; nothing else in it matters."""

import hashlib
import socket
import ssl
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from homelab.errors import Unreachable
from homelab.formats.trust.certificate import remarks
from homelab.formats.trust.pins import doubles
from homelab.ports.files.home import HomeFiles
from homelab.ports.net.exchange import any_certificate, pinned


def fingerprint(der: bytes) -> str:
    """`SHA256:` and the digest in hex, in pairs, as ESXi's own console shows it."""
    digest = hashlib.sha256(der).hexdigest().upper()
    return "SHA256:" + ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


def presented_certificate(address: str, port: int, *, timeout: float) -> bytes:
    """The certificate (DER) that the other side presents, within `timeout` seconds. Raises Unreachable."""
    # Not the default context: that loads every authority of this machine, some 30 ms a time, and none is asked here.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    any_certificate(context)
    where = f"{address}:{port}"
    try:
        with (
            socket.create_connection((address, port), timeout=timeout) as plain,
            context.wrap_socket(plain) as secured,
        ):
            return secured.getpeercert(binary_form=True) or b""
    except TimeoutError as error:
        raise Unreachable(
            f"no answer within {timeout:g} s",
            where=where,
            advice="Check that the host is on and its cable is in; a mute API often comes back within minutes",
        ) from error
    except (OSError, ssl.SSLError) as error:
        raise Unreachable(
            f"no TLS connection: {getattr(error, 'strerror', None) or error}",
            where=where,
            advice="Check the address in the inventory, and that the host is on and has started",
        ) from error


def pinned_context(
    name: str, address: str, port: int, files: HomeFiles, *, timeout: float, report: Callable[[str], None]
) -> ssl.SSLContext:
    """A context that accepts one certificate only: the pinned one, or on first use the presented one.

    Raises Unreachable, and TrustError when the certificate is not the pinned one.
    """
    der = presented_certificate(address, port, timeout=timeout)
    if news := files.trust.meet_certificate(name, address, port, fingerprint(der)):
        report(news)
    for remark in remarks(der, datetime.now(UTC)):
        sentence = f"{name}: {remark}; it is accepted, for the pin decides"
        if files.once(sentence):
            report(sentence)
    return pinned(der)


def twin_of(name: str, inventory: Collection[str], files: HomeFiles, *, timeout: float) -> str | None:
    """Another machine with the pinned certificate of `name`, at another address: one's boot medium is a copy.

    What is pinned under a name that the inventory has no more may be this very machine as it was called before. It is
    another one only when that certificate is still shown there.
    """
    for other, place in doubles(files.trust.pins(), name).items():
        if other in inventory or (place and _shown_at(place, files.trust.pins()[name].certificate, timeout)):
            return other
    return None


def _shown_at(place: str, certificate: str, timeout: float) -> bool:
    address, _, port = place.rpartition(":")
    try:
        return fingerprint(presented_certificate(address, int(port), timeout=timeout)) == certificate
    except Unreachable:
        return False
