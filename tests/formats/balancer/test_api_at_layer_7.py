"""The API at layer 7, by HAProxy itself: who a client is, to the API servers, and what it cannot make itself."""

import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

from homelab.formats.balancer.haproxy import CA, Haproxy, haproxy_cfg
from homelab.formats.balancer.haproxy_api import FRONT_PROXY, GROUPS, NAME, SERVING
from homelab.formats.balancer.pools import Pool, Server
from tests.helpers.cluster_pki import Authority, Subject, client_context, server_context
from tests.helpers.haproxy_bench import HAPROXY, HERE, SECONDS, BackEnd, ask, back_end, free_port, running, values

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed here")
Headers = list[tuple[str, str]]


class Cluster:
    """Authorities, API servers and the balancer in front of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.status = folder, free_port(), free_port()
        self.ca, self.front_proxy = Authority(folder, "kubernetes"), Authority(folder, "front-proxy-ca")
        (folder / CA).write_bytes(self.ca.file.read_bytes())
        self.ca.signs(SERVING, [("CN", "kube-apiserver")], [HERE])
        self.front_proxy.signs(FRONT_PROXY, [("CN", "front-proxy-client")])
        self.servers: list[BackEnd] = []

    def api_server(self, *names: str) -> ssl.SSLContext:
        """An API server's side of TLS."""
        pair = self.ca.signs("apiserver.pem", [("CN", "kube-apiserver")], names or [NAME, HERE])
        return server_context(pair, self.ca, self.front_proxy)

    @property
    def text(self) -> str:
        """haproxy.cfg."""
        servers = tuple(Server(one.name, HERE, one.server_address[1]) for one in self.servers)
        api = Pool("api", HERE, self.port, servers, layer=7, algorithm="roundrobin", check="readyz")
        wanted = Haproxy((api,), "", self.status, HERE, "127.0.0.0/8", api_name="api.lab.test", certificates_from="cp1")
        return haproxy_cfg(wanted, str(self.folder))

    def is_ready(self) -> bool:
        """Whether an API server is up."""
        try:
            return ask(self.status, "/api_ready")[0] == 200
        except OSError:
            return False

    def client(self, *subject: tuple[str, str], authority: Authority | None = None) -> ssl.SSLContext:
        """A client with a certificate of this subject; without a subject it has none."""
        pair = (authority or self.ca).signs("client.pem", subject) if subject else None
        return client_context(self.ca, pair)

    def asks(self, context: ssl.SSLContext, headers: Headers | None = None, path: str = "/api") -> tuple[int, Any]:
        """One request; the status, and what the API server was asked, or the balancer's own words."""
        with closing(HTTPSConnection(HERE, self.port, timeout=SECONDS, context=context)) as connection:
            return request(connection, headers, path)


def request(connection: HTTPSConnection, headers: Headers | None = None, path: str = "/api") -> tuple[int, Any]:
    connection.putrequest("GET", path, skip_accept_encoding=True)
    for name, value in headers or []:
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    return answer.status, json.loads(body) if answer.status == 200 else body.decode()


@contextmanager
def standing(folder: Path, *names: str) -> Iterator[Cluster]:
    """Two API servers and their balancer."""
    cluster = Cluster(folder)
    with ExitStack() as stack:
        for name in ("cp1", "cp2"):
            context = cluster.api_server(*names)
            cluster.servers.append(stack.enter_context(back_end(name, context=context)))
        ready = (lambda: ask(cluster.status, "/haproxy_ready")[0] == 200) if names else cluster.is_ready
        stack.enter_context(running(cluster.text, folder, lambda: quietly(ready)))
        yield cluster


def quietly(ready: Any) -> bool:
    try:
        return bool(ready())
    except OSError:
        return False


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with standing(tmp_path_factory.mktemp("api")) as made:
        yield made


def who(asked: dict[str, Any]) -> tuple[list[str], list[str], list[list[str]]]:
    """User and groups that the API server is told, and whom the connection itself is by."""
    return values(asked, "X-Remote-User"), values(asked, "X-Remote-Group"), asked["peer"]


