"""The host's smaller managers: firewall, time, network, and what vmkernel NICs are for."""

from datetime import datetime
from typing import Any

from pyVmomi import vim

from homelab.rehearsal.refusals import AlreadyExists, InvalidArgument, NotFound, ResourceInUse
from homelab.rehearsal.settings import NIC_TYPES
from homelab.rehearsal.soap.managed import Managed, writes
from homelab.rehearsal.soap.objects import host_config
from homelab.rehearsal.soap.wire import fault

MAX_VLAN = 4095
# Direction, protocol, first and last port.
RULES = {
    "dhcp": ("inbound", "udp", 68, None),
    "dns": ("outbound", "udp", 53, None),
    "httpClient": ("outbound", "tcp", 80, None),
    "nfsClient": ("outbound", "tcp", 0, 65535),
    "ntpClient": ("outbound", "udp", 123, None),
    "sshClient": ("outbound", "tcp", 22, None),
    "sshServer": ("inbound", "tcp", 22, None),
    "syslog": ("outbound", "udp", 514, None),
    "vSphereClient": ("inbound", "tcp", 902, None),
    "webAccess": ("inbound", "tcp", 80, None),
}


class HostFirewallSystem(Managed):
    """The firewall's rulesets."""

    moid = "firewallSystem"

    @property
    def firewallInfo(self) -> Any:
        """Every ruleset, each with its first port."""
        rulesets = [
            vim.host.Ruleset(
                key=key,
                label=key,
                required=False,
                rule=[_rule(*RULES[key])],
                enabled=enabled,
                allowedHosts=vim.host.Ruleset.IpList(allIp=True),
            )
            for key, enabled in self._host.rulesets.items()
        ]
        policy = vim.host.FirewallInfo.DefaultPolicy(incomingBlocked=True, outgoingBlocked=True)
        return vim.host.FirewallInfo(defaultPolicy=policy, ruleset=rulesets)

    @writes
    def EnableRuleset(self, id: str) -> None:
        """Open a ruleset."""
        self._set(id, True)

    @writes
    def DisableRuleset(self, id: str) -> None:
        """Shut a ruleset."""
        self._set(id, False)

    def RefreshFirewall(self) -> None:
        """Nothing to read anew."""

    def _set(self, key: str, enabled: bool) -> None:
        with self._host.lock:
            if key not in self._host.rulesets:
                raise NotFound("The object or item referred to could not be found.")
            self._host.rulesets[key] = enabled
            self._host.touch()


class HostDateTimeSystem(Managed):
    """The host's clock."""

    moid = "dateTimeSystem"

    @property
    def dateTimeInfo(self) -> Any:
        """Always UTC on ESXi, and the servers that it asks."""
        zone = vim.host.DateTimeSystem.TimeZone(key="UTC", name="UTC", description="UTC", gmtOffset=0)
        ntp = vim.host.NtpConfig(server=list(self._host.settings.ntp_servers))
        return vim.host.DateTimeInfo(timeZone=zone, ntpConfig=ntp)

    def QueryDateTime(self) -> datetime:
        """The time, by the host's own clock."""
        return self._host.now()

    def RefreshDateTimeSystem(self) -> None:
        """Nothing to read anew."""

    @writes
    def UpdateDateTimeConfig(self, config: Any) -> None:
        """Set the servers; another time zone than UTC is refused, as ESXi has none."""
        if config.timeZone not in (None, "UTC"):
            raise InvalidArgument("A specified parameter was not correct: timeZone", invalidProperty="timeZone")
        if config.ntpConfig:
            with self._host.lock:
                self._host.settings.ntp_servers = list(config.ntpConfig.server or ())
                self._host.touch()


class HostVirtualNicManager(Managed):
    """What vmkernel NICs are for."""

    moid = "ha-vnic-mgr"

    @property
    def info(self) -> Any:
        """Every kind of traffic, with the NICs that carry it."""
        return vim.host.VirtualNicManagerInfo(netConfig=[self.QueryNetConfig(kind) for kind in NIC_TYPES])

    def QueryNetConfig(self, nicType: str) -> Any:
        """One kind of traffic; InvalidArgument for an unknown one."""
        self._check(nicType)
        nic = host_config.vnic(self._host)
        chosen = [f"{nicType}.{nic.key}" for name in self._host.settings.roles.get(nicType, ()) if name == nic.device]
        candidate = type(nic)(device=nic.device, key=f"{nicType}.{nic.key}", portgroup=nic.portgroup, spec=nic.spec)
        return vim.host.VirtualNicManager.NetConfig(
            nicType=nicType, multiSelectAllowed=True, candidateVnic=[candidate], selectedVnic=chosen
        )

    @writes
    def SelectVnicForNicType(self, nicType: str, device: str) -> None:
        """Let a NIC carry a kind of traffic."""
        self._check(nicType, device)
        with self._host.lock:
            names = self._host.settings.roles.setdefault(nicType, [])
            if device not in names:
                names.append(device)
            self._host.touch()

    @writes
    def DeselectVnicForNicType(self, nicType: str, device: str) -> None:
        """Let a NIC carry it no more."""
        self._check(nicType, device)
        with self._host.lock:
            names = self._host.settings.roles.get(nicType, [])
            if device not in names:
                raise InvalidArgument("A specified parameter was not correct: device", invalidProperty="device")
            names.remove(device)
            self._host.touch()

    def _check(self, kind: str, device: str = "vmk0") -> None:
        if kind not in NIC_TYPES:
            raise InvalidArgument("A specified parameter was not correct: nicType", invalidProperty="nicType")
        if device != "vmk0":
            raise InvalidArgument("A specified parameter was not correct: device", invalidProperty="device")


