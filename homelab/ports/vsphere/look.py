"""One look at a host: two calls, all that the steps want to know about it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyVmomi import vim, vmodl

from homelab.errors import Starting
from homelab.ports.vsphere.drives import image_drives, is_connected
from homelab.ports.vsphere.host_look import (
    AutostartLook,
    HostLook,
    ModuleLook,
    NasLook,
    NetworkLook,
    NicLook,
    PortGroupLook,
    StartLook,
    VmfsLook,
)
from homelab.ports.vsphere.local_storage import disks_of
from homelab.ports.vsphere.session import Session, parsed
from homelab.ports.vsphere.vm_look import VmDisk, VmLook, VmNic, own_seed

HOST_PATHS = [
    "config.autoStart",
    "config.cacheConfigurationInfo",
    "config.dateTimeInfo",
    "config.network",
    "config.option",
    "config.product.build",
    "config.product.version",
    "config.service.service",
    "config.storageDevice.hostBusAdapter",
    "config.storageDevice.scsiLun",
    "config.storageDevice.scsiTopology",
    "configManager",
    "hardware.cpuInfo.numCpuThreads",
    "hardware.memorySize",
    "hardware.pciDevice",
    "runtime.bootTime",
    "runtime.inMaintenanceMode",
]
DATASTORE_PATHS = ["name", "summary.accessible", "summary.capacity", "summary.freeSpace", "info", "host", "vm"]
VM_PATHS = [
    "name",
    "config.extraConfig",
    "config.files.vmPathName",
    "config.hardware.device",
    "config.hardware.memoryMB",
    "config.hardware.numCPU",
    "config.instanceUuid",
    "runtime.bootTime",
    "runtime.connectionState",
    "runtime.powerState",
    "summary.config.vmPathName",
]
MARK = "homelab."
VOLUMES = "/vmfs/volumes/"
# The edition of the free licence; with it, and after the evaluation, the API only reads (esxi-facts, Licence).
FREE_EDITION = "esx.hypervisor"


def look(session: Session) -> HostLook:
    """Ask one host for everything, in one RetrievePropertiesEx and one QueryModules. Raises Starting."""
    with parsed(session.where, "itself"):
        return _look(session)


def _look(session: Session) -> HostLook:
    rows = _retrieve(session)
    [(_, host)] = [row for row in rows if isinstance(row[0], vim.HostSystem)]
    stores = [row for ref, row in rows if isinstance(ref, vim.Datastore)]
    _check_known(session.where, stores)
    names = {ref._moId: row.get("name", "") for ref, row in rows if isinstance(ref, vim.VirtualMachine)}
    licences = [row.get("licenses") or [] for ref, row in rows if isinstance(ref, vim.LicenseManager)]
    modules = host["configManager"].kernelModuleSystem.QueryModules()
    services = host["config.service.service"]
    ntp = getattr(host.get("config.dateTimeInfo"), "ntpConfig", None)
    vms = tuple(_vm(ref, row) for ref, row in rows if isinstance(ref, vim.VirtualMachine))
    known = [one for found in licences for one in found]
    licence, api_writes = _licence(known)
    return HostLook(
        version=host["config.product.version"],
        build=host["config.product.build"],
        boot_time=host["runtime.bootTime"],
        in_maintenance=host["runtime.inMaintenanceMode"],
        nics=_nics(host),
        modules={m.name: ModuleLook(loaded=bool(m.loaded), enabled=bool(m.enabled)) for m in modules},
        services={service.key: service.running for service in services},
        policies={service.key: service.policy for service in services},
        nas=tuple(nas for row in stores for nas in _nas(row, names)),
        vmfs=tuple(vmfs for row in stores for vmfs in _vmfs(row)),
        disks=disks_of(
            host.get("config.storageDevice.scsiLun"),
            host.get("config.storageDevice.hostBusAdapter"),
            host.get("config.storageDevice.scsiTopology"),
        ),
        vms=vms,
        network=_network(host["config.network"], str(session.host.address)),
        options={option.key: option.value for option in host.get("config.option") or []},
        ntp_servers=tuple(ntp.server or ()) if ntp else (),
        cache_mib=_caches(host.get("config.cacheConfigurationInfo") or [], rows),
        memory=host["hardware.memorySize"],
        cpus=host.get("hardware.cpuInfo.numCpuThreads") or 0,
        clock_error=session.clock_error,
        licence=licence,
        api_writes=api_writes,
        most_cpus=_most_cpus(known),
        autostart=_autostart(host.get("config.autoStart"), vms),
    )


def _retrieve(session: Session) -> list[tuple[Any, dict[str, Any]]]:
    collector = vmodl.query.PropertyCollector
    filter_spec = collector.FilterSpec(
        propSet=[
            collector.PropertySpec(type=vim.HostSystem, pathSet=HOST_PATHS),
            collector.PropertySpec(type=vim.Datastore, pathSet=DATASTORE_PATHS),
            collector.PropertySpec(type=vim.VirtualMachine, pathSet=VM_PATHS),
            collector.PropertySpec(type=vim.LicenseManager, pathSet=["licenses"]),
        ],
        objectSet=[
            collector.ObjectSpec(
                obj=session.host_system,
                selectSet=[
                    collector.TraversalSpec(name=path, type=vim.HostSystem, path=path) for path in ("datastore", "vm")
                ],
            ),
            collector.ObjectSpec(obj=session.content.licenseManager),
        ],
    )
    property_collector = session.content.propertyCollector
    result = property_collector.RetrievePropertiesEx([filter_spec], collector.RetrieveOptions())
    objects = list(result.objects) if result else []
    while result and result.token:
        result = property_collector.ContinueRetrievePropertiesEx(result.token)
        objects += result.objects
    return [(item.obj, {p.name: p.val for p in item.propSet}) for item in objects]


def _check_known(where: str, stores: Sequence[Mapping[str, Any]]) -> None:
    """A datastore whose name or kind is not told yet must not count as one that is not there."""
    for row in stores:
        lacking = [key for key in ("name", "info") if row.get(key) is None]
        if lacking:
            raise Starting(
                f"it does not tell the {' and '.join(lacking)} of its datastore {row.get('name') or '(no name)'} yet",
                where=where,
                advice="It is starting, or its management agents are; wait a little and run again",
            )


def _licence(licences: Sequence[Any]) -> tuple[str, bool]:
    """The names of the licences in use, and whether any of them lets the API write."""
    used = [licence for licence in licences if licence.used] or list(licences)
    if not used:
        return "", True
    return ", ".join(licence.name for licence in used), any(_lets_write(licence) for licence in used)


def _most_cpus(licences: Sequence[Any]) -> int | None:
    """The feature `vsmp:8` is `Up to 8-way virtual SMP` (esxi-recordings, licence)."""
    used = [licence for licence in licences if licence.used] or list(licences)
    features = [getattr(p.value, "key", None) or "" for one in used for p in one.properties or [] if p.key == "feature"]
    found = [re.fullmatch(r"vsmp:(\d+)", feature) for feature in features]
    return max((int(one[1]) for one in found if one), default=None)


def _lets_write(licence: Any) -> bool:
    left = [p.value for p in licence.properties or [] if p.key in ("expirationHours", "expirationMinutes")]
    return not licence.editionKey.startswith(FREE_EDITION) and not (left and max(left) <= 0)


def _nics(host: Mapping[str, Any]) -> tuple[NicLook, ...]:
    """The ids are signed 16-bit numbers in the API. A NIC on USB is no PCI device."""
    devices = {device.id: device for device in host["hardware.pciDevice"]}
    return tuple(_nic(nic, devices.get(nic.pci)) for nic in host["config.network"].pnic or [])


def _nic(nic: Any, device: Any) -> NicLook:
    if device is None:
        return NicLook(nic.device, nic.driver or "", "", nic.mac)
    pci_id, subsystem = _ids(device.vendorId, device.deviceId), _ids(device.subVendorId, device.subDeviceId)
    return NicLook(nic.device, nic.driver or "", pci_id, nic.mac, subsystem)


def _ids(vendor: int, device: int) -> str:
    return f"{vendor & 0xFFFF:04x}:{device & 0xFFFF:04x}"


def _network(info: Any, address: str) -> NetworkLook:
    """The vmkernel NIC with the host's own address is the management's, else the first, as the installer makes it."""
    dns, route = info.dnsConfig, info.ipRouteConfig
    groups = tuple(_port_group(group.spec, info.vnic or []) for group in info.portgroup or [])
    vnics = list(info.vnic or [])
    first = next((nic for nic in vnics if nic.spec.ip and nic.spec.ip.ipAddress == address), next(iter(vnics), None))
    ip = first.spec.ip if first else None
    return NetworkLook(
        hostname=(dns.hostName or "") if dns else "",
        domain=(dns.domainName or "") if dns else "",
        nameservers=tuple(dns.address or ()) if dns else (),
        dns_by_dhcp=bool(dns and dns.dhcp),
        dhcp=bool(ip and ip.dhcp),
        address=(ip.ipAddress or "") if ip else "",
        netmask=(ip.subnetMask or "") if ip else "",
        gateway=(route.defaultGateway or "") if route else "",
        port_groups=groups,
        uplinks=_uplinks(info),
        missing=_missing(info),
        management=next((g.switch for g in groups if first and g.name == first.portgroup), ""),
    )


def _uplinks(info: Any) -> dict[str, tuple[str, ...]]:
    """The NICs of every switch, of a vCenter's as well; how a switch uses them does not matter."""
    nics = {nic.key: nic.device for nic in info.pnic or []}
    switches = [(s.name, s.pnic) for s in info.vswitch or []] + [(s.dvsName, s.pnic) for s in info.proxySwitch or []]
    return {name: tuple(nics[key] for key in keys or [] if key in nics) for name, keys in switches}


