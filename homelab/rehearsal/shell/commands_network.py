"""The esxcli commands about the management network, the host's names and its firewall, each named after its path."""

from ipaddress import IPv4Address, IPv4Interface

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.host.network import interface, is_address
from homelab.rehearsal.shell.answers import Failure, table
from homelab.rehearsal.shell.layouts import Block, Blocks, Output, Value

VMK = "vmk0"


def network_ip_interface_list(host: Host) -> Output:
    """The VMkernel interfaces: the one of the management network."""
    network = host.settings.network
    fields: dict[str, Value] = {
        "Name": VMK,
        "MAC Address": host.nics[0].mac,
        "Enabled": True,
        "Portset": host.settings.switch_of(network.port_group),
        "Portgroup": network.port_group,
        "Netstack Instance": "defaultTcpipStack",
        "VDS Name": "N/A",
        "VDS UUID": "N/A",
        "VDS Port": "N/A",
        "VDS Connection": -1,
        "Opaque Network ID": "N/A",
        "Opaque Network Type": "N/A",
        "External ID": "N/A",
        "MTU": network.mtu,
        "TSO MSS": 65535,
        "Port ID": 33554434,
    }
    return Blocks("NetworkInterface", (Block(fields, VMK),))


def network_ip_interface_ipv4_get(host: Host, interface_name: str | None = None) -> Output:
    """The management address."""
    _vmk(interface_name)
    network = host.settings.network
    address = IPv4Interface(f"{network.address}/{network.netmask}")
    columns = ("Name", "IPv4 Address", "IPv4 Netmask", "IPv4 Broadcast", "Address Type", "Gateway", "DHCP DNS")
    row = (
        VMK,
        network.address,
        network.netmask,
        str(address.network.broadcast_address),
        "DHCP" if network.dhcp else "STATIC",
        network.gateway or "0.0.0.0",
        network.dns_dhcp,
    )
    return table("IPv4Interface", columns, (row,))


def network_ip_interface_ipv4_set(
    host: Host,
    interface_name: str,
    type: str,
    ipv4: str | None = None,
    netmask: str | None = None,
    gateway: str | None = None,
    peer_dns: bool | None = None,
) -> Output:
    """Give the management interface an address: the host moves, and the connection to the old one is cut."""
    _vmk(interface_name)
    if type not in ("dhcp", "static"):
        raise Failure(f"Invalid type '{type}' (simulated: dhcp, static)")
    if type == "static" and not (ipv4 and netmask):
        raise Failure("An address and a netmask are wanted for the type static")
    if peer_dns is not None:
        before = host.settings.network
        host.network.set_dns(dhcp=peer_dns, servers=before.dns_servers, search=before.search_domains)
    # First: behind the move nobody hears of a mistake.
    if type == "static":
        lan = interface(ipv4, netmask).network
        if gateway and (not is_address(gateway) or IPv4Address(gateway) not in lan):
            raise Failure(f"The gateway {gateway} is not on the network of {ipv4}")
    host.network.set_address(dhcp=type == "dhcp", address=ipv4, netmask=netmask)
    if gateway:
        host.network.set_gateway(gateway)
    return None


def network_ip_dns_server_list(host: Host) -> Output:
    """The name servers."""
    return Blocks("DNSServers", (Block({"DNSServers": ", ".join(host.settings.network.dns_servers)}),), single=True)


def network_ip_dns_server_add(host: Host, server: str) -> Output:
    """One more name server; with it they come from DHCP no more."""
    known = [one for one in host.settings.network.dns_servers if one != server]
    host.network.set_dns(dhcp=False, servers=[*known, server], search=host.settings.network.search_domains)
    return None


def network_ip_dns_server_remove(host: Host, server: str | None = None, all: bool = False) -> Output:
    """One name server less, or all."""
    left = _without(host.settings.network.dns_servers, server, all, "DNS server")
    host.network.set_dns(dhcp=False, servers=left, search=host.settings.network.search_domains)
    return None


def network_ip_dns_search_list(host: Host) -> Output:
    """The domains in which short names are looked for."""
    fields = {"DNSSearch Domains": ", ".join(host.settings.network.search_domains)}
    return Blocks("DNSSearchDomains", (Block(fields),), single=True)


def network_ip_dns_search_add(host: Host, domain: str) -> Output:
    """One more domain."""
    known = [one for one in host.settings.network.search_domains if one != domain]
    host.network.set_dns(dhcp=False, servers=host.settings.network.dns_servers, search=[*known, domain])
    return None


def network_ip_dns_search_remove(host: Host, domain: str) -> Output:
    """One domain less."""
    left = _without(host.settings.network.search_domains, domain, False, "search domain")
    host.network.set_dns(dhcp=False, servers=host.settings.network.dns_servers, search=left)
    return None


def network_ip_route_ipv4_list(host: Host) -> Output:
    """The way out, and the LAN itself."""
    network = host.settings.network
    lan = IPv4Interface(f"{network.address}/{network.netmask}").network
    source = "DHCP" if network.dhcp else "MANUAL"
    ways = [("default", "0.0.0.0", network.gateway, VMK, source)] if network.gateway else []
    rows = (*ways, (str(lan.network_address), str(lan.netmask), "0.0.0.0", VMK, "MANUAL"))
    return table("IPv4Route", ("Network", "Netmask", "Gateway", "Interface", "Source"), rows)


