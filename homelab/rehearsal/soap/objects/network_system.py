"""The host's network: switches, port groups, the management interface, DNS and routing."""

from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.network import interface
from homelab.rehearsal.soap.managed import Managed, writes
from homelab.rehearsal.soap.objects import host_config
from homelab.rehearsal.soap.taken import kept, refuse_rest
from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.state.refusals import NotFound
from homelab.rehearsal.state.switches import Switch, merged

# What is taken of each specification; all else is refused by its name.
DNS = ("dhcp", "hostName", "domainName", "address", "searchDomain")
ROUTE = ("defaultGateway",)
NIC = ("ip.dhcp", "ip.ipAddress", "ip.subnetMask", "portgroup", "mtu")
PORT_GROUP = ("name", "vlanId", "vswitchName", "policy")
SWITCH = ("numPorts", "bridge", "policy", "mtu")
# What clients send unasked, and a host has anyway.
ON_VMK0 = {"virtualNicDevice": (host_config.VMK,), "gatewayDevice": (host_config.VMK,)}
PLAIN_NIC = {
    "tsoEnabled": (True,),
    "ip.ipV6Config.autoConfigurationEnabled": (False,),
    "ip.ipV6Config.dhcpV6Enabled": (False,),
}
# Of a HostNetworkConfig: DNS and routing, which are looked at again as what they are.
WHOLE = tuple(
    f"{place}{name}" for place in ("", "netStackSpec.netStackInstance.") for name in ("dnsConfig", "ipRouteConfig")
)
WHOLE_PLAIN = {"netStackSpec.operation": ("edit",)}
BRIDGE = "HostVirtualSwitchSpec.bridge is not part of the rehearsal but for HostVirtualSwitchBondBridge"


