"""What a configuration is made of: files and services, and how to see whom it takes for down."""

import csv
import io
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.failover.places import SERVERS


@dataclass(frozen=True)
class Service:
    """A program of a balancer, as systemd would keep it; `reload` goes to its main process.

    `check` is the program's own check of its configuration. `restart_seconds` is how soon it is started again after a
    kill; None: never.
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
    one that balances. `gates` names the row of gates that it must meet. `certificates` are a balancer's, of those that
    certificates.py writes: path -> name.
    """

    name: str
    files: Callable[[str, Mapping[str, int] | None], Mapping[str, str]]
    services: tuple[Service, ...]
    down: Callable[[Path], frozenset[str]] | None = None
    vip: bool = False
    gates: str | None = None
    certificates: Mapping[str, str] = field(default_factory=dict)


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
