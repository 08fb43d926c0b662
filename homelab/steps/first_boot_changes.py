"""What the step `first-boot` may change on a host."""

from dataclasses import dataclass, field

from homelab.step import Change


@dataclass(frozen=True)
class GiveAddress(Change):
    """Move one host from the address that it got by DHCP to its own."""

    at: str
    address: str
    netmask: str
    gateway: str
    disruptive = True

    @property
    def sentence(self) -> str:
        """What will be done."""
        return f"give {self.target} its own address {self.address} and wait until it answers there"

    @property
    def reason(self) -> str:
        """Why."""
        return f"it answers at {self.at}, an address that it got by DHCP"

    @property
    def before(self) -> str:
        """As found."""
        return self.at

    @property
    def after(self) -> str:
        """As wanted."""
        return self.address

    @property
    def undo(self) -> str:
        """How to go back, at the console if need be."""
        return "esxcli network ip interface ipv4 set --interface-name=vmk0 --type=dhcp"


@dataclass(frozen=True)
class SetNames(Change):
    """Name one host, and say whom it asks for other names: `by_dhcp`, those that DHCP gives."""

    hostname: str
    domain: str
    nameservers: tuple[str, ...]
    by_dhcp: bool = field(default=False, kw_only=True)
    had: tuple[str, str, tuple[str, ...]] = field(kw_only=True)

    @property
    def sentence(self) -> str:
        """What will be done."""
        return f"name {self.target} {self.after}"

    @property
    def reason(self) -> str:
        """Why."""
        return "its names or name servers are not the inventory's"

    @property
    def before(self) -> str:
        """As found."""
        return _names(*self.had)

    @property
    def after(self) -> str:
        """As wanted."""
        return _names(self.hostname, self.domain, self.nameservers)

    @property
    def undo(self) -> str:
        """How to go back."""
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

    @property
    def sentence(self) -> str:
        """What will be done."""
        return f"have {self.target} ask {', '.join(self.servers)} for the time, and wait until its clock is right"

    @property
    def reason(self) -> str:
        """Why."""
        return f"it asks {', '.join(self.had)}" if self.had else "it asks nobody"

    @property
    def before(self) -> str:
        """As found."""
        return ", ".join(self.had) or "none"

    @property
    def after(self) -> str:
        """As wanted."""
        return ", ".join(self.servers)

    @property
    def undo(self) -> str:
        """How to go back."""
        return "change the time servers in the host's web page (Manage, System, Time & date)"


@dataclass(frozen=True)
class SilenceShellWarning(Change):
    """Keep one host from warning about its open shell, which the toolkit opens now and then."""

    @property
    def sentence(self) -> str:
        """What will be done."""
        return f"silence the warning about the shell on {self.target}"

    @property
    def reason(self) -> str:
        """Why."""
        return "it would be raised whenever SSH is on for a moment"

    @property
    def before(self) -> str:
        """As found."""
        return "0"

    @property
    def after(self) -> str:
        """As wanted."""
        return "1"

    @property
    def undo(self) -> str:
        """How to go back."""
        return "esxcli system settings advanced set -o /UserVars/SuppressShellWarning -i 0"


@dataclass(frozen=True)
class SetSshPolicy(Change):
    """Say whether SSH starts with one host."""

    on: bool

    @property
    def sentence(self) -> str:
        """What will be done."""
        return f"have SSH {'start' if self.on else 'stay off'} when {self.target} starts"

    @property
    def reason(self) -> str:
        """Why."""
        return f"esxi_ssh is {self.after}"

    @property
    def before(self) -> str:
        """As found."""
        return "off" if self.on else "on"

    @property
    def after(self) -> str:
        """As wanted."""
        return "on" if self.on else "off"

    @property
    def undo(self) -> str:
        """How to go back."""
        return f"vim-cmd hostsvc/{'disable' if self.on else 'enable'}_ssh"


@dataclass(frozen=True)
class AddPortGroup(Change):
    """Add a network for VMs to one host."""

    name: str
    switch: str
    vlan: int

    @property
    def sentence(self) -> str:
        """What will be done."""
        vlan = f", VLAN {self.vlan}" if self.vlan else ""
        return f"add the port group {self.name} to {self.switch} on {self.target}{vlan}"

    @property
    def reason(self) -> str:
        """Why."""
        return "VMs of the inventory are plugged into it (vm_network)"

    @property
    def undo(self) -> str:
        """How to go back."""
        return f"esxcli network vswitch standard portgroup remove -p '{self.name}' -v {self.switch}"


@dataclass(frozen=True)
class SetVlan(Change):
    """Put a network for VMs on another VLAN; VMs on it go along."""

    name: str
    switch: str
    vlan: int
    had: int
    disruptive = True

    @property
    def sentence(self) -> str:
        """What will be done."""
        return f"put the port group {self.name} of {self.target} on VLAN {self.vlan}, with the VMs on it"

    @property
    def reason(self) -> str:
        """Why."""
        return f"esxi_vlan is {self.vlan}"

    @property
    def before(self) -> str:
        """As found."""
        return f"VLAN {self.had}"

    @property
    def after(self) -> str:
        """As wanted."""
        return f"VLAN {self.vlan}"

    @property
    def undo(self) -> str:
        """How to go back."""
        return f"esxcli network vswitch standard portgroup set -p '{self.name}' --vlan-id {self.had}"
