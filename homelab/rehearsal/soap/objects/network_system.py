"""The host's network: switches, port groups, the management interface, DNS and routing."""

from typing import Any

from pyVmomi import vim

from homelab.rehearsal.soap.managed import Managed, writes
from homelab.rehearsal.soap.objects import host_config
from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.state.refusals import AlreadyExists, InvalidArgument, NotFound, ResourceInUse

MAX_VLAN = 4095


class HostNetworkSystem(Managed):
    """Switches, port groups, the management interface, DNS and routing."""

    moid = "networkSystem"

    @property
    def networkInfo(self) -> Any:
        """NICs, switches, port groups and vmkernel NICs."""
        return host_config.network(self._host)

    @property
    def networkConfig(self) -> Any:
        """What is configured of the management interface, DNS and routing."""
        nic = host_config.vnic(self._host)
        kind = vim.host.VirtualNic.Config
        return vim.host.NetworkConfig(
            vnic=[kind(device=nic.device, portgroup=nic.portgroup, spec=nic.spec)],
            dnsConfig=self.dnsConfig,
            ipRouteConfig=self.ipRouteConfig,
        )

    @property
    def dnsConfig(self) -> Any:
        """The host's names, and whom it asks for others."""
        return host_config.dns(self._host)

    @property
    def ipRouteConfig(self) -> Any:
        """The way out."""
        return host_config.routes(self._host)

    @writes
    def UpdateDnsConfig(self, config: Any) -> None:
        """Set names, name servers and search domains; with DHCP only the host's name is taken."""
        with self._host.lock:
            names = {} if config.dhcp else {"domain_name": config.domainName}
            self._host.network.set_dns(
                dhcp=config.dhcp, servers=list(config.address or ()), search=list(config.searchDomain or ())
            )
            self._host.network.set_names(host_name=config.hostName, **names)

    @writes
    def UpdateIpRouteConfig(self, config: Any) -> None:
        """Set the way out."""
        self._host.network.set_gateway(config.defaultGateway or "")

    @writes
    def UpdateVirtualNic(self, device: str, nic: Any) -> None:
        """Give the management interface another address: the host is there from now on, and nobody hears the answer."""
        if device != host_config.VMK:
            raise NotFound("The object or item referred to could not be found.")
        if nic.portgroup not in (None, host_config.MANAGEMENT) or nic.mtu not in (None, 1500):
            raise fault("NotSupported", "Another port group or MTU of vmk0 is not part of the rehearsal")
        if nic.ip:
            self._host.network.set_address(dhcp=nic.ip.dhcp, address=nic.ip.ipAddress, netmask=nic.ip.subnetMask)

    def QueryNetworkHint(self, device: Any) -> Any:
        """What each NIC saw of networks: nothing, for nobody sends it anything; NotFound for an unknown NIC."""
        known = [nic.name for nic in self._host.nics if nic.driver]
        for name in device or ():
            if name not in known:
                raise NotFound("The object or item referred to could not be found.")
        kind = vim.host.PhysicalNic.NetworkHint
        return [kind(device=name, subnet=[], network=[]) for name in device or known]

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
            if any(settings.switch_of(group) == vswitchName for group in self._host.network.port_groups):
                raise ResourceInUse(f"The resource '{vswitchName}' is in use.", name=vswitchName)
            del settings.switches[vswitchName]
            self._host.touch()

    @writes
    def AddPortGroup(self, portgrp: Any) -> None:
        """A port group; AlreadyExists, NotFound for its switch, InvalidArgument for its VLAN."""
        with self._host.lock:
            self._host.network.add_port_group(portgrp.name, portgrp.vswitchName, portgrp.vlanId)
            self._keep_security(portgrp)

    @writes
    def UpdatePortGroup(self, pgName: str, portgrp: Any) -> None:
        """Put a port group on another VLAN; a new name or another switch is not part of the rehearsal."""
        with self._host.lock:
            if pgName not in self._host.network.port_groups:
                raise NotFound(f"The port group {pgName} could not be found.")
            if (portgrp.name, portgrp.vswitchName) != (pgName, self._host.settings.switch_of(pgName)):
                raise fault("NotSupported", "Moving or renaming a port group is not part of the rehearsal")
            self._host.network.set_vlan(pgName, portgrp.vlanId)
            self._keep_security(portgrp)

    def _keep_security(self, portgrp: Any) -> None:
        """What the policy leaves out is the switch's from now on, whatever the port group said before."""
        security = portgrp.policy.security if portgrp.policy else None
        said = {name: getattr(security, name) for name in host_config.SECURITY} if security else {}
        kept = {name: value for name, value in said.items() if value is not None}
        self._host.settings.group_security[portgrp.name] = kept

    @writes
    def RemovePortGroup(self, pgName: str) -> None:
        """Remove a port group; NotFound, and ResourceInUse while a VM or the management is on it."""
        self._host.network.remove_port_group(pgName)

    @writes
    def UpdateNetworkConfig(self, config: Any, changeMode: str) -> Any:
        """Too large to be half done."""
        raise fault("NotSupported", "HostNetworkSystem.UpdateNetworkConfig is not part of the rehearsal")
