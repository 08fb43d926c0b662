"""`lb status` and `lb drain` at layer 7: a real HAProxy, whose servers are called otherwise, and twice for the API."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from homelab.errors import Refused
from homelab.formats.balanced import ServerLook
from homelab.formats.balancer.haproxy import Haproxy, haproxy_cfg
from homelab.formats.balancer.pools import Pool, Server
from homelab.lab import Lab
from homelab.ports.guest.balancer import set_servers
from homelab.steps.guests.balancers import called_there, look_by
from tests.helpers.api_bench import Cluster
from tests.helpers.haproxy_bench import HAPROXY, HERE, BackEnd, ask, back_end, free_port, told
from tests.helpers.sample import sample_lab

from .test_balancer import Here

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed here")


class Balanced(Cluster):
    """The API at layer 7, and a pool of paths; the inventory knows both."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "haproxy")
        self.web, self.workers = free_port(), list[BackEnd]()

    @property
    def pools(self) -> tuple[Pool, Pool]:
        servers, members = (
            tuple(Server(one.name, HERE, one.server_address[1]) for one in found)
            for found in (self.servers, self.workers)
        )
        api = Pool("api", HERE, self.port, servers, layer=7, algorithm="roundrobin", check="readyz")
        return api, Pool("site", HERE, self.web, members, layer=7, algorithm="roundrobin")

    @property
    def text(self) -> str:
        status = (self.status, HERE, "127.0.0.0/8")
        wanted = Haproxy(self.pools, "", *status, api_name="api.lab.test", certificates_from="cp1")
        return haproxy_cfg(wanted, str(self.folder)).replace("/var/lib/homelab/", f"{self.folder}/")

    @contextmanager
    def serving(self) -> Iterator[None]:
        """HAProxy runs, and all servers are up."""
        with self.running(self.text):
            yield


@pytest.fixture
def balanced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Balanced]:
    made = Balanced(tmp_path)
    (tmp_path / "haproxy.state").write_text("1\n")
    # The lab of these pools: their ports are whatever was free.
    monkeypatch.setattr("homelab.steps.guests.balancers.pools", lambda *_: made.pools)
    with ExitStack() as stack:
        for name in ("cp1", "cp2"):
            made.servers.append(stack.enter_context(back_end(name, context=made.api_server())))
            made.workers.append(stack.enter_context(back_end(name)))
        yield made


LAB: Lab = sample_lab()


def looked(balanced: Balanced) -> dict[tuple[str, str], ServerLook]:
    """Each pool's servers by the names of the inventory."""
    look = look_by(Here(balanced.folder), LAB, "lb1")  # type: ignore[arg-type]
    assert look.problem == ""
    return {(one.pool, one.name): one for one in look.servers}


def put(balanced: Balanced, state: str, name: str, *, last: bool = False) -> None:
    called = called_there(LAB, "lb1")
    servers = {pool.name: called[pool.name, name] for pool in balanced.pools}
    set_servers(Here(balanced.folder), "haproxy", state, servers, last=last)  # type: ignore[arg-type]


def who_answers(balanced: Balanced) -> set[Any]:
    """By the pool of paths, by the API for clients with a certificate, and for those without."""
    names = set()
    for _ in range(4):
        known, unknown = balanced.client(("CN", "somebody")), balanced.client()
        names |= {told(balanced.web, "/")["name"]}
        names |= {balanced.asks(context)[1]["name"] for context in (known, unknown)}
    return names


def test_servers_have_the_names_of_the_inventory_and_what_both_back_ends_saw(balanced: Balanced) -> None:
    with balanced.serving():
        assert set(looked(balanced)) == {(pool, name) for pool in ("api", "site") for name in ("cp1", "cp2")}
        for _ in range(2):
            assert balanced.asks(balanced.client())[0] == 200
            assert balanced.asks(balanced.client(("CN", "somebody")))[0] == 200
        counts = [looked(balanced)["api", name].connections for name in ("cp1", "cp2")]
        assert counts == [2, 2]


def test_a_drained_server_takes_no_request_of_anybody_also_after_a_restart(balanced: Balanced) -> None:
    with balanced.serving():
        assert who_answers(balanced) == {"cp1", "cp2"}
        put(balanced, "drain", "cp1")
        assert {server.drained for (_, name), server in looked(balanced).items() if name == "cp1"} == {True}
        assert who_answers(balanced) == {"cp2"}
        with pytest.raises(Refused, match="no other server of the pool api takes connections"):
            put(balanced, "drain", "cp2")
    with balanced.serving():
        assert who_answers(balanced) == {"cp2"}
        put(balanced, "ready", "cp1")
        assert who_answers(balanced) == {"cp1", "cp2"}
        assert ask(balanced.status, "/api_ready")[0] == 200


def test_where_one_pool_refuses_none_is_drained(balanced: Balanced) -> None:
    with balanced.serving():
        site = {"site": called_there(LAB, "lb1")["site", "cp2"]}
        set_servers(Here(balanced.folder), "haproxy", "drain", site, last=False)  # type: ignore[arg-type]
        with pytest.raises(Refused, match="no other server of the pool site takes connections"):
            put(balanced, "drain", "cp1")
        assert looked(balanced)["api", "cp1"].takes