PROXY = [["commonName", "front-proxy-client"]]
FORGED = [
    ("X-Remote-User", "system:admin"), ("x-remote-user", "system:admin"), ("X-REMOTE-USER", "system:admin"),
    ("X-Remote-Group", "system:masters"), ("x-ReMoTe-group", "system:masters"), ("X-Remote-Uid", "system:admin"),
    ("X-Remote-Extra-Scopes", "system:masters"), ("X-Remote-", "system:masters"),
]  # fmt: skip


def test_a_certificate_s_names_are_user_and_groups(cluster: Cluster) -> None:
    subject: Subject = [("O", "system:nodes"), ("O", "second"), ("O", "third"), ("CN", "system:node:cp1")]
    status, asked = cluster.asks(cluster.client(*subject))
    assert status == 200
    assert who(asked) == (["system:node:cp1"], ["system:nodes", "second", "third"], PROXY)
    assert values(asked, "Host") == [NAME]
    assert values(asked, "X-Forwarded-For") == [HERE]


def test_a_certificate_without_groups_has_none(cluster: Cluster) -> None:
    _, asked = cluster.asks(cluster.client(("CN", "jane")))
    assert who(asked) == (["jane"], [], PROXY)


def test_the_last_common_name_counts_as_in_go(cluster: Cluster) -> None:
    # crypto/x509/pkix: Name.FillFromRDNSequence keeps the last one.
    _, asked = cluster.asks(cluster.client(("CN", "system:admin"), ("O", "a"), ("CN", "jane")))
    assert who(asked) == (["jane"], ["a"], PROXY)


@pytest.mark.parametrize("subject", [(), (("CN", "jane"), ("O", "people"))], ids=["nobody", "jane"])
def test_what_a_client_forges_is_stripped(cluster: Cluster, subject: Subject) -> None:
    status, asked = cluster.asks(cluster.client(*subject), FORGED)
    assert status == 200
    assert "system:" not in str(asked["headers"])
    assert [name for name, _ in asked["headers"] if name.lower().startswith("x-remote-")] == (
        ["x-remote-user", "x-remote-group"] if subject else []
    )


def test_who_shows_no_certificate_goes_over_a_connection_of_nobody(cluster: Cluster) -> None:
    # A connection with the front proxy's certificate would end in 401 for anonymous requests such as a join's.
    cluster.asks(cluster.client(("CN", "jane")))
    _, asked = cluster.asks(cluster.client(), [("Authorization", "Bearer of-a-token")])
    assert who(asked) == ([], [], [])
    assert values(asked, "Authorization") == ["Bearer of-a-token"]


@pytest.mark.parametrize(
    "header", ["X-Remote-User : system:admin", " X-Remote-User: system:admin", "X-Remote-User\t: a"]
)
def test_a_header_that_is_written_oddly_does_not_pass(cluster: Cluster, header: str) -> None:
    with (
        socket.create_connection((HERE, cluster.port), timeout=SECONDS) as plain,
        cluster.client().wrap_socket(plain, server_hostname=HERE) as client,
    ):
        client.sendall(f"GET /api HTTP/1.1\r\nHost: a\r\nA: b\r\n{header}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ") or b'["x-remote-user"' not in answer.lower()


@pytest.mark.parametrize(
    "subject",
    [
        [("CN", "jane"), ("O", "system:masters ")],
        [("CN", "jane"), ("O", " system:masters"), ("O", "people")],
        [("O", "people"), ("CN", "system:admin ")],
        [("CN", " system:admin"), ("O", "people")],
        [("CN", "jane\r\nX-Remote-Group: system:masters")],
        [("CN", "jane"), ("O", "a\nX-Remote-Group: system:masters")],
        [("CN", "jane"), ("O", "system:masters\t")],
        [("CN", "jane"), ("O", "system:masters\0")],
        [("O", "people")],
    ],
)
def test_odd_names_are_refused(cluster: Cluster, subject: Subject) -> None:
    # "system:masters " would arrive as system:masters, which the API server signs for nobody.
    status, said = cluster.asks(cluster.client(*subject))
    assert (status, said) == (401, "The client certificate has odd names.\n")


