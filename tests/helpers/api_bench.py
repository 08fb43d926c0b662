"""The API at layer 7 on loopback: authorities, API servers, and HAProxy or nginx in front of them."""

import json
import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

from homelab.formats.balancer.haproxy import CA, Haproxy, haproxy_cfg
from homelab.formats.balancer.nginx import Nginx, Places, nginx_conf
from homelab.formats.balancer.pools import API_NAME, FRONT_PROXY, SERVING, Pool, Server
from tests.helpers import nginx_bench
from tests.helpers.cluster_pki import Authority, client_context, server_context
from tests.helpers.haproxy_bench import HAPROXY, HERE, SECONDS, BackEnd, answers, ask, back_end, free_port, running

Headers = list[tuple[str, str]]
KINDS = [
    pytest.param("haproxy", marks=pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed here")),
    pytest.param("nginx", marks=pytest.mark.skipif(not nginx_bench.IS_HERE, reason="nginx is not installed here")),
]


class Cluster:
    """Authorities, API servers and the balancer in front of them."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind, self.port, self.status = folder, kind, free_port(), free_port()
        self.ca, self.front_proxy = Authority(folder, "kubernetes"), Authority(folder, "front-proxy-ca")
        (folder / CA).write_bytes(self.ca.file.read_bytes())
        self.ca.signs(SERVING, [("CN", "kube-apiserver")], [HERE])
        self.front_proxy.signs(FRONT_PROXY, [("CN", "front-proxy-client")])
        self.servers: list[BackEnd] = []

    def api_server(self, *names: str) -> ssl.SSLContext:
        """An API server's side of TLS."""
        pair = self.ca.signs("apiserver.pem", [("CN", "kube-apiserver")], names or [API_NAME, HERE])
        return server_context(pair, self.ca, self.front_proxy)

    @property
    def text(self) -> str:
        """haproxy.cfg or nginx.conf."""
        servers = tuple(Server(one.name, HERE, one.server_address[1]) for one in self.servers)
        api = Pool("api", HERE, self.port, servers, layer=7, algorithm="roundrobin", check="readyz")
        if self.kind == "nginx":
            folder = str(self.folder)
            places = Places(str(nginx_bench.MODULES), folder, f"{folder}/{CA}", folder)
            return nginx_conf(Nginx((api,), self.status, ca="PEM", certificates_from="cp1"), places)
        wanted = Haproxy((api,), "", self.status, HERE, "127.0.0.0/8", api_name="api.lab.test", certificates_from="cp1")
        return haproxy_cfg(wanted, str(self.folder))

    def running(self, text: str, is_well: bool = True) -> AbstractContextManager[None]:
        """It serves; HAProxy has asked its servers, where they are well."""
        if self.kind == "nginx":
            return nginx_bench.running(text, self.folder, lambda: answers(self.port))
        path = "/api_ready" if is_well else "/haproxy_ready"
        return running(text, self.folder, lambda: _says_yes(self.status, path))

    def client(self, *subject: tuple[str, str], authority: Authority | None = None) -> ssl.SSLContext:
        """A client with a certificate of this subject; without a subject it has none."""
        pair = (authority or self.ca).signs("client.pem", subject) if subject else None
        return client_context(self.ca, pair)

    def connected(self, context: ssl.SSLContext) -> closing[HTTPSConnection]:
        """A connection to the balancer."""
        return closing(HTTPSConnection(HERE, self.port, timeout=SECONDS, context=context))

    def asks(self, context: ssl.SSLContext, headers: Headers | None = None, path: str = "/api") -> tuple[int, Any]:
        """One request; the status, and what the API server was asked, or the balancer's own words."""
        with self.connected(context) as connection:
            return request(connection, headers, path)


def request(connection: HTTPSConnection, headers: Headers | None = None, path: str = "/api") -> tuple[int, Any]:
    """The same on a connection that is there."""
    connection.putrequest("GET", path, skip_accept_encoding=True)
    for name, value in headers or []:
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    return answer.status, json.loads(body) if answer.status == 200 else body.decode()


@contextmanager
def standing(folder: Path, kind: str, *names: str) -> Iterator[Cluster]:
    """Two API servers, whose certificates bear these names where there are any, and their balancer."""
    cluster = Cluster(folder, kind)
    with ExitStack() as stack:
        for name in ("cp1", "cp2"):
            context = cluster.api_server(*names)
            cluster.servers.append(stack.enter_context(back_end(name, context=context)))
        stack.enter_context(cluster.running(cluster.text, is_well=not names))
        yield cluster


def _says_yes(port: int, path: str) -> bool:
    try:
        return ask(port, path)[0] == 200
    except OSError:
        return False
