"""What must hold of the balancers: the table of kinds, and their pools. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from homelab.errors import Mistake
from homelab.inventory.facts import VMS, Facts
from homelab.lab import LoadBalancer

# Which layers and algorithms each kind of balancer has.
KINDS = {
    "haproxy": ((4, 7), ("leastconn", "roundrobin", "weighted")),
    "nginx": ((4, 7), ("leastconn", "roundrobin", "weighted")),
    "nftables": ((3, 4), ("roundrobin", "weighted")),
}
KNOWN_CELLS = {str(choice) for row in KINDS.values() for choices in row for choice in choices}


def cells(facts: Facts) -> Iterator[Mistake]:
    """Kind, layer and algorithm are a cell of the table; so is each pool's layer."""
    default = {name: field.default for name, field in LoadBalancer.model_fields.items()}
    for host in facts.of("load_balancers"):
        kind = host.values.get("load_balancer_kind", default["kind"])
        if not isinstance(kind, str) or kind not in KINDS:
            continue
        layers, algorithms = KINDS[kind]
        for variable, choices in (("load_balancer_layer", layers), ("load_balancer_algorithm", algorithms)):
            value = host.values.get(variable, default[variable.removeprefix("load_balancer_")])
            if str(value) in KNOWN_CELLS and str(value) not in map(str, choices):
                place = facts.where(host.name, variable) or facts.where(host.name, "load_balancer_kind")
                what = f"{variable}: {kind} has no {value}"
                yield Mistake(place, what, f"write {variable}: {' or '.join(map(str, choices))}")
        if host.values.get("load_balancer_layer") == 7 and host.values.get("load_balancer_ca_file"):
            what = "load_balancer_layer: 7 needs certificates that this lab's own cluster makes"
            fix = "write load_balancer_layer: 4, or delete load_balancer_ca_file where the cluster is this lab's"
            yield Mistake(facts.where(host.name, "load_balancer_layer"), what, fix)
        for pool in _pools(host.values):
            if str(pool.get("layer", 4)) not in map(str, layers):
                what = f"load_balancer_pools: {kind} has no layer {pool['layer']} (pool {pool.get('name')})"
                fix = f"write layer: {' or '.join(map(str, layers))}"
                yield Mistake(facts.where(host.name, "load_balancer_pools"), what, fix)


def pools(facts: Facts) -> Iterator[Mistake]:
    """Every further pool has members that exist, weights that fit, and a front end of its own."""
    names = {vm.name for vm in facts.of(*VMS)}
    addresses = {vm.name: str(vm.values.get("ansible_host")) for vm in facts.of(*VMS)}
    for host in facts.of("load_balancers"):
        taken, called = _taken(facts, host.values), {"api", "api-servers", "status"}
        certificate = host.values.get("load_balancer_certificate_file")
        for pool in _pools(host.values):
            for what, fix in (
                *_name(pool, called),
                *_members(pool, names, addresses),
                *_weights(pool),
                *_front_end(pool, taken),
                *_tls(pool, certificate),
                *_check(pool, host.values.get("load_balancer_kind", "haproxy")),
            ):
                name = pool.get("name")
                yield Mistake(facts.where(host.name, "load_balancer_pools"), f"load_balancer_pools: {name} {what}", fix)


