"""What each release's SSH server offers, seen by paramiko and by OpenSSH's own client."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell.algorithms import RELEASES, algorithms
from homelab.rehearsal.shell.server import ShellFace
from tests.rehearsal.shell.test_shell import ADDRESS, PASSWORD, ask, make_host

VERSIONS = ("6.5.0", "6.7.0", "7.0.3", "8.0.2")


@pytest.fixture(params=VERSIONS)
def face(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ShellFace]:
    host: Host = make_host(tmp_path)
    host.version = request.param
    face = ShellFace(host, ADDRESS, 0)
    face.start()
    yield face
    face.stop()


def test_a_client_logs_in_with_what_the_release_offers(face: ShellFace) -> None:
    wanted = algorithms(face.host.version)
    with paramiko.SSHClient() as client:
        client.get_host_keys().add(f"[{ADDRESS}]:{face.port}", face.host_key.get_name(), face.host_key)
        client.connect(ADDRESS, face.port, "root", PASSWORD, allow_agent=False, look_for_keys=False)
        transport = client.get_transport()
        assert transport is not None
        assert transport.host_key_type in wanted.keys
        assert transport.remote_cipher in wanted.ciphers
        assert ask(client, "true") == ("", "", 0)


@pytest.mark.skipif(not shutil.which("ssh"), reason="OpenSSH's client is not installed")
def test_openssh_sees_the_offer(face: ShellFace) -> None:
    options = ["-F", "none", "-vv", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]
    argv = ["ssh", *options, "-o", "UserKnownHostsFile=/dev/null", "-p", str(face.port), f"root@{ADDRESS}", "true"]
    told = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False).stderr
    _, _, server = told.partition("peer server KEXINIT proposal")
    lines = [line.removeprefix("debug2: ") for line in server.splitlines()]
    wanted = algorithms(face.host.version)
    assert f"host key algorithms: {','.join(wanted.keys)}" in lines
    assert f"ciphers ctos: {','.join(wanted.ciphers)}" in lines
    assert f"MACs stoc: {','.join(wanted.macs)}" in lines
    kex = next(line for line in lines if line.startswith("KEX algorithms: "))
    assert kex.startswith(f"KEX algorithms: {','.join(wanted.kex)}")


def test_a_release_that_is_not_known_is_like_the_one_before() -> None:
    assert algorithms("9.0.0") == RELEASES[8, 0]
    assert algorithms("6.6.1") == RELEASES[6, 5]
    assert algorithms("5.5.0") == RELEASES[6, 5]
