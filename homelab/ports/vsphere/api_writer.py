"""Writes to a host over the vSphere API."""

from collections.abc import Mapping, Sequence

from pyVmomi import VmomiSupport, vim

from homelab.errors import HostFault
from homelab.ports.host_writer import NfsMount, Option, Progress, check_no_vmkernel
from homelab.ports.vsphere import storage
from homelab.ports.vsphere.coredump import add_coredump_file
from homelab.ports.vsphere.session import Session
from homelab.ports.vsphere.tasks import wait_for

NTP, SSH = "ntpd", "TSM-SSH"


class ApiWriter:
    """A `HostWriter` on one session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def mount_nfs(self, mount: NfsMount) -> None:
        """CreateNasDatastore."""
        storage.mount_nfs(self.session, mount)

    def unmount(self, mount: NfsMount) -> None:
        """RemoveDatastore."""
        storage.unmount(self.session, mount)

    def probe(self, datastore: str) -> None:
        """PUT, GET and DELETE below /folder."""
        storage.probe_writable(self.session, datastore)

    def make_folder(self, datastore: str, path: str) -> None:
        """MakeDirectory."""
        storage.make_folder(self.session, datastore, path)

    def add_coredump_file(self, datastore: str, name: str) -> None:
        """Esxcli over 443: the API has no call for it."""
        add_coredump_file(self.session, datastore, name)

    def set_options(self, options: Mapping[str, Option]) -> None:
        """UpdateOptions; a number has to be an xsd:long."""
        self.session.managers.advancedOption.UpdateOptions(
            [vim.option.OptionValue(key=key, value=_typed(value)) for key, value in options.items()]
        )

    def set_names(self, hostname: str, domain: str, nameservers: Sequence[str]) -> None:
        """UpdateDnsConfig."""
        system = self.session.managers.networkSystem
        searched = list(system.dnsConfig.searchDomain or [])
        config = vim.host.DnsConfig(
            dhcp=False,
            hostName=hostname,
            domainName=domain,
            address=list(nameservers),
            searchDomain=searched if domain in searched else [domain, *searched],
        )
        system.UpdateDnsConfig(config)

    def set_hostname(self, hostname: str) -> None:
        """UpdateDnsConfig with all else as it is."""
        system = self.session.managers.networkSystem
        config = system.dnsConfig
        config.hostName = hostname
        system.UpdateDnsConfig(config)

    def set_time_servers(self, servers: Sequence[str]) -> None:
        """UpdateDateTimeConfig, and the service ntpd."""
        ntp = vim.host.NtpConfig(server=list(servers))
        self.session.managers.dateTimeSystem.UpdateDateTimeConfig(vim.host.DateTimeConfig(ntpConfig=ntp))
        services = self.session.managers.serviceSystem
        services.UpdateServicePolicy(NTP, "on")
        services.RestartService(NTP)

    def set_ssh_policy(self, *, on: bool) -> None:
        """UpdateServicePolicy."""
        self.session.managers.serviceSystem.UpdateServicePolicy(SSH, "on" if on else "off")

    def add_port_group(self, name: str, switch: str, vlan: int) -> None:
        """AddPortGroup."""
        group = vim.host.PortGroup.Specification
        policy = vim.host.NetworkPolicy()
        self.session.managers.networkSystem.AddPortGroup(
            group(name=name, vlanId=vlan, vswitchName=switch, policy=policy)
        )

    def set_vlan(self, name: str, switch: str, vlan: int) -> None:
        """UpdatePortGroup with the specification that it has: a policy that is left out is taken away."""
        system = self.session.managers.networkSystem
        network = system.networkInfo
        nics = [nic.device for nic in network.vnic or [] if nic.portgroup == name]
        check_no_vmkernel(self.session.where, name, nics)
        spec = next((group.spec for group in network.portgroup or [] if group.spec.name == name), None)
        if spec is None:
            raise HostFault(f"there is no port group {name} any more", where=self.session.where, advice="Run again")
        spec.vlanId = vlan
        system.UpdatePortGroup(name, spec)

    def enter_maintenance(self, seconds: float, progress: Progress) -> None:
        """EnterMaintenanceMode_Task."""
        task = self.session.host_system.EnterMaintenanceMode_Task(timeout=int(seconds), evacuatePoweredOffVms=False)
        wait_for(self.session, task, "entering maintenance mode", seconds=seconds, progress=progress)

    def exit_maintenance(self, seconds: float, progress: Progress) -> None:
        """ExitMaintenanceMode_Task."""
        task = self.session.host_system.ExitMaintenanceMode_Task(timeout=int(seconds))
        wait_for(self.session, task, "leaving maintenance mode", seconds=seconds, progress=progress)

    def reboot(self) -> None:
        """RebootHost_Task."""
        self.session.host_system.RebootHost_Task(force=True)


def _typed(value: Option) -> object:
    return VmomiSupport.long(value) if isinstance(value, int) and not isinstance(value, bool) else value
