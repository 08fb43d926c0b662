"""The NAS's face: by calls written out here, and by the clients of rpcbind and nfs-utils."""

import contextlib
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from homelab.rehearsal.nas.face import NasFace
from homelab.rehearsal.nas.nas import DENIED, Nas
from homelab.rehearsal.nas.programs import MOUNT, MOUNT_PORT, NFS, NFS_PORT, RPCBIND, RPCBIND_PORT, Programs
from homelab.rehearsal.nas.rpc import answer
from tests.helpers.checkout import ROOT

ADDRESS = "127.0.0.94"
EXPORT = "/volume1/homelab"
CLIENT = "192.168.2.11"


def call(program: int, version: int, procedure: int, arguments: bytes = b"", *, xid: int = 7, rpc: int = 2) -> bytes:
    return struct.pack(">6I4I", xid, 0, rpc, program, version, procedure, 0, 0, 0, 0) + arguments


def string(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


@pytest.fixture
def nas() -> Nas:
    return Nas({ADDRESS}, {EXPORT})


def ask(nas: Nas, program: int, version: int, procedure: int, arguments: bytes = b"") -> tuple[int, bytes]:
    """The accept status, and the result behind it."""
    reply = answer(call(program, version, procedure, arguments), CLIENT, Programs(nas, ADDRESS, tuple))
    assert reply is not None
    assert struct.unpack(">5I", reply[:20]) == (7, 1, 0, 0, 0)
    return int.from_bytes(reply[20:24]), reply[24:]


def mount(nas: Nas, path: str = EXPORT) -> int:
    status, result = ask(nas, MOUNT, 3, 1, string(path))
    assert status == 0
    return int.from_bytes(result[:4])


def test_getport_and_getaddr_lead_to_mountd(nas: Nas) -> None:
    assert ask(nas, RPCBIND, 2, 3, struct.pack(">4I", MOUNT, 3, 6, 0)) == (0, struct.pack(">I", MOUNT_PORT))
    assert ask(nas, RPCBIND, 2, 3, struct.pack(">4I", MOUNT, 1, 6, 0)) == (0, struct.pack(">I", 0))
    arguments = struct.pack(">2I", NFS, 3) + string("tcp") + string("") + string("me")
    assert ask(nas, RPCBIND, 4, 3, arguments) == (0, string(f"{ADDRESS}.8.1"))


def test_null_calls(nas: Nas) -> None:
    for program, version in ((RPCBIND, 2), (RPCBIND, 3), (RPCBIND, 4), (MOUNT, 3), (NFS, 3), (NFS, 4)):
        assert ask(nas, program, version, 0) == (0, b"")


def test_what_is_not_served_is_refused_as_rpc_has_it(nas: Nas) -> None:
    assert ask(nas, 100021, 4, 0) == (1, b"")
    assert ask(nas, NFS, 2, 0) == (2, struct.pack(">2I", 3, 4))
    assert ask(nas, NFS, 3, 1) == (3, b"")
    assert ask(nas, MOUNT, 3, 1, b"\0\0\0\x09abc") == (4, b"")
    programs = Programs(nas, ADDRESS, tuple)
    assert answer(call(NFS, 3, 0, rpc=3), CLIENT, programs) == struct.pack(">6I", 7, 1, 1, 0, 2, 2)
    assert answer(b"GET / HTTP/1.0\r\n\r\n", CLIENT, programs) is None


def test_an_export_is_mounted_listed_and_unmounted(nas: Nas) -> None:
    programs = Programs(nas, ADDRESS, lambda: [("192.168.2.14", EXPORT)])
    tell = lambda *what: (answer(call(*what), CLIENT, programs) or b"")[24:]  # noqa: E731
    result = tell(MOUNT, 3, 1, string(EXPORT))
    assert result[:8] == struct.pack(">2I", 0, 32)
    assert result[40:] == struct.pack(">2I", 1, 1)
    assert tell(MOUNT, 3, 5) == struct.pack(">I", 1) + string(EXPORT) + struct.pack(">2I", 0, 0)
    other, mine = string("192.168.2.14") + string(EXPORT), string(CLIENT) + string(EXPORT)
    one, end = struct.pack(">I", 1), struct.pack(">I", 0)
    assert tell(MOUNT, 3, 2) == one + other + one + mine + end
    assert tell(MOUNT, 3, 3, string(EXPORT)) == b""
    assert tell(MOUNT, 3, 2) == one + other + end


def test_mounts_are_refused_as_the_state_says(nas: Nas) -> None:
    assert mount(nas) == 0
    assert mount(nas, EXPORT + "/") == 0
    assert mount(nas, "/volume1/nosuch") == 13
    nas.denied.add(CLIENT)
    assert mount(nas) == 13
    nas.denied.clear()
    for text, status in ((DENIED, 13), ("Permission denied", 1), ("Not found", 2), ("Busy", 10006)):
        nas.refuses = text
        assert mount(nas) == status
    nas.refuses = "The NFS server does not support MOUNT version 3 over TCP"
    assert ask(nas, MOUNT, 3, 0)[0] == 1
    assert ask(nas, RPCBIND, 2, 3, struct.pack(">4I", MOUNT, 3, 6, 0)) == (0, struct.pack(">I", 0))
    nas.refuses = "The NFS server does not support requested NFS version over TCP"
    assert ask(nas, NFS, 3, 0)[0] == 1


def test_bytes_of_any_kind_get_a_reply_or_none(nas: Nas) -> None:
    dice = random.Random(4)
    whole = [
        call(MOUNT, 3, 1, string(EXPORT)),
        call(RPCBIND, 2, 3, struct.pack(">4I", MOUNT, 3, 6, 0)),
        call(RPCBIND, 4, 3, struct.pack(">2I", NFS, 3) + string("tcp")),
    ]
    programs = Programs(nas, ADDRESS, tuple)
    for _ in range(2000):
        message = bytearray(dice.choice(whole))
        for _ in range(dice.randrange(1, 6)):
            message[dice.randrange(len(message))] = dice.randrange(256)
        answer(bytes(message[: dice.randrange(len(message) + 1)]), CLIENT, programs)


# On the wire


@pytest.fixture
def face(nas: Nas, monkeypatch: pytest.MonkeyPatch) -> Iterator[NasFace]:
    """The face on ports that anybody may take: TCP and UDP have ports of their own then."""
    monkeypatch.setattr("homelab.rehearsal.nas.face.PORTS", (0,))
    face = NasFace(nas, ADDRESS)
    face.start()
    yield face
    face.stop()


def sockets(face: NasFace) -> tuple[tuple[str, int], tuple[str, int]]:
    tcp, udp = face._listening
    return tcp.getsockname(), udp.getsockname()


def test_tcp_and_udp_answer(face: NasFace) -> None:
    tcp, udp = sockets(face)
    with socket.create_connection(tcp, timeout=5) as stream:
        message = call(NFS, 3, 0)
        # Two fragments, the first without the mark of the last one.
        stream.sendall(
            struct.pack(">I", 8) + message[:8] + struct.pack(">I", 0x80000000 | len(message) - 8) + message[8:]
        )
        reply = stream.recv(28, socket.MSG_WAITALL)
        assert struct.unpack(">7I", reply) == (0x80000018, 7, 1, 0, 0, 0, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(5)
        datagrams.sendto(b"nonsense", udp)
        datagrams.sendto(b"", udp)
        datagrams.sendto(call(NFS, 3, 0), udp)
        assert len(datagrams.recv(100)) == 24


def test_a_record_without_an_end_closes_the_connection(face: NasFace) -> None:
    with socket.create_connection(sockets(face)[0], timeout=5) as stream:
        stream.sendall(b"\xff\xff\xff\xff")
        assert stream.recv(1) == b""


def test_a_nas_that_is_away_keeps_silent(face: NasFace, nas: Nas) -> None:
    nas.away = True
    with socket.create_connection(sockets(face)[0], timeout=0.2) as stream:
        message = call(NFS, 3, 0)
        stream.sendall(struct.pack(">I", 0x80000000 | len(message)) + message)
        with pytest.raises(TimeoutError):
            stream.recv(1)


def test_stop_closes_every_socket(face: NasFace) -> None:
    tcp, _ = sockets(face)
    with socket.create_connection(tcp, timeout=5) as stream:
        face.stop()
        # One that was not taken yet is reset.
        with contextlib.suppress(ConnectionResetError):
            assert stream.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(tcp, timeout=5)


# Clients that others wrote, in namespaces of their own

SERVE = f"""
import sys, time
from homelab.rehearsal.nas.face import NasFace
from homelab.rehearsal.nas.nas import Nas
nas = Nas({{"{ADDRESS}"}}, {{"{EXPORT}", "/volume1/other"}})
face = NasFace(nas, "{ADDRESS}", lambda: [("192.168.2.11", "{EXPORT}")])
face.start()
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.read()
"""

SCRIPT = f"""
set -e
ip link set lo up
mkfifo "$1/hold"
"$2" -c "$3" < "$1/hold" > "$1/ready" &
exec 9> "$1/hold"
until grep -q ready "$1/ready"; do sleep 0.05; done
rpcinfo -p {ADDRESS}
echo "-- rpcinfo"
rpcinfo {ADDRESS}
echo "-- null"
rpcinfo -t {ADDRESS} nfs 3
rpcinfo -u {ADDRESS} nfs 3
rpcinfo -t {ADDRESS} nfs 4
rpcinfo -t {ADDRESS} mountd 3
echo "-- exports"
showmount -e {ADDRESS}
echo "-- mounts"
showmount -a {ADDRESS}
exec 9>&-
wait
"""


@pytest.mark.thorough
@pytest.mark.skipif(
    not shutil.which("rpcinfo", path=os.defpath + ":/sbin:/usr/sbin"), reason="rpcbind is not installed"
)
@pytest.mark.skipif(not shutil.which("showmount", path=os.defpath + ":/sbin:/usr/sbin"), reason="no nfs-common")
@pytest.mark.skipif(not shutil.which("unshare"), reason="needs namespaces")
def test_rpcinfo_and_showmount(tmp_path: Path) -> None:
    argv = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", SCRIPT, "sh", str(tmp_path)]
    path = f"{os.environ.get('PATH', os.defpath)}:/sbin:/usr/sbin"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*argv, sys.executable, SERVE], capture_output=True, text=True, timeout=50, env=environment, check=False
    )
    if "unshare failed" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    ports, rest = done.stdout.split("-- rpcinfo\n")
    rows = [line.split() for line in ports.splitlines()[1:]]
    assert ["100005", "3", "tcp", str(MOUNT_PORT), "mountd"] in rows
    assert ["100003", "4", "tcp", str(NFS_PORT), "nfs"] in rows
    assert ["100000", "2", "udp", str(RPCBIND_PORT), "portmapper"] in rows
    modern, rest = rest.split("-- null\n")
    assert f"{ADDRESS}.78.80" in modern
    null, rest = rest.split("-- exports\n")
    assert null.count("ready and waiting") == 4
    exports, mounts = rest.split("-- mounts\n")
    assert exports.splitlines()[0] == f"Export list for {ADDRESS}:"
    assert {tuple(line.split()) for line in exports.splitlines()[1:]} == {
        (EXPORT, "(everyone)"),
        ("/volume1/other", "(everyone)"),
    }
    assert mounts.splitlines()[1:] == [f"192.168.2.11:{EXPORT}"]
