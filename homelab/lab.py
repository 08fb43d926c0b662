"""The wanted lab: frozen models of what the inventory says. Pure: no I/O.

Every field that a user sets carries the inventory's variable as its alias, so that mistakes, the JSON Schema and the
documentation speak the user's names. Addresses are IPv4: the lab is one flat LAN.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StrictBool, StringConstraints, field_validator

LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
Port = Annotated[int, Field(ge=1, le=65535)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$", to_lower=True)]
# VMware's range for addresses that a person gives; ESXi refuses any other when the VM is switched on.
MAC = r"^00:50:56:[0-3][0-9a-fA-F](:[0-9a-fA-F]{2}){2}$"
MacAddress = Annotated[str, StringConstraints(pattern=MAC, to_lower=True)]
HostName = Annotated[str, StringConstraints(pattern=rf"^{LABEL}$")]
# What the inventory calls a machine: one label or a whole DNS name, in whatever letters.
InventoryName = Annotated[str, StringConstraints(pattern=rf"^(?i:{LABEL}(\.{LABEL})*)$", max_length=253)]
DomainName = Annotated[str, StringConstraints(pattern=rf"^{LABEL}(\.{LABEL})*$")]
DatastoreName = Annotated[str, StringConstraints(pattern=r"^[^/\\%\[\]]{1,42}$")]
KernelModule = Literal["ne1000"]
Wanted = Literal["on", "off", "absent"]
# The mainboards that we know facts about; homelab.formats.boot.installer has them.
Board = Literal["GB-XM11-3337", "GB-BRi7-8550"]
# How a guest is told what it is: by an ISO image in a drive, or by its VM's own configuration.
Seed = Literal["nocloud", "guestinfo"]


class Model(BaseModel):
    """Frozen, named by the inventory's variables, blind to variables of others."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Listed(Model):
    """A machine as the inventory lists it; people and JSON call it by this name, whatever it calls itself."""

    name: InventoryName

    @property
    def short_name(self) -> str:
        """What it calls itself: a VM, its folder, its guest, a host's own host name."""
        return short_name(self.name)


class Api(Model):
    """The Kubernetes API as clients see it: a virtual address, a port, a name."""

    vip: IPv4Address = Field(alias="api_vip")
    port: Port = Field(6443, alias="api_port")
    name: DomainName | None = Field(None, alias="api_name")


class Image(Model):
    """The disk that every VM is copied from: a path or URL of an OVA, a VMDK or a qcow2, and its SHA-256."""

    source: str = Field(alias="image_source", min_length=1)
    sha256: Sha256 = Field(alias="image_sha256")


class Guests(Model):
    """How guests are met for the first time. `timeout` in seconds."""

    user: Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")] = Field("homelab", alias="guest_user")
    authorized_keys: tuple[str, ...] = Field((), alias="guest_authorized_keys")
    authorized_key_files: tuple[str, ...] = Field((), alias="guest_authorized_key_files")
    timeout: int = Field(600, alias="guest_timeout", gt=0)
    seed: Seed = Field("nocloud", alias="guest_seed")


class Kubernetes(Model):
    """The cluster: its version, its networks and where its programs come from."""

    version: Annotated[str, StringConstraints(pattern=r"^v?1\.\d+\.\d+$")] = Field(alias="kubernetes_version")
    pod_network: IPv4Network = Field(IPv4Network("10.244.0.0/16"), alias="kubernetes_pod_network")
    service_network: IPv4Network = Field(IPv4Network("10.96.0.0/12"), alias="kubernetes_service_network")
    # `routes`, `none`, or the path of a manifest.
    cni: str = Field("routes", alias="kubernetes_cni", min_length=1)
    bundle: str | None = Field(None, alias="kubernetes_bundle")
    ignored_preflight_errors: tuple[str, ...] = Field((), alias="kubernetes_ignored_preflight_errors")
    manifests: tuple[str, ...] = Field((), alias="kubernetes_manifests")

    @field_validator("version")
    @classmethod
    def without_v(cls, value: str) -> str:
        """`v1.36.3` and `1.36.3` are the same version."""
        return value.removeprefix("v")

    @property
    def cni_manifest(self) -> str | None:
        """The path of the manifest that brings the pods' network, where one does."""
        return None if self.cni in ("routes", "none") else self.cni


