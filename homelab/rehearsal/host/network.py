"""The network of one simulated host: port groups, its address, its names, DNS and the way out. Knows no protocol."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.refusals import AlreadyExists, InvalidArgument, NotFound, ResourceInUse
from homelab.rehearsal.state.settings import NetworkSettings

MANAGEMENT = "Management Network"
MAX_VLAN = 4095


def _nothing() -> None:
    return None


class HostNetwork:
    """Port groups and vmk0. `lease` is the address that the DHCP server gives; `on_move` is called at another one."""

    def __init__(self, state: HostState, lease: str) -> None:
        self._state, self.lease = state, lease
        self.port_groups = {"VM Network": 0, MANAGEMENT: 0}
        self.on_move: Callable[[], None] = _nothing

    @property
    def vm_port_groups(self) -> list[str]:
        """The port groups that VMs can use: all but the one of vmk0."""
        return [name for name in self.port_groups if name != MANAGEMENT]

    @property
    def management_uplinks(self) -> list[str]:
        """The NICs that carry the management network: the uplinks of its switch."""
        settings = self._state.settings
        return settings.switches.get(settings.switch_of(MANAGEMENT), [])

    def add_port_group(self, name: str, switch: str, vlan: int = 0) -> None:
        """Add a port group; AlreadyExists, NotFound for its switch, InvalidArgument for its VLAN."""
        with self._state.lock:
            if name in self.port_groups:
                raise AlreadyExists(f"The name '{name}' already exists.", name=name)
            if switch not in self._state.settings.switches:
                raise NotFound(f"The switch {switch} could not be found.")
            _check_vlan(vlan)
            self.port_groups[name] = vlan
            self._state.settings.group_switch[name] = switch
            self._state.touch()

    def set_vlan(self, name: str, vlan: int) -> None:
        """Put a port group on a VLAN; NotFound, InvalidArgument."""
        with self._state.lock:
            if name not in self.port_groups:
                raise NotFound(f"The port group {name} could not be found.")
            _check_vlan(vlan)
            self.port_groups[name] = vlan
            self._state.touch()

    def remove_port_group(self, name: str) -> None:
        """Remove a port group; NotFound, and ResourceInUse while a VM or the management is on it."""
        with self._state.lock:
            if name not in self.port_groups:
                raise NotFound(f"The port group {name} could not be found.")
            if name == MANAGEMENT or self._has_vms(name):
                raise ResourceInUse(f"The resource '{name}' is in use.", name=name)
            del self.port_groups[name]
            self._state.settings.group_switch.pop(name, None)
            self._state.touch()

    def _has_vms(self, port_group: str) -> bool:
        return any(nic.network == port_group for vm in self._state.registered_vms.values() for nic in vm.nics)

    def set_address(self, *, dhcp: bool, address: str | None = None, netmask: str | None = None) -> None:
        """Give vmk0 an address: the DHCP server's, or this one; InvalidArgument when it is none of a LAN."""
        with self._state.lock:
            network = self._state.settings.network
            before = network.address
            if not dhcp:
                wanted = interface(address, netmask or network.netmask)
                network.address, network.netmask = str(wanted.ip), str(wanted.netmask)
            else:
                network.address = self.lease
            network.dhcp = dhcp
            self._state.touch()
            if network.address != before:
                self.on_move()

    def set_gateway(self, gateway: str) -> None:
        """The way out; InvalidArgument when it is not on the LAN of vmk0."""
        with self._state.lock:
            network = self._state.settings.network
            lan = interface(network.address, network.netmask).network
            if gateway and (not is_address(gateway) or IPv4Address(gateway) not in lan):
                raise _wrong("defaultGateway")
            network.gateway = gateway
            self._state.touch()

    def set_names(self, *, host_name: str | None = None, domain_name: str | None = None) -> None:
        """The host's name, and its domain; InvalidArgument for a name with a dot, or none."""
        with self._state.lock:
            network = self._state.settings.network
            if host_name is not None:
                if not host_name or "." in host_name:
                    raise _wrong("hostName")
                network.host_name = host_name
            if domain_name is not None:
                network.domain_name = domain_name
            self._state.touch()

    def set_dns(self, *, dhcp: bool, servers: list[str], search: list[str]) -> None:
        """The name servers and search domains; InvalidArgument for a server that is no address."""
        with self._state.lock:
            if not all(map(is_address, servers)):
                raise _wrong("address")
            network = self._state.settings.network
            network.dns_dhcp = dhcp
            if not dhcp:
                network.dns_servers, network.search_domains = servers, search
            self._state.touch()


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
