"""nginx.conf, the kernel's rules and checker.json, byte for byte, and what the checker makes of the first two."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from homelab.formats.balancer.checker import Checker, checker_json, read_configuration, ready_port
from homelab.formats.balancer.nftables import Nftables, changed_rules, nftables_rules, proxy_rules
from homelab.formats.balancer.nginx import Nginx, changed_conf, nginx_conf, ready_line
from homelab.formats.balancer.pools import CONNECT, PING, READYZ, Pool, Server

GOLDEN = Path(__file__).parent / "golden"
NFT = shutil.which("nft", path="/usr/sbin:/sbin:/usr/local/sbin:/usr/bin")
SERVERS = tuple(Server(f"cp{number}", f"192.168.2.2{number}", 6443) for number in (1, 2, 3))
WORKERS = (Server("w1", "192.168.2.41", 30080, 10), Server("w2", "192.168.2.42", 30080, 90))
SAMPLE = (Pool("api", "192.168.2.100", 6443, SERVERS, algorithm="leastconn", check=READYZ),)
FURTHER = (
    Pool("api", "192.168.2.100", 6443, SERVERS, algorithm="roundrobin", check=READYZ),
    Pool("canary", "192.168.2.100", 8080, WORKERS, algorithm="weighted", check="/healthz"),
)
IN_THE_KERNEL = (*FURTHER, Pool("whole", "192.168.2.101", 443, WORKERS, layer=3, algorithm="roundrobin", check=PING))


def golden(folder: str, name: str) -> str:
    return (GOLDEN / folder / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("folder", "pools"), [("sample", SAMPLE), ("further", FURTHER)])
def test_nginx_conf(folder: str, pools: tuple[Pool, ...]) -> None:
    assert nginx_conf(Nginx(pools, 8405)) == golden(folder, "nginx.conf")


def test_the_rules_of_the_kernel() -> None:
    assert nftables_rules(Nftables(IN_THE_KERNEL)) == golden("further", "rules.nft")


def test_the_rules_beside_nginx() -> None:
    assert proxy_rules() == golden("sample", "rules.nft")


@pytest.mark.parametrize(("kind", "folder", "pools"), [("nginx", "sample", SAMPLE), ("nftables", "further", FURTHER)])
def test_checker_json(kind: str, folder: str, pools: tuple[Pool, ...]) -> None:
    network = "127.0.0.0/8" if folder == "sample" else "192.168.2.0/24"
    text = checker_json(Checker(kind, pools, "PEM", 8404, "192.168.2.31", network))
    assert text == golden(folder, "checker.json")
    assert read_configuration(json.loads(text)).pools == pools
    assert "PEM" not in text


def test_a_kind_that_needs_no_checker_is_refused() -> None:
    with pytest.raises(ValueError, match="nginx, nftables, not haproxy"):
        Checker("haproxy", SAMPLE, "", 8404, "192.168.2.31", "127.0.0.0/8")


def test_nginx_has_a_port_of_its_own() -> None:
    assert ready_port(8404) == 8405
    assert ready_port(65535) == 65534


def marked(text: str) -> list[str]:
    return re.findall(r"server (\S+) .*down;", text)


def test_who_takes_no_connections_is_marked_in_its_own_pool_alone() -> None:
    both = (*SAMPLE, Pool("twin", "192.168.2.100", 7443, SERVERS, check=CONNECT))
    text = nginx_conf(Nginx(both, 8405))
    changed = changed_conf(text, {"twin": {("192.168.2.21", 6443)}})
    assert marked(changed) == ["192.168.2.21:6443"]
    assert changed.index("upstream twin") < changed.index("down;")
    assert marked(changed_conf(text, {"api": set(), "twin": set()})) == []
    assert len(marked(changed_conf(text, {"api": {("192.168.2.2", 6443)}}))) == 0


def test_nginx_tells_by_its_answer_what_it_runs_on() -> None:
    text = nginx_conf(Nginx(SAMPLE, 8405))
    assert ready_line(text) == "ready"
    one, other = changed_conf(text, {}), changed_conf(text, {"api": {("192.168.2.21", 6443)}})
    assert len({"ready", ready_line(one), ready_line(other)}) == 3
    assert ready_line(one).startswith("ready ")


def test_a_server_without_weight_takes_nothing() -> None:
    servers = (Server("w1", "192.168.2.41", 80, 0), Server("w2", "192.168.2.42", 80, 7))
    pool = Pool("canary", "192.168.2.100", 80, servers, algorithm="weighted")
    assert "192.168.2.41" not in nginx_conf(Nginx((pool,), 8405))
    assert "mod 1 map { 0 : 192.168.2.42 . 80 }" in nftables_rules(Nftables((pool,)))


def test_one_transaction_replaces_who_takes_connections_and_who_is_dead() -> None:
    text = changed_rules([(SAMPLE[0], ["cp1", "cp3"])], {("192.168.2.22", 6443)}, {"192.168.2.42"})
    assert text.splitlines() == [
        "flush chain ip homelab_balancer pool_api",
        "add rule ip homelab_balancer pool_api ip daddr 192.168.2.100 tcp dport 6443 dnat to numgen inc mod 2 "
        "map { 0 : 192.168.2.21 . 6443, 1 : 192.168.2.23 . 6443 }",
        "flush set ip homelab_balancer dead",
        "flush set ip homelab_balancer dead_hosts",
        "add element ip homelab_balancer dead { 192.168.2.22 . 6443 }",
        "add element ip homelab_balancer dead_hosts { 192.168.2.42 }",
    ]


def test_nobody_flushes_what_is_not_ours() -> None:
    for text in (nftables_rules(Nftables(IN_THE_KERNEL)), proxy_rules(), changed_rules([], set(), set())):
        assert "flush ruleset" not in text
        tables = re.findall(r"^(?:table|delete table|flush \w+|add \w+) (\w+ \w+)", text, re.MULTILINE)
        assert set(tables) == {"ip homelab_balancer"}


@pytest.mark.skipif(NFT is None, reason="nft is not installed here")
@pytest.mark.parametrize("kind", ["in the kernel", "beside nginx"])
def test_the_kernel_takes_them_and_every_change(kind: str) -> None:
    whole = nftables_rules(Nftables(IN_THE_KERNEL)) if kind == "in the kernel" else proxy_rules("root")
    chosen = [(pool, [pool.servers[-1].name]) for pool in IN_THE_KERNEL] if kind == "in the kernel" else []
    change = changed_rules(chosen, {("192.168.2.22", 6443)}, {"192.168.2.42"})
    # Twice, for the second time there is a table to be replaced.
    for text in (whole, whole + change, change):
        words = ["unshare", "--map-root-user", "--net", "sh", "-c", f"{NFT} -f - <<'END'\n{whole}END\n{NFT} -f -"]
        done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=20)
        if "Operation not permitted" in done.stderr:
            pytest.skip("no network namespace of its own here")
        assert done.returncode == 0, done.stderr
