"""What this toolkit lays down for each kind: its renderers' texts, its roles' scripts, its units' restarts."""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from homelab.formats.balancer import checker, haproxy, keepalived, nftables, nginx
from homelab.formats.balancer.pools import API, FRONT_PROXY, READYZ, SERVING, Pool, Server
from homelab.ports.files.data import data_folder
from tests.bench.failover import certificates
from tests.bench.failover.places import BALANCERS, INTERFACE, PORT, SERVERS, VIP
from tests.bench.failover.services import Configuration, Service, haproxy_down, haproxy_service, keepalived_service

# Each kind with the layer at which it balances the API servers.
CELLS = (("haproxy", 4), ("haproxy", 7), ("nginx", 4), ("nginx", 7), ("nftables", 4))
STATUS_PORT = 8404
LOOPBACK = "127.0.0.0/8"
# Of the drop-ins of the roles haproxy and keepalived, and of the units of the others.
DROP_IN_RESTART_SECONDS, UNIT_RESTART_SECONDS = 0.5, 0.1
HAPROXY_CA, NGINX_CAS = f"{haproxy.FOLDER}/{haproxy.CA}", [nginx.CA_FILE, checker.CA_FILE]
NGINX_FOLDER = str(PurePosixPath(nginx.PATH).parent)
CHECKER_FOLDER = "/usr/local/lib/homelab-checker"
NGINX_CHECK = ("nginx", "-t", "-q", "-e", "stderr", "-g", "pid /dev/null;", "-c", nginx.PATH)
# The control plane that made the certificates of layer 7.
MADE_BY = next(iter(SERVERS))
Weights = Mapping[str, int] | None


def ours(kind: str, layer: int) -> Configuration:
    """One of CELLS."""
    files, services, cas, folder = {
        "haproxy": (_haproxy, (haproxy_service(DROP_IN_RESTART_SECONDS),), [HAPROXY_CA], haproxy.FOLDER),
        "nginx": (_nginx, (_nginx_service(), _checker_service(NGINX_CHECK)), NGINX_CAS, NGINX_FOLDER),
        "nftables": (_nftables, (_checker_service(("nft", "-c", "-f", nftables.PATH)),), [checker.CA_FILE], ""),
    }[kind]
    made = {SERVING: certificates.SERVING, FRONT_PROXY: certificates.FRONT_PROXY} if layer == 7 else {}
    return Configuration(
        name=f"ours-{kind}" + ("-layer-7" if layer == 7 else ""),
        files=lambda balancer, weights: files(balancer, weights, layer) | _keepalived(balancer),
        services=(*services, keepalived_service(DROP_IN_RESTART_SECONDS)),
        down=haproxy_down if kind == "haproxy" else checker_down,
        vip=True,
        gates=kind,
        certificates=dict.fromkeys(cas, certificates.CA) | {f"{folder}/{each}": name for each, name in made.items()},
    )


def checker_down(folder: Path) -> frozenset[str]:
    """Whom the checker of the machine with this root gives no connections; OSError while it has not told."""
    state = json.loads((folder / "run/homelab-checker/state.json").read_text(encoding="utf-8"))
    servers = state["pools"][API]["servers"]
    return frozenset(name for name, server in servers.items() if server["state"] != "up")


def pool(weights: Weights, algorithm: str, layer: int) -> Pool:
    """The API servers; with weights, only those that have one."""
    servers = tuple(
        Server(name, address, PORT, (weights or {}).get(name, 1))
        for name, address in SERVERS.items()
        if weights is None or name in weights
    )
    return Pool(API, VIP, PORT, servers, layer, "weighted" if weights else algorithm, check=READYZ)


def _haproxy(balancer: str, weights: Weights, layer: int) -> dict[str, str]:
    pools = (pool(weights, "leastconn", layer),)
    own = {"api_name": VIP, "certificates_from": MADE_BY} if layer == 7 else {}
    wanted = haproxy.Haproxy(pools, "", STATUS_PORT, BALANCERS[balancer], LOOPBACK, **own)
    return {haproxy.PATH: haproxy.haproxy_cfg(wanted)}


def _nginx(balancer: str, weights: Weights, layer: int) -> dict[str, str]:
    pools = (pool(weights, "leastconn", layer),)
    own = {"certificates_from": MADE_BY} if layer == 7 else {}
    return {
        nginx.PATH: nginx.nginx_conf(nginx.Nginx(pools, checker.ready_port(STATUS_PORT), **own)),
        nftables.NGINX_RULES: nftables.proxy_rules(nginx.USER),
        **_checker("nginx", balancer, pools),
    }


def _nftables(balancer: str, weights: Weights, layer: int) -> dict[str, str]:
    pools = (pool(weights, "roundrobin", layer),)
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
    """As our unit starts it: on copies of configuration and certificates, as a user whom the kernel's rules know."""
    live, user = "/run/homelab-checker/nginx.conf", f"-o {nginx.USER} -g {nginx.USER}"
    start = (
        f"install -d {user} /run/homelab-nginx; install -d {user} -m 0700 {nginx.Places.temporary}; "
        f"for pem in {NGINX_FOLDER}/*.pem; do test ! -e $pem || install {user} -m 0400 $pem /run/homelab-nginx; done; "
        f"test -e {live} || install -D -m 0644 {nginx.PATH} {live}; "
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