class EsxiHost(Listed):
    """One ESXi host. Timeouts in seconds, `host_cache_mib` in MiB."""

    address: IPv4Address = Field(alias="ansible_host")
    ssh_port: Port = Field(22, alias="ansible_port")
    user: str = Field("root", alias="ansible_user", min_length=1)
    password: SecretStr = Field(alias="ansible_password")
    api_port: Port = Field(443, alias="vsphere_port")
    iso: str | None = Field(None, alias="esxi_iso")
    board: Board | None = Field(None, alias="esxi_board")
    disabled_modules: tuple[KernelModule, ...] | None = Field(None, alias="esxi_disabled_modules")
    management_nic: Annotated[str, StringConstraints(pattern=r"^(vmnic|vusb)\d+$")] | None = Field(
        None, alias="esxi_management_nic"
    )
    local_datastore: DatastoreName | None = Field(None, alias="esxi_local_datastore")
    local_disk: str | None = Field(None, alias="esxi_local_disk")
    host_cache_mib: int = Field(0, alias="esxi_host_cache_mib", ge=0)
    vlan: int = Field(0, alias="esxi_vlan", ge=0, le=4095)
    reboot_timeout: int = Field(900, alias="esxi_reboot_timeout", gt=0)
    api_timeout: int = Field(30, alias="esxi_api_timeout", gt=0)
    copies: int = Field(2, alias="esxi_copies", gt=0)
    dhcp_address: IPv4Address | None = Field(None, alias="esxi_dhcp_address")
    ssh: Literal["on", "off"] | None = Field(None, alias="esxi_ssh")
    rehearsal_model: Literal["GB-XM11-3337", "GB-BRi7-8550"] = Field("GB-BRi7-8550", alias="rehearsal_model")
    rehearsal_disk: Literal["empty", "vmfs", "foreign"] = Field("empty", alias="rehearsal_disk")


class Vcenter(Listed):
    """An optional vCenter."""

    address: IPv4Address = Field(alias="ansible_host")
    user: str = Field("administrator@vsphere.local", alias="ansible_user")
    password: SecretStr = Field(alias="ansible_password")
    api_port: Port = Field(443, alias="vsphere_port")
    datacenter: str = Field("homelab", alias="vcenter_datacenter")
    cluster: str = Field("homelab", alias="vcenter_cluster")


class NfsServer(Listed):
    """The NAS. `server` and `export` reach every host as the same bytes: ESXi tells datastores apart by them."""

    server: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+$")] = Field(alias="ansible_host")
    export: Annotated[str, StringConstraints(pattern=r"^/([^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?)?$")] = (
        Field(alias="nfs_export")
    )
    datastore: DatastoreName = Field(alias="nfs_datastore")
    version: Literal["3", "4.1"] = Field("3", alias="nfs_version")
    user: str | None = Field(None, alias="ansible_user", min_length=1)
    managed: bool = Field(False, alias="nfs_managed")
    server_kind: Literal["auto", "kernel", "ganesha"] = Field("auto", alias="nfs_server_kind")


class Vm(Listed):
    """One VM of the inventory, sizes in MiB and GiB; `host` and `mac` unset are decided by the plan."""

    address: IPv4Address = Field(alias="ansible_host")
    host: InventoryName | None = Field(None, alias="vm_host")
    datastore: DatastoreName | None = Field(None, alias="vm_datastore")
    cpus: int = Field(2, alias="vm_cpus", ge=1)
    memory_mib: int = Field(4096, alias="vm_memory_mib", ge=256, multiple_of=4)
    disk_gib: int = Field(20, alias="vm_disk_gib", ge=1)
    network: str = Field("VM Network", alias="vm_network", min_length=1)
    mac: MacAddress | None = Field(None, alias="vm_mac")
    clone: Literal["thin", "linked"] = Field("thin", alias="vm_clone")
    managed: bool = Field(True, alias="vm_managed")
    autostart: bool = Field(True, alias="vm_autostart")
    # What a command wants of it; no variable of the inventory, which wants every VM on.
    wanted: Wanted = "on"


