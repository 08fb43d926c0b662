"""What this toolkit lays down for each kind: its renderers' texts, its roles' scripts, its units' restarts."""

from collections.abc import Mapping

from homelab.formats.balancer import haproxy, keepalived
from homelab.formats.balancer.pools import API, READYZ, Pool, Server
from homelab.ports.files.data import data_folder
from tests.bench.failover.places import BALANCERS, INTERFACE, PORT, SERVERS, VIP
from tests.bench.failover.services import Configuration, haproxy_down, haproxy_service, keepalived_service

KINDS = ("haproxy",)
STATUS_PORT = 8404
# Of the drop-ins of our roles.
RESTART_SECONDS = 0.5
Weights = Mapping[str, int] | None


def ours(kind: str) -> Configuration:
    """One of KINDS."""
    if kind != "haproxy":
        raise ValueError(kind)
    return Configuration(
        name=f"ours-{kind}",
        files=lambda balancer, weights: _haproxy(balancer, weights) | _keepalived(balancer),
        services=(haproxy_service(RESTART_SECONDS), keepalived_service(RESTART_SECONDS)),
        down=haproxy_down,
        vip=True,
        gates=kind,
    )


def pool(weights: Weights, algorithm: str) -> Pool:
    """The API servers; with weights, only those that have one."""
    servers = tuple(
        Server(name, address, PORT, (weights or {}).get(name, 1))
        for name, address in SERVERS.items()
        if weights is None or name in weights
    )
    return Pool(API, VIP, PORT, servers, algorithm="weighted" if weights else algorithm, check=READYZ)


def _haproxy(balancer: str, weights: Weights) -> dict[str, str]:
    wanted = haproxy.Haproxy(
        pools=(pool(weights, "leastconn"),),
        ca="",
        status_port=STATUS_PORT,
        status_address=BALANCERS[balancer],
        stats_network="127.0.0.0/8",
    )
    return {haproxy.PATH: haproxy.haproxy_cfg(wanted)}


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
