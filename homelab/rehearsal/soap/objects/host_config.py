"""What HostSystem.config, hardware and summary say, built from the host's state."""

from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap.managed import ref
from homelab.rehearsal.soap.objects import autostart, disks, options, policies
from homelab.rehearsal.soap.objects.service import about
from homelab.rehearsal.soap.taken import built
from homelab.rehearsal.state.hardware import HardwareModel
from homelab.rehearsal.state.parts import Nic
from homelab.rehearsal.state.switches import Switch

MIB = 1024 * 1024
VMK, STACK = "vmk0", "defaultTcpipStack"


def summary(host: Host) -> Any:
    """HostSystem.summary."""
    model = host.model
    return vim.host.Summary(
        host=ref("HostSystem", "ha-host"),
        hardware=vim.host.Summary.HardwareSummary(
            vendor=model.vendor,
            model=model.name,
            uuid=host.system_uuid,
            memorySize=model.memory_mib * MIB,
            cpuModel=model.cpu,
            cpuMhz=model.cpu_mhz,
            numCpuPkgs=1,
            numCpuCores=model.cores,
            numCpuThreads=model.threads,
            numNics=len(host.nics),
            numHBAs=1,
        ),
        runtime=runtime(host),
        config=vim.host.Summary.ConfigSummary(
            name=host.settings.network.full_name,
            port=443,
            product=about(host),
            vmotionEnabled=False,
            faultToleranceEnabled=False,
        ),
        quickStats=vim.host.Summary.QuickStats(
            overallMemoryUsage=sum(vm.memory_mib for vm in host.registered_vms.values() if vm.powered_on)
        ),
        overallStatus="green",
        rebootRequired=False,
    )


def runtime(host: Host) -> Any:
    """HostSystem.runtime."""
    return vim.host.RuntimeInfo(
        connectionState="connected",
        powerState="poweredOn",
        inMaintenanceMode=host.in_maintenance,
        bootTime=host.boot_time,
    )


def hardware(host: Host) -> Any:
    """HostSystem.hardware."""
    model = host.model
    hz = model.cpu_mhz * 1_000_000
    package = vim.host.CpuPackage(
        index=0, vendor="intel", hz=hz, busHz=100_000_000, description=model.cpu, threadId=list(range(model.threads))
    )
    return vim.host.HardwareInfo(
        systemInfo=vim.host.SystemInfo(vendor=model.vendor, model=model.name, uuid=host.system_uuid),
        cpuInfo=vim.host.CpuInfo(numCpuPackages=1, numCpuCores=model.cores, numCpuThreads=model.threads, hz=hz),
        cpuPkg=[package],
        # Always there; which BIOS a board has, nobody recorded.
        biosInfo=vim.host.BIOSInfo(),
        memorySize=model.memory_mib * MIB,
        pciDevice=pci_devices(model),
        smcPresent=False,
    )


def pci_devices(model: HardwareModel) -> list[Any]:
    """HostSystem.hardware.pciDevice; ids are signed 16-bit numbers, as the API has them."""
    rows = [(nic.pci_address, nic.pci_id, "0200", nic.vendor, nic.device) for nic in model.nics if nic.pci_id]
    rows += [(pci.address, pci.pci_id, pci.device_class, pci.vendor, pci.device) for pci in model.pci]
    return [_pci(*row) for row in sorted(rows)]


def _pci(address: str, pci_id: str, device_class: str, vendor: str, device: str) -> Any:
    _, bus, rest = address.split(":")
    slot, function = rest.split(".")
    vendor_id, device_id = (short(int(part, 16)) for part in pci_id.split(":"))
    return vim.host.PciDevice(
        id=address,
        classId=short(int(device_class, 16)),
        bus=int(bus, 16),
        slot=int(slot, 16),
        function=int(function, 16),
        vendorId=vendor_id,
        subVendorId=vendor_id,
        vendorName=vendor,
        deviceId=device_id,
        subDeviceId=device_id,
        deviceName=device,
    )


def config(host: Host) -> Any:
    """HostSystem.config, as far as it goes."""
    return vim.host.ConfigInfo(
        host=ref("HostSystem", "ha-host"),
        product=about(host),
        network=network(host),
        service=services(host),
        cacheConfigurationInfo=disks.cache(host),
        autoStart=autostart.config(host),
        dateTimeInfo=date_time(host),
        option=options.listed(host.options.all()),
        storageDevice=disks.devices(host),
    )


def network(host: Host) -> Any:
    """HostSystem.config.network: NICs, one switch, its port groups and the management interface."""
    groups = [_port_group(host, name, vlan) for name, vlan in host.network.port_groups.items()]
    switches = [_switch(host, name, one) for name, one in host.settings.switches.items()]
    # A NIC without a driver does not exist for ESXi; the PCI device does.
    return vim.host.NetworkInfo(
        pnic=[_pnic(nic) for nic in host.nics if nic.driver],
        vswitch=switches,
        portgroup=groups,
        vnic=[vnic(host)],
        dnsConfig=dns(host),
        ipRouteConfig=routes(host),
        netStackInstance=[net_stack(host)],
    )


