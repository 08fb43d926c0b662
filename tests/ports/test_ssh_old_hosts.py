"""A host whose SSH knows SHA-1 only (ESXi 5.x, early 6.0) is named as such."""

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from homelab.errors import HostFault
from homelab.ports import ssh
from homelab.ports.files.home import HomeFiles

KEXINIT = 20
OFFERS = (
    "diffie-hellman-group14-sha1,diffie-hellman-group1-sha1",
    "ssh-rsa,ssh-dss",
    "aes128-ctr",
    "aes128-ctr",
    "hmac-sha1",
    "hmac-sha1",
    "none",
    "none",
    "",
    "",
)


def packet(payload: bytes) -> bytes:
    """An unencrypted packet of the SSH transport (RFC 4253, 6)."""
    padding = 8 - (5 + len(payload)) % 8
    padding += 8 if padding < 4 else 0
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


def kexinit() -> bytes:
    names = b"".join(struct.pack(">I", len(offer)) + offer.encode() for offer in OFFERS)
    return packet(bytes([KEXINIT]) + bytes(16) + names + bytes(5))


@pytest.fixture
def old_host() -> Iterator[int]:
    """Says hello as such a host does, and nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_5.6\r\n" + kexinit())
                while connection.recv(4096):
                    pass

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def test_a_host_with_sha_1_only_is_told_apart_from_one_that_is_off(old_host: int, tmp_path: Path) -> None:
    login = ssh.Login("brix1", "127.0.0.1", old_host, "root", 5.0, password="x")
    with pytest.raises(HostFault, match="offers SHA-1 only") as fault, ssh.connect(login, HomeFiles(tmp_path), print):
        pass
    assert "ESXi 5.x or an early 6.0" in fault.value.what
    assert "6.5" in fault.value.advice
