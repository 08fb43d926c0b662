"""Step `first-boot`: a host has its address, its names, the right time, and the networks for its VMs."""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab.engine.step import Change, Node, Planned, Step
from homelab.errors import DeadlinePassed, HomelabError, LoginRefused, PersonNeeded, Refused
from homelab.lab import EsxiHost, Lab
from homelab.ports.host_writer import check_no_vmkernel
from homelab.ports.vsphere import HostLook
from homelab.ports.vsphere.management import move_to
from homelab.ports.world import World
from homelab.steps.hosts.first_boot_changes import (
    AddPortGroup,
    GiveAddress,
    SetNames,
    SetSshPolicy,
    SetTimeServers,
    SetVlan,
    SilenceShellWarning,
)

NTP, SSH = "ntpd", "TSM-SSH"
SHELL_WARNING = "UserVars.SuppressShellWarning"
# What a certificate or a lease of a cluster still bears; what an ESXi clock is off by is minutes or hours.
CLOCK_SECONDS = 30.0
CLOCK_DEADLINE = 180.0
MOVE_DEADLINE = 120.0


@dataclass(frozen=True)
class FirstBootState:
    """A host as it is met; `elsewhere` is the address that it still has, when that is not its own."""

    look: HostLook
    elsewhere: str = ""


class FirstBoot(Step[FirstBootState, Change]):
    """One node for each host."""

    name = "first-boot"

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every ESXi host."""
        return [host.name for host in lab.esxi]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The host has answered."""
        return [Node("boot-media", target)]

    def observe(self, world: World, lab: Lab, target: str) -> FirstBootState:
        """The host's look; where only the address that it got by DHCP answers, at that one."""
        host = lab.host(target)
        try:
            return FirstBootState(world.host(target))
        except LoginRefused:
            raise
        except HomelabError:
            if host.dhcp_address is None:
                raise
            return FirstBootState(world.host_at(target, str(host.dhcp_address)), str(host.dhcp_address))

    def plan(self, lab: Lab, target: str, observed: FirstBootState) -> Sequence[Planned[Change]]:
        """Whatever differs from the inventory; what it does not say is left as it is."""
        host, look = lab.host(target), observed.look
        _check_uplink(host, look)
        changes: list[Planned[Change]] = []
        if observed.elsewhere:
            gateway = str(lab.gateway) if host.address in lab.network else ""
            netmask = str(lab.network.netmask)
            changes.append(GiveAddress(target, observed.elsewhere, str(host.address), netmask, gateway))
        changes += _names(lab, target, observed)
        changes += _time(lab, target, look)
        if look.options.get(SHELL_WARNING) == 0:
            changes.append(SilenceShellWarning(target))
        if host.ssh is not None and look.policies.get(SSH) not in (None, host.ssh):
            changes.append(SetSshPolicy(target, host.ssh == "on"))
        changes += _networks(lab, target, look)
        return changes

    def apply(self, world: World, change: Change) -> None:
        """Move the host, or set one thing."""
        if isinstance(change, GiveAddress):
            _move(world, change)
            return
        with world.writer(change.target) as writer:
            match change:
                case SetNames(by_dhcp=True):
                    writer.set_hostname(change.hostname)
                case SetNames():
                    writer.set_names(change.hostname, change.domain, change.nameservers)
                case SetTimeServers():
                    writer.set_time_servers(change.servers)
                case SilenceShellWarning():
                    writer.set_options({SHELL_WARNING: 1})
                case SetSshPolicy():
                    writer.set_ssh_policy(on=change.on)
                case AddPortGroup():
                    writer.add_port_group(change.name, change.switch, change.vlan)
                case SetVlan():
                    writer.set_vlan(change.name, change.switch, change.vlan)
        if isinstance(change, SetTimeServers):
            _await_clock(world, change)


def _check_uplink(host: EsxiHost, look: HostLook) -> None:
    """The management network is never rewired from afar: that is how a host is lost."""
    switch = look.network.management
    uplinks = look.network.uplinks.get(switch, ())
    if switch and host.management_nic is not None and host.management_nic not in uplinks:
        raise Refused(
            f"the management network is on {switch}, whose uplinks are {', '.join(uplinks) or 'none'}, and not on "
            f"{host.management_nic}",
            where=host.name,
            advice="Set esxi_management_nic to the NIC that carries it, or leave it out, as the host itself says which "
            "one it is; or change it at the console (F2, Configure Management Network)",
        )