def _missing(info: Any) -> tuple[str, ...]:
    """The uplinks of standard switches that are no NIC of the host: one that no driver holds is not among its NICs."""
    there = {nic.device for nic in info.pnic or []}
    bridges = [switch.spec.bridge for switch in info.vswitch or [] if switch.spec]
    bonded = [name for bridge in bridges for name in getattr(bridge, "nicDevice", None) or []]
    return tuple(name for name in bonded if name not in there)


def _port_group(spec: Any, vnics: Sequence[Any]) -> PortGroupLook:
    own = tuple(nic.device for nic in vnics if nic.portgroup == spec.name)
    return PortGroupLook(spec.name, spec.vlanId, spec.vswitchName, own)


def _directory(info: Any) -> str:
    """The directory below /vmfs/volumes, from `ds:///vmfs/volumes/ID/` or `/vmfs/volumes/ID/`."""
    return str(info.url or "").rstrip("/").rpartition("/")[2]


def _nas(row: Mapping[str, Any], vms: Mapping[str, str]) -> list[NasLook]:
    info = row["info"]
    if not isinstance(info, vim.host.NasDatastoreInfo) or info.nas is None:
        return []
    mounts = row.get("host") or []
    return [
        NasLook(
            name=row["name"],
            server=info.nas.remoteHost,
            share=info.nas.remotePath,
            version={"NFS": "3", "NFS41": "4.1"}.get(info.nas.type, info.nas.type),
            writable=bool(mounts) and all(mount.mountInfo.accessMode == "readWrite" for mount in mounts),
            # What is not told yet counts as away: nobody writes there.
            accessible=bool(row.get("summary.accessible")),
            directory=_directory(info),
            vms=tuple(vms.get(ref._moId) or ref._moId for ref in row.get("vm") or []),
            free=row.get("summary.freeSpace") or 0,
            size=row.get("summary.capacity") or 0,
        )
    ]


