"""What this toolkit lays down for each kind: its renderers' texts, its roles' scripts, its units' restarts."""

import json
from collections.abc import Mapping
from pathlib import Path

from homelab.formats.balancer import checker, haproxy, keepalived, nftables, nginx
from homelab.formats.balancer.pools import API, READYZ, Pool, Server
from homelab.ports.files.data import data_folder
from tests.bench.failover.places import BALANCERS, INTERFACE, PORT, SERVERS, VIP
from tests.bench.failover.services import Configuration, Service, haproxy_down, haproxy_service, keepalived_service

KINDS = ("haproxy", "nginx", "nftables")
STATUS_PORT = 8404
LOOPBACK = "127.0.0.0/8"
# Of the drop-ins of the roles haproxy and keepalived, and of the units of the others.
DROP_IN_RESTART_SECONDS, UNIT_RESTART_SECONDS = 0.5, 0.1
CHECKER_FOLDER = "/usr/local/lib/homelab-checker"
NGINX_CHECK = ("nginx", "-t", "-q", "-e", "stderr", "-g", "pid /dev/null;", "-c", nginx.PATH)
Weights = Mapping[str, int] | None


def ours(kind: str) -> Configuration:
    """One of KINDS."""
    files, services = {
        "haproxy": (_haproxy, (haproxy_service(DROP_IN_RESTART_SECONDS),)),
        "nginx": (_nginx, (_nginx_service(), _checker_service(NGINX_CHECK))),
        "nftables": (_nftables, (_checker_service(("nft", "-c", "-f", nftables.PATH)),)),
    }[kind]
    return Configuration(
        name=f"ours-{kind}",
        files=lambda balancer, weights: files(balancer, weights) | _keepalived(balancer),
        services=(*services, keepalived_service(DROP_IN_RESTART_SECONDS)),
        down=haproxy_down if kind == "haproxy" else checker_down,
        vip=True,
        gates=kind,
        ca_file=f"{haproxy.FOLDER}/{haproxy.CA}" if kind == "haproxy" else checker.CA_FILE,
    )


def checker_down(folder: Path) -> frozenset[str]:
    """Whom the checker of the machine with this root gives no connections; OSError while it has not told."""
    state = json.loads((folder / "run/homelab-checker/state.json").read_text(encoding="utf-8"))
    servers = state["pools"][API]["servers"]
    return frozenset(name for name, server in servers.items() if server["state"] != "up")


def pool(weights: Weights, algorithm: str) -> Pool:
    """The API servers; with weights, only those that have one."""
    servers = tuple(
        Server(name, address, PORT, (weights or {}).get(name, 1))
        for name, address in SERVERS.items()
        if weights is None or name in weights
    )
    return Pool(API, VIP, PORT, servers, algorithm="weighted" if weights else algorithm, check=READYZ)


def _haproxy(balancer: str, weights: Weights) -> dict[str, str]:
    pools = (pool(weights, "leastconn"),)
    return {haproxy.PATH: haproxy.haproxy_cfg(haproxy.Haproxy(pools, "", STATUS_PORT, BALANCERS[balancer], LOOPBACK))}


def _nginx(balancer: str, weights: Weights) -> dict[str, str]:
    pools = (pool(weights, "leastconn"),)
    return {
        nginx.PATH: nginx.nginx_conf(nginx.Nginx(pools, checker.ready_port(STATUS_PORT))),
        nftables.NGINX_RULES: nftables.proxy_rules(nginx.USER),
        **_checker("nginx", balancer, pools),
    }


def _nftables(balancer: str, weights: Weights) -> dict[str, str]:
    pools = (pool(weights, "roundrobin"),)
    return {
        nftables.PATH: nftables.nftables_rules(nftables.Nftables(pools)),
        **_checker("nftables", balancer, pools),
    }


def _checker(kind: str, balancer: str, pools: tuple[Pool, ...]) -> dict[str, str]:
    """Its program, as the role lays it down, and its configuration."""
    playbooks = data_folder("playbooks")
    program = {f"{CHECKER_FOLDER}/{path.name}": path for path in (playbooks / "roles/checker/files").glob("*.py")}
    program |= {f"{CHECKER_FOLDER}/balancer/{path.name}": path for path in (playbooks / "balancer").glob("*.py")}
    wanted = checker.Checker(kind, pools, "", STATUS_PORT, BALANCERS[balancer], LOOPBACK)
    return {
        checker.PATH: checker.checker_json(wanted),
        **{place: path.read_text(encoding="utf-8") for place, path in program.items()},
    }


def _checker_service(check: tuple[str, ...]) -> Service:
    argv = ("/usr/bin/python3", "-B", f"{CHECKER_FOLDER}/checker.py", "serve")
    return Service("checker", argv, check, restart_seconds=UNIT_RESTART_SECONDS)


def _nginx_service() -> Service:
    """As our unit starts it: on the checker's copy of its configuration, as a user whom the kernel's rules know."""
    live = "/run/homelab-checker/nginx.conf"
    start = (
        f"install -d -o {nginx.USER} /run/homelab-nginx; test -e {live} || install -D -m 0644 {nginx.PATH} {live}; "
        f"exec setpriv --reuid {nginx.USER} --regid {nginx.USER} --clear-groups "
        f'nginx -e stderr -c {live} -g "daemon off; pid /run/homelab-nginx/nginx.pid;"'
    )
    return Service("nginx", ("sh", "-c", start), NGINX_CHECK, restart_seconds=UNIT_RESTART_SECONDS)


def _keepalived(balancer: str) -> dict[str, str]:
    wanted = keepalived.Keepalived(
        name=balancer,
        virtual_address=VIP,
        prefix_length=24,
        address=BALANCERS[balancer],
        peers=[address for name, address in BALANCERS.items() if name != balancer],
        interface=INTERFACE,
        router_id=100,
        priority=150 - list(BALANCERS).index(balancer),
        status_port=STATUS_PORT,
    )
    script = (data_folder("playbooks") / "roles/keepalived/templates/haproxy-ready.j2").read_text(encoding="utf-8")
    return {
        keepalived.PATH: keepalived.keepalived_conf(wanted),
        keepalived.CHECK: script.replace("{{ keepalived_status_port }}", str(STATUS_PORT)),
    }
