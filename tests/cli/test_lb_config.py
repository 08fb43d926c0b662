"""`homelab lb config`: what would be laid down, byte for byte, from the inventory alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.checkout import INVENTORIES, ROOT
from tests.helpers.shapes import printed_fits

DIFFERENT = INVENTORIES / "different" / "hosts.yml"
GOLDEN = ROOT / "tests" / "formats" / "balancer" / "golden"


def lb_config(*argv: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "homelab", "lb", "config", *argv]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """The sample's inventory with a password, and nothing at its addresses."""
    secret = tmp_path / "secret.yml"
    secret.write_text("esxi: {vars: {vault_esxi_password: not a secret}}\n")
    return secret


@pytest.mark.thorough
def test_it_prints_what_the_roles_lay_down(sample: Path) -> None:
    done = lb_config("-i", str(ROOT / "inventory"), "-i", str(sample), "-l", "lb1")
    assert done.returncode == 0, done.stderr
    haproxy, keepalived = ((GOLDEN / "sample" / name).read_text() for name in ("haproxy.cfg", "keepalived.conf"))
    found = keepalived.replace("interface ens192", "interface (the one that has 192.168.2.31)")
    assert (
        done.stdout == f"# lb1: /etc/haproxy/haproxy.cfg\n{haproxy}\n# lb1: /etc/keepalived/keepalived.conf\n{found}\n"
    )
    assert "keepalived_interface" in done.stderr


def test_a_script_gets_every_balancer_s_files() -> None:
    done = lb_config("-i", str(DIFFERENT), "-o", "json")
    assert done.returncode == 0, done.stderr
    assert printed_fits(["json", "lb", "config"], done.stdout) == 1
    balancers = json.loads(done.stdout)["balancers"]
    assert [balancer["name"] for balancer in balancers] == ["b2", "b1"]
    for balancer, interface in zip(balancers, ("lan0", "ens192"), strict=True):
        files = balancer["files"]
        assert set(files) == {"/etc/haproxy/haproxy.cfg", "/etc/keepalived/keepalived.conf"}
        assert f"    interface {interface}\n" in files["/etc/keepalived/keepalived.conf"]


@pytest.mark.thorough
def test_it_leaves_nothing_behind_and_needs_no_writable_folder(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(DIFFERENT.read_text())
    assert lb_config("-i", str(inventory), cwd=tmp_path).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hosts.yml"]


@pytest.mark.parametrize(
    ("kind", "algorithm", "paths"),
    [
        ("nginx", "roundrobin", {"/etc/homelab-nginx/nginx.conf", "/etc/homelab-nginx/rules.nft"}),
        ("nftables", "weighted", {"/etc/homelab-nftables/rules.nft"}),
    ],
)
def test_every_kind_is_printed_with_what_watches_it(tmp_path: Path, kind: str, algorithm: str, paths: set[str]) -> None:
    inventory = tmp_path / "hosts.yml"
    text = DIFFERENT.read_text().replace("haproxy_server_port: 7443", f"load_balancer_kind: {kind}")
    inventory.write_text(text.replace("load_balancer_algorithm: roundrobin", f"load_balancer_algorithm: {algorithm}"))
    done = lb_config("-i", str(inventory), "-o", "json")
    assert done.returncode == 0, done.stderr
    beside = {"/etc/homelab-checker/checker.json", "/etc/keepalived/keepalived.conf"}
    balancers = json.loads(done.stdout)["balancers"]
    for balancer in balancers:
        assert set(balancer["files"]) == paths | beside
        assert "10.7.0.11" in balancer["files"][min(paths)]
    # For people it is the same, byte for byte.
    files = [(balancer["name"], path, text) for balancer in balancers for path, text in balancer["files"].items()]
    printed = "".join(f"# {name}: {path}\n{text}\n" for name, path, text in files)
    assert lb_config("-i", str(inventory)).stdout == printed


@pytest.mark.thorough
def test_a_selection_without_a_balancer_is_told() -> None:
    done = lb_config("-i", str(DIFFERENT), "-l", "host1")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no balancer" in done.stderr
