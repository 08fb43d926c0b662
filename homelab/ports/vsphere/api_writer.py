"""Writes to a host over the vSphere API."""

from collections.abc import Mapping, Sequence

from pyVmomi import VmomiSupport, vim

from homelab.lab import NfsServer
from homelab.ports.host_writer import Option, Progress
from homelab.ports.vsphere import storage
from homelab.ports.vsphere.coredump import add_coredump_file
from homelab.ports.vsphere.session import Session
from homelab.ports.vsphere.tasks import wait_for

NTP, SSH = "ntpd", "TSM-SSH"


class ApiWriter:
    """A `HostWriter` on one session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def mount_nfs(self, nas: NfsServer) -> None:
        """CreateNasDatastore."""
        storage.mount_nfs(self.session, nas)

    def unmount(self, datastore: str) -> None:
        """RemoveDatastore."""
        storage.unmount(self.session, datastore)

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
        config = vim.host.DnsConfig(
            dhcp=False, hostName=hostname, domainName=domain, address=list(nameservers), searchDomain=[domain]
        )
        self.session.managers.networkSystem.UpdateDnsConfig(config)

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
        self.session.managers.networkSystem.AddPortGroup(_port_group(name, switch, vlan))

    def set_vlan(self, name: str, switch: str, vlan: int) -> None:
        """UpdatePortGroup."""
        self.session.managers.networkSystem.UpdatePortGroup(name, _port_group(name, switch, vlan))

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


def _port_group(name: str, switch: str, vlan: int) -> object:
    return vim.host.PortGroup.Specification(name=name, vlanId=vlan, vswitchName=switch, policy=vim.host.NetworkPolicy())
