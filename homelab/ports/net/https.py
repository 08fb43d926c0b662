"""One HTTPS request with a deadline, verified by the cluster's own CA."""

import http.client
import socket
import ssl
import time
from collections.abc import Callable

from homelab.errors import HostFault, Unreachable
from homelab.ports.net.exchange import MOST, Exchange, TooMuch

# Every serving certificate that kubeadm makes carries this name (load-balancer-facts).
API_SERVER_NAME = "kubernetes.default.svc"


def get(address: str, port: int, path: str, ca: str, *, timeout: float) -> tuple[int, str]:
    """The status and body of GET https://ADDRESS:PORT/PATH, all of it within `timeout` seconds.

    Raises Unreachable, whose cause is the OSError where there was one (ConnectionRefusedError, TimeoutError,
    ssl.SSLError), and HostFault for an answer that is no HTTP or too long.
    """
    return ask(lambda: ssl.create_default_context(cadata=ca), address, port, path, timeout=timeout)


def ask(
    context: Callable[[], ssl.SSLContext], address: str, port: int, path: str, *, timeout: float
) -> tuple[int, str]:
    """The same in a context of the caller's, which may show a client's certificate."""
    where, advice = f"{address}:{port}", "Check that an API server is behind that address, and what it says there"
    try:
        return _get(context(), address, port, path, time.monotonic() + timeout)
    except TooMuch as error:
        raise HostFault(f"{path}: {error}", where=where, advice=advice) from error
    except TimeoutError as error:
        raise Unreachable(f"{path}: no whole answer within {timeout:g} s", where=where, advice=advice) from error
    except OSError as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Unreachable(f"{path}: {said}", where=where, advice=advice) from error
    except http.client.HTTPException as error:
        said = f"no HTTP answer: {str(error)[:80] or type(error).__name__}"
        raise HostFault(f"{path}: {said}", where=where, advice=advice) from error
    except ValueError as error:
        raise HostFault(f"the cluster's CA is no certificate: {error}", where=where, advice=advice) from error


def _get(context: ssl.SSLContext, address: str, port: int, path: str, end: float) -> tuple[int, str]:
    context.sslsocket_class = Exchange
    with socket.create_connection((address, port), timeout=_left(end)) as plain:
        plain.settimeout(_left(end))
        with context.wrap_socket(plain, server_hostname=API_SERVER_NAME) as secured:
            assert isinstance(secured, Exchange)
            secured.begin(_left(end), MOST)
            request = f"GET {path} HTTP/1.1\r\nHost: {API_SERVER_NAME}\r\nConnection: close\r\n\r\n"
            secured.sendall(request.encode())
            answer = http.client.HTTPResponse(secured)
            answer.begin()
            return answer.status, answer.read().decode(errors="replace")


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
