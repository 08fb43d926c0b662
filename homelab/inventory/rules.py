"""What must hold across hosts: addresses, networks, names and groups that fit together. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from itertools import combinations
from typing import Any

from homelab.errors import Mistake
from homelab.inventory import balancers, names
from homelab.inventory.facts import VMS, Facts
from homelab.lab import pod_subnets


def check(facts: Facts) -> list[Mistake]:
    """Every mistake that shows only when hosts are looked at together."""
    return [replace(mistake, kind=kind) for one, kind in CHECKS.items() for mistake in one(facts)]


def advise(facts: Facts) -> list[Mistake]:
    """What works, but hardly as it was meant."""
    return [replace(mistake, kind=kind) for one, kind in ADVICE.items() for mistake in one(facts)]


def majority(facts: Facts) -> Iterator[Mistake]:
    """An even number of control planes survives no more than the odd one below."""
    count = len(facts.of("control_plane"))
    if count and count % 2 == 0:
        what = f"{count} control planes survive no more failures than {count - 1}"
        fix = f"make them {count - 1} or {count + 1}: etcd needs a majority"
        yield Mistake(facts.where(facts.of("control_plane")[-1].name, ""), what, fix)


def one_group(facts: Facts) -> Iterator[Mistake]:
    """A host has one part to play."""
    first: dict[str, str] = {}
    for host in facts.hosts:
        if host.name in first:
            what = f"{host.name} is in the groups {first[host.name]} and {host.group}"
            yield Mistake(facts.where(host.name, ""), what, "leave it in one of them")
        first.setdefault(host.name, host.group)


def addresses(facts: Facts) -> Iterator[Mistake]:
    """No address is used twice."""
    yield from _unique(facts, "ansible_host", "address")


def macs(facts: Facts) -> Iterator[Mistake]:
    """No MAC is used twice."""
    yield from _unique(facts, "vm_mac", "MAC")


def _unique(facts: Facts, variable: str, noun: str) -> Iterator[Mistake]:
    owners: dict[str, str] = {}
    for host in facts.hosts:
        value = host.values.get(variable)
        # Loopback is a rehearsal without a network of its own: there the port tells hosts apart.
        if not isinstance(value, str) or value.startswith("127."):
            continue
        other = owners.setdefault(value.lower(), host.name)
        if other != host.name:
            what = f"{value} is the {noun} of {host.name} and of {other} ({facts.where(other, variable)})"
            yield Mistake(facts.where(host.name, variable), what, f"give one of them another {noun}")


def mask(facts: Facts) -> Iterator[Mistake]:
    """A network without its mask is one address: everybody would be outside of it."""
    network = _network(facts.lab.get("lab_network"))
    if network and network.prefixlen > 30:
        what = f"lab_network: {facts.lab['lab_network']} has room for nobody"
        wide = IPv4Network((network.network_address, 24), strict=False)
        yield Mistake(facts.where(None, "lab_network"), what, f"write it with its mask, such as {wide}")


def lan(facts: Facts) -> Iterator[Mistake]:
    """VMs and the gateway lie inside the LAN: a VM gets its address, and with it the LAN's mask and gateway."""
    network, gateway = _lan(facts), _address(facts.lab.get("lab_gateway"))
    if network is None:
        return
    if gateway and gateway not in network:
        what = f"lab_gateway: {gateway} is not in lab_network {network}"
        yield Mistake(
            facts.where(None, "lab_gateway"), what, "write an address of that network, or correct the network"
        )
    for host in facts.of(*VMS):
        address = _address(host.values.get("ansible_host"))
        if address and not address.is_loopback and not _usable(address, network):
            what = f"ansible_host: {address} of {host.name} is not a host's address in lab_network {network}"
            yield Mistake(facts.where(host.name, "ansible_host"), what, "write a free address of that network")


def outside(facts: Facts) -> Iterator[Mistake]:
    """ESXi hosts and a vCenter may lie behind a router, but rarely do."""
    network = _lan(facts)
    for host in facts.of("esxi", "vcenter"):
        address = _address(host.values.get("ansible_host"))
        if network and address and not address.is_loopback and address not in network:
            what = f"ansible_host: {address} of {host.name} is outside of lab_network {network}"
            yield Mistake(facts.where(host.name, "ansible_host"), what, "correct it, unless a router leads there")