def network_ip_route_ipv4_add(host: Host, network: str, gateway: str) -> Output:
    """Set the way out."""
    if network != "default":
        raise Failure("Only the default route is simulated")
    host.network.set_gateway(gateway)
    return None


def system_hostname_get(host: Host) -> Output:
    """The host's names."""
    network = host.settings.network
    fields = {
        "Domain Name": network.domain_name,
        "Fully Qualified Domain Name": network.full_name,
        "Host Name": network.host_name,
    }
    return Blocks("FullyQualifiedHostName", (Block(fields),), single=True)


def system_hostname_set(
    host: Host, host_: str | None = None, domain: str | None = None, fqdn: str | None = None
) -> Output:
    """Set the host's name, its domain, or both at once."""
    if (fqdn is None) == (host_ is None and domain is None):
        raise Failure("Either --fqdn or --host and --domain are wanted")
    if fqdn is not None:
        host_, _, domain = fqdn.partition(".")
    host.network.set_names(host_name=host_, domain_name=domain)
    return None


def _vmk(name: str | None) -> None:
    if name not in (None, VMK):
        raise Failure(f"Unable to find vmknic {name}")


def _without(known: list[str], one: str | None, every: bool, what: str) -> list[str]:
    if every:
        return []
    if one not in known:
        raise Failure(f"Unable to find the {what} {one}")
    return [other for other in known if other != one]


def network_firewall_ruleset_list(host: Host, ruleset_id: str | None = None) -> Output:
    """Which rulesets are open; nfsClient opens by itself with the first NFS datastore."""
    rows = tuple((name, is_open) for name, is_open in _rulesets(host).items() if ruleset_id in (None, name))
    if not rows:
        raise Failure(f"Unable to find a firewall ruleset with the id {ruleset_id}")
    return table("Ruleset", ("Name", "Enabled"), rows)


def network_firewall_ruleset_set(host: Host, ruleset_id: str, enabled: bool) -> Output:
    """Open or close a ruleset."""
    if ruleset_id not in _rulesets(host):
        raise Failure(f"Unable to find a firewall ruleset with the id {ruleset_id}")
    host.rulesets[ruleset_id] = enabled
    host.touch()
    return None


def network_firewall_ruleset_allowedip_list(host: Host, ruleset_id: str | None = None) -> Output:
    """Whom each ruleset lets through."""
    rows = []
    for name in (name for name in host.rulesets if ruleset_id in (None, name)):
        allowed = host.settings.allowed_hosts.get(name)
        rows.append((name, (*allowed.addresses, *allowed.networks) if allowed else ("All",)))
    if not rows:
        raise Failure(f"Unable to find a firewall ruleset with the id {ruleset_id}")
    return table("FirewallRulesetAllowedip", ("Ruleset", "Allowed IP Addresses"), tuple(rows))


def network_firewall_get(host: Host) -> Output:
    """Whether the firewall is on: always, and what no ruleset opens is dropped."""
    fields: dict[str, Value] = {"Default Action": "DROP", "Enabled": True, "Loaded": True}
    return Blocks("Firewall", (Block(fields),), single=True)


def network_firewall_refresh(host: Host) -> Output:
    """Let the firewall read its rules again: it has them at once here."""
    return None


def _rulesets(host: Host) -> dict[str, bool]:
    nfs = any(mount.kind == "NFS" for mount in host.datastores.nas_mounts())
    return {name: is_open or (name == "nfsClient" and nfs) for name, is_open in host.rulesets.items()}


def network_vswitch_standard_portgroup_list(host: Host) -> Output:
    """The port groups of standard switches."""
    rows = tuple(
        (name, host.settings.switch_of(name), _clients(host, name), vlan)
        for name, vlan in host.network.port_groups.items()
    )
    return table("PortGroup", ("Name", "Virtual Switch", "Active Clients", "VLAN ID"), rows)


def network_vswitch_standard_portgroup_add(host: Host, portgroup_name: str, vswitch_name: str) -> Output:
    """Add a port group, on no VLAN."""
    host.network.add_port_group(portgroup_name, vswitch_name)
    return None


def network_vswitch_standard_portgroup_set(host: Host, portgroup_name: str, vlan_id: int) -> Output:
    """Put a port group on a VLAN."""
    host.network.set_vlan(portgroup_name, vlan_id)
    return None


def network_vswitch_standard_portgroup_remove(host: Host, portgroup_name: str, vswitch_name: str) -> Output:
    """Remove a port group."""
    if host.settings.switch_of(portgroup_name) != vswitch_name:
        raise Failure(f"Unable to find portgroup {portgroup_name} on {vswitch_name}")
    host.network.remove_port_group(portgroup_name)
    return None


def _clients(host: Host, name: str) -> int:
    running = [nic for vm in host.registered_vms.values() if vm.powered_on for nic in vm.nics if nic.network == name]
    return len(running) + (name == host.network.vmk_port_group)
