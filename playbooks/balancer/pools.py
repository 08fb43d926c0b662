"""The pools of a balancer: which servers stand behind which address and port. Every kind of balancer is made of them.

The words: a front end is an address and a port that clients know; a pool is the servers (back ends) behind it; the
algorithm chooses one of them. At layer 3 a pool takes all that comes to an address, at layer 4 a port, at layer 7 the
requests below a path.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Address
from typing import Any

API = "api"
READYZ, CONNECT, PING = "readyz", "connect", "ping"
# At layer 7 the API's clients are shown the one, and its servers the other; the first control plane makes both for the
# balancers. The servers carry this name, and take so many groups of a client from a balancer.
SERVING, FRONT_PROXY, API_NAME = "homelab-api.pem", "homelab-front-proxy.pem", "kubernetes.default.svc"
# A certificate with more is refused: a group that gets lost would be one right less, without a word.
GROUPS = 8
ALGORITHMS = ("leastconn", "roundrobin", "weighted")
MAX_WEIGHT = 256
# What a line end, a blank or a quote in a value would do to a configuration cannot happen: they are refused here.
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
WEB_PATH = re.compile(r"/[A-Za-z0-9._~/-]{0,200}")
# A path that requests lie below: no slash at its end.
BELOW = re.compile(r"(?=.{1,200}$)(/[A-Za-z0-9._~-]+)+")


@dataclass(frozen=True)
class Server:
    """One back end. `weight` is its share among its peers, 0..256; 0 takes none. Raises ValueError."""

    name: str
    address: str
    port: int
    weight: int = 1

    def __post_init__(self) -> None:
        checked_name(self.name)
        checked_address(self.address)
        checked_port(self.port)
        if not 0 <= self.weight <= MAX_WEIGHT:
            raise ValueError(f"the weight of {self.name} is {self.weight}, not 0..{MAX_WEIGHT}")


@dataclass(frozen=True)
class Pool:
    """Servers behind one address and port. Raises ValueError for what no configuration may be made of.

    `path` is that of layer 7 (empty: all that no other pool of this port takes), `tls` is whether its clients speak TLS
    with the balancer. `check` is how a server shows that it is well: `readyz` (an API server's /readyz over verified
    TLS), `connect`, `ping`, or a path that answers 200..399.
    """

    name: str
    address: str
    port: int
    servers: tuple[Server, ...] = field(default=())
    layer: int = 4
    algorithm: str = "leastconn"
    path: str = ""
    check: str = CONNECT
    tls: bool = False

    def __post_init__(self) -> None:
        checked_name(self.name)
        checked_address(self.address)
        checked_port(self.port)
        if self.layer not in (3, 4, 7) or self.algorithm not in ALGORITHMS:
            raise ValueError(f"the pool {self.name} wants layer {self.layer} and algorithm {self.algorithm}")
        if self.path and not BELOW.fullmatch(self.path):
            raise ValueError(f"the pool {self.name} wants the path {self.path!r}")
        if (self.path or self.tls) and self.layer != 7:
            raise ValueError(f"the pool {self.name} wants a path or TLS, which layer {self.layer} does not know")
        if self.check not in (READYZ, CONNECT, PING) and not WEB_PATH.fullmatch(self.check):
            raise ValueError(f"the pool {self.name} wants the check {self.check!r}")
        for named in ([server.name for server in self.servers], [(s.address, s.port) for s in self.servers]):
            if len(set(named)) < len(named):
                raise ValueError(f"the pool {self.name} has a server twice")
        if not any(self.weight_of(server) for server in self.servers):
            raise ValueError(f"the pool {self.name} has no server that takes connections")

    def weight_of(self, server: Server) -> int:
        """A server's share: weights count when the algorithm is `weighted` only."""
        return server.weight if self.algorithm == "weighted" else 1


def read_pools(plain: Sequence[Mapping[str, Any]]) -> tuple[Pool, ...]:
    """Pools from the mappings that `plain_pools` makes of them. Raises ValueError."""
    return together(
        tuple(Pool(**{**pool, "servers": tuple(Server(**server) for server in pool["servers"])}) for pool in plain)
    )


