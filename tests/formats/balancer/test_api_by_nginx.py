"""What nginx does for the API at layer 7 in its own way; what HAProxy does as well is in test_api_at_layer_7."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from homelab.formats.balancer.nginx import changed_conf
from homelab.formats.balancer.pools import FRONT_PROXY, SERVING
from tests.helpers import nginx_bench
from tests.helpers.api_bench import Cluster, request, standing
from tests.helpers.cluster_pki import Subject, client_context
from tests.helpers.haproxy_bench import HERE, SECONDS, back_end, free_port, values

pytestmark = pytest.mark.skipif(not nginx_bench.IS_HERE, reason="nginx is not installed here")
JANE: Subject = [("CN", "jane"), ("O", "people")]
both = pytest.mark.parametrize("subject", [(), JANE], ids=["nobody", "jane"])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with standing(tmp_path_factory.mktemp("api"), "nginx") as made:
        yield made


@both
def test_what_is_not_on_the_list_does_not_pass(cluster: Cluster, subject: Subject) -> None:
    # kube-apiserver --requestheader-extra-headers-prefix=X-Remote-Extra-: any name that begins so is believed.
    odd = [("X-Remote-Extra-Acme.com%2fproject", "some"), ("X_Remote_User", "system:admin"), ("X-Anything", "some")]
    odd += [("Forwarded", "for=10.9.9.9"), ("X-Real-IP", "10.9.9.9")]
    status, asked = cluster.asks(cluster.client(*subject), odd)
    assert status == 200
    names = {name.lower() for name, _ in asked["headers"]}
    of_jane = {"x-remote-user", "x-remote-group"} if subject else set()
    assert names == {"host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"} | of_jane


@both
def test_what_clients_of_kubernetes_say_passes(cluster: Cluster, subject: Subject) -> None:
    said = [("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"), ("User-Agent", "kubectl")]
    said += [("Accept-Encoding", "gzip"), ("Kubectl-Command", "kubectl get"), ("If-None-Match", '"abc"')]
    said += [("Audit-ID", "1"), ("X-Stream-Protocol-Version", "v5.channel.k8s.io")]
    _, asked = cluster.asks(cluster.client(*subject), said)
    assert [(name, values(asked, name)) for name, _ in said] == [(name, [value]) for name, value in said]


def test_a_token_is_not_handed_on_beside_a_certificate(cluster: Cluster) -> None:
    _, asked = cluster.asks(cluster.client(*JANE), [("Authorization", "Bearer of-a-token")])
    assert values(asked, "Authorization") == []


@both
@pytest.mark.parametrize("name", ["Impersonate-User", "impersonate-group", "Impersonate-Uid"])
def test_impersonation_is_refused_as_a_whole(cluster: Cluster, subject: Subject, name: str) -> None:
    status, said = cluster.asks(cluster.client(*subject), [(name, "jane"), ("Impersonate-Extra-Scopes", "few")])
    assert (status, said.partition(" (")[0]) == (403, "nginx at layer 7 hands no impersonation")


@pytest.mark.parametrize(
    "subject",
    [
        [("CN", "jane"), ("O", "people,O=system:masters")],
        [("CN", "jane"), ("O", "people+O=system:masters")],
        [("O", "people"), ("CN", "jane,CN=system:admin")],
        [("CN", "jane"), ("O", "#13")],
        [("CN", "jane"), ("O", "people\\2CO=system:masters")],
        [("CN", "jané"), ("O", "people")],
        [("CN", 'jane"'), ("O", "people")],
    ],
)
def test_names_that_could_be_read_in_two_ways_are_refused(cluster: Cluster, subject: Subject) -> None:
    status, said = cluster.asks(cluster.client(*subject))
    assert (status, said) == (401, "The client certificate has odd names.\n")


def test_an_equals_sign_is_part_of_a_name(cluster: Cluster) -> None:
    _, asked = cluster.asks(cluster.client(("O", "CN=x"), ("O", "O=y"), ("CN", "a=b")))
    assert (values(asked, "X-Remote-User"), sorted(values(asked, "X-Remote-Group"))) == (["a=b"], ["CN=x", "O=y"])


def test_nobody_s_connections_and_sessions_are_anybody_else_s(cluster: Cluster) -> None:
    """Whoever comes in whatever order: the connection to an API server is by whom it should be."""
    clients = {False: cluster.client(), True: cluster.client(*JANE)}
    for certified in (True, False, True, True, False, False, True, False) * 3:
        _, asked = cluster.asks(clients[certified])
        assert asked["peer"] == ([["commonName", "front-proxy-client"]] if certified else [])
        assert bool(values(asked, "X-Remote-User")) == certified


def test_no_session_is_taken_up_again(cluster: Cluster) -> None:
    """In it a certificate that ran out would count as verified."""
    context = cluster.client(*JANE)
    with cluster.connected(context) as first:
        assert request(first)[0] == 200
        session = first.sock.session
    with (
        socket.create_connection((HERE, cluster.port), SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=HERE, session=session) as again,
    ):
        assert not again.session_reused


@pytest.mark.parametrize(("hours", "lives"), [(23, False), (25, True)])
def test_a_connection_does_not_live_longer_than_its_certificate(cluster: Cluster, hours: int, lives: bool) -> None:
    pair = cluster.ca.signs("jane.pem", JANE, life=timedelta(hours=hours))
    with cluster.connected(client_context(cluster.ca, pair)) as connection:
        assert request(connection)[0] == 200
        assert (connection.sock is not None) == lives


def test_a_server_that_is_marked_takes_nobody(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "nginx")
    with ExitStack() as stack:
        for name in ("cp1", "cp2"):
            cluster.servers.append(stack.enter_context(back_end(name, context=cluster.api_server())))
        marked = changed_conf(cluster.text, {"api": {(HERE, cluster.servers[0].server_address[1])}})
        stack.enter_context(cluster.running(marked))
        clients = [cluster.client(*subject) for subject in ((), JANE)]
        assert {cluster.asks(client)[1]["name"] for client in clients for _ in "1234"} == {"cp2"}


@pytest.mark.parametrize("how", ["marked", "refusing", "silent"])
def test_who_got_no_server_is_told_so_as_by_haproxy(tmp_path: Path, how: str) -> None:
    """By 503 whoever makes a cluster knows that there is none yet; 502 is for what may have been done."""
    cluster = Cluster(tmp_path, "nginx")
    with back_end("cp1", Silent, cluster.api_server()) as server:
        cluster.servers.append(server)
        text, here = cluster.text, (HERE, server.server_address[1])
        if how == "marked":
            text = changed_conf(text, {"api": {here}})
        if how == "refusing":
            text = text.replace(f"{HERE}:{here[1]} ", f"{HERE}:{free_port()} ")
        with cluster.running(text):
            answers = {cluster.asks(cluster.client(*subject)) for subject in ((), JANE)}
    assert answers == {
        (502, "The API server gave no answer.\n") if how == "silent" else (503, "No API server is up.\n")
    }


class Silent(BaseHTTPRequestHandler):
    """Takes a request, and ends without an answer."""

    def do_GET(self) -> None:
        """Nothing."""
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@both
@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
def test_no_tunnel_is_made(cluster: Cluster, subject: Subject, method: str) -> None:
    with (
        socket.create_connection((HERE, cluster.port), SECONDS) as plain,
        cluster.client(*subject).wrap_socket(plain, server_hostname=HERE) as client,
    ):
        client.sendall(f"{method} kubernetes.default.svc:443 HTTP/1.1\r\nHost: kubernetes.default.svc\r\n\r\n".encode())
        assert client.recv(65536).split()[1] in (b"400", b"405")


class Odd(BaseHTTPRequestHandler):
    """Tells nginx to ask for something else; or answers in pieces, the next one when it is told to."""

    protocol_version = "HTTP/1.1"
    go_on = threading.Event()

    def do_GET(self) -> None:
        """By the path."""
        self.send_response(200)
        if self.path == "/proxied":
            self.send_header("X-Accel-Redirect", "/api/v1/secrets")
            self.send_header("Content-Length", "3")
            self.end_headers()
            self.wfile.write(b"own")
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in (b"first\n", b"last!\n"):
            self.wfile.write(b"6\r\n" + line + b"\r\n")
            self.go_on.wait(SECONDS)
        self.wfile.write(b"0\r\n\r\n")

    def do_POST(self) -> None:
        """How many bytes came, and how."""
        read = b""
        if self.headers.get("Transfer-Encoding"):
            while size := int(self.rfile.readline(), 16):
                read += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            read = self.rfile.read(int(self.headers["Content-Length"]))
        body = f"{len(read)} {self.headers['Content-Type']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("odd"), "nginx")
    with back_end("cp1", Odd, cluster.api_server()) as server:
        cluster.servers.append(server)
        with cluster.running(cluster.text):
            yield cluster


@both
def test_an_answer_tells_nginx_nothing(odd: Cluster, subject: Subject) -> None:
    # A pod behind .../proxy/ would have it ask for secrets in the name of whoever looks at that page.
    with odd.connected(odd.client(*subject)) as connection:
        connection.request("GET", "/proxied")
        assert connection.getresponse().read() == b"own"


@both
def test_a_watch_comes_as_it_is_said(odd: Cluster, subject: Subject) -> None:
    Odd.go_on.clear()
    with odd.connected(odd.client(*subject)) as connection:
        connection.request("GET", "/watch")
        answer = connection.getresponse()
        assert answer.readline() == b"first\n"
        Odd.go_on.set()
        assert answer.readline() == b"last!\n"


@both
def test_bodies_pass_with_or_without_a_length(odd: Cluster, subject: Subject) -> None:
    with odd.connected(odd.client(*subject)) as connection:
        for body in (b"x" * 3_000_000, iter([b"x" * 3_000_000])):
            connection.request("POST", "/", body, {"Content-Type": "application/yaml"})
            assert connection.getresponse().read() == b"3000000 application/yaml"


def test_nginx_takes_it_without_a_word_and_without_the_keys(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "nginx")
    with back_end("cp1") as server:
        cluster.servers.append(server)
        file = tmp_path / "nginx.conf"
        file.write_text(cluster.text)
    for pair in (SERVING, FRONT_PROXY):
        (tmp_path / pair).unlink()
    assert nginx_bench.tested(file) == ""
