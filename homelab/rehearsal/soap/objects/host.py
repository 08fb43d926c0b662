"""The host itself and its managers."""

from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host import backup
from homelab.rehearsal.soap.managed import Managed, ref, writes
from homelab.rehearsal.soap.objects import absent, esxcli, host_config, options
from homelab.rehearsal.soap.objects.inventory import Entity, networks
from homelab.rehearsal.soap.taken import refuse_rest
from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.state.refusals import InvalidArgument, InvalidState

MANAGERS = {
    "vsanSystem": ("HostVsanSystem", "vsanSystem"),
    "certificateManager": ("HostCertificateManager", "ha-certificate-manager"),
    "accountManager": ("HostLocalAccountManager", "ha-localacctmgr"),
    "datastoreSystem": ("HostDatastoreSystem", "ha-datastoresystem"),
    "serviceSystem": ("HostServiceSystem", "serviceSystem"),
    "storageSystem": ("HostStorageSystem", "storageSystem"),
    "kernelModuleSystem": ("HostKernelModuleSystem", "kernelModuleSystem"),
    "imageConfigManager": ("HostImageConfigManager", "ha-image-config-manager"),
    "advancedOption": ("OptionManager", options.HOST),
    "firewallSystem": ("HostFirewallSystem", "firewallSystem"),
    "dateTimeSystem": ("HostDateTimeSystem", "dateTimeSystem"),
    "virtualNicManager": ("HostVirtualNicManager", "ha-vnic-mgr"),
    "networkSystem": ("HostNetworkSystem", "networkSystem"),
    "autoStartManager": ("HostAutoStartManager", "ha-autostart-mgr"),
    "firmwareSystem": ("HostFirmwareSystem", "firmwareSystem"),
    "licenseManager": ("LicenseManager", "ha-license-manager"),
    "cacheConfigurationManager": ("HostCacheConfigurationManager", "cacheConfigManager"),
}


class HostSystem(Entity):
    """The host."""

    moid = "ha-host"

    @property
    def name(self) -> str:
        """What it calls itself."""
        return self._host.settings.network.full_name

    @property
    def parent(self) -> Any:
        """The compute resource."""
        return ref("ComputeResource", "ha-compute-res")

    @property
    def summary(self) -> Any:
        """Hardware, product and state in short."""
        return host_config.summary(self._host)

    @property
    def runtime(self) -> Any:
        """State, and when it booted."""
        return host_config.runtime(self._host)

    @property
    def hardware(self) -> Any:
        """Hardware with its PCI devices."""
        return host_config.hardware(self._host)

    @property
    def config(self) -> Any:
        """Product, network and services."""
        return host_config.config(self._host)

    @property
    def configManager(self) -> Any:
        """The host's managers."""
        return vim.host.ConfigManager(**{name: ref(*target) for name, target in (MANAGERS | absent.HOST).items()})

    @property
    def capability(self) -> Any:
        """What the host can do."""
        return host_config.capability()

    @property
    def datastore(self) -> Any:
        """The datastores that are mounted."""
        return [ref("Datastore", mount.moref) for mount in self._host.datastores.mounts.values()]

    @property
    def datastoreBrowser(self) -> Any:
        """A browser that sees all datastores."""
        return ref("HostDatastoreBrowser", "ha-host-datastorebrowser")

    @property
    def network(self) -> Any:
        """The port groups for VMs."""
        return networks(self._host)

    @property
    def vm(self) -> Any:
        """The VMs."""
        return [ref("VirtualMachine", moid) for moid in self._host.registered_vms]

    def RetrieveManagedMethodExecuter(self) -> Any:
        """Where esxcli is reached."""
        return esxcli.access("executer")

    def RetrieveDynamicTypeManager(self) -> Any:
        """Where esxcli's types are told."""
        return esxcli.access("types")

    @writes
    def RebootHost_Task(self, force: bool) -> None:
        """A clean reboot; outside of maintenance mode only with `force`."""
        if not force and not self._host.in_maintenance:
            raise InvalidState("The operation is not allowed in the current state.")
        self._host.power.reboot()

    @writes
    def ShutdownHost_Task(self, force: bool) -> None:
        """A clean shutdown; outside of maintenance mode only with `force`."""
        if not force and not self._host.in_maintenance:
            raise InvalidState("The operation is not allowed in the current state.")
        self._host.power.shut_down()

    @writes
    def EnterMaintenanceMode_Task(self, timeout: int, evacuatePoweredOffVms: bool | None, maintenanceSpec: Any) -> None:
        """Wait until no VM runs, and take no new ones."""
        if maintenanceSpec is not None:
            refuse_rest(maintenanceSpec, ())
        host, task = self._host, self._task
        if task is not None:
            task.cancelable = True
            with host.changed:
                host.changed.wait_for(lambda: task.cancelled or host.maintenance.can_be_entered, timeout or None)
            task.cancelable = False
            if task.cancelled:
                raise fault("RequestCanceled", "The task was canceled by a user.")
            # What could be waited for was waited for.
            timeout = timeout and 1
        host.maintenance.enter(timeout)

    @writes
    def ExitMaintenanceMode_Task(self, timeout: int) -> None:
        """Take VMs again."""
        self._host.maintenance.exit()