def test_more_groups_than_are_handed_on_are_refused(cluster: Cluster) -> None:
    groups = [("O", f"group{n}") for n in range(GROUPS + 1)]
    status, said = cluster.asks(cluster.client(("CN", "jane"), *groups))
    assert (status, said) == (401, f"The client certificate has more than {GROUPS} groups (O).\n")
    _, asked = cluster.asks(cluster.client(("CN", "jane"), *groups[:-1]))
    assert len(values(asked, "X-Remote-Group")) == GROUPS


def test_a_certificate_of_another_authority_ends_the_handshake(cluster: Cluster) -> None:
    with pytest.raises((ssl.SSLError, OSError)):
        cluster.asks(cluster.client(("CN", "front-proxy-client"), authority=cluster.front_proxy))


def test_a_server_s_certificate_is_no_client_s(cluster: Cluster) -> None:
    pair = cluster.ca.signs("server.pem", [("CN", "kube-apiserver")], [NAME])
    with pytest.raises((ssl.SSLError, OSError)):
        cluster.asks(client_context(cluster.ca, pair))


def test_a_certificate_that_runs_out_is_refused_on_a_connection_that_lives(cluster: Cluster) -> None:
    pair = cluster.ca.signs("short.pem", [("CN", "jane")], life=timedelta(seconds=4))
    context = client_context(cluster.ca, pair)
    with closing(HTTPSConnection(HERE, cluster.port, timeout=SECONDS, context=context)) as connection:
        assert request(connection)[0] == 200
        deadline = time.monotonic() + SECONDS
        while (answer := request(connection))[0] == 200:
            assert time.monotonic() < deadline
    assert answer == (401, "The client certificate has run out.\n")


def test_upgrades_of_kubectl_pass_and_no_other(cluster: Cluster) -> None:
    assert upgraded(cluster, "SPDY/3.1") == upgraded(cluster, "websocket") == b"HTTP/1.1 101"
    # Behind a tunnel in HTTP/2 a client could say who it is, on the front proxy's own connection.
    for name in ("h2c", "HTTP/2.0", "websocket, h2c", "websocketx"):
        assert upgraded(cluster, name) == b"HTTP/1.1 403"


def upgraded(cluster: Cluster, name: str) -> bytes:
    """The beginning of the answer to a request for an upgrade."""
    with (
        socket.create_connection((HERE, cluster.port), timeout=SECONDS) as plain,
        cluster.client(("CN", "jane")).wrap_socket(plain, server_hostname=HERE) as client,
    ):
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        client.sendall(f"GET /exec HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {name}\r\n{key}\r\n".encode())
        return client.recv(65536)[:12]


def test_a_server_without_the_name_is_never_asked(tmp_path: Path) -> None:
    with standing(tmp_path, "another.name") as cluster:
        status, _ = cluster.asks(cluster.client())
    assert status == 503


def test_who_drains_a_server_drains_it_for_all(cluster: Cluster) -> None:
    command(cluster, "set server api-servers/cp1 state drain")
    try:
        seen = {
            cluster.asks(cluster.client(*subject))[1]["name"] for subject in ((), (("CN", "jane"),)) for _ in "1234"
        }
    finally:
        command(cluster, "set server api-servers/cp1 state ready")
    assert seen == {"cp2"}


def command(cluster: Cluster, words: str) -> None:
    with socket.socket(socket.AF_UNIX) as admin:
        admin.connect(str(cluster.folder / "admin.sock"))
        admin.sendall(f"{words}\n".encode())
        assert admin.recv(4096).strip() == b""


def test_silent_watches_live_for_hours(cluster: Cluster) -> None:
    def timeout(section: str, name: str) -> list[str]:
        part = cluster.text.partition(f"\n{section}\n")[2].partition("\n\n")[0]
        return [line.split()[2] for line in part.splitlines() if line.split()[:2] == ["timeout", name]]

    assert timeout("frontend api", "client") == ["4h"]
    assert timeout("backend api-servers", "server") == timeout("backend api-servers_others", "server") == ["4h"]
