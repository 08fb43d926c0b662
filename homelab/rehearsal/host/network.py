"""The management network of one simulated host: its address, its names, DNS and the way out. Knows no protocol."""

import threading
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from homelab.rehearsal.host.parts import Vm
from homelab.rehearsal.host.refusals import AlreadyExists, InvalidArgument, NotFound, ResourceInUse
from homelab.rehearsal.host.settings import NetworkSettings, Settings

MANAGEMENT = "Management Network"
MAX_VLAN = 4095


class NetworkActions:
    """What a host can do about vmk0; `Host` inherits it. `on_move` is called when the address is another one."""

    lock: threading.RLock
    settings: Settings
    port_groups: dict[str, int]
    vms: dict[str, Vm]
    lease: str
    on_move: Callable[[], None]

    def touch(self, *, dirty: bool = True) -> None:
        """Say that something changed."""
        raise NotImplementedError

    @property
    def network(self) -> NetworkSettings:
        """What is configured."""
        return self.settings.network

    @property
    def address(self) -> str:
        """Where the host answers."""
        return self.settings.network.address

    @property
    def management_uplinks(self) -> list[str]:
        """The NICs that carry the management network: the uplinks of its switch."""
        return self.settings.switches.get(self.settings.switch_of(MANAGEMENT), [])

    @property
    def host_name(self) -> str:
        """Its own name for itself, with its domain where it has one."""
        return self.settings.network.full_name

    def add_port_group(self, name: str, switch: str, vlan: int = 0) -> None:
        """Add a port group; AlreadyExists, NotFound for its switch, InvalidArgument for its VLAN."""
        with self.lock:
            if name in self.port_groups:
                raise AlreadyExists(f"The name '{name}' already exists.", name=name)
            if switch not in self.settings.switches:
                raise NotFound(f"The switch {switch} could not be found.")
            _check_vlan(vlan)
            self.port_groups[name] = vlan
            self.settings.group_switch[name] = switch
            self.touch()

    def set_vlan(self, name: str, vlan: int) -> None:
        """Put a port group on a VLAN; NotFound, InvalidArgument."""
        with self.lock:
            if name not in self.port_groups:
                raise NotFound(f"The port group {name} could not be found.")
            _check_vlan(vlan)
            self.port_groups[name] = vlan
            self.touch()

    def remove_port_group(self, name: str) -> None:
        """Remove a port group; NotFound, and ResourceInUse while a VM or the management is on it."""
        with self.lock:
            if name not in self.port_groups:
                raise NotFound(f"The port group {name} could not be found.")
            if name == MANAGEMENT or any(nic.network == name for vm in self.vms.values() for nic in vm.nics):
                raise ResourceInUse(f"The resource '{name}' is in use.", name=name)
            del self.port_groups[name]
            self.settings.group_switch.pop(name, None)
            self.touch()

    def set_address(self, *, dhcp: bool, address: str | None = None, netmask: str | None = None) -> None:
        """Give vmk0 an address: the DHCP server's, or this one; InvalidArgument when it is none of a LAN."""
        with self.lock:
            network = self.network
            before = network.address
            if not dhcp:
                wanted = interface(address, netmask or network.netmask)
                network.address, network.netmask = str(wanted.ip), str(wanted.netmask)
            else:
                network.address = self.lease
            network.dhcp = dhcp
            self.touch()
            if network.address != before:
                self.on_move()

    def set_gateway(self, gateway: str) -> None:
        """The way out; InvalidArgument when it is not on the LAN of vmk0."""
        with self.lock:
            lan = interface(self.address, self.network.netmask).network
            if gateway and (not is_address(gateway) or IPv4Address(gateway) not in lan):
                raise _wrong("defaultGateway")
            self.network.gateway = gateway
            self.touch()

    def set_names(self, *, host_name: str | None = None, domain_name: str | None = None) -> None:
        """The host's name, and its domain; InvalidArgument for a name with a dot, or none."""
        with self.lock:
            if host_name is not None:
                if not host_name or "." in host_name:
                    raise _wrong("hostName")
                self.network.host_name = host_name
            if domain_name is not None:
                self.network.domain_name = domain_name
            self.touch()

    def set_dns(self, *, dhcp: bool, servers: list[str], search: list[str]) -> None:
        """The name servers and search domains; InvalidArgument for a server that is no address."""
        with self.lock:
            if not all(map(is_address, servers)):
                raise _wrong("address")
            self.network.dns_dhcp = dhcp
            if not dhcp:
                self.network.dns_servers, self.network.search_domains = servers, search
            self.touch()


def interface(address: str | None, netmask: str | None) -> IPv4Interface:
    """An address with its netmask; InvalidArgument where they are none, or not a host's."""
    try:
        found = IPv4Interface(f"{address}/{netmask}")
    except ValueError:
        raise _wrong("ipAddress") from None
    if found.ip in (found.network.network_address, found.network.broadcast_address) or found.ip.is_unspecified:
        raise _wrong("ipAddress")
    return found


def is_address(text: str) -> bool:
    """Whether a text is an IPv4 address."""
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def installed(name: str, address: str, lan: IPv4Network, gateway: str, dns: list[str], domain: str) -> NetworkSettings:
    """The network of a host that was installed with an address of its own."""
    return NetworkSettings(
        address,
        netmask=str(lan.netmask),
        gateway=gateway,
        host_name=name,
        domain_name=domain,
        dns_servers=list(dns),
        search_domains=[domain] if domain else [],
    )


def leased(address: str, lan: IPv4Network, gateway: str, dns: list[str]) -> NetworkSettings:
    """The network of a host that nobody told anything: all from a DHCP server, and no name."""
    mask, servers = str(lan.netmask), list(dns)
    return NetworkSettings(address, dhcp=True, netmask=mask, gateway=gateway, dns_dhcp=True, dns_servers=servers)


def _wrong(what: str) -> InvalidArgument:
    return InvalidArgument(f"A specified parameter was not correct: {what}", invalidProperty=what)


def _check_vlan(vlan: int) -> None:
    if not 0 <= vlan <= MAX_VLAN:
        raise _wrong("vlanId")
