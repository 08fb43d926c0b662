"""What is configured on a simulated host beside drivers, services and VMs: plain state, kept by auto-backup."""

from dataclasses import dataclass, field
from typing import Any

from homelab.rehearsal.state.disks import FirstClassDisk
from homelab.rehearsal.state.people import Permission, Person, Role
from homelab.rehearsal.state.pools import Pool
from homelab.rehearsal.state.switches import Policy, Switch, merged

NIC_TYPES = ("faultToleranceLogging", "management", "vSphereReplication", "vSphereReplicationNFC", "vmotion", "vsan")


@dataclass
class AutoStart:
    """A VM that starts and stops with the host; delays in seconds, -1 for the host's own."""

    order: int = -1
    start_delay: int = -1
    stop_delay: int = -1
    start_action: str = "powerOn"
    stop_action: str = "systemDefault"
    heartbeat: str = "systemDefault"


@dataclass
class AutoStartDefaults:
    """What VMs do that start with the host and say nothing themselves; delays in seconds."""

    enabled: bool = False
    start_delay: int = 120
    stop_delay: int = 120
    heartbeat: bool = False
    stop_action: str = "PowerOff"


@dataclass(frozen=True)
class AllowedHosts:
    """Whom a firewall ruleset lets through, as texts: `192.168.1.5`, `192.168.1.0/24`."""

    addresses: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()


@dataclass
class NetworkSettings:
    """The management network: where vmk0 answers, on which port group, and what DNS and routing know.

    Names without their domain. `dhcp` and `dns_dhcp` say what a DHCP server gave; `gateway` and the lists are empty
    where nobody gave one.
    """

    address: str
    dhcp: bool = False
    netmask: str = "255.255.255.0"
    gateway: str = ""
    dns_dhcp: bool = False
    host_name: str = "localhost"
    domain_name: str = ""
    dns_servers: list[str] = field(default_factory=list)
    search_domains: list[str] = field(default_factory=list)
    port_group: str = "Management Network"
    mtu: int = 1500

    @property
    def full_name(self) -> str:
        """The host's name, with its domain where it has one."""
        return ".".join(filter(None, (self.host_name, self.domain_name)))


@dataclass
class Settings:
    """The smaller settings.

    `group_policies` is what port groups say otherwise than their switch, `allowed_hosts` whom firewall rulesets let
    through that do not take everybody, `cache_mib` the host cache by datastore,
    `roles` the vmkernel NICs by traffic, `licences` the kinds of the keys that were added. `people` are the accounts
    beside root, `vm_pools` the pools of VMs that are not in the root pool. `dump_file` is the path of
    the file that a crash would be written to, `dump_active` whether it is in use.
    """

    network: NetworkSettings

    switches: dict[str, Switch] = field(default_factory=lambda: {"vSwitch0": Switch(["vmnic0"])})
    group_switch: dict[str, str] = field(default_factory=dict)
    group_policies: dict[str, Policy] = field(default_factory=dict)
    allowed_hosts: dict[str, AllowedHosts] = field(default_factory=dict)
    roles: dict[str, list[str]] = field(default_factory=lambda: {"management": ["vmk0"]})
    ntp_servers: list[str] = field(default_factory=list)
    people: dict[str, Person] = field(default_factory=dict)
    made_roles: dict[int, Role] = field(default_factory=dict)
    permissions: list[Permission] = field(default_factory=list)
    pools: dict[str, Pool] = field(default_factory=dict)
    vm_pools: dict[str, str] = field(default_factory=dict)
    agent: dict[str, object] = field(default_factory=dict)
    first_class_disks: dict[str, FirstClassDisk] = field(default_factory=dict)
    cache_mib: dict[str, int] = field(default_factory=dict)
    dump_file: str = ""
    dump_active: bool = False
    autostart_defaults: AutoStartDefaults = field(default_factory=AutoStartDefaults)
    autostart: dict[str, AutoStart] = field(default_factory=dict)
    licences: list[str] = field(default_factory=list)
    licence_labels: dict[str, dict[str, str]] = field(default_factory=dict)

    def switch_of(self, port_group: str) -> str:
        """The switch of a port group; what nobody set is on the first one."""
        return self.group_switch.get(port_group, "vSwitch0")

    def policy_in_force(self, port_group: str) -> dict[str, Any]:
        """A port group's policy over that of its switch."""
        switch = self.switches.get(self.switch_of(port_group), Switch())
        return merged(switch.in_force, self.group_policies.get(port_group, {}))