class ControlPlane(Vm):
    """A VM that runs an API server."""

    weight: int = Field(1, alias="load_balancer_weight", ge=1, le=256)


class Worker(Vm):
    """A VM that runs workloads."""


class Pool(Model):
    """A further pool behind the balancers."""

    name: HostName
    port: Port
    layer: Literal[3, 4, 7] = 4
    path: Annotated[str, StringConstraints(pattern=r"^(/|(/[A-Za-z0-9._~-]+)+/?)$", max_length=200)] | None = None
    tls: StrictBool = False
    members: tuple[str, ...] = Field(min_length=1)
    weights: tuple[Annotated[int, Field(ge=0, le=256)], ...] = ()
    server_port: Port | None = None
    check: Annotated[str, StringConstraints(pattern=r"^(connect|ping|/[A-Za-z0-9._~/-]{0,200})$")] = "connect"


class LoadBalancer(Vm):
    """A VM that balances the API servers."""

    kind: Literal["haproxy", "nginx", "nftables"] = Field("haproxy", alias="load_balancer_kind")
    layer: Literal[3, 4, 7] = Field(4, alias="load_balancer_layer")
    algorithm: Literal["leastconn", "roundrobin", "weighted"] = Field("leastconn", alias="load_balancer_algorithm")
    pools: tuple[Pool, ...] = Field((), alias="load_balancer_pools")
    ca_file: str | None = Field(None, alias="load_balancer_ca_file")
    certificate_file: str | None = Field(None, alias="load_balancer_certificate_file")
    client_certificate_file: str | None = Field(None, alias="load_balancer_client_certificate_file")
    stats_network: IPv4Network = Field(IPv4Network("127.0.0.0/8"), alias="load_balancer_stats_network")
    # Defaults of the roles that an inventory may override, under the roles' own names.
    server_port: Port = Field(6443, alias="haproxy_server_port")
    status_port: Port = Field(8404, alias="haproxy_status_port")
    interface: Annotated[str, StringConstraints(pattern=r"^[^\s/]{1,15}$")] | None = Field(
        None, alias="keepalived_interface"
    )
    router_id: int | None = Field(None, alias="keepalived_router_id", ge=1, le=255)


class Lab(Model):
    """The whole lab. Tuples keep the inventory's order; every name in it is unique."""

    name: HostName = Field(alias="lab_name")
    domain: DomainName = Field(alias="lab_domain")
    network: IPv4Network = Field(alias="lab_network")
    gateway: IPv4Address = Field(alias="lab_gateway")
    nameservers: tuple[IPv4Address, ...] = Field((), alias="lab_nameservers")
    ntp_servers: tuple[str, ...] = Field((), alias="lab_ntp_servers")
    api: Api
    image: Image
    guests: Guests
    kubernetes: Kubernetes
    esxi: tuple[EsxiHost, ...] = ()
    vcenter: tuple[Vcenter, ...] = ()
    nfs: tuple[NfsServer, ...] = ()
    control_plane: tuple[ControlPlane, ...] = ()
    load_balancers: tuple[LoadBalancer, ...] = ()
    workers: tuple[Worker, ...] = ()

    @property
    def vms(self) -> tuple[Vm, ...]:
        """All VMs: control planes, load balancers, workers."""
        return (*self.control_plane, *self.load_balancers, *self.workers)

    @property
    def nodes(self) -> tuple[Vm, ...]:
        """The nodes of the cluster: control planes, then workers."""
        return (*self.control_plane, *self.workers)

    def pod_subnet(self, vm: Vm) -> IPv4Network:
        """The subnet of a node's pods: the /24 of the pods' network that the host part of its address counts to."""
        network = self.kubernetes.pod_network
        number = int(vm.address) & int(self.network.hostmask)
        return IPv4Network((int(network.network_address) + number % pod_subnets(network) * SUBNET_SIZE, 24))

    @property
    def api_name(self) -> str:
        """The name of the API: `api_name`, or `api.` before the lab's domain."""
        return self.api.name or f"api.{self.domain}"

    def host(self, name: str) -> EsxiHost:
        """The ESXi host of that name; KeyError when there is none."""
        return _by_name(self.esxi, name)

    def vm(self, name: str) -> Vm:
        """The VM of that name; KeyError when there is none."""
        return _by_name(self.vms, name)

    def wanting(self, wanted: Wanted, names: Collection[str]) -> "Lab":
        """The same lab, in which the VMs of those names are wanted on, off or absent."""
        changed = {
            group: tuple(
                vm.model_copy(update={"wanted": wanted}) if vm.name in names else vm for vm in getattr(self, group)
            )
            for group in ("control_plane", "load_balancers", "workers")
        }
        return self.model_copy(update=changed)

    def datastore_of(self, vm: Vm) -> str:
        """The datastore that holds a VM: its own choice, or the NFS datastore."""
        return vm.datastore or self.nfs[0].datastore

    def is_local(self, vm: Vm) -> bool:
        """Whether the datastore of a VM is a host's own."""
        return self.datastore_of(vm) not in [nas.datastore for nas in self.nfs]

    def hosts_for(self, vm: Vm) -> tuple[EsxiHost, ...]:
        """The hosts that a VM may be made on: `vm_host`, else all that have its datastore."""
        own = [host for host in self.esxi if vm.host in (None, host.name)]
        return tuple(host for host in own if not self.is_local(vm) or host.local_datastore == vm.datastore)


