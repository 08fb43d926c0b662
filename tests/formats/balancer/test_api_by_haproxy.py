"""What HAProxy does for the API at layer 7 in its own way; what nginx does as well is in test_api_at_layer_7."""

import socket
from collections.abc import Iterator

import pytest

from tests.helpers.api_bench import Cluster, standing
from tests.helpers.haproxy_bench import HAPROXY

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed here")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with standing(tmp_path_factory.mktemp("api"), "haproxy") as made:
        yield made


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
