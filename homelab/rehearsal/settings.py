"""What is configured on a simulated host beside drivers, services and VMs: plain state, kept by auto-backup."""

from dataclasses import dataclass, field

NIC_TYPES = ("faultToleranceLogging", "management", "vSphereReplication", "vSphereReplicationNFC", "vmotion", "vsan")


@dataclass
class AutoStart:
    """A VM that starts and stops with the host; delays in seconds, -1 for the host's own."""

    order: int = -1
    start_delay: int = -1
    stop_delay: int = -1
    start_action: str = "powerOn"
    stop_action: str = "systemDefault"


@dataclass
class Settings:
    """The smaller settings.

    `cache_mib` is the host cache by datastore, `roles` the vmkernel NICs by traffic, `licences` the kinds of the keys
    that were added.
    """

    switches: dict[str, list[str]] = field(default_factory=lambda: {"vSwitch0": ["vmnic0"]})
    group_switch: dict[str, str] = field(default_factory=dict)
    roles: dict[str, list[str]] = field(default_factory=lambda: {"management": ["vmk0"]})
    ntp_servers: list[str] = field(default_factory=list)
    cache_mib: dict[str, int] = field(default_factory=dict)
    autostart_enabled: bool = False
    autostart_delay: int = 120
    autostart: dict[str, AutoStart] = field(default_factory=dict)
    licences: list[str] = field(default_factory=list)
    licence_labels: dict[str, dict[str, str]] = field(default_factory=dict)

    def switch_of(self, port_group: str) -> str:
        """The switch of a port group; what nobody set is on the first one."""
        return self.group_switch.get(port_group, "vSwitch0")
