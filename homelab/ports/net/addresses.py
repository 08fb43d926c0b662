"""Whether somebody has an address: asked by TCP, which needs no root."""

import socket
from concurrent.futures import ThreadPoolExecutor

PORTS = (22, 80, 443, 6443)
SECONDS = 1.0


def in_use(address: str) -> str | None:
    """How an address answers on usual ports; None when it is silent. A refusal is an answer too."""
    with ThreadPoolExecutor(len(PORTS)) as pool:
        answers = list(pool.map(lambda port: _answer(address, port), PORTS))
    return next((answer for answer in answers if answer), None)


def _answer(address: str, port: int) -> str | None:
    try:
        with socket.create_connection((address, port), timeout=SECONDS):
            return f"port {port} is open"
    except ConnectionRefusedError:
        return f"port {port} is closed"
    except OSError:
        return None
