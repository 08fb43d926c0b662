"""What VMs can be made on the host."""

from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap.hardware_versions import VERSIONS, newest_hardware
from homelab.rehearsal.soap.managed import Managed, ref
from homelab.rehearsal.soap.objects import host_config
from homelab.rehearsal.soap.objects.inventory import network_id
from homelab.rehearsal.soap.vm_fixed import fixed_devices
from homelab.rehearsal.state.guest_names import NAMES, full_name

KINDS = vim.vm.device


class EnvironmentBrowser(Managed):
    """The kinds of hardware and of guests, and what of the host VMs can have."""

    moid = "ha-compute-res-env-browser"

    def QueryConfigOptionDescriptor(self) -> Any:
        """The versions of hardware, the newest as the one that a VM gets."""
        newest = newest_hardware(self._host)
        return [
            vim.vm.ConfigOptionDescriptor(
                key=f"vmx-{number:02}",
                description=f"ESXi virtual machine, version {number}",
                host=[ref("HostSystem", "ha-host")],
                createSupported=True,
                defaultConfigOption=number == newest,
                runSupported=True,
                upgradeSupported=True,
            )
            for number in VERSIONS
            if number <= newest
        ]

    def QueryConfigOption(self, key: str | None, host: Any) -> Any:
        """The guests that are known, and the devices of a new VM."""
        return self._option(key, [])

    def QueryConfigOptionEx(self, spec: Any) -> Any:
        """The same, for some guests only; all of them when none is known."""
        return self._option(spec.key if spec else None, list(spec.guestId or ()) if spec else [])

    def QueryConfigTarget(self, host: Any) -> Any:
        """CPUs, datastores and networks; no disk and no PCI device is passed through."""
        model = self._host.model
        networks = [
            vim.vm.NetworkInfo(
                name=name,
                network=vim.Network.Summary(network=ref("Network", network_id(name)), name=name, accessible=True),
            )
            for name in self._host.network.vm_port_groups
        ]
        return vim.vm.ConfigTarget(
            numCpus=model.threads,
            numCpuCores=model.cores,
            numNumaNodes=1,
            smcPresent=False,
            network=networks,
            maxMemMBOptimalPerf=model.memory_mib,
            autoVmotion=False,
        )

    def QueryTargetCapabilities(self, host: Any) -> Any:
        """What the host can do."""
        return host_config.capability()

    def _option(self, key: str | None, guests: list[str]) -> Any:
        wanted = [guest for guest in guests if guest in NAMES] or sorted(NAMES)
        return vim.vm.ConfigOption(
            version=key or f"vmx-{newest_hardware(self._host):02}",
            description="",
            guestOSDescriptor=[_guest(self._host, guest) for guest in wanted],
            guestOSDefaultIndex=0,
            hardwareOptions=_hardware(self._host),
            capabilities=vim.vm.Capability(),
            datastore=vim.vm.DatastoreOption(),
            defaultDevice=list(fixed_devices()),
            supportedMonitorType=["release"],
        )


def _guest(host: Host, guest: str) -> Any:
    return vim.vm.GuestOsDescriptor(
        id=guest,
        family="windowsGuest" if guest.startswith("windows") else "linuxGuest",
        fullName=full_name(guest),
        supportedMaxCPUs=host.model.threads,
        supportedMinMemMB=4,
        supportedMaxMemMB=host.model.memory_mib,
        supportedDiskControllerList=[KINDS.ParaVirtualSCSIController, KINDS.VirtualLsiLogicController],
        recommendedDiskController=KINDS.ParaVirtualSCSIController,
        recommendedCdromController=KINDS.VirtualAHCIController,
        supportedEthernetCard=[KINDS.VirtualVmxnet3, KINDS.VirtualE1000, KINDS.VirtualE1000e],
        recommendedEthernetCard=KINDS.VirtualVmxnet3,
        supportedFirmware=["bios", "efi"],
        recommendedFirmware="bios",
        supportLevel="supported",
        supportedForCreate=True,
        vRAMSizeInKB=vim.option.IntOption(min=1024, max=131072, defaultValue=4096),
    )


def _hardware(host: Host) -> Any:
    shares = vim.ResourceAllocationOption(
        sharesOption=vim.SharesOption(
            sharesOption=vim.option.IntOption(min=0, max=1000000, defaultValue=4000), defaultLevel="normal"
        )
    )
    none = vim.option.IntOption(min=0, max=0, defaultValue=0)
    return vim.vm.VirtualHardwareOption(
        hwVersion=newest_hardware(host),
        virtualDeviceOption=[KINDS.VirtualKeyboardOption(type=KINDS.VirtualKeyboard, hotRemoveSupported=False)],
        deviceListReadonly=False,
        numCPU=list(range(1, host.model.threads + 1)),
        numCoresPerSocket=vim.option.IntOption(min=1, max=host.model.threads, defaultValue=1),
        numCpuReadonly=False,
        memoryMB=vim.option.LongOption(min=4, max=host.model.memory_mib, defaultValue=1024),
        numPCIControllers=none,
        numIDEControllers=vim.option.IntOption(min=2, max=2, defaultValue=2),
        numUSBControllers=none,
        numUSBXHCIControllers=none,
        numSIOControllers=vim.option.IntOption(min=1, max=1, defaultValue=1),
        numPS2Controllers=vim.option.IntOption(min=1, max=1, defaultValue=1),
        licensingLimit=[],
        resourceConfigOption=vim.ResourceConfigOption(cpuAllocationOption=shares, memoryAllocationOption=shares),
        numSupportedWwnPorts=none,
        numSupportedWwnNodes=none,
    )
