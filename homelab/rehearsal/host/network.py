"""The network of one simulated host: switches, port groups, its address, names, DNS and way out. Knows no protocol."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.refusals import AlreadyExists, InvalidArgument, NotFound, NotSimulated, ResourceInUse
from homelab.rehearsal.state.settings import NetworkSettings
from homelab.rehearsal.state.switches import Policy, Switch, carriers

MANAGEMENT = "Management Network"
MAX_VLAN = 4095
MTUS = range(1280, 9001)
# vim.host.NetworkPolicy.NicTeamingPolicy.policy
TEAMING = ("loadbalance_ip", "loadbalance_srcmac", "loadbalance_srcid", "failover_explicit")


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
        return [name for name in self.port_groups if name != self.vmk_port_group]

    @property
    def vmk_port_group(self) -> str:
        """The port group of vmk0."""
        return self._state.settings.network.port_group

    @property
    def management_uplinks(self) -> list[str]:
        """The NICs that carry the management network: the uplinks of its switch, but for those that no order names."""
        settings = self._state.settings
        switch = settings.switches.get(settings.switch_of(self.vmk_port_group), Switch())
        return carriers(settings.policy_in_force(self.vmk_port_group), switch.uplinks)

    def add_switch(self, name: str, switch: Switch) -> None:
        """Add a switch; AlreadyExists, InvalidArgument, and ResourceInUse for a NIC that another switch has."""
        with self._state.lock:
            if name in self._state.settings.switches:
                raise AlreadyExists(f"The name '{name}' already exists.", name=name)
            self._check_switch(name, switch)
            self._state.settings.switches[name] = switch
            self._state.touch()

    def change_switch(self, name: str, switch: Switch) -> None:
        """Put another switch in the place of one; NotFound, InvalidArgument, ResourceInUse."""
        with self._state.lock, self._management_stays():
            if name not in self._state.settings.switches:
                raise NotFound(f"The switch {name} could not be found.")
            self._check_switch(name, switch)
            self._state.settings.switches[name] = switch
            self._state.touch()

    def remove_switch(self, name: str) -> None:
        """Remove a switch; NotFound, and ResourceInUse while it has port groups."""
        with self._state.lock:
            settings = self._state.settings
            if name not in settings.switches:
                raise NotFound(f"The switch {name} could not be found.")
            if any(settings.switch_of(group) == name for group in self.port_groups):
                raise ResourceInUse(f"The resource '{name}' is in use.", name=name)
            del settings.switches[name]
            self._state.touch()

    def _check_switch(self, name: str, switch: Switch) -> None:
        driven = [nic.name for nic in self._state.nics if nic.driver]
        others = [one for other, one in self._state.settings.switches.items() if other != name]
        for nic in switch.uplinks:
            if nic not in driven:
                raise _wrong("bridge")
            if any(nic in other.uplinks for other in others):
                raise ResourceInUse(f"The resource '{nic}' is in use.", name=nic)
        _check_mtu(switch.mtu)
        _check_policy(switch.policy, switch.uplinks)

    @contextmanager
    def _management_stays(self) -> Iterator[None]:
        """What is done inside is undone, and refused, where it takes the last uplink from the management network."""
        settings = self._state.settings
        before = copy.deepcopy((settings.switches, settings.group_policies, settings.network.port_group))
        yield
        if not any(nic.driver and nic.name in self.management_uplinks for nic in self._state.nics):
            settings.switches, settings.group_policies, settings.network.port_group = before
            raise NotSimulated("Taking the last uplink from the management network is not part of the rehearsal")

    def set_policy(self, port_group: str, policy: Policy) -> None:
        """What a port group says otherwise than its switch; InvalidArgument."""
        with self._state.lock, self._management_stays():
            settings = self._state.settings
            _check_policy(policy, settings.switches[settings.switch_of(port_group)].uplinks)
            settings.group_policies[port_group] = policy
            self._state.touch()

    def set_vmk(self, *, port_group: str | None = None, mtu: int | None = None) -> None:
        """Put vmk0 on another port group, or give it another MTU; NotFound, InvalidArgument, ResourceInUse."""
        with self._state.lock, self._management_stays():
            network = self._state.settings.network
            if mtu is not None:
                _check_mtu(mtu)
            if port_group is not None:
                if port_group not in self.port_groups:
                    raise NotFound(f"The port group {port_group} could not be found.")
                if self._has_vms(port_group):
                    raise ResourceInUse(f"The resource '{port_group}' is in use.", name=port_group)
            network.mtu, network.port_group = mtu or network.mtu, port_group or network.port_group
            self._state.touch()

    def add_port_group(self, name: str, switch: str, vlan: int = 0) -> None:
        """Add a port group; AlreadyExists, NotFound for its switch, InvalidArgument for its VLAN."""
        with self._state.lock:
            if name in self.port_groups:
                raise AlreadyExists(f"The name '{name}' already exists.", name=name)
            if switch not in self._state.settings.switches:
                raise NotFound(f"The switch {switch} could not be found.")
            self.check_vlan(vlan)
            self.port_groups[name] = vlan
            self._state.settings.group_switch[name] = switch
            self._state.touch()

    def set_vlan(self, name: str, vlan: int) -> None:
        """Put a port group on a VLAN; NotFound, InvalidArgument."""
        with self._state.lock:
            if name not in self.port_groups:
                raise NotFound(f"The port group {name} could not be found.")
            self.check_vlan(vlan)
            self.port_groups[name] = vlan
            self._state.touch()

    def check_vlan(self, vlan: int) -> None:
        """InvalidArgument for a VLAN that there is not."""
        if not 0 <= vlan <= MAX_VLAN:
            raise _wrong("vlanId")

    def remove_port_group(self, name: str) -> None:
        """Remove a port group; NotFound, and ResourceInUse while a VM or the management is on it."""
        with self._state.lock:
            if name not in self.port_groups:
                raise NotFound(f"The port group {name} could not be found.")
            if name == self.vmk_port_group or self._has_vms(name):
                raise ResourceInUse(f"The resource '{name}' is in use.", name=name)
            del self.port_groups[name]
            self._state.settings.group_policies.pop(name, None)
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


def _check_mtu(mtu: int) -> None:
    if mtu not in MTUS:
        raise _wrong("mtu")


def _check_policy(policy: Policy, uplinks: list[str]) -> None:
    teaming = policy.get("nicTeaming", {})
    order = teaming.get("nicOrder", {})
    named = [*order.get("activeNic", ()), *order.get("standbyNic", ())]
    if teaming.get("policy", TEAMING[0]) not in TEAMING:
        raise _wrong("policy.nicTeaming.policy")
    if len(set(named)) < len(named) or not set(named) <= set(uplinks):
        raise _wrong("policy.nicTeaming.nicOrder")