def together(pools: tuple[Pool, ...]) -> tuple[Pool, ...]:
    """The pools, when they fit beside each other; the first is that of the API servers. Raises ValueError."""
    names = [name for pool in pools for name in (pool.name, f"{pool.name}-servers")] + ["status"]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two parts of the balancer would be called {sorted(twice)[0]}")
    for port, sharing in front_ends(pools).items():
        paths = [pool.path for pool in sharing]
        if len(paths) > 1 and (pools[0] in sharing or any(pool.layer != 7 for pool in sharing)):
            raise ValueError(f"{len(paths)} pools want port {port}, and only further ones of layer 7 can share one")
        if len(set(paths)) < len(paths):
            raise ValueError(f"two pools of port {port} want the same path")
        if len({pool.tls for pool in sharing}) > 1:
            raise ValueError(f"the pools of port {port} do not agree on tls")
    return pools


def front_ends(pools: Sequence[Pool]) -> dict[int, list[Pool]]:
    """Ports with the pools that share them, in the order of their first pools."""
    ports: dict[int, list[Pool]] = {}
    for pool in pools:
        ports.setdefault(pool.port, []).append(pool)
    return ports


def plain_pools(pools: Sequence[Pool]) -> list[dict[str, Any]]:
    """Pools as JSON has them: that is how they go into a role."""
    return [{**asdict(pool), "servers": [asdict(server) for server in pool.servers]} for pool in pools]


def wanted_pools(
    api: Mapping[str, Any], further: Sequence[Mapping[str, Any]], addresses: Mapping[str, str]
) -> tuple[Pool, ...]:
    """The pool of the API servers, then the further ones, as an inventory has both.

    `api`: address, port, layer, algorithm, servers (name -> address), server_port, weights (name -> weight). `further`:
    entries of load_balancer_pools. `addresses`: every host that a member may name. Raises ValueError.
    """
    servers = tuple(
        Server(name, address, int(api["server_port"]), int(api["weights"].get(name, 1)))
        for name, address in api["servers"].items()
    )
    layer = int(api["layer"])
    check = CONNECT if layer == 3 else READYZ
    first = Pool(API, api["address"], int(api["port"]), servers, layer, api["algorithm"], check=check)
    return together((first, *(_further(api, entry, addresses) for entry in further)))


def _further(api: Mapping[str, Any], entry: Mapping[str, Any], addresses: Mapping[str, str]) -> Pool:
    port = int(entry["port"])
    members, weights = list(entry["members"]), [int(weight) for weight in entry.get("weights") or ()]
    if weights and len(weights) != len(members):
        raise ValueError(f"the pool {entry['name']} has {len(members)} members and {len(weights)} weights")
    servers = tuple(
        Server(_label(member), addresses.get(member, member), int(entry.get("server_port") or port), weight)
        for member, weight in zip(members, weights or [1] * len(members))  # noqa: B905 - Python 3.9
    )
    usual = "roundrobin" if api["algorithm"] == "weighted" else api["algorithm"]
    return Pool(
        name=entry["name"],
        address=api["address"],
        port=port,
        servers=servers,
        layer=int(entry.get("layer") or 4),
        algorithm="weighted" if weights else usual,
        path=(entry.get("path") or "").rstrip("/"),
        check=entry.get("check") or CONNECT,
        tls=bool(entry.get("tls")),
    )


def _label(member: str) -> str:
    """What a member is called in a configuration: the first label of a host's name, an address with dashes."""
    try:
        return str(IPv4Address(member)).replace(".", "-")
    except ValueError:
        return member.partition(".")[0].lower()


def checked_name(name: str) -> None:
    """Raises ValueError for a name that is no DNS label."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name: letters, digits and dashes make one")


def checked_address(address: str) -> None:
    """Raises ValueError for what is no IPv4 address."""
    try:
        IPv4Address(address)
    except ValueError:
        raise ValueError(f"{address!r} is no IPv4 address") from None


def checked_port(port: int) -> None:
    """Raises ValueError for what is no port."""
    if not isinstance(port, int) or not 1 <= port <= 65535:
        raise ValueError(f"{port!r} is no port")