def _vmfs(row: Mapping[str, Any]) -> list[VmfsLook]:
    info = row.get("info")
    if not isinstance(info, vim.host.VmfsDatastoreInfo) or info.vmfs is None:
        return []
    disks = tuple(extent.diskName for extent in info.vmfs.extent or [])
    # Of one that hostd has just found, some properties are not there yet: it counts as one that does not answer.
    name, answers = row.get("name") or info.vmfs.name or "", bool(row.get("summary.accessible"))
    free, size = row.get("summary.freeSpace") or 0, row.get("summary.capacity") or 0
    return [VmfsLook(name, disks, answers, _directory(info), free, size)]


def _caches(caches: Sequence[Any], rows: Sequence[tuple[Any, Mapping[str, Any]]]) -> dict[str, int]:
    names = {ref._moId: row["name"] for ref, row in rows if isinstance(ref, vim.Datastore) and "name" in row}
    return {names.get(cache.key._moId, cache.key._moId): int(cache.swapSize) for cache in caches if cache.swapSize}


def _autostart(config: Any, vms: Sequence[VmLook]) -> AutostartLook | None:
    """A VM that is not registered any more may still have an entry, which is passed over."""
    if config is None:
        return None
    known = {vm.moid: vm for vm in vms}
    entries = [
        StartLook(known[moid].path or moid, known[moid].name, info.startOrder, info.startAction.lower() == "poweron")
        for info in config.powerInfo or []
        if (moid := info.key._moId) in known
    ]
    return AutostartLook(bool(config.defaults and config.defaults.enabled), tuple(entries))