class HostNetworkSystem(Managed):
    """Switches, port groups, the management interface, DNS and routing."""

    moid = "networkSystem"

    @property
    def networkInfo(self) -> Any:
        """NICs, switches, port groups and vmkernel NICs."""
        return host_config.network(self._host)

    @property
    def networkConfig(self) -> Any:
        """The same as it is configured."""
        info, kind = self.networkInfo, vim.host
        stacks = [kind.NetworkConfig.NetStackSpec(netStackInstance=one) for one in info.netStackInstance]
        return kind.NetworkConfig(
            vswitch=[kind.VirtualSwitch.Config(name=one.name, spec=one.spec) for one in info.vswitch],
            portgroup=[kind.PortGroup.Config(spec=one.spec) for one in info.portgroup],
            pnic=[kind.PhysicalNic.Config(device=one.device, spec=one.spec) for one in info.pnic],
            vnic=[
                kind.VirtualNic.Config(device=one.device, portgroup=one.portgroup, spec=one.spec) for one in info.vnic
            ],
            dnsConfig=info.dnsConfig,
            ipRouteConfig=info.ipRouteConfig,
            netStackSpec=stacks,
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
        refuse_rest(config, DNS, now=self.dnsConfig, harmless=ON_VMK0)
        with self._host.lock:
            names = {} if config.dhcp else {"domain_name": config.domainName}
            self._host.network.set_dns(
                dhcp=config.dhcp, servers=list(config.address or ()), search=list(config.searchDomain or ())
            )
            self._host.network.set_names(host_name=config.hostName, **names)

    @writes
    def UpdateIpRouteConfig(self, config: Any) -> None:
        """Set the way out."""
        refuse_rest(config, ROUTE, now=self.ipRouteConfig, harmless=ON_VMK0)
        self._host.network.set_gateway(config.defaultGateway or "")

    @writes
    def UpdateVirtualNic(self, device: str, nic: Any) -> None:
        """Change vmk0; at another address the host is there from now on, and nobody hears the answer."""
        if device != host_config.VMK:
            raise NotFound("The object or item referred to could not be found.")
        refuse_rest(nic, NIC, now=host_config.vnic(self._host).spec, harmless=PLAIN_NIC)
        with self._host.lock:
            if nic.ip and not nic.ip.dhcp:
                # All or nothing: behind the move nobody hears of a mistake.
                interface(nic.ip.ipAddress, nic.ip.subnetMask or self._host.settings.network.netmask)
            self._host.network.set_vmk(port_group=nic.portgroup, mtu=nic.mtu)
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
        """A switch; AlreadyExists, InvalidArgument, and ResourceInUse for a NIC that another switch has."""
        self._host.network.add_switch(vswitchName, _switch(spec, Switch()) if spec else Switch())

    @writes
    def UpdateVirtualSwitch(self, vswitchName: str, spec: Any) -> None:
        """Change a switch; without a bridge it has no uplinks, what else is left out stays."""
        with self._host.lock:
            now = self._host.settings.switches.get(vswitchName, Switch())
            self._host.network.change_switch(vswitchName, _switch(spec, now))

    @writes
    def RemoveVirtualSwitch(self, vswitchName: str) -> None:
        """Remove a switch; ResourceInUse while it has port groups."""
        self._host.network.remove_switch(vswitchName)

    @writes
    def AddPortGroup(self, portgrp: Any) -> None:
        """A port group; AlreadyExists, NotFound for its switch, InvalidArgument for its VLAN or its policy."""
        refuse_rest(portgrp, PORT_GROUP)
        with self._host.lock:
            self._host.network.add_port_group(portgrp.name, portgrp.vswitchName, portgrp.vlanId)
            try:
                self._keep_policy(portgrp)
            except Exception:
                self._host.network.remove_port_group(portgrp.name)
                raise

    @writes
    def UpdatePortGroup(self, pgName: str, portgrp: Any) -> None:
        """Put a port group on another VLAN, or change its policy; not its name, nor its switch."""
        refuse_rest(portgrp, PORT_GROUP)
        with self._host.lock:
            if pgName not in self._host.network.port_groups:
                raise NotFound(f"The port group {pgName} could not be found.")
            if (portgrp.name, portgrp.vswitchName) != (pgName, self._host.settings.switch_of(pgName)):
                raise fault("NotSupported", "Moving or renaming a port group is not part of the rehearsal")
            self._host.network.check_vlan(portgrp.vlanId)
            self._keep_policy(portgrp)
            self._host.network.set_vlan(pgName, portgrp.vlanId)

    def _keep_policy(self, portgrp: Any) -> None:
        """What the policy leaves out is the switch's from now on, whatever the port group said before."""
        self._host.network.set_policy(portgrp.name, kept(portgrp.policy) if portgrp.policy else {})

    @writes
    def RemovePortGroup(self, pgName: str) -> None:
        """Remove a port group; NotFound, and ResourceInUse while a VM or the management is on it."""
        self._host.network.remove_port_group(pgName)

    @writes
    def UpdateNetworkConfig(self, config: Any, changeMode: str) -> Any:
        """Change DNS and routing, of the host or of its TCP/IP stack; all else has a method of its own here."""
        if changeMode != "modify":
            raise fault("NotSupported", f"UpdateNetworkConfig.changeMode = {changeMode} is not part of the rehearsal")
        stacks = [one.netStackInstance for one in config.netStackSpec or ()]
        now = vim.host.NetworkConfig(dnsConfig=self.dnsConfig, ipRouteConfig=self.ipRouteConfig)
        stack = vim.host.NetworkConfig.NetStackSpec(netStackInstance=host_config.net_stack(self._host))
        now.netStackSpec = [stack for _ in stacks]
        refuse_rest(config, WHOLE, now=now, harmless=WHOLE_PLAIN)
        with self._host.lock:
            for each in (config, *stacks):
                if each.dnsConfig:
                    self.UpdateDnsConfig(each.dnsConfig)
                if each.ipRouteConfig:
                    self.UpdateIpRouteConfig(each.ipRouteConfig)
        return vim.host.NetworkConfig.Result()


def _switch(spec: Any, now: Switch) -> Switch:
    """The switch of a specification over what it is now."""
    refuse_rest(spec, SWITCH)
    if spec.bridge and type(spec.bridge) is not vim.host.VirtualSwitch.BondBridge:
        raise fault("NotSupported", BRIDGE)
    bridge = kept(spec.bridge) if spec.bridge else {}
    return Switch(
        uplinks=bridge.pop("nicDevice", []),
        ports=spec.numPorts,
        mtu=spec.mtu or now.mtu,
        policy=kept(spec.policy) if spec.policy else now.policy,
        bridge=merged(now.bridge, bridge),
    )
