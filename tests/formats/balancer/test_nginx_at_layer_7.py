"""What nginx does at layer 7 in its own way; what HAProxy does as well is in test_layer_7."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from homelab.formats.balancer.nginx import changed_conf
from homelab.formats.balancer.pools import Server
from tests.helpers import nginx_bench
from tests.helpers.haproxy_bench import HERE, answers, ask, back_end, free_port, told, values

from .test_layer_7 import Site, at

pytestmark = pytest.mark.skipif(not nginx_bench.IS_HERE, reason="nginx is not installed here")


class Silent:
    """A server that takes a connection and a request, and ends without an answer."""

    def __init__(self) -> None:
        self._door = socket.create_server((HERE, 0))
        self.port = int(self._door.getsockname()[1])
        self.asked: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._door.accept()
            except OSError:
                return
            with caller:
                if request := caller.recv(65536):
                    self.asked.append(request)

    def close(self) -> None:
        self._door.close()


@contextmanager
def silent() -> Iterator[Silent]:
    made = Silent()
    try:
        yield made
    finally:
        made.close()


def test_a_server_that_refuses_is_passed_over_and_one_marked_down_is_not_asked(tmp_path: Path) -> None:
    site = Site(tmp_path, "nginx")
    with back_end("alive") as server, silent() as other:
        gone = Server("gone", HERE, free_port())
        site.add("www", "", gone, at(server))
        site.add("shop", "/shop", Server("silent", HERE, other.port), at(server))
        changed = changed_conf(site.text, {"shop": {(HERE, other.port)}})
        with nginx_bench.running(changed, site.folder, lambda: answers(site.port)):
            assert {told(site.port, path)["name"] for path in ("/", "/shop") * 6} == {"alive"}
            # nginx has one Host for all of a pool's servers.
            assert values(told(site.port, "/shop"), "Host") == ["shop"]
        assert other.asked == []


@pytest.mark.parametrize(
    ("method", "headers", "often"),
    # RFC 9110, 9.2.2: what may be done twice. For nginx that is all but POST, PATCH and LOCK.
    [
        ("GET", {}, 1),
        ("POST", {}, 0),
        ("POST", {"Content-Length": "2"}, 0),
        ("PATCH", {}, 0),
        ("PUT", {}, 1),
        ("GET", {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}, 0),
    ],
    ids=["GET", "POST", "POST with a body", "PATCH", "PUT", "an upgrade"],
)
def test_only_what_may_be_done_twice_is_sent_again(
    tmp_path: Path, method: str, headers: dict[str, str], often: int
) -> None:
    site = Site(tmp_path, "nginx")
    with silent() as first, silent() as second:
        site.add("www", "", Server("w1", HERE, first.port), Server("w2", HERE, second.port))
        with nginx_bench.running(site.text, site.folder, lambda: answers(site.port)):
            caller = HTTPConnection(HERE, site.port, timeout=20)
            caller.request(method, "/", body=b"{}" if "Content-Length" in headers else None, headers=headers)
            assert caller.getresponse().status == 502
            caller.close()
        assert len(first.asked) + len(second.asked) == 1 + often


def test_nobody_upgrades_past_the_paths(tmp_path: Path) -> None:
    site = Site(tmp_path, "nginx")
    with back_end("www") as server:
        site.add("www", "", at(server))
        with nginx_bench.running(site.text, site.folder, lambda: answers(site.port)):
            forged = [("Host", "a"), ("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c")]
            assert values(told(site.port, "/", forged), "Upgrade") == []


def test_a_path_is_what_it_means(tmp_path: Path) -> None:
    site = Site(tmp_path, "nginx")
    with back_end("finance") as server:
        site.add("finance", "/fin.ance", at(server))
        with nginx_bench.running(site.text, site.folder, lambda: answers(site.port)):
            for path in ("/x/../fin.ance", "/x//../fin.ance//q3", "/%66in.ance"):
                # It goes on as it came.
                assert told(site.port, path)["path"] == path
            assert ask(site.port, "/finXance")[0] == 404


def test_it_is_tested_by_whoever_may_not_read_the_key(tmp_path: Path) -> None:
    site = Site(tmp_path, "nginx", tls=True)
    site.add("www", "", Server("w1", HERE, 1))
    site.add("finance", "/finance", Server("w2", HERE, 1))
    file = tmp_path / "nginx.conf"
    file.write_text(site.text)
    assert not site.certificate.exists()
    assert nginx_bench.tested(file) == ""


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here")
def test_a_certificate_that_is_missing_ends_no_other_port(tmp_path: Path) -> None:
    site = Site(tmp_path, "nginx", tls=True)
    site.add("www", "", Server("w1", HERE, 1))
    with nginx_bench.running(site.text, site.folder, lambda: answers(site.port)):
        words = ["curl", "-sk", f"https://{HERE}:{site.port}/"]
        assert subprocess.run(words, capture_output=True, timeout=20, check=False).returncode == 35
        with socket.create_connection((HERE, site.status), 5) as door:
            assert door.recv(64) == b"ready\n"