def virtual_address(facts: Facts) -> Iterator[Mistake]:
    """The VIP is a free address of the LAN."""
    vip, network = _address(facts.lab.get("api_vip")), _lan(facts)
    if vip is None:
        return
    where = facts.where(None, "api_vip")
    if network and not _usable(vip, network):
        what = f"api_vip: {vip} is not a host's address in lab_network {network}"
        yield Mistake(where, what, "write a free address of that network")
    if vip == _address(facts.lab.get("lab_gateway")):
        what = f"api_vip: {vip} is the gateway's address ({facts.where(None, 'lab_gateway')})"
        yield Mistake(where, what, "write an address that nobody has")
    for host in facts.hosts:
        if vip == _address(host.values.get("ansible_host")):
            what = f"api_vip: {vip} is the address of {host.name} ({facts.where(host.name, 'ansible_host')})"
            yield Mistake(where, what, "write an address that nobody has")


def networks(facts: Facts) -> Iterator[Mistake]:
    """The LAN, the pods' and the services' networks do not overlap."""
    names = ("lab_network", "kubernetes_pod_network", "kubernetes_service_network")
    found = {name: network for name in names if (network := _network(facts.lab.get(name)))}
    for (one, first), (other, second) in combinations(found.items(), 2):
        if first.overlaps(second):
            here, there = facts.where(None, other), facts.where(None, one)
            if not here:  # a default: the one that is written down has to give way
                here, there, one, other, first, second = there, "", other, one, second, first
            what = f"{other}: {second} overlaps {one} {first} ({there or 'its default'})"
            yield Mistake(here, what, "write another private network, such as 10.32.0.0/16")


def pod_networks(facts: Facts) -> Iterator[Mistake]:
    """With `kubernetes_cni: routes` the host part of a node's address chooses its pods' subnet; no two are the same."""
    lan, pods = (_network(facts.lab.get(name)) for name in ("lab_network", "kubernetes_pod_network"))
    if lan is None or pods is None or facts.lab.get("kubernetes_cni", "routes") != "routes":
        return
    where = facts.where(None, "kubernetes_pod_network") or facts.where(None, "lab_network")
    if not (count := pod_subnets(pods)):
        what = f"kubernetes_pod_network: {pods} is smaller than the /24 that the pods of one node need"
        yield Mistake(where, what, "write a /16, such as 10.244.0.0/16")
        return
    owners: dict[int, str] = {}
    for host in facts.of("control_plane", "workers"):
        address = _address(host.values.get("ansible_host"))
        if address is None or address not in lan:
            continue
        number = (int(address) & int(lan.hostmask)) % count
        other = owners.setdefault(number, host.name)
        if other != host.name:
            what = f"ansible_host: the pods of {host.name} would have the same subnet of {pods} as those of {other}"
            fix = f"give it another address, or write a kubernetes_pod_network of at least {lan.num_addresses} /24"
            yield Mistake(facts.where(host.name, "ansible_host"), what, fix)


def hosted(facts: Facts) -> Iterator[Mistake]:
    """VMs that are to be made need a host."""
    made = [vm for vm in facts.of(*VMS) if vm.values.get("vm_managed") is not False]
    if made and not facts.of("esxi"):
        what = f"{', '.join(vm.name for vm in made)} cannot be made, for the group esxi is empty"
        fix = "add the ESXi hosts to the group esxi, or write vm_managed: false where a machine exists already"
        yield Mistake(facts.where(made[0].name, ""), what, fix)


def placed(facts: Facts) -> Iterator[Mistake]:
    """A VM's host is one of the ESXi hosts."""
    hosts = [host.name for host in facts.of("esxi")]
    for vm in facts.of(*VMS):
        wanted = vm.values.get("vm_host")
        if isinstance(wanted, str) and wanted not in hosts:
            what = f"vm_host: {wanted} is not an ESXi host of the inventory"
            yield Mistake(facts.where(vm.name, "vm_host"), what, _choice(wanted, hosts))


def datastores(facts: Facts) -> Iterator[Mistake]:
    """Every VM has a datastore that its host can see."""
    shared = [host.values["nfs_datastore"] for host in facts.of("nfs") if "nfs_datastore" in host.values]
    for vm in facts.of(*VMS):
        wanted, on = vm.values.get("vm_datastore"), vm.values.get("vm_host")
        hosts = [host for host in facts.of("esxi") if on in (None, host.name)]
        local = [str(host.values["esxi_local_datastore"]) for host in hosts if host.values.get("esxi_local_datastore")]
        if wanted is None and not facts.of("nfs"):
            what = f"{vm.name} has no datastore, for the group nfs is empty"
            yield Mistake(facts.where(vm.name, ""), what, "add the NAS to the group nfs, or write vm_datastore")
        elif isinstance(wanted, str) and wanted not in (*shared, *local):
            what = f"vm_datastore: {wanted} is neither the NFS datastore nor an esxi_local_datastore" + (
                f" of {on}" if on else ""
            )
            yield Mistake(facts.where(vm.name, "vm_datastore"), what, _choice(wanted, [*shared, *local]))


