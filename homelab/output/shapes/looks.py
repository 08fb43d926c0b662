"""How the lab stands: hosts, datastores, VMs, balancers, images."""

from typing import Literal

from homelab.output.shapes.parts import Name, Sentence, Shape


class Nic(Shape):
    """A NIC that a switch uses."""

    name: str
    driver: str


class Host(Shape):
    """An ESXi host."""

    name: Name
    address: str
    answers: bool
    version: str | None
    build: str | None
    licence: str | None
    uptime_seconds: int | None
    in_maintenance: bool | None
    cpus: int | None
    memory_mib: int | None
    used_mib: int | None
    nics: list[Nic]
    other_vms: int | None
    problem: Sentence


class Datastore(Shape):
    """A datastore."""

    name: str
    kind: Literal["nfs", "vmfs"]
    source: str
    hosts: list[Name]
    lacking: list[Name]
    unknown: list[Name]
    size: int | None
    free: int | None
    problem: Sentence


class VmEntry(Shape):
    """A VM that is ours to make."""

    name: Name
    host: Name | None
    address: str
    power: Literal["on", "off", "absent", "unknown", "elsewhere"]
    age_seconds: int | None
    image: str | None
    drift: list[Sentence]
    problem: Sentence


class Machine(VmEntry):
    """A VM, and what it is for."""

    role: Literal["control plane", "balancer", "worker"]
    managed: bool
    cpus: int
    memory_mib: int


class BalancerEntry(Shape):
    """A balancer."""

    name: Name
    kind: Literal["haproxy", "nginx", "nftables"]
    answers: bool
    holds_vip: bool | None
    version: str | None
    uptime_seconds: int | None
    keepalived: str | None
    problem: Sentence


class Server(Shape):
    """A server of a pool, as one balancer sees it."""

    name: Name
    pool: str
    balancer: Name
    address: str
    state: Literal["up", "down", "drain", "maint"]
    drained: bool
    check: str
    answer: Sentence
    sessions: int | None
    connections: int | None
    errors: int | None
    since_seconds: int
    weight: int


class ApiServer(Shape):
    """An API server, asked by itself; `balancers` is how each balancer has it."""

    name: Name
    address: str
    ready: bool | None
    version: str | None
    answer: Sentence
    balancers: dict[str, str]


class Vip(Shape):
    """The virtual address."""

    address: str
    port: int
    api_name: str
    holders: list[Name]
    ready: bool | None
    version: str | None
    answer: Sentence


class Status(Shape):
    """What `status` prints; with --watch one a second."""

    hosts: list[Host]
    datastores: list[Datastore]
    vms: list[Machine]
    balancers: list[BalancerEntry]
    api_servers: list[ApiServer]
    vip: Vip


class VmList(Shape):
    """What `vm list` prints."""

    vms: list[VmEntry]


class LbStatus(Shape):
    """What `lb status` prints; with --watch one a second."""

    balancers: list[BalancerEntry]
    servers: list[Server]


class BalancerFiles(Shape):
    """The files of a balancer: path to text."""

    name: Name
    files: dict[str, str]


class LbConfig(Shape):
    """What `lb config` prints."""

    balancers: list[BalancerFiles]


class StoredImage(Shape):
    """An image on a datastore; `host` is null on the shared one, `size` null for half an image."""

    sha256: str
    datastore: str
    host: Name | None
    path: str
    size: int | None
    current: bool
    vms: list[str]
    linked: list[str]


class ImageList(Shape):
    """What `image list` prints."""

    images: list[StoredImage]
