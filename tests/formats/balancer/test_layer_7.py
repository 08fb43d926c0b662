"""Layer 7: paths to pools, Host and X-Forwarded-* as a back end gets them, by HAProxy and by nginx themselves."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from homelab.formats.balancer import haproxy, nginx
from homelab.formats.balancer.haproxy import Haproxy, haproxy_cfg
from homelab.formats.balancer.nginx import Nginx, Places, nginx_conf
from homelab.formats.balancer.pools import Pool, Server
from homelab.rehearsal.soap.certificate import self_signed
from tests.helpers import nginx_bench
from tests.helpers.haproxy_bench import HAPROXY, HERE, BackEnd, answers, ask, back_end, free_port, running, told, values

KINDS = [
    pytest.param("haproxy", marks=pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed here")),
    pytest.param("nginx", marks=pytest.mark.skipif(not nginx_bench.IS_HERE, reason="nginx is not installed here")),
]
PROTOCOLS = {"haproxy": ("--http1.1", "--http2"), "nginx": ("--http1.1",)}
both_kinds = pytest.mark.parametrize("kind", KINDS)


class Site:
    """One front end with pools, and whoever stands behind them."""

    def __init__(self, folder: Path, kind: str = "haproxy", tls: bool = False) -> None:
        self.folder, self.kind, self.tls, self.port, self.status = folder, kind, tls, free_port(), free_port()
        self.pools: list[Pool] = []
        self.algorithm = "roundrobin"

    def add(self, name: str, path: str, *servers: Server) -> None:
        """A pool of this front end."""
        check = {"algorithm": self.algorithm, "layer": 7, "path": path, "tls": self.tls}
        self.pools.append(Pool(name, HERE, self.port, servers, **check))  # type: ignore[arg-type]

    @property
    def text(self) -> str:
        """The configuration; the API's servers are nobody."""
        nobody = Server("cp1", HERE, 1)
        api = Pool("api", HERE, free_port(), (nobody,))
        certificate = "of-clients.pem" if self.tls else ""
        if self.kind == "nginx":
            ours = Nginx((api, *self.pools), self.status, certificate)
            return nginx_conf(ours, Places(str(nginx_bench.MODULES), str(self.folder), temporary=str(self.folder)))
        wanted = Haproxy((api, *self.pools), "", self.status, HERE, "127.0.0.0/8", certificate)
        return haproxy_cfg(wanted, str(self.folder))

    @property
    def certificate(self) -> Path:
        """Where it looks for what clients are shown."""
        return self.folder / {"haproxy": haproxy.CERTIFICATE, "nginx": nginx.CERTIFICATE}[self.kind]

    def running(self) -> AbstractContextManager[None]:
        """It serves."""
        run = nginx_bench.running if self.kind == "nginx" else running
        return run(self.text, self.folder, lambda: answers(self.port))


def at(server: BackEnd, name: str = "w1") -> Server:
    """A back end as a member of a pool."""
    return Server(name, HERE, server.server_address[1])