def lone_host(address: IPv4Address, user: str, password: str) -> Lab:
    """A lab of one ESXi host that no inventory knows, named by its address.

    It has what the steps that touch hosts read, and no more: no network of its own, no API, no image.
    """
    host = EsxiHost(name="host", address=address, user=user, password=SecretStr(password))
    named = host.model_copy(update={"name": str(address)})
    return no_lab().model_copy(update={"esxi": (named,)})


def no_lab() -> Lab:
    """The lab of what needs no inventory: nothing in it is known."""
    return Lab.model_construct(name="homelab", domain="")  # type: ignore[call-arg]


@dataclass(frozen=True)
class Machine:
    """How one machine of the lab is reached: over TLS at `api_port`, if at all, and over SSH at `ssh_port`."""

    name: str
    address: str
    api_port: int | None
    ssh_port: int = 22

    @property
    def place(self) -> str | None:
        """ADDRESS:PORT of its API."""
        return f"{self.address}:{self.api_port}" if self.api_port else None


def machines(lab: Lab) -> list[Machine]:
    """Every machine that is spoken to: hosts, vCenter, NAS, VMs."""
    return [
        *(Machine(host.name, str(host.address), host.api_port, host.ssh_port) for host in lab.esxi),
        *(Machine(vcenter.name, str(vcenter.address), vcenter.api_port) for vcenter in lab.vcenter),
        *(Machine(nas.name, nas.server, None) for nas in lab.nfs),
        *(Machine(vm.name, str(vm.address), None) for vm in lab.vms),
    ]


# Addresses of a /24, which is what Kubernetes itself gives a node.
SUBNET_SIZE = 256


def pod_subnets(network: IPv4Network) -> int:
    """How many nodes' pods a network has room for; one that is smaller than a /24 has none."""
    return network.num_addresses // SUBNET_SIZE


Named = TypeVar("Named", EsxiHost, Vm)


def short_name(name: str) -> str:
    """The first label in small letters: DNS does not tell capitals apart (RFC 4343), and file systems may."""
    return name.partition(".")[0].lower()


def meant(typed: str, names: Iterable[str]) -> str | None:
    """Which of these names of the inventory somebody means: whole, or by its first label; capitals do not matter.

    None when it is none of them, or could be several.
    """
    known = dict.fromkeys(names)
    if typed in known:
        return typed
    whole = [name for name in known if name.lower() == typed.lower()]
    found = whole or [name for name in known if short_name(name) == typed.lower()]
    return found[0] if len(found) == 1 else None


def _by_name(items: tuple[Named, ...], name: str) -> Named:
    for item in items:
        if item.name == name:
            return item
    raise KeyError(name)
