"""What goes into the role checker, and the text of checker.json, which the checker itself reads with the same types."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from ipaddress import IPv4Network
from typing import Any, ClassVar

from .nftables import NGINX_RULES
from .nftables import PATH as NFTABLES_RULES
from .pools import Pool, checked_address, checked_port, plain_pools, read_pools

PATH = "/etc/homelab-checker/checker.json"
CA_FILE = "/etc/homelab-checker/cluster-ca.crt"
# Each kind with the rules of the kernel that it wants.
KINDS = {"nginx": NGINX_RULES, "nftables": NFTABLES_RULES}


@dataclass(frozen=True)
class Checker:
    """What goes into the role: each field is the role's variable checker_FIELD. Raises ValueError."""

    role: ClassVar[str] = "checker"
    kind: str
    pools: tuple[Pool, ...]
    ca: str
    status_port: int
    status_address: str
    stats_network: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"the checker serves balancers of the kinds {', '.join(KINDS)}, not {self.kind}")
        checked_port(self.status_port)
        checked_address(self.status_address)
        IPv4Network(self.stats_network)


@dataclass(frozen=True)
class Times:
    """Seconds and counts. A stall of 1.2 s is no death: it spoils one question at most, and `fall` are needed.

    Refused or unready: seen within interval + fast; silent: within interval + 2 x timeout.
    """

    interval: float = 0.5
    # After an answer that does not fit to the state, until it is settled.
    fast: float = 0.25
    timeout: float = 1.2
    fall: int = 2
    rise: int = 2


@dataclass(frozen=True)
class Places:
    """Where things are on the balancer. `certificate` is a file of a client's certificate and key, or empty."""

    folder: str = "/run/homelab-checker"
    ca_file: str = CA_FILE
    certificate: str = ""
    rules: str = ""
    nginx_conf: str = "/etc/homelab-nginx/nginx.conf"
    nginx_pid: str = "/run/homelab-nginx/nginx.pid"
    nginx: str = "/usr/sbin/nginx"
    nft: str = "/usr/sbin/nft"


@dataclass(frozen=True)
class Configuration:
    """What checker.json says. `listen` are the addresses of the status port, open to `network` and to loopback."""

    kind: str
    pools: tuple[Pool, ...]
    listen: tuple[str, ...]
    network: str
    status_port: int
    ready_port: int
    times: Times = field(default_factory=Times)
    places: Places = field(default_factory=Places)


def checker_json(wanted: Checker, places: Places = Places(), times: Times = Times()) -> str:
    """The whole checker.json."""
    is_open = not wanted.stats_network.startswith("127.")
    configuration = {
        "kind": wanted.kind,
        "pools": plain_pools(wanted.pools),
        "listen": ["127.0.0.1", wanted.status_address] if is_open else ["127.0.0.1"],
        "network": wanted.stats_network,
        "status_port": wanted.status_port,
        "ready_port": ready_port(wanted.status_port),
        "times": asdict(times),
        "places": asdict(replace(places, rules=places.rules or KINDS[wanted.kind])),
    }
    return json.dumps(configuration, indent=2) + "\n"


def ready_port(status_port: int) -> int:
    """The port of loopback on which nginx itself answers, the one beside the checker's."""
    return status_port + 1 if status_port < 65535 else status_port - 1


def read_configuration(plain: Mapping[str, Any]) -> Configuration:
    """What checker.json says, from its JSON. Raises ValueError, TypeError and KeyError."""
    typed = {
        "pools": read_pools(plain["pools"]),
        "listen": tuple(plain["listen"]),
        "times": Times(**plain["times"]),
        "places": Places(**plain["places"]),
    }
    return Configuration(**{**plain, **typed})