@pytest.fixture(scope="module", params=KINDS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site of the examples: /finance, /finance/reports, and all else."""
    made = Site(tmp_path_factory.mktemp("layer7"), request.param)
    with ExitStack() as stack:
        for name, path in (("finance", "/finance"), ("reports", "/finance/reports"), ("www", "")):
            made.add(name, path, at(stack.enter_context(back_end(name))))
        stack.enter_context(made.running())
        yield made


@pytest.mark.parametrize(
    ("path", "pool"),
    [
        ("/finance", "finance"),
        ("/finance?year=2026", "finance"),
        ("/finance/", "finance"),
        ("/finance/q3?a=/finance/reports", "finance"),
        ("/finance/reports", "reports"),
        ("/finance/reports/2026", "reports"),
        ("/finance/reportsx", "finance"),
        ("/financed", "www"),
        ("/Finance", "www"),
        ("/", "www"),
        ("/x/finance", "www"),
        ("http://example.com/finance/q3", "finance"),
    ],
)
def test_a_path_goes_to_its_pool(site: Site, path: str, pool: str) -> None:
    asked = told(site.port, path)
    assert asked["name"] == pool
    assert path.endswith(asked["path"])


def test_host_is_the_back_end_s_and_x_forwarded_host_the_client_s(site: Site) -> None:
    # The example of a reverse proxy in Go: X-Forwarded-Host is req.Host, then req.Host is url.Host, HOST:PORT.
    asked = told(site.port, "/finance", [("Host", "example.com:8080")])
    assert values(asked, "Host") == [f"{HERE}:{site.pools[0].servers[0].port}"]
    assert values(asked, "X-Forwarded-Host") == ["example.com:8080"]
    assert values(asked, "X-Forwarded-For") == [HERE]
    assert values(asked, "X-Forwarded-Proto") == ["http"]


def test_what_a_client_forges_is_overwritten(site: Site) -> None:
    forged = ["X-Forwarded-For", "x-forwarded-for", "X-FORWARDED-PROTO", "X-Forwarded-Host", "X-Forwarded-Port"]
    forged += ["X-Forwarded-User", "Forwarded", "X-Real-IP", "x-real-ip"]
    asked = told(site.port, "/", [("Host", "example.com"), *((name, "10.9.9.9") for name in forged)])
    assert "10.9.9.9" not in str(asked)
    assert values(asked, "X-Forwarded-For") == [HERE]
    assert values(asked, "X-Forwarded-Proto") == ["http"]
    assert values(asked, "X-Forwarded-Host") == ["example.com"]


def test_an_upgrade_passes(site: Site) -> None:
    with socket.create_connection((HERE, site.port), timeout=10) as client:
        client.sendall(b"GET /finance HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += client.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101 ")
        client.sendall(b"both ways")
        assert client.recv(4096) == b"both ways"


@both_kinds
def test_a_path_of_nobody_is_told(tmp_path: Path, kind: str) -> None:
    site = Site(tmp_path, kind)
    with back_end("finance") as server:
        site.add("finance", "/finance", at(server))
        with site.running():
            assert told(site.port, "/finance/q3")["name"] == "finance"
            assert ask(site.port, "/financed") == (404, b"No pool of this balancer takes this path.\n")


@pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed here")
def test_a_server_that_refuses_is_passed_over_and_the_host_is_the_other_s(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with back_end("alive") as server:
        gone = Server("gone", HERE, free_port())
        site.add("www", "", gone, at(server))
        # Before the check has seen it, so that it is asked at all.
        with running(site.text.replace("inter 1s", "inter 1h"), site.folder, lambda: answers(site.port)):
            for _ in range(4):
                asked = told(site.port, "/")
                assert values(asked, "Host") == [f"{HERE}:{server.server_address[1]}"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here")
@pytest.mark.parametrize(
    ("kind", "protocol"),
    [pytest.param(*one.values, word, marks=one.marks) for one in KINDS for word in PROTOCOLS[str(one.values[0])]],
)
def test_tls_ends_at_the_balancer(tmp_path: Path, kind: str, protocol: str) -> None:
    site = Site(tmp_path, kind, tls=True)
    certificate, key = self_signed("example.com", HERE)
    site.certificate.write_bytes(certificate + key)
    (tmp_path / "authority.crt").write_bytes(certificate)
    with back_end("www") as server:
        site.add("www", "", at(server))
        with site.running():
            asked = curl(site, tmp_path / "authority.crt", protocol)
    assert values(asked, "X-Forwarded-Proto") == ["https"]
    assert values(asked, "X-Forwarded-Host") == [f"example.com:{site.port}"]
    assert values(asked, "Host") == [f"{HERE}:{server.server_address[1]}"]


def curl(site: Site, authority: Path, protocol: str) -> dict[str, Any]:
    """What a back end was asked, by a client that is not ours."""
    words = ["curl", "-sS", protocol, "--cacert", str(authority), "--resolve", f"example.com:{site.port}:{HERE}"]
    words += ["-w", "\n%{http_version}", "-H", "X-Forwarded-Proto: http", f"https://example.com:{site.port}/"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True)
    body, _, version = done.stdout.rpartition("\n")
    assert version == {"--http1.1": "1.1", "--http2": "2"}[protocol]
    read = json.loads(body)
    assert isinstance(read, dict)
    return read