def _pools(values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found = values.get("load_balancer_pools")
    return [pool for pool in found if isinstance(pool, dict)] if isinstance(found, list) else []


def _name(pool: Mapping[str, Any], called: set[str]) -> Iterator[tuple[str, str]]:
    """Its front end and its back end have names of their own; `called` grows by both."""
    name = pool.get("name")
    if {name, f"{name}-servers"} & called:
        yield "is called as another part of the balancer is", "give it another name"
    called |= {str(name), f"{name}-servers"}


def _members(pool: Mapping[str, Any], names: set[str], addresses: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    listed = pool.get("members")
    members = listed if isinstance(listed, list) else []
    meant = [addresses.get(member, member) for member in members if isinstance(member, str)]
    if twice := [address for address in dict.fromkeys(meant) if meant.count(address) > 1]:
        yield f"has the member {twice[0]} twice", "name each member once; weights give one of them a larger share"
    for member in members:
        if isinstance(member, str) and member not in names and not _is_address(member):
            close = get_close_matches(member, sorted(names), 1, 0.6)
            fix = f"did you mean {close[0]}?" if close else "name a VM of the inventory, or an IPv4 address"
            yield f"has the member {member}, which the inventory does not have", fix


def _is_address(member: str) -> bool:
    parts = member.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


def _weights(pool: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    weights, members = pool.get("weights"), pool.get("members")
    if not isinstance(weights, list) or not isinstance(members, list) or not weights:
        return
    if len(weights) != len(members):
        yield (
            f"has {len(members)} members and {len(weights)} weights",
            "write one weight for each member, in their order",
        )
    elif all(str(weight) == "0" for weight in weights):
        yield "has weights that are all zero, so nobody takes a connection", "give one of them a weight of 1 to 256"


def _tls(pool: Mapping[str, Any], certificate: Any) -> Iterator[tuple[str, str]]:
    if pool.get("tls") is not True:
        return
    if pool.get("layer", 4) != 7:
        yield f"has tls, and layer {pool.get('layer', 4)} hands TLS on as it comes", "write layer: 7, or delete tls"
    elif not certificate:
        yield (
            "has tls, and no certificate is named",
            "write load_balancer_certificate_file: a PEM file with the certificate, its chain and its key",
        )


def _check(pool: Mapping[str, Any], kind: Any) -> Iterator[tuple[str, str]]:
    if pool.get("check") == "ping" and kind in KINDS and kind != "nftables":
        yield f"has the check ping, which {kind} does not have", "write check: connect, or a path such as /healthz"


@dataclass(frozen=True)
class FrontEnd:
    """Who listens on a port; at layer 7 several pools may, each below a path of its own, all with TLS or none."""

    owner: str
    layer: int
    path: str = ""
    tls: bool = False

    def bars(self, other: "FrontEnd") -> tuple[str, str] | None:
        """Why the other one cannot listen there too, and what to do; None when it can."""
        if not self.layer == other.layer == 7:
            return f"which {self.owner} has", "give it another port"
        if self.path == other.path:
            return f"which {self.owner} has with the same path", "give it another port or another path"
        if self.tls != other.tls:
            return f"where {self.owner} {'has' if self.tls else 'has no'} tls", "write the same tls for both"
        return None


def _taken(facts: Facts, values: Mapping[str, Any]) -> dict[str, list[FrontEnd]]:
    """The ports that are spoken for; nobody shares one with the API, whatever its layer."""
    default = {name: field.default for name, field in LoadBalancer.model_fields.items()}
    api = FrontEnd("the API (api_port)", 4)
    status = FrontEnd("the balancer's own status (haproxy_status_port)", 4)
    ports = facts.lab.get("api_port", 6443), values.get("haproxy_status_port", default["status_port"])
    return {str(ports[0]): [api], str(ports[1]): [status]}


def _front_end(pool: Mapping[str, Any], taken: dict[str, list[FrontEnd]]) -> Iterator[tuple[str, str]]:
    port, layer, path = pool.get("port"), pool.get("layer", 4), pool.get("path") or ""
    if not str(port).isdigit() or not isinstance(path, str):
        return
    if path and layer != 7:
        yield f"has a path, and layer {layer} knows none", "write layer: 7, or delete path"
    wanted = FrontEnd(f"the pool {pool.get('name')}", layer, path.rstrip("/"), pool.get("tls") is True)
    for other in taken.setdefault(str(port), []):
        if told := other.bars(wanted):
            yield f"wants port {port}, {told[0]}", told[1]
            break
    taken[str(port)].append(wanted)
