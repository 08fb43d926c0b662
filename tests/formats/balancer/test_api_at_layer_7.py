"""The API at layer 7, by HAProxy and nginx themselves: who a client is, to the API servers, and what it cannot make."""

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from homelab.formats.balancer.pools import API_NAME, GROUPS
from tests.helpers.api_bench import KINDS, Cluster, request, standing
from tests.helpers.cluster_pki import Subject, client_context
from tests.helpers.haproxy_bench import HERE, SECONDS, values


@pytest.fixture(scope="module", params=KINDS)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with standing(tmp_path_factory.mktemp("api"), request.param) as made:
        yield made


def who(asked: dict[str, Any]) -> tuple[list[str], list[str], list[list[str]]]:
    """User and groups that the API server is told, and whom the connection itself is by."""
    return values(asked, "X-Remote-User"), sorted(values(asked, "X-Remote-Group")), asked["peer"]


PROXY = [["commonName", "front-proxy-client"]]
FORGED = [
    ("X-Remote-User", "system:admin"), ("x-remote-user", "system:admin"), ("X-REMOTE-USER", "system:admin"),
    ("X-Remote-Group", "system:masters"), ("x-ReMoTe-group", "system:masters"), ("X-Remote-Uid", "system:admin"),
    ("X-Remote-Extra-Scopes", "system:masters"), ("X-Remote-", "system:masters"),
]  # fmt: skip


def test_a_certificate_s_names_are_user_and_groups(cluster: Cluster) -> None:
    subject: Subject = [("O", "system:nodes"), ("O", "second"), ("CN", "system:node:cp1"), ("O", "third")]
    status, asked = cluster.asks(cluster.client(*subject))
    assert status == 200
    assert who(asked) == (["system:node:cp1"], ["second", "system:nodes", "third"], PROXY)
    assert values(asked, "Host") == [API_NAME]
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
    assert [name.lower() for name, _ in asked["headers"] if name.lower().startswith("x-remote-")] == (
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


def refused(cluster: Cluster, context: ssl.SSLContext) -> bool:
    """Whether a client gets nowhere: HAProxy ends the handshake, nginx answers."""
    if cluster.kind == "nginx":
        return cluster.asks(context) == (401, "The client certificate is not verified, or has run out.\n")
    with pytest.raises((ssl.SSLError, OSError)):
        cluster.asks(context)
    return True


def test_a_certificate_of_another_authority_is_refused(cluster: Cluster) -> None:
    assert refused(cluster, cluster.client(("CN", "front-proxy-client"), authority=cluster.front_proxy))


def test_a_server_s_certificate_is_no_client_s(cluster: Cluster) -> None:
    pair = cluster.ca.signs("server.pem", [("CN", "kube-apiserver")], [API_NAME])
    assert refused(cluster, client_context(cluster.ca, pair))


def test_a_certificate_that_ran_out_is_refused(cluster: Cluster) -> None:
    pair = cluster.ca.signs("old.pem", [("CN", "jane")], life=timedelta(seconds=-1))
    assert refused(cluster, client_context(cluster.ca, pair))


@pytest.mark.parametrize("kind", [KINDS[0], pytest.param("nginx", marks=[*KINDS[1].marks, pytest.mark.thorough])])
def test_a_certificate_that_runs_out_is_refused_by_whoever_verified_it_before(tmp_path: Path, kind: str) -> None:
    with standing(tmp_path, kind) as cluster:
        pair = cluster.ca.signs("short.pem", [("CN", "jane")], life=timedelta(seconds=4))
        answer = answer_in_the_end(cluster, client_context(cluster.ca, pair))
    assert answer[0] == 401
    assert "run out" in answer[1]


def answer_in_the_end(cluster: Cluster, context: ssl.SSLContext) -> tuple[int, Any]:
    """What comes after answers by an API server, on one connection where the balancer keeps it."""
    with cluster.connected(context) as connection:
        assert request(connection)[0] == 200
        deadline = time.monotonic() + SECONDS
        # HAProxy keeps the connection; nginx has the client make another one for each request of such a last day.
        while (answer := request(connection))[0] == 200:
            assert time.monotonic() < deadline
    return answer


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


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_without_the_name_is_never_asked(tmp_path: Path, kind: str) -> None:
    with standing(tmp_path, kind, "another.name") as cluster:
        for subject in ((), (("CN", "jane"),)):
            try:
                status, _ = cluster.asks(cluster.client(*subject))
            except ConnectionError:
                # HAProxy closes the sessions of a server when its check finds out.
                status = 503
            assert status in (502, 503)
