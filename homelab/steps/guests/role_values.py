"""What goes into each role, said once: a pure function from the lab to the role's variables.

`ansible-playbook` alone computes the same in the playbooks' own `vars`; a test holds both equal.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeAlias

from homelab.formats.balancer.checker import Checker, ready_port
from homelab.formats.balancer.haproxy import Haproxy
from homelab.formats.balancer.keepalived import Keepalived
from homelab.formats.balancer.nftables import Nftables
from homelab.formats.balancer.nginx import Nginx
from homelab.formats.balancer.pools import Pool, wanted_pools
from homelab.lab import Lab, LoadBalancer, Vm

PRIORITY = 150
# Whoever hands over what a join needs: the node that comes of it is the same.
FIRST = frozenset({"first"})


@dataclass(frozen=True)
class NfsServerRole:
    """The exported folder, and the hosts that may mount it."""

    role: ClassVar[str] = "nfs_server"
    export: str
    clients: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class KubernetesNode:
    """The version, names to addresses, and the bundle's path as the inventory has it, empty for the repository."""

    role: ClassVar[str] = "kubernetes_node"
    version: str
    hosts: Mapping[str, str]
    bundle: str


@dataclass(frozen=True)
class ClusterAuthority:
    """All that kubeadm's configuration is made of."""

    role: ClassVar[str] = "cluster_ca"
    version: str
    name: str
    address: str
    api_name: str
    api_address: str
    api_port: int
    control_planes: Mapping[str, str]
    pod_network: str
    service_network: str
    ignored_preflight_errors: tuple[str, ...]
    # Whether a balancer ends TLS in front of the API, and needs certificates of this cluster.
    serves_balancers: bool
    # Whether the control planes run pods of everybody, for there are no workers.
    takes_pods: bool
    # Whether Kubernetes hands out the subnets of the nodes' pods.
    hands_out_subnets: bool


@dataclass(frozen=True)
class Member:
    """Who is first, and where the API is: ADDRESS:PORT for clients, NAME:PORT in kubeconfigs."""

    role: ClassVar[str] = "control_plane"
    by_the_way: ClassVar[frozenset[str]] = FIRST
    first: str
    address: str
    api_endpoint: str
    endpoint: str
    version: str
    ignored_preflight_errors: tuple[str, ...]
    takes_pods: bool


@dataclass(frozen=True)
class WorkerNode:
    """Who hands over what a join needs, and where the API is: ADDRESS:PORT for clients."""

    role: ClassVar[str] = "worker"
    by_the_way: ClassVar[frozenset[str]] = FIRST
    first: str
    address: str
    api_endpoint: str
    version: str
    ignored_preflight_errors: tuple[str, ...]


@dataclass(frozen=True)
class PodNetwork:
    """The way of the pods: `routes`, `none` or a manifest's path; this node's subnet, and those of the others."""

    role: ClassVar[str] = "pod_network"
    by_the_way: ClassVar[frozenset[str]] = FIRST
    cni: str
    network: str
    subnet: str
    routes: Mapping[str, str]
    first: str


RoleValues: TypeAlias = (
    NfsServerRole
    | Haproxy
    | Nginx
    | Nftables
    | Checker
    | Keepalived
    | KubernetesNode
    | ClusterAuthority
    | Member
    | WorkerNode
    | PodNetwork
)


def telling(values: RoleValues) -> dict[str, Any]:
    """Those of the role's variables that can change what comes of it."""
    by_the_way = {f"{values.role}_{name}" for name in getattr(values, "by_the_way", ())}
    return {name: value for name, value in variables(values).items() if name not in by_the_way}


def variables(values: RoleValues) -> dict[str, Any]:
    """The role's variables as a play takes them; what is None is found on the guest."""
    named = {f"{values.role}_{name}": value for name, value in asdict(values).items()}
    return {name: value for name, value in named.items() if value is not None}


def nfs_server(lab: Lab) -> NfsServerRole:
    """The NAS of a lab."""
    nas = lab.nfs[0]
    return NfsServerRole(nas.export, tuple(str(host.address) for host in lab.esxi), nas.server_kind)


def pools(lab: Lab, balancer: LoadBalancer) -> tuple[Pool, ...]:
    """What one balancer balances: the API servers first, then its further pools."""
    api = {
        "address": str(lab.api.vip),
        "port": lab.api.port,
        "layer": balancer.layer,
        "algorithm": balancer.algorithm,
        "servers": _addresses(*lab.control_plane),
        "server_port": balancer.server_port,
        "weights": {vm.short_name: vm.weight for vm in lab.control_plane},
    }
    further = [pool.model_dump() for pool in balancer.pools]
    return wanted_pools(api, further, {vm.name: str(vm.address) for vm in lab.vms})