def _vm(ref: Any, row: Mapping[str, Any]) -> VmLook:
    """A VM whose files cannot be reached is `inaccessible` or `invalid`, and has no config (vim.VirtualMachine)."""
    devices = row.get("config.hardware.device") or []
    backings = [device.backing for device in devices if getattr(getattr(device, "backing", None), "fileName", None)]
    disks = [device for device in devices if isinstance(device, vim.vm.device.VirtualDisk)]
    nics = [device for device in devices if isinstance(device, vim.vm.device.VirtualEthernetCard)]
    images = {drive.backing.fileName: is_connected(drive) for drive in image_drives(devices)}
    path = row.get("config.files.vmPathName") or row.get("summary.config.vmPathName") or ""
    return VmLook(
        moid=ref._moId,
        name=row.get("name", ""),
        powered_on=row.get("runtime.powerState") == "poweredOn",
        path=path,
        marks={o.key: o.value for o in row.get("config.extraConfig") or [] if o.key.startswith(MARK)},
        seed=own_seed(path, list(images)),
        seed_connected=images.get(own_seed(path, list(images)) or "", True),
        nics=tuple(VmNic(nic.macAddress or "", getattr(nic.backing, "deviceName", None) or "") for nic in nics),
        files=tuple(file for backing in backings for file in _chain(backing)),
        instance_uuid=row.get("config.instanceUuid") or "",
        readable="config.files.vmPathName" in row and row.get("runtime.connectionState", "connected") == "connected",
        cpus=row.get("config.hardware.numCPU") or 0,
        memory_mib=row.get("config.hardware.memoryMB") or 0,
        disks=tuple(VmDisk(getattr(disk.backing, "fileName", None) or "", _size(disk)) for disk in disks),
        booted=row.get("runtime.bootTime"),
    )


def _size(disk: Any) -> int:
    return int(disk.capacityInBytes or 1024 * (disk.capacityInKB or 0))


def _chain(backing: Any) -> Iterator[str]:
    """A disk and the disks that it sits on."""
    while backing is not None and backing.fileName:
        yield backing.fileName
        backing = getattr(backing, "parent", None)