def _names(lab: Lab, target: str, met: FirstBootState) -> list[Planned[Change]]:
    """Name servers that come by DHCP stay so, where the inventory names none and the domain is right."""
    network = met.look.network
    by_dhcp = network.dns_by_dhcp and network.dhcp and not met.elsewhere
    by_dhcp = by_dhcp and not lab.nameservers and network.domain == lab.domain
    servers = tuple(map(str, lab.nameservers)) or network.nameservers
    have = (network.hostname, network.domain, network.nameservers)
    want = (lab.host(target).short_name, lab.domain, servers)
    return [] if have == want else [SetNames(target, *want, by_dhcp=by_dhcp, had=have)]


def _time(lab: Lab, target: str, look: HostLook) -> list[Planned[Change]]:
    wanted = lab.ntp_servers
    asks = look.services.get(NTP, False) and look.policies.get(NTP) == "on"
    # From 8.0 on an entry may carry options behind the name (vSphere API, HostNtpConfig.server); they are the owner's.
    names = tuple(entry.split()[0] for entry in look.ntp_servers if entry.split())
    if wanted and (names != wanted or not asks):
        servers = look.ntp_servers if names == wanted else wanted
        return [SetTimeServers(target, servers, look.ntp_servers if asks else ())]
    if abs(look.clock_error) > CLOCK_SECONDS:
        raise Refused(
            f"its clock is {clock_words(look.clock_error)} compared with this machine's",
            where=target,
            advice=_clock_advice(look.ntp_servers if asks else ()),
        )
    return []


def clock_words(seconds: float) -> str:
    """`3600 s ahead` or `12 s behind`."""
    return f"{abs(seconds):.0f} s {'ahead' if seconds > 0 else 'behind'}"


def _clock_advice(servers: Sequence[str]) -> str:
    if not servers:
        return "Name time servers in lab_ntp_servers, or set it: esxcli system time set; and check this machine's clock"
    return (
        f"It asks {', '.join(servers)}: check that they can be reached from the host (`ntpq -p` there), and this "
        "machine's clock"
    )


def _networks(lab: Lab, target: str, look: HostLook) -> list[Planned[Change]]:
    """The port group of every VM's network; with esxi_vlan, on that VLAN."""
    network, vlan = look.network, lab.host(target).vlan
    if not network.management:
        return []
    changes: list[Planned[Change]] = []
    for name in dict.fromkeys(vm.network for vm in lab.vms if vm.managed and vm.host in (None, target)):
        group = network.port_group(name)
        if group is None:
            changes.append(AddPortGroup(target, name, network.management, vlan))
        elif vlan and group.vlan != vlan:
            check_no_vmkernel(target, name, group.vmkernel)
            changes.append(SetVlan(target, name, group.switch, vlan, group.vlan))
    return changes


def _move(world: World, change: GiveAddress) -> None:
    with world.session_at(change.target, change.at) as session:
        move_to(session, change.address, change.netmask, change.gateway)
    where = f"{change.target} ({change.address})"
    try:
        world.wait(
            f"{change.target} answers at {change.address}",
            lambda: _silent(world, change.target),
            seconds=MOVE_DEADLINE,
            where=where,
            advice="",
        )
    except DeadlinePassed as error:
        raise PersonNeeded(
            error.what,
            where=where,
            advice=f"At its console: F2, Configure Management Network, IPv4: set {change.address}, mask "
            f"{change.netmask}, gateway {change.gateway or 'none'}; Esc and Y; then run again",
        ) from error


def _silent(world: World, target: str) -> str | None:
    world.forget(target)
    try:
        world.host(target)
    except LoginRefused:
        raise
    except HomelabError as error:
        return error.what
    return None


def _await_clock(world: World, change: SetTimeServers) -> None:
    def wrong() -> str | None:
        world.forget(change.target)
        error = world.host(change.target).clock_error
        return f"{clock_words(error)} compared with this machine's" if abs(error) > CLOCK_SECONDS else None

    world.wait(
        f"the clock of {change.target} is right",
        wrong,
        seconds=CLOCK_DEADLINE,
        where=change.target,
        advice=_clock_advice(change.servers),
    )