class HostNetworkSystem(Managed):
    """Switches and port groups."""

    moid = "networkSystem"

    @property
    def networkInfo(self) -> Any:
        """NICs, switches, port groups and vmkernel NICs."""
        return host_config.network(self._host)

    def RefreshNetworkSystem(self) -> None:
        """Nothing to read anew."""

    @writes
    def AddVirtualSwitch(self, vswitchName: str, spec: Any) -> None:
        """A switch; AlreadyExists, and ResourceInUse for a NIC that another switch has."""
        bridge = spec.bridge if spec else None
        nics = list(getattr(bridge, "nicDevice", ()) or ())
        with self._host.lock:
            switches = self._host.settings.switches
            if vswitchName in switches:
                raise AlreadyExists(f"The name '{vswitchName}' already exists.", name=vswitchName)
            for nic in nics:
                if nic not in [one.name for one in self._host.nics if one.driver]:
                    raise InvalidArgument("A specified parameter was not correct: nicDevice", invalidProperty="bridge")
                if any(nic in used for used in switches.values()):
                    raise ResourceInUse(f"The resource '{nic}' is in use.", name=nic)
            switches[vswitchName] = nics
            self._host.touch()

    @writes
    def RemoveVirtualSwitch(self, vswitchName: str) -> None:
        """Remove a switch; ResourceInUse while it has the management network."""
        with self._host.lock:
            settings = self._host.settings
            if vswitchName not in settings.switches:
                raise NotFound(f"The switch {vswitchName} could not be found.")
            if any(settings.switch_of(group) == vswitchName for group in self._host.port_groups):
                raise ResourceInUse(f"The resource '{vswitchName}' is in use.", name=vswitchName)
            del settings.switches[vswitchName]
            self._host.touch()

    @writes
    def AddPortGroup(self, portgrp: Any) -> None:
        """A port group; AlreadyExists, NotFound for its switch, InvalidArgument for its VLAN."""
        with self._host.lock:
            if portgrp.name in self._host.port_groups:
                raise AlreadyExists(f"The name '{portgrp.name}' already exists.", name=portgrp.name)
            if portgrp.vswitchName not in self._host.settings.switches:
                raise NotFound(f"The switch {portgrp.vswitchName} could not be found.")
            if not 0 <= portgrp.vlanId <= MAX_VLAN:
                raise InvalidArgument("A specified parameter was not correct: vlanId", invalidProperty="vlanId")
            self._host.port_groups[portgrp.name] = portgrp.vlanId
            self._host.settings.group_switch[portgrp.name] = portgrp.vswitchName
            self._host.touch()

    @writes
    def RemovePortGroup(self, pgName: str) -> None:
        """Remove a port group; NotFound, and ResourceInUse while a VM or the management is on it."""
        with self._host.lock:
            if pgName not in self._host.port_groups:
                raise NotFound(f"The port group {pgName} could not be found.")
            vms = self._host.vms.values()
            if pgName == host_config.MANAGEMENT or any(nic.network == pgName for vm in vms for nic in vm.nics):
                raise ResourceInUse(f"The resource '{pgName}' is in use.", name=pgName)
            del self._host.port_groups[pgName]
            self._host.settings.group_switch.pop(pgName, None)
            self._host.touch()

    @writes
    def UpdateNetworkConfig(self, config: Any, changeMode: str) -> Any:
        """Too large to be half done."""
        raise fault("NotSupported", "HostNetworkSystem.UpdateNetworkConfig is not part of the rehearsal")


def _rule(direction: str, protocol: str, port: int, last: int | None) -> Any:
    kind = vim.host.Ruleset.Rule
    side = "src" if port == 68 else "dst"
    return kind(port=port, endPort=last, direction=direction, portType=side, protocol=protocol)
