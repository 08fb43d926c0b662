"""What the step `first-boot` may change on a host."""

from dataclasses import dataclass, field

from homelab.engine.step import Change, Words


@dataclass(frozen=True)
class GiveAddress(Change):
    """Move one host from the address that it got by DHCP to its own."""

    at: str
    address: str
    netmask: str
    gateway: str
    disruptive = True

    def _words(self) -> Words:
        return Words(
            sentence=f"give {self.target} its own address {self.address} and wait until it answers there",
            reason=f"it answers at {self.at}, an address that it got by DHCP",
            undo="esxcli network ip interface ipv4 set --interface-name=vmk0 --type=dhcp",
            before=self.at,
            after=self.address,
        )


@dataclass(frozen=True)
class SetNames(Change):
    """Name one host, and say whom it asks for other names: `by_dhcp`, those that DHCP gives."""

    hostname: str
    domain: str
    nameservers: tuple[str, ...]
    by_dhcp: bool = field(default=False, kw_only=True)
    had: tuple[str, str, tuple[str, ...]] = field(kw_only=True)

    def _words(self) -> Words:
        after = _names(self.hostname, self.domain, self.nameservers)
        return Words(
            sentence=f"name {self.target} {after}",
            reason="its names or name servers are not the inventory's",
            undo=self._undo,
            before=_names(*self.had),
            after=after,
        )

    @property
    def _undo(self) -> str:
        names = f"esxcli system hostname set --host={self.had[0]} --domain={self.had[1]}"
        if self.nameservers == self.had[2]:
            return names
        return f"{names}; and in the host's web page (Networking, TCP/IP stacks) DNS {', '.join(self.had[2]) or 'none'}"


def _names(hostname: str, domain: str, nameservers: tuple[str, ...]) -> str:
    full = ".".join(part for part in (hostname, domain) if part) or "nothing"
    return f"{full} (DNS {', '.join(nameservers) or 'none'})"


@dataclass(frozen=True)
class SetTimeServers(Change):
    """Say whom one host asks for the time."""

    servers: tuple[str, ...]
    had: tuple[str, ...]

    def _words(self) -> Words:
        servers = ", ".join(self.servers)
        return Words(
            sentence=f"have {self.target} ask {servers} for the time, and wait until its clock is right",
            reason=f"it asks {', '.join(self.had)}" if self.had else "it asks nobody",
            undo="change the time servers in the host's web page (Manage, System, Time & date)",
            before=", ".join(self.had) or "none",
            after=servers,
        )


@dataclass(frozen=True)
class SilenceShellWarning(Change):
    """Keep one host from warning about its open shell, which the toolkit opens now and then."""

    def _words(self) -> Words:
        return Words(
            sentence=f"silence the warning about the shell on {self.target}",
            reason="it would be raised whenever SSH is on for a moment",
            undo="esxcli system settings advanced set -o /UserVars/SuppressShellWarning -i 0",
            before="0",
            after="1",
        )


@dataclass(frozen=True)
class SetSshPolicy(Change):
    """Say whether SSH starts with one host."""

    on: bool

    def _words(self) -> Words:
        after = "on" if self.on else "off"
        return Words(
            sentence=f"have SSH {'start' if self.on else 'stay off'} when {self.target} starts",
            reason=f"esxi_ssh is {after}",
            undo=f"vim-cmd hostsvc/{'disable' if self.on else 'enable'}_ssh",
            before="off" if self.on else "on",
            after=after,
        )


@dataclass(frozen=True)
class AddPortGroup(Change):
    """Add a network for VMs to one host."""

    name: str
    switch: str
    vlan: int

    def _words(self) -> Words:
        return Words(
            sentence=self._sentence,
            reason="VMs of the inventory are plugged into it (vm_network)",
            undo=f"esxcli network vswitch standard portgroup remove -p '{self.name}' -v {self.switch}",
        )

    @property
    def _sentence(self) -> str:
        vlan = f", VLAN {self.vlan}" if self.vlan else ""
        return f"add the port group {self.name} to {self.switch} on {self.target}{vlan}"


@dataclass(frozen=True)
class SetVlan(Change):
    """Put a network for VMs on another VLAN; VMs on it go along."""

    name: str
    switch: str
    vlan: int
    had: int
    disruptive = True

    def _words(self) -> Words:
        return Words(
            sentence=f"put the port group {self.name} of {self.target} on VLAN {self.vlan}, with the VMs on it",
            reason=f"esxi_vlan is {self.vlan}",
            undo=f"esxcli network vswitch standard portgroup set -p '{self.name}' --vlan-id {self.had}",
            before=f"VLAN {self.had}",
            after=f"VLAN {self.vlan}",
        )
