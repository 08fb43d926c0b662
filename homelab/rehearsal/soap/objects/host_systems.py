"""The host's smaller managers: firewall, time, and what vmkernel NICs are for."""

from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

from pyVmomi import vim

from homelab.rehearsal.soap.managed import Managed, writes
from homelab.rehearsal.soap.objects import host_config
from homelab.rehearsal.soap.taken import refuse_rest
from homelab.rehearsal.state.refusals import InvalidArgument, NotFound
from homelab.rehearsal.state.settings import NIC_TYPES, AllowedHosts

# What is taken of each specification; all else is refused by its name.
RULESET = ("allowedHosts",)
DATE_TIME = ("timeZone", "ntpConfig.server")
# What clients of 7.0 and later send unasked, and is so anyway.
PLAIN_DATE_TIME = {"protocol": ("ntp",), "resetToFactoryDefaults": (False,)}
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
                allowedHosts=_ip_list(self._host.settings.allowed_hosts.get(key)),
            )
            for key, enabled in self._host.rulesets.items()
        ]
        policy = vim.host.FirewallInfo.DefaultPolicy(incomingBlocked=True, outgoingBlocked=True)
        return vim.host.FirewallInfo(defaultPolicy=policy, ruleset=rulesets)

    @writes
    def UpdateRuleset(self, id: str, spec: Any) -> None:
        """Say whom a ruleset lets through: everybody, or these addresses and networks."""
        refuse_rest(spec, RULESET)
        with self._host.lock:
            if id not in self._host.rulesets:
                raise NotFound("The object or item referred to could not be found.")
            said, allowed = spec.allowedHosts, self._host.settings.allowed_hosts
            if said.allIp:
                allowed.pop(id, None)
            else:
                allowed[id] = _allowed(said)
            self._host.touch()

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
        return host_config.date_time(self._host)

    def QueryDateTime(self) -> datetime:
        """The time, by the host's own clock."""
        return self._host.now()

    def RefreshDateTimeSystem(self) -> None:
        """Nothing to read anew."""

    @writes
    def UpdateDateTime(self, dateTime: datetime) -> None:
        """Set the clock by hand."""
        self._host.set_clock(dateTime - datetime.now(UTC))

    @writes
    def UpdateDateTimeConfig(self, config: Any) -> None:
        """Set the servers, which ntpd asks from its next start on; no time zone but UTC, as ESXi has none."""
        refuse_rest(config, DATE_TIME, harmless=PLAIN_DATE_TIME)
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


class HostVsanSystem(Managed):
    """vSAN: this host is in no cluster of it."""

    moid = "vsanSystem"

    @property
    def config(self) -> Any:
        """It is off."""
        return vim.vsan.host.ConfigInfo(enabled=False)

    def QueryHostStatus(self) -> Any:
        """What a host says that is in no cluster."""
        kind = vim.vsan.host.ClusterStatus
        return kind(health="unknown", nodeState=kind.State(state="disabled"))


def _rule(direction: str, protocol: str, port: int, last: int | None) -> Any:
    kind = vim.host.Ruleset.Rule
    side = "src" if port == 68 else "dst"
    return kind(port=port, endPort=last, direction=direction, portType=side, protocol=protocol)


def _allowed(said: Any) -> AllowedHosts:
    """The addresses and networks of a HostFirewallRulesetIpList; InvalidArgument."""
    networks = tuple(f"{one.network}/{one.prefixLength}" for one in said.ipNetwork or ())
    try:
        addresses = tuple(str(ip_address(one)) for one in said.ipAddress or ())
        return AllowedHosts(addresses, tuple(str(ip_network(one)) for one in networks))
    except ValueError:
        message = "A specified parameter was not correct: spec.allowedHosts"
        raise InvalidArgument(message, invalidProperty="spec.allowedHosts") from None


def _ip_list(allowed: AllowedHosts | None) -> Any:
    kind = vim.host.Ruleset
    if allowed is None:
        return kind.IpList(allIp=True)
    networks = [one.split("/") for one in allowed.networks]
    return kind.IpList(
        allIp=False,
        ipAddress=list(allowed.addresses),
        ipNetwork=[kind.IpNetwork(network=network, prefixLength=int(length)) for network, length in networks],
    )
