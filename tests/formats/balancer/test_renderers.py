"""haproxy.cfg and keepalived.conf, byte for byte as earlier releases laid them down, and what their renderers need."""

import ast
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from homelab.formats.balancer import haproxy, keepalived, nginx
from homelab.formats.balancer.pools import Pool, plain_pools, read_pools, wanted_pools
from tests.helpers.checkout import ROOT

GOLDEN = Path(__file__).parent / "golden"
RENDERERS = ROOT / "playbooks" / "balancer"
API_OF_SAMPLE: dict[str, Any] = {
    "address": "192.168.2.100",
    "port": 6443,
    "layer": 4,
    "servers": {"cp1": "192.168.2.21", "cp2": "192.168.2.22", "cp3": "192.168.2.23"},
    "server_port": 6443,
    "algorithm": "leastconn",
    "weights": {"cp1": 1, "cp2": 1, "cp3": 1},
}
SAMPLE_POOLS = wanted_pools(API_OF_SAMPLE, [], {})
SAMPLE_HAPROXY: dict[str, Any] = {
    "pools": SAMPLE_POOLS,
    "ca": "PEM",
    "status_port": 8404,
    "status_address": "192.168.2.31",
    "stats_network": "127.0.0.0/8",
}
DIFFERENT_POOLS = wanted_pools(
    {
        "address": "10.7.0.250",
        "port": 8443,
        "layer": 4,
        "servers": {"c1": "10.7.0.11", "c2": "10.7.0.12"},
        "server_port": 7443,
        "algorithm": "weighted",
        "weights": {"c1": 90, "c2": 10},
    },
    [],
    {},
)
API_AT_LAYER_7 = wanted_pools({**API_OF_SAMPLE, "layer": 7}, [], {})
WORKERS = {"w1": "192.168.2.41", "w2.lab.home.arpa": "192.168.2.42"}
FURTHER_POOLS = (
    *SAMPLE_POOLS[:1],
    *wanted_pools(
        {**API_OF_SAMPLE, "algorithm": "roundrobin"},
        [
            {
                "name": "ingress",
                "port": 80,
                "members": ["w1", "w2.lab.home.arpa"],
                "server_port": 30080,
                "check": "/healthz",
            },
            {"name": "canary", "port": 8080, "members": ["w1", "192.168.2.77"], "weights": [10, 90]},
        ],
        WORKERS,
    )[1:],
)
WEB_POOLS = wanted_pools(
    API_OF_SAMPLE,
    [
        {"name": "www", "port": 443, "layer": 7, "tls": True, "members": ["w1", "192.168.2.77"], "check": "/healthz"},
        {"name": "finance", "port": 443, "layer": 7, "tls": True, "path": "/finance/", "members": ["w1"]},
        {
            "name": "reports",
            "port": 443,
            "layer": 7,
            "tls": True,
            "path": "/finance/reports",
            "members": ["192.168.2.77"],
        },
        {
            "name": "shop",
            "port": 80,
            "layer": 7,
            "path": "/shop",
            "members": ["w1", "192.168.2.77"],
            "weights": [10, 90],
        },
    ],
    WORKERS,
)
DIFFERENT_HAPROXY: dict[str, Any] = {
    "pools": DIFFERENT_POOLS,
    "ca": "PEM",
    "status_port": 9404,
    "status_address": "10.7.0.21",
    "stats_network": "10.7.0.0/23",
}
SAMPLE_KEEPALIVED: dict[str, Any] = {
    "name": "lb1",
    "virtual_address": "192.168.2.100",
    "prefix_length": 24,
    "address": "192.168.2.31",
    "peers": ["192.168.2.32"],
    "interface": "ens192",
    "router_id": 100,
    "priority": 150,
    "status_port": 8404,
}
DIFFERENT_KEEPALIVED: dict[str, Any] = {
    "name": "b1",
    "virtual_address": "10.7.0.250",
    "prefix_length": 23,
    "address": "10.7.0.21",
    "peers": [],
    "interface": "lan0",
    "router_id": 77,
    "priority": 150,
    "status_port": 9404,
}


@pytest.mark.parametrize(("name", "fields"), [("sample", SAMPLE_HAPROXY), ("different", DIFFERENT_HAPROXY)])
def test_haproxy_cfg_is_what_earlier_releases_laid_down(name: str, fields: dict[str, Any]) -> None:
    made = haproxy.haproxy_cfg(haproxy.Haproxy(**fields))
    assert made == (GOLDEN / name / "haproxy.cfg").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "fields"), [("sample", SAMPLE_KEEPALIVED), ("different", DIFFERENT_KEEPALIVED)])
def test_keepalived_conf_is_what_earlier_releases_laid_down(name: str, fields: dict[str, Any]) -> None:
    made = keepalived.keepalived_conf(keepalived.Keepalived(**fields))
    assert made == (GOLDEN / name / "keepalived.conf").read_text(encoding="utf-8")


def test_further_pools_have_front_ends_checks_and_weights_of_their_own() -> None:
    made = haproxy.haproxy_cfg(haproxy.Haproxy(**{**SAMPLE_HAPROXY, "pools": FURTHER_POOLS}))
    assert made == (GOLDEN / "further" / "haproxy.cfg").read_text(encoding="utf-8")


