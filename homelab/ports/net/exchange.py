"""One exchange over TLS: a deadline for all of it, and a bound on what is read.

A socket's own timeout is for each single read: somebody who sends a byte now and then is never late. Here every read
and write gets only what is left of the whole.
"""

import ssl
import time
from http.client import HTTPSConnection
from typing import Any

MIB = 1 << 20
MOST = 4 * MIB
HEARD = 2048


class TooMuch(OSError):
    """More was sent than the bound of this exchange."""


class Pinned(ssl.SSLContext):
    """A context for one certificate: its bytes decide, not its dates, its size or the name in it.

    Hosts keep certificates for years and their clocks may be wrong; a clock cannot be set on a host that cannot be
    reached.
    """

    certificate: bytes


def pinned(der: bytes) -> Pinned:
    """The context that accepts this certificate (DER) and no other."""
    context = Pinned(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = Exchange
    context.certificate = der
    any_certificate(context)
    return context


def any_certificate(context: ssl.SSLContext) -> None:
    """Leave it to the pin what is accepted: OpenSSL's own rules on keys would refuse the smaller ones of old hosts."""
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")


class Exchange(ssl.SSLSocket):
    """A socket that keeps its deadline; `heard` is the beginning of what the other side said."""

    heard = b""
    _deadline: float | None = None
    _most = 0
    _left = 0

    def do_handshake(self, block: bool = False) -> None:
        """As SSLSocket; nothing is said to a machine that shows another certificate than the pinned one."""
        super().do_handshake(block)
        if isinstance(self.context, Pinned) and self.getpeercert(binary_form=True) != self.context.certificate:
            raise ssl.SSLCertVerificationError("the certificate is not the pinned one")

    def begin(self, seconds: float, most: int = MOST) -> None:
        """From now on an exchange may take so many seconds in all, and bring so many bytes."""
        self._deadline, self._most, self._left, self.heard = time.monotonic() + seconds, most, most, b""

    def read(self, count: int = 1024, buffer: Any = None) -> Any:
        """As SSLSocket; every other way to read comes here. Raises TimeoutError, TooMuch."""
        self._hurry()
        found = super().read(count, buffer)
        if self._deadline is not None:
            self._account(found if isinstance(found, bytes) else memoryview(buffer)[:found])
        return found

    def _account(self, data: bytes | memoryview) -> None:
        if len(self.heard) < HEARD:
            self.heard += bytes(data[: HEARD - len(self.heard)])
        self._left -= len(data)
        if self._left < 0:
            raise TooMuch(f"it sent more than {self._most // MIB} MiB")

    def send(self, data: Any, flags: int = 0) -> int:
        """As SSLSocket; sendall comes here. Raises TimeoutError."""
        self._hurry()
        return super().send(data, flags)

    def _hurry(self) -> None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the deadline has passed")
            self.settimeout(left)


def connection(address: str, port: int, context: ssl.SSLContext, seconds: float, most: int = MOST) -> HTTPSConnection:
    """A connection to a web server whose context makes an `Exchange`; open, and begun. Raises OSError."""
    end = time.monotonic() + seconds
    made = HTTPSConnection(address, port, timeout=seconds, context=context)
    made.connect()
    begin(made, max(0.0, end - time.monotonic()), most)
    return made


def begin(made: HTTPSConnection, seconds: float, most: int = MOST) -> Exchange:
    """Begin another exchange, or another part of one, on a connection that is open; its socket."""
    assert isinstance(made.sock, Exchange)
    made.sock.begin(seconds, most)
    return made.sock
