"""The API as its administrator reads it: over TLS that both sides verify, with a key that never stays in a file."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import CERT_REQUIRED
from typing import Any, cast

import pytest
import yaml

from homelab.errors import HostFault, Unreachable
from homelab.lab import Lab
from homelab.ports.files.home import HomeFiles
from homelab.ports.guest.look import GuestAway, GuestLook
from homelab.ports.kubernetes import admin
from homelab.ports.kubernetes.cluster import ClusterReader
from homelab.ports.net.https import API_SERVER_NAME
from homelab.ports.ssh import Login, Output
from tests.helpers.cluster_pki import Authority, server_context
from tests.helpers.sample import sample_lab

NODE = {"kind": "Node", "metadata": {"name": "cp1"}}
# As kube-apiserver says no (apimachinery's Status).
NOT_FOUND = {
    "kind": "Status",
    "status": "Failure",
    "message": 'nodes "cp9" not found',
    "reason": "NotFound",
    "code": 404,
}


class Api(BaseHTTPRequestHandler):
    """Answers whom the cluster's CA knows, and keeps who asked."""

    def do_GET(self) -> None:
        subject = cast(Any, self.connection).getpeercert()["subject"]
        cast(Any, self.server).asked.append((self.path, dict(pair for part in subject for pair in part)))
        found = self.path == "/api/v1/nodes/cp1"
        data = json.dumps(NODE if found else NOT_FOUND).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, pki: Authority) -> None:
        super().__init__(("127.0.0.1", 0), Api)
        context = server_context(pki.signs("server.pem", [("CN", "kube-apiserver")], [API_SERVER_NAME]), pki)
        context.verify_mode = CERT_REQUIRED
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.asked: list[tuple[str, dict[str, str]]] = []


class Shell:
    """A control plane whose admin.conf is this text."""

    login = Login("cp1", "192.168.2.21", 22, "homelab", 5.0)

    def __init__(self, text: str, status: int = 0, before: str = "") -> None:
        self._said = before + base64.b64encode(text.encode()).decode()
        self._status = status

    def run(self, argv: list[str]) -> Output:
        assert argv == ["sudo", "-n", "base64", "--wrap=0", "/etc/kubernetes/admin.conf"]
        denied = "base64: /etc/kubernetes/admin.conf: No such file or directory\n"
        return Output(self._status, "" if self._status else self._said, denied if self._status else "")


def pem(data: bytes) -> str:
    return base64.b64encode(data).decode()


def admin_conf(pki: Authority) -> str:
    """As kubeadm writes it."""
    pair = pki.signs("admin.pem", [("O", "kubeadm:cluster-admins"), ("CN", "kubernetes-admin")]).read_bytes()
    certificate, _, key = pair.partition(b"-----BEGIN PRIVATE KEY-----")
    user = {"client-certificate-data": pem(certificate), "client-key-data": pem(b"-----BEGIN PRIVATE KEY-----" + key)}
    cluster = {"certificate-authority-data": pem(pki.file.read_bytes()), "server": "https://api.lab.test:6443"}
    context = {"cluster": "homelab", "user": "kubernetes-admin"}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "clusters": [{"cluster": cluster, "name": "homelab"}],
            "contexts": [{"context": context, "name": "kubernetes-admin@homelab"}],
            "current-context": "kubernetes-admin@homelab",
            "kind": "Config",
            "preferences": {},
            "users": [{"name": "kubernetes-admin", "user": user}],
        }
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Server, Authority]]:
    pki = Authority(tmp_path, "ca")
    with Server(pki) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server, pki
        server.shutdown()


def reader(lab: Lab, folder: Path, **shells: Shell) -> ClusterReader:
    @contextmanager
    def login(name: str) -> Iterator[Shell]:
        yield shells[name]

    def meet(name: str) -> GuestLook | GuestAway:
        return GuestLook("done", {}, None) if name in shells else GuestAway(f"VM {name} is switched on")

    return ClusterReader(lab, HomeFiles(folder / ".homelab"), meet, login)  # type: ignore[arg-type]