def linked(facts: Facts) -> Iterator[Mistake]:
    """A linked VM lies on the NFS datastore, where its base is."""
    shared = [host.values.get("nfs_datastore") for host in facts.of("nfs")]
    for vm in facts.of(*VMS):
        wanted = vm.values.get("vm_datastore")
        if vm.values.get("vm_clone") == "linked" and wanted is not None and wanted not in shared:
            what = f"vm_clone: the disk of {vm.name} cannot be linked on {wanted}, for bases lie on the NFS datastore"
            fix = "delete vm_datastore, or write vm_clone: thin"
            yield Mistake(facts.where(vm.name, "vm_clone"), what, fix)


def managed_export(facts: Facts) -> Iterator[Mistake]:
    """A NAS that is ours to lay down gets a plain path: the files of NFS servers quote blanks each in their own way."""
    for host in facts.of("nfs"):
        export = host.values.get("nfs_export")
        if host.values.get("nfs_managed") is True and isinstance(export, str) and " " in export:
            what = f"nfs_export: {export} has a blank, and {host.name} is to be laid down by homelab"
            yield Mistake(facts.where(host.name, "nfs_export"), what, "write a path without blanks")


def one_nas(facts: Facts) -> Iterator[Mistake]:
    """The lab mounts one NFS export; its name is not that of a local datastore."""
    servers = facts.of("nfs")
    for extra in servers[1:]:
        what = f"{extra.name} is a second host in the group nfs, beside {servers[0].name}"
        yield Mistake(facts.where(extra.name, ""), what, "leave one of them in the group")
    for server in servers[:1]:
        for host in facts.of("esxi"):
            name = host.values.get("esxi_local_datastore")
            if name is not None and name == server.values.get("nfs_datastore"):
                what = f"esxi_local_datastore: {name} is the name of the NFS datastore too"
                yield Mistake(facts.where(host.name, "esxi_local_datastore"), what, "give it another name")


def _choice(wanted: str, names: Sequence[str]) -> str:
    close = get_close_matches(wanted, names, 1, 0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"choose from: {', '.join(dict.fromkeys(names))}" if names else "delete the line"


def _lan(facts: Facts) -> IPv4Network | None:
    """The LAN, where hosts have room in it."""
    network = _network(facts.lab.get("lab_network"))
    return network if network and network.prefixlen <= 30 else None


def _usable(address: IPv4Address, network: IPv4Network) -> bool:
    return address in network and address not in (network.network_address, network.broadcast_address)


def _address(value: Any) -> IPv4Address | None:
    try:
        return IPv4Address(value) if isinstance(value, str) else None
    except AddressValueError:
        return None


def _network(value: Any) -> IPv4Network | None:
    try:
        return IPv4Network(value, strict=False) if isinstance(value, str) else None
    except (AddressValueError, NetmaskValueError, ValueError):
        return None


# Each rule, and the heading of docs/reference/mistakes.md that tells of it.
CHECKS: dict[Callable[[Facts], Iterator[Mistake]], str] = {
    one_group: "a-host-in-two-groups",
    names.address_as_name: "names",
    names.same_short_name: "names",
    names.name_of_the_api: "names",
    addresses: "an-address-twice",
    macs: "macs",
    mask: "addresses-and-networks",
    lan: "outside-of-the-lan",
    virtual_address: "the-virtual-address",
    networks: "networks-that-overlap",
    pod_networks: "networks-that-overlap",
    hosted: "vms-without-a-host",
    placed: "vms-without-a-host",
    datastores: "datastores",
    linked: "datastores",
    balancers.cells: "balancers",
    balancers.pools: "pools",
    one_nas: "the-nas",
    managed_export: "the-nas",
}
ADVICE: dict[Callable[[Facts], Iterator[Mistake]], str] = {
    outside: "outside-of-the-lan",
    names.other_domain: "names",
    majority: "an-even-number-of-control-planes",
}