def haproxy(lab: Lab, balancer: LoadBalancer, ca: str) -> Haproxy:
    """HAProxy on one balancer; `ca` is the API servers' CA in PEM form."""
    return Haproxy(
        pools=pools(lab, balancer),
        ca=ca,
        status_port=balancer.status_port,
        status_address=str(balancer.address),
        stats_network=str(balancer.stats_network),
        certificate_file=balancer.certificate_file or "",
        client_certificate_file=balancer.client_certificate_file or "",
        api_name=lab.api_name,
        certificates_from=_maker(lab, balancer),
    )


def nginx(lab: Lab, balancer: LoadBalancer, ca: str) -> Nginx:
    """One balancer's nginx; `ca` is the API servers' CA in PEM form."""
    return Nginx(
        pools=pools(lab, balancer),
        ready_port=ready_port(balancer.status_port),
        certificate_file=balancer.certificate_file or "",
        ca=ca if balancer.layer == 7 else "",
        certificates_from=_maker(lab, balancer),
    )


def _maker(lab: Lab, balancer: LoadBalancer) -> str:
    """Who made the certificates that a balancer of layer 7 needs."""
    return lab.control_plane[0].name if balancer.layer == 7 else ""


def nftables(lab: Lab, balancer: LoadBalancer) -> Nftables:
    """The kernel's rules on one balancer."""
    return Nftables(pools(lab, balancer))


def checker(lab: Lab, balancer: LoadBalancer, ca: str) -> Checker:
    """The checker beside nginx or the kernel's rules; `ca` is the API servers' CA in PEM form."""
    return Checker(
        kind=balancer.kind,
        pools=pools(lab, balancer),
        ca=ca,
        status_port=balancer.status_port,
        status_address=str(balancer.address),
        stats_network=str(balancer.stats_network),
    )


def keepalived(lab: Lab, balancer: LoadBalancer) -> Keepalived:
    """The VIP on one balancer; the first of them takes the address when all are well."""
    last_octet = int(lab.api.vip) % 256
    return Keepalived(
        name=balancer.short_name,
        virtual_address=str(lab.api.vip),
        prefix_length=lab.network.prefixlen,
        address=str(balancer.address),
        peers=tuple(str(vm.address) for vm in lab.load_balancers if vm.name != balancer.name),
        interface=balancer.interface,
        router_id=balancer.router_id or max(last_octet, 1),
        priority=PRIORITY - lab.load_balancers.index(balancer),
        status_port=balancer.status_port,
    )


def kubernetes_node(lab: Lab) -> KubernetesNode:
    """Every node of the cluster."""
    hosts = _addresses(*lab.nodes) | {lab.api_name: str(lab.api.vip)}
    return KubernetesNode(lab.kubernetes.version, hosts, lab.kubernetes.bundle or "")


def cluster_ca(lab: Lab) -> ClusterAuthority:
    """The first control plane."""
    kubernetes = lab.kubernetes
    return ClusterAuthority(
        version=kubernetes.version,
        name=lab.name,
        address=str(lab.control_plane[0].address),
        api_name=lab.api_name,
        api_address=str(lab.api.vip),
        api_port=lab.api.port,
        control_planes=_addresses(*lab.control_plane),
        pod_network=str(kubernetes.pod_network),
        service_network=str(kubernetes.service_network),
        ignored_preflight_errors=kubernetes.ignored_preflight_errors,
        serves_balancers=any(balancer.layer == 7 for balancer in lab.load_balancers),
        takes_pods=not lab.workers,
        hands_out_subnets=kubernetes.cni != "routes",
    )


def control_plane(lab: Lab, target: str, first: str) -> Member:
    """One control plane; `first` hands over what a join needs."""
    return Member(
        first=first,
        address=str(lab.vm(target).address),
        api_endpoint=f"{lab.api.vip}:{lab.api.port}",
        endpoint=f"{lab.api_name}:{lab.api.port}",
        version=lab.kubernetes.version,
        ignored_preflight_errors=lab.kubernetes.ignored_preflight_errors,
        takes_pods=not lab.workers,
    )


def worker(lab: Lab, target: str, first: str) -> WorkerNode:
    """One worker; `first` hands over what a join needs."""
    return WorkerNode(
        first=first,
        address=str(lab.vm(target).address),
        api_endpoint=f"{lab.api.vip}:{lab.api.port}",
        version=lab.kubernetes.version,
        ignored_preflight_errors=lab.kubernetes.ignored_preflight_errors,
    )


def pod_network(lab: Lab, target: str, first: str) -> PodNetwork:
    """One node's part of the pods' network; `first` applies a manifest."""
    own = lab.vm(target)
    return PodNetwork(
        cni=lab.kubernetes.cni,
        network=str(lab.kubernetes.pod_network),
        subnet=str(lab.pod_subnet(own)),
        routes={str(lab.pod_subnet(vm)): str(vm.address) for vm in lab.nodes if vm.name != own.name},
        first=first,
    )


def _addresses(*vms: Vm) -> dict[str, str]:
    return {vm.short_name: str(vm.address) for vm in vms}
