"""The module haproxy_drains: what a person drained stays so, and nothing else of the file counts."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .conftest import FakeModule, library

HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin")
MODULE = library("haproxy_drains")
# A whole answer of HAProxy 2.6 to `show servers state`; cp5 and cp6 are drained there, cp7 is in maintenance.
RECORDED = Path(__file__).parent.parent / "formats" / "recorded" / "haproxy-2.6" / "state"


def pools(**ports: int) -> list[dict[str, Any]]:
    return [{"name": "api", "servers": [{"name": name, "port": port} for name, port in ports.items()]}]


def keep(path: Path, *, check_mode: bool = False, **ports: int) -> dict[str, Any]:
    module = FakeModule(check_mode, path=str(path), pools=pools(**ports))
    MODULE.run(module)
    return module.answer


@pytest.fixture
def drained(tmp_path: Path) -> Path:
    """As `lb drain` notes it."""
    lines = RECORDED.read_text(encoding="utf-8").splitlines()
    path = tmp_path / "haproxy.state"
    mine = [line for line in lines if line.split()[3:4] in (["cp5"], ["cp6"])]
    path.write_text("\n".join([*lines[:2], *mine]) + "\n", encoding="utf-8")
    return path


def test_a_file_is_made_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "homelab" / "haproxy.state"
    assert keep(path, cp1=6443, check_mode=True)["changed"]
    assert not path.exists()
    assert keep(path, cp1=6443) == {"changed": True, "drained": []}
    assert path.read_text() == "1\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert not keep(path, cp1=6443)["changed"]


def test_what_is_drained_stays_as_it_is(drained: Path) -> None:
    before = drained.read_text()
    assert keep(drained, cp5=18001, cp6=18003) == {"changed": False, "drained": ["api-servers/cp5", "api-servers/cp6"]}
    assert drained.read_text() == before


def test_a_server_that_no_pool_has_any_more_goes_and_another_gets_its_new_port(drained: Path) -> None:
    assert keep(drained, cp6=7443) == {"changed": True, "drained": ["api-servers/cp6"]}
    version, header, line = drained.read_text().splitlines()
    assert (version, header.split()[19], line.split()[18]) == ("1", "srv_port", "7443")


def test_a_server_of_layer_7_is_known_by_its_address(drained: Path) -> None:
    as_web = drained.read_text().replace("api-servers 5 cp5", "site-servers 5 127.0.0.1:18001")
    drained.write_text(as_web)
    servers = [{"name": "cp5", "address": "127.0.0.1", "port": 18001}, {"name": "cp6", "address": "h", "port": 18003}]
    site, api = ({"name": name, "layer": 7, "check": check, "servers": servers} for name, check in SEVEN.items())
    module = FakeModule(False, path=str(drained), pools=[api, site])
    MODULE.run(module)
    assert module.answer == {"changed": False, "drained": ["site-servers/127.0.0.1:18001", "api-servers/cp6"]}


SEVEN = {"site": "connect", "api": "readyz"}
CONFIGURATION = """\
global
    server-state-file {state}
defaults
    mode tcp
    load-server-state-from-file global
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend api
    bind 127.0.0.1:16443
    default_backend api-servers
backend api-servers
    server cp5 127.0.0.1:18001
    server cp6 127.0.0.1:18003
"""


@pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed here")
def test_haproxy_reads_it_and_warns_of_nothing_but_drains(drained: Path, tmp_path: Path) -> None:
    assert HAPROXY is not None
    file, empty = tmp_path / "haproxy.cfg", tmp_path / "empty.state"
    keep(empty, cp1=6443)
    told = {}
    for state in (empty, drained):
        file.write_text(CONFIGURATION.format(state=state))
        done = subprocess.run([HAPROXY, "-c", "-f", str(file)], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stderr
        told[state] = [line for line in done.stderr.splitlines() if "[WARNING]" in line]
    assert told[empty] == []
    assert any("cp5 remains in forced drain mode" in line for line in told[drained])