def lab_at(port: int) -> Lab:
    """Nobody is asked but this machine's loopback."""
    members = [{"name": f"cp{n}", "address": f"127.0.0.{n}"} for n in range(1, 4)]
    return sample_lab(api={"vip": "127.0.0.1", "port": port}, control_plane=members)


def test_an_object_is_read_as_the_administrator_and_counted(server: tuple[Server, Authority], tmp_path: Path) -> None:
    api, pki = server
    cluster = reader(lab_at(api.server_port), tmp_path, cp2=Shell(admin_conf(pki), before="Welcome to cp2\n"))
    assert cluster.get("/api/v1/nodes/cp1") == NODE
    with pytest.raises(HostFault, match='the API answers 404 to /api/v1/nodes/cp9: nodes "cp9" not found'):
        cluster.get("/api/v1/nodes/cp9")
    who = {"organizationName": "kubeadm:cluster-admins", "commonName": "kubernetes-admin"}
    assert api.asked == [("/api/v1/nodes/cp1", who), ("/api/v1/nodes/cp9", who)]
    [record] = (tmp_path / ".homelab").rglob("record.jsonl")
    lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    assert [(line["kind"], line["target"], line["what"], line["ok"]) for line in lines] == [
        ("http", "api", "GET /api/v1/nodes/cp1", True),
        ("http", "api", "GET /api/v1/nodes/cp9", False),
    ]
    assert "PRIVATE KEY" not in record.read_text(encoding="utf-8")


def test_the_key_is_in_a_file_for_a_moment_only_and_for_nobody_else(
    server: tuple[Server, Authority], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, pki = server
    place, seen = tmp_path / "memory", []
    place.mkdir()
    monkeypatch.setattr(admin, "MEMORY", place)
    load = admin.ssl.SSLContext.load_cert_chain

    def look(context: Any, pair: Path) -> None:
        seen.extend(oct(path.stat().st_mode & 0o777) for path in (pair.parent, pair))
        load(context, pair)

    monkeypatch.setattr(admin.ssl.SSLContext, "load_cert_chain", look)
    reader(lab_at(api.server_port), tmp_path, cp1=Shell(admin_conf(pki))).get("/api/v1/nodes/cp1")
    assert seen == ["0o700", "0o600"]
    assert list(place.iterdir()) == []


def test_somebody_elses_server_is_told_nothing(server: tuple[Server, Authority], tmp_path: Path) -> None:
    api, _ = server
    (tmp_path / "other").mkdir()
    stranger = admin_conf(Authority(tmp_path / "other", "ca"))
    with pytest.raises(Unreachable):
        reader(lab_at(api.server_port), tmp_path, cp1=Shell(stranger)).get("/api/v1/nodes/cp1")
    assert api.asked == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it holds no CA, certificate and key in itself"),
        ("- a\n b: {", "it is no YAML"),
        ("clusters: [{cluster: {certificate-authority: /etc/ca.crt}}]", "it holds no CA"),
        ("clusters: [{cluster: {certificate-authority-data: '%%%'}}]\nusers: []", "it holds no CA"),
    ],
)
def test_an_odd_admin_conf_is_told_without_quoting_it(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(HostFault, match=said) as told:
        reader(sample_lab(), tmp_path, cp3=Shell(text)).admin()
    assert "%%%" not in str(told.value)


def test_a_missing_admin_conf_and_guests_that_are_away_are_told(tmp_path: Path) -> None:
    with pytest.raises(HostFault, match="No such file or directory"):
        reader(sample_lab(), tmp_path, cp3=Shell("", status=1)).admin()
    with pytest.raises(Unreachable, match="VM cp3 is switched on"):
        reader(sample_lab(), tmp_path).admin()
