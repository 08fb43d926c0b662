"""What nodes tell of the cluster: the very scripts that run there; etcd's answers are recorded from 3.6.8."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import CERT_REQUIRED
from typing import Any, cast

import pytest

from homelab.errors import HostFault
from homelab.ports.guest import cluster
from homelab.ports.guest.cluster import Asked, EtcdMember
from homelab.ports.guest.remote import etcd
from homelab.ports.ssh import Login, Output
from tests.helpers.cluster_pki import Authority, server_context

MEMBER, LEADER = "758659209188475983", "517730573628343671"
HEADER = {"cluster_id": "16371490394210519739", "member_id": MEMBER, "raft_term": "2"}
STATUS = {"header": HEADER, "version": "3.6.8", "dbSize": "20480", "leader": LEADER, "raftIndex": "8", "raftTerm": "2"}


class Etcd(BaseHTTPRequestHandler):
    """The gateway of one member; the others are not there."""

    def do_POST(self) -> None:
        assert self.rfile.read(int(self.headers["Content-Length"])) == b"{}"
        port = cast(Any, self.server).server_port
        own = {"ID": MEMBER, "name": "cp1", "peerURLs": [], "clientURLs": [f"https://127.0.0.1:{port}"]}
        gone = {"ID": LEADER, "name": "cp2", "peerURLs": [], "clientURLs": ["https://127.0.0.1:1"]}
        new = {"ID": "8543087242056840113", "peerURLs": ["https://192.168.2.23:2380"], "isLearner": True}
        members = {"header": HEADER, "members": [own, gone, new]}
        data = json.dumps({"/v3/cluster/member/list": members, "/v3/maintenance/status": STATUS}[self.path]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


class Here:
    """A shell on this machine; the scripts' own places are others."""

    login = Login("cp1", "127.0.0.1", 22, "homelab", 5.0)

    def __init__(self, *places: tuple[str, str], before: str = "", inside: tuple[str, ...] = ()) -> None:
        self._places, self._before, self._inside = places, before, inside

    def run(self, argv: list[str], *, stdin: str) -> Output:
        assert argv[:4] == ["sudo", "-n", "python3", "-"]
        for old, new in self._places:
            assert old in stdin
            stdin = stdin.replace(old, new)
        command = [*self._inside, sys.executable, *argv[3:]]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=30)
        return Output(done.returncode, self._before + done.stdout, done.stderr)


@contextmanager
def gateway(pki: Authority) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Etcd) as server:
        context = server_context(pki.signs("etcd.pem", [("CN", "cp1")], ["127.0.0.1"]), pki)
        context.verify_mode = CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_etcd_tells_its_members_to_the_api_servers_own_certificate(tmp_path: Path) -> None:
    (tmp_path / "etcd").mkdir()
    pki = Authority(tmp_path / "etcd", "ca")
    pair = pki.signs("client.pem", [("CN", "kube-apiserver-etcd-client")])
    for end in ("crt", "key"):
        shutil.copy(pair, tmp_path / f"apiserver-etcd-client.{end}")
    with gateway(pki) as port:
        shell = Here(("/etc/kubernetes/pki", str(tmp_path)), (str(etcd.PORT), str(port)), before="Hello\n")
        look = cluster.etcd_look(shell)  # type: ignore[arg-type]
    assert look.problem == ""
    assert look.members[0] == EtcdMember(MEMBER, "cp1", False, "", LEADER, ())
    assert [(one.name, one.learner) for one in look.members[1:]] == [("cp2", False), ("", True)]
    assert "refused" in look.members[1].problem
    assert look.members[2].problem
    assert look.leaders == {LEADER}


def test_a_machine_without_etcd_says_so(tmp_path: Path) -> None:
    look = cluster.etcd_look(Here(("/etc/kubernetes/pki", str(tmp_path))))  # type: ignore[arg-type]
    assert "No such file" in look.problem
    assert look.members == ()


def test_a_node_that_says_something_else_is_told() -> None:
    class Odd(Here):
        def run(self, argv: list[str], *, stdin: str) -> Output:
            return Output(1, "", "sudo: python3: command not found\n")

    with pytest.raises(HostFault, match="command not found"):
        cluster.etcd_look(Odd())  # type: ignore[arg-type]


# A name server that knows one name; it stands for CoreDNS at a pod's and at a service's address.
NAMES = """
import socket, struct, subprocess, sys
for address in ("10.244.9.9", "10.96.0.10"):
    subprocess.run(["ip", "address", "add", address + "/32", "dev", "lo"], check=True)
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
# Another pod's address is not its own, and there is a way to it.
subprocess.run(["ip", "route", "add", "10.244.0.0/16", "dev", "lo", "src", "10.244.9.9"], check=True)
names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names.bind(("10.96.0.10", 53))
api = socket.create_server(("10.96.0.10", 443))
print("ready", flush=True)
while True:
    asked, client = names.recvfrom(512)
    known = b"\\x07default\\x03svc" in asked
    head = asked[:2] + struct.pack(">HHHHH", 0x8580 if known else 0x8583, 1, int(known), 0, 0)
    answer = struct.pack(">HHHIH4B", 0xC00C, 1, 1, 5, 4, 10, 96, 0, 1)
    names.sendto(head + asked[12:] + (answer if known else b""), client)
"""


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Path]:
    """The network of a pod at 10.244.9.9 in a folder such as /run/netns, beside one that is none of ours."""
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("networks need root")
    command = ["unshare", "--net", sys.executable, "-c", NAMES]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as inside:
        assert inside.stdout is not None
        assert inside.stdout.readline() == "ready\n"
        (tmp_path / "cni-1").symlink_to("/proc/self/ns/net")
        (tmp_path / "cni-2").symlink_to(f"/proc/{inside.pid}/ns/net")
        (tmp_path / "cni-3").write_text("")
        yield tmp_path
        inside.kill()


def reached(folder: Path, pods: tuple[str, ...], name: str) -> cluster.ReachLook:
    asked = Asked(pods, name, ("10.96.0.10",), (("10.96.0.10", 443), ("10.96.0.10", 444)))
    # The node has a network of its own, too, so that nothing is asked of this machine's.
    shell = Here(("/run/netns", str(folder)), ("SECONDS = 1.5", "SECONDS = 0.3"), inside=("unshare", "--net"))
    return cluster.reach_look(shell, asked)  # type: ignore[arg-type]


def test_names_and_services_are_asked_from_inside_of_a_pods_network(pod: Path) -> None:
    look = reached(pod, ("10.244.9.8", "10.244.9.9"), "kubernetes.default.svc.cluster.local")
    assert look.inside == "10.244.9.9"
    assert set(look.problems) == {"10.96.0.10:444"}
    assert "refused" in look.problems["10.96.0.10:444"]
    unknown = reached(pod, ("10.244.9.9",), "kubernetes.other.svc.cluster.local")
    assert "does not know kubernetes.other.svc.cluster.local (code 3)" in unknown.problems["10.96.0.10"]


def test_without_a_pod_the_node_itself_is_asked_from(pod: Path) -> None:
    look = reached(pod, (), "kubernetes.default.svc.cluster.local")
    assert look.inside == ""
    assert "10.96.0.10" in look.problems
