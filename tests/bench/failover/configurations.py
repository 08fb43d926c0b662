"""The configurations side by side: what files and services each is made of, and how to see whom it takes for down."""

import csv
import io
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from homelab.formats.balancer import haproxy, keepalived
from homelab.ports.files.data import data_folder
from tests.bench.failover import published
from tests.bench.failover.places import BALANCERS, INTERFACE, PORT, SERVERS, VIP

STATUS_PORT = 8404
# Debian's haproxy.service restarts at systemd's own pace; our drop-ins say 500 ms; Debian's nginx.service does not.
DEBIAN_RESTART_SECONDS, OUR_RESTART_SECONDS = 0.1, 0.5


@dataclass(frozen=True)
class Service:
    """A program of a balancer, as systemd would keep it; `reload` goes to its main process.

    `restart_seconds` is how soon it is started again after a kill; None: never.
    """

    name: str
    argv: tuple[str, ...]
    check: tuple[str, ...]
    reload: signal.Signals = signal.SIGHUP
    restart_seconds: float | None = None


@dataclass(frozen=True)
class Configuration:
    """One way of balancing. `files` are a balancer's, by its name and weights.

    `down` says whom the balancer with this root takes for down; None where nobody can tell. The first service is the
    one that balances. `gates` names the row of gates that it must meet.
    """

    name: str
    files: Callable[[str, Mapping[str, int] | None], Mapping[str, str]]
    services: tuple[Service, ...]
    down: Callable[[Path], frozenset[str]] | None = None
    vip: bool = False
    gates: str | None = None


def parse_show_stat(text: str) -> frozenset[str]:
    """The servers that get no new connections, of HAProxy's `show stat`; one that is only going down is still up."""
    rows = csv.DictReader(io.StringIO(text.removeprefix("# ")))
    return frozenset(row["svname"] for row in rows if row["svname"] in SERVERS and not row["status"].startswith("UP"))


def haproxy_down(folder: Path) -> frozenset[str]:
    """Asks the HAProxy of the machine with this root; OSError when it does not answer."""
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(1.0)
        door.connect(str(folder / "run/haproxy/admin.sock"))
        door.sendall(b"show stat -1 4 -1\n")
        return parse_show_stat(b"".join(iter(lambda: door.recv(1 << 16), b"")).decode())


def haproxy_service(restart_seconds: float) -> Service:
    """As Debian's unit starts it: a master and a worker."""
    config = ("-f", "/etc/haproxy/haproxy.cfg")
    return Service(
        "haproxy",
        ("haproxy", "-W", "-db", *config, "-p", "/run/haproxy.pid"),
        ("haproxy", "-c", *config),
        signal.SIGUSR2,
        restart_seconds,
    )


def keepalived_service(restart_seconds: float | None) -> Service:
    """Debian's unit does not restart it; our drop-in does."""
    return Service(
        "keepalived",
        ("keepalived", "--dont-fork", "--log-console", "--log-detail"),
        ("keepalived", "-t"),
        restart_seconds=restart_seconds,
    )


NGINX = Service("nginx", ("nginx", "-g", "daemon off;"), ("nginx", "-t"))


def ours(kind: str) -> Configuration:
    """What the product lays down for a kind: its renderers, its files, its units' drop-ins."""
    if kind != "haproxy":
        raise ValueError(kind)
    return Configuration(
        name=f"ours-{kind}",
        files=lambda balancer, weights: _our_haproxy(balancer, weights) | _our_keepalived(balancer),
        services=(haproxy_service(OUR_RESTART_SECONDS), keepalived_service(OUR_RESTART_SECONDS)),
        down=haproxy_down,
        vip=True,
        gates=kind,
    )


def _our_haproxy(balancer: str, weights: Mapping[str, int] | None) -> dict[str, str]:
    wanted = haproxy.Haproxy(
        address=VIP,
        port=PORT,
        servers=SERVERS if weights is None else {name: SERVERS[name] for name in weights},
        server_port=PORT,
        algorithm="leastconn" if weights is None else "weighted",
        weights=weights or {},
        ca="",
        status_port=STATUS_PORT,
        status_address=BALANCERS[balancer],
        stats_network="127.0.0.0/8",
    )
    return {haproxy.PATH: haproxy.haproxy_cfg(wanted)}


def _our_keepalived(balancer: str) -> dict[str, str]:
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


def configurations() -> dict[str, Configuration]:
    """All of them, by name, in the order of the table."""
    published_haproxy = haproxy_service(DEBIAN_RESTART_SECONDS)
    listed = (
        Configuration("tutorial-haproxy", published.tutorial_haproxy, (published_haproxy,), haproxy_down),
        Configuration("tutorial-nginx", published.tutorial_nginx, (NGINX,)),
        Configuration(
            "kubeadm", published.kubeadm, (published_haproxy, keepalived_service(None)), haproxy_down, vip=True
        ),
        ours("haproxy"),
    )
    return {each.name: each for each in listed}