def test_pools_of_layer_7_share_ports_and_their_clients_speak_tls() -> None:
    given = {"pools": WEB_POOLS, "certificate_file": "www.pem", "client_certificate_file": "check.pem"}
    made = haproxy.haproxy_cfg(haproxy.Haproxy(**{**SAMPLE_HAPROXY, **given}))
    assert made == (GOLDEN / "web" / "haproxy.cfg").read_text(encoding="utf-8")


def test_the_same_pools_by_nginx() -> None:
    made = nginx.nginx_conf(nginx.Nginx(WEB_POOLS, 8405, "www.pem"))
    assert made == (GOLDEN / "web" / "nginx.conf").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("pools", "refusal"),
    [
        (WEB_POOLS, "no certificate is named"),
        (API_AT_LAYER_7, "needs the control plane"),
    ],
)
def test_what_nginx_lacks_at_layer_7_is_refused(pools: tuple[Pool, ...], refusal: str) -> None:
    with pytest.raises(ValueError, match=refusal):
        nginx.Nginx(pools, 8405)


def test_the_api_at_layer_7() -> None:
    given = {"pools": API_AT_LAYER_7, "api_name": "api.lab.home.arpa"}
    made = haproxy.haproxy_cfg(haproxy.Haproxy(**{**SAMPLE_HAPROXY, **given, "certificates_from": "cp1"}))
    assert made == (GOLDEN / "api" / "haproxy.cfg").read_text(encoding="utf-8")


def test_the_api_at_layer_7_by_nginx() -> None:
    made = nginx.nginx_conf(nginx.Nginx(API_AT_LAYER_7, 8405, ca="PEM", certificates_from="cp1"))
    assert made == (GOLDEN / "api" / "nginx.conf").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"pools": WEB_POOLS}, "no certificate is named"),
        ({"pools": API_AT_LAYER_7}, "needs its name"),
    ],
)
def test_what_lacks_a_certificate_is_refused(given: dict[str, Any], refusal: str) -> None:
    with pytest.raises(ValueError, match=refusal):
        haproxy.Haproxy(**{**SAMPLE_HAPROXY, **given})


@pytest.mark.parametrize(
    ("one", "other", "refusal"),
    [
        ({"name": "a", "layer": 4}, {"name": "b", "layer": 4}, "want port 80"),
        ({"name": "a", "path": "/x"}, {"name": "b", "path": "/x/"}, "the same path"),
        ({"name": "a", "path": "/x"}, {"name": "b", "tls": True}, "do not agree on tls"),
        ({"name": "a", "port": 6443}, {"name": "b"}, "want port 6443"),
        ({"name": "a"}, {"name": "a", "port": 81}, "would be called a"),
        ({"name": "a"}, {"name": "a-servers", "port": 81}, "would be called a-servers"),
        ({"name": "a", "layer": 4, "path": "/x"}, {"name": "b", "port": 81}, "which layer 4 does not know"),
    ],
)
def test_pools_that_do_not_fit_together_are_refused(one: dict[str, Any], other: dict[str, Any], refusal: str) -> None:
    usual: dict[str, Any] = {"port": 80, "layer": 7, "members": ["w1"]}
    with pytest.raises(ValueError, match=refusal):
        wanted_pools(API_OF_SAMPLE, [usual | one, usual | other], WORKERS)


def test_pools_go_through_json_unchanged() -> None:
    for pools in (FURTHER_POOLS, WEB_POOLS):
        assert read_pools(json.loads(json.dumps(plain_pools(pools)))) == pools


@pytest.mark.parametrize("file", sorted(RENDERERS.glob("*.py")), ids=lambda file: file.stem)
def test_a_renderer_needs_nothing_but_python_and_homelab_has_the_same_file(file: Path) -> None:
    if file.stem != "__init__":
        assert (ROOT / "homelab" / "formats" / "balancer" / file.name).resolve() == file
    tree = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    imported = {node.module or "" for node in tree if isinstance(node, ast.ImportFrom) and not node.level}
    imported |= {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
    assert {module.partition(".")[0] for module in imported} <= sys.stdlib_module_names


def test_the_paths_are_those_that_the_roles_lay_down() -> None:
    def role_vars(role: str) -> dict[str, Any]:
        read = yaml.safe_load((ROOT / "playbooks" / "roles" / role / "vars" / "main.yml").read_text(encoding="utf-8"))
        assert isinstance(read, dict)
        return read

    assert f"server-state-file {role_vars('haproxy')['haproxy_state_file']}\n" in haproxy.TEXT.template
    assert role_vars("haproxy")["haproxy_cfg_path"] == haproxy.PATH
    assert role_vars("haproxy")["haproxy_folder"] == haproxy.FOLDER
    paths = {file["path"] for file in role_vars("haproxy")["haproxy_files"]}
    assert f"{haproxy.FOLDER}/{haproxy.CA}" in paths
    for name in (haproxy.CERTIFICATE, haproxy.CLIENT_CERTIFICATE):
        assert f"'{name}':" in role_vars("haproxy")["haproxy_secrets"]
    assert role_vars("keepalived")["keepalived_check"] == keepalived.CHECK
    assert keepalived.PATH in {file["path"] for file in role_vars("keepalived")["keepalived_files"]}