def _switch(host: Host, name: str, switch: Switch) -> Any:
    driven = [nic.name for nic in host.nics if nic.driver and nic.name in switch.uplinks]
    groups = [group for group in host.network.port_groups if host.settings.switch_of(group) == name]
    return vim.host.VirtualSwitch(
        name=name,
        key=f"key-vim.host.VirtualSwitch-{name}",
        numPorts=1792,
        numPortsAvailable=1780,
        mtu=switch.mtu,
        portgroup=[f"key-vim.host.PortGroup-{group}" for group in groups],
        pnic=[f"key-vim.host.PhysicalNic-{nic}" for nic in driven],
        spec=switch_spec(switch),
    )


def switch_spec(switch: Switch) -> Any:
    """A switch as it is configured."""
    bridge = dict(switch.bridge) | {"nicDevice": list(switch.uplinks)}
    return vim.host.VirtualSwitch.Specification(
        numPorts=switch.ports,
        mtu=switch.mtu,
        bridge=built(vim.host.VirtualSwitch.BondBridge, bridge) if switch.uplinks else None,
        policy=policies.of_switch(switch),
    )


def _pnic(nic: Nic) -> Any:
    speed = vim.host.PhysicalNic.LinkSpeedDuplex(speedMb=nic.speed_mb, duplex=True) if nic.link_up else None
    return vim.host.PhysicalNic(
        key=f"key-vim.host.PhysicalNic-{nic.name}",
        device=nic.name,
        pci=nic.pci_address,
        driver=nic.driver,
        linkSpeed=speed,
        validLinkSpecification=[vim.host.PhysicalNic.LinkSpeedDuplex(speedMb=nic.speed_mb, duplex=True)],
        spec=vim.host.PhysicalNic.Specification(),
        wakeOnLanSupported=True,
        mac=nic.mac,
    )


def _port_group(host: Host, name: str, vlan: int) -> Any:
    switch = host.settings.switch_of(name)
    return vim.host.PortGroup(
        key=f"key-vim.host.PortGroup-{name}",
        vswitch=f"key-vim.host.VirtualSwitch-{switch}",
        computedPolicy=policies.in_force(host, name),
        spec=vim.host.PortGroup.Specification(
            name=name, vlanId=vlan, vswitchName=switch, policy=policies.of_group(host, name)
        ),
    )


def vnic(host: Host) -> Any:
    """The one vmkernel NIC."""
    network = host.settings.network
    spec = vim.host.VirtualNic.Specification(
        ip=vim.host.IpConfig(dhcp=network.dhcp, ipAddress=network.address, subnetMask=network.netmask),
        mac=host.nics[0].mac,
        portgroup=network.port_group,
        mtu=network.mtu,
        netStackInstanceKey=STACK,
    )
    key = f"key-vim.host.VirtualNic-{VMK}"
    return vim.host.VirtualNic(device=VMK, key=key, portgroup=network.port_group, spec=spec)


def dns(host: Host) -> Any:
    """The host's names, and whom it asks for others."""
    network = host.settings.network
    return vim.host.DnsConfig(
        dhcp=network.dns_dhcp,
        virtualNicDevice=VMK if network.dns_dhcp else None,
        hostName=network.host_name,
        domainName=network.domain_name,
        address=list(network.dns_servers),
        searchDomain=list(network.search_domains),
    )


def routes(host: Host) -> Any:
    """The way out."""
    return vim.host.IpRouteConfig(defaultGateway=host.settings.network.gateway or None)


def net_stack(host: Host) -> Any:
    """The TCP/IP stack of vmk0, with the numbers of a real host (govmomi's capture, simulator/esx/)."""
    return vim.host.NetStackInstance(
        key=STACK,
        name=STACK,
        dnsConfig=dns(host),
        ipRouteConfig=routes(host),
        requestedMaxNumberOfConnections=11000,
        congestionControlAlgorithm="newreno",
        ipV6Enabled=False,
    )


def services(host: Host) -> Any:
    """HostSystem.config.service, and HostServiceSystem.serviceInfo."""
    rows = [
        vim.host.Service(
            key=service.key,
            label=service.label,
            required=False,
            uninstallable=False,
            running=service.running,
            ruleset=[],
            policy=service.policy,
        )
        for service in host.services
    ]
    return vim.host.ServiceInfo(service=rows)


def date_time(host: Host) -> Any:
    """Always UTC on ESXi, and the servers that it asks."""
    zone = vim.host.DateTimeSystem.TimeZone(key="UTC", name="UTC", description="UTC", gmtOffset=0)
    return vim.host.DateTimeInfo(timeZone=zone, ntpConfig=vim.host.NtpConfig(server=list(host.settings.ntp_servers)))


def short(value: int) -> int:
    """An unsigned 16-bit number as the signed one of the API."""
    return value - 0x10000 if value >= 0x8000 else value


def capability() -> Any:
    """HostSystem.capability."""
    return vim.host.Capability(
        recursiveResourcePoolsSupported=True,
        rebootSupported=True,
        shutdownSupported=True,
        nfsSupported=True,
        vlanTaggingSupported=True,
        maintenanceModeSupported=True,
        maxSupportedVMs=1024,
        maxSupportedVcpus=2048,
        nfs41Supported=True,
    )