class HostKernelModuleSystem(Managed):
    """The kernel's modules."""

    moid = "kernelModuleSystem"

    def QueryModules(self) -> Any:
        """Every module: what is configured, and what runs."""
        kind = vim.host.KernelModuleSystem.ModuleInfo
        section = kind.SectionInfo(address=0, length=0)
        names = ("readOnlySection", "writableSection", "textSection", "dataSection", "bssSection")
        return [
            kind(
                id=index,
                name=module.name,
                version=module.version,
                filename=f"/usr/lib/vmware/vmkmod/{module.name}",
                optionString=module.options,
                loaded=module.loaded,
                enabled=module.enabled,
                useCount=int(module.loaded),
                **dict.fromkeys(names, section),
            )
            for index, module in enumerate(self._host.drivers.modules.values())
        ]

    def QueryConfiguredModuleOptionString(self, name: str) -> str:
        """The options that a module is loaded with."""
        return self._host.drivers.module(name).options

    @writes
    def UpdateModuleOptionString(self, name: str, options: str) -> None:
        """Set a module's options for the next boot."""
        with self._host.lock:
            self._host.drivers.module(name).options = options
            self._host.touch()


class HostImageConfigManager(Managed):
    """The installed packages."""

    moid = "ha-image-config-manager"

    def HostImageConfigGetAcceptance(self) -> str:
        """The host's acceptance level: the lowest of its packages'."""
        community = any(vib.acceptance == "CommunitySupported" for vib in self._host.vibs)
        return "community" if community else "partner"

    def fetchSoftwarePackages(self) -> Any:
        """Every VIB; a release before 6.5 does not know the call."""
        levels = {"CommunitySupported": "community", "VMwareCertified": "vmware_certified"}
        return [
            vim.host.SoftwarePackage(
                name=vib.name,
                version=vib.version,
                type="bootbank",
                vendor=vib.vendor,
                acceptanceLevel=levels.get(vib.acceptance, "vmware_accepted"),
                summary=vib.name,
                description=vib.name,
                capability=vim.host.SoftwarePackage.Capability(
                    liveInstallAllowed=False, liveRemoveAllowed=False, statelessReady=True, overlay=False
                ),
            )
            for vib in self._host.vibs
        ]


class HostServiceSystem(Managed):
    """The host's services."""

    moid = "serviceSystem"

    @property
    def serviceInfo(self) -> Any:
        """Every service."""
        return host_config.services(self._host)

    @writes
    def StartService(self, id: str) -> None:
        """Start a service."""
        self._host.services.set(id, running=True)

    @writes
    def StopService(self, id: str) -> None:
        """Stop a service."""
        self._host.services.set(id, running=False)

    @writes
    def RestartService(self, id: str) -> None:
        """Stop and start a service."""
        self._host.services.set(id, running=False)
        self._host.services.set(id, running=True)

    @writes
    def UpdateServicePolicy(self, id: str, policy: str) -> None:
        """Say whether a service starts with the host."""
        if policy not in ("on", "off", "automatic"):
            raise InvalidArgument("A specified parameter was not correct: policy", invalidProperty="policy")
        self._host.services.set(id, policy=policy)


class HostFirmwareSystem(Managed):
    """The host's configuration as a bundle."""

    moid = "firmwareSystem"

    @writes
    def BackupFirmwareConfiguration(self) -> str:
        """A URL with `*` in place of the host's name, as ESXi answers."""
        return f"http://*{backup.make(self._host)}"
