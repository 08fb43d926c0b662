"""One look at a host: five calls, all that the steps want to know about it, as small frozen dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyVmomi import vim, vmodl

from homelab.ports.vsphere.session import Session

HOST_PATHS = [
    "config.product.version",
    "config.product.build",
    "config.network.pnic",
    "config.service.service",
    "configManager",
    "hardware.pciDevice",
    "runtime.bootTime",
    "runtime.inMaintenanceMode",
]
DATASTORE_PATHS = ["name", "summary.accessible", "info", "host"]
VM_PATHS = [
    "name",
    "config.extraConfig",
    "config.files.vmPathName",
    "config.hardware.device",
    "runtime.powerState",
]
MARK = "homelab."


@dataclass(frozen=True)
class NicLook:
    """A physical NIC. `pci_id` is VENDOR:DEVICE in hex, `driver` the module that holds it."""

    name: str
    driver: str
    pci_id: str
    mac: str


@dataclass(frozen=True)
class ModuleLook:
    """A kernel module: `loaded` since the last boot, `enabled` for the next one."""

    loaded: bool
    enabled: bool


@dataclass(frozen=True)
class NasLook:
    """A mounted NFS datastore, with the strings that tell datastores apart."""

    name: str
    server: str
    share: str
    version: str
    writable: bool
    accessible: bool


@dataclass(frozen=True)
class VmLook:
    """A VM. `marks` are its extraConfig keys that begin with `homelab.`; `seed` is the file in its CD-ROM, if any."""

    moid: str
    name: str
    powered_on: bool
    path: str
    marks: Mapping[str, str]
    seed: str | None
    macs: tuple[str, ...]


@dataclass(frozen=True)
class HostLook:
    """What one look at an ESXi host tells. `boot_time` in UTC."""

    version: str
    build: str
    boot_time: datetime
    in_maintenance: bool
    nics: tuple[NicLook, ...]
    modules: Mapping[str, ModuleLook]
    services: Mapping[str, bool]
    nas: tuple[NasLook, ...]
    vms: tuple[VmLook, ...]

    def nic(self, name: str) -> NicLook | None:
        """The physical NIC of that name."""
        return next((nic for nic in self.nics if nic.name == name), None)

    def nas_named(self, name: str) -> NasLook | None:
        """The NFS datastore of that name."""
        return next((nas for nas in self.nas if nas.name == name), None)

    def vm_marked(self, lab: str, name: str) -> VmLook | None:
        """The VM that carries our mark for this name, whatever it is called now."""
        for vm in self.vms:
            if vm.marks.get("homelab.lab") == lab and vm.marks.get("homelab.name") == name:
                return vm
        return None


def look(session: Session) -> HostLook:
    """Ask one host for everything, in one RetrievePropertiesEx and one QueryModules."""
    rows = _retrieve(session)
    [(_, host)] = [row for row in rows if isinstance(row[0], vim.HostSystem)]
    modules = host["configManager"].kernelModuleSystem.QueryModules()
    return HostLook(
        version=host["config.product.version"],
        build=host["config.product.build"],
        boot_time=host["runtime.bootTime"],
        in_maintenance=host["runtime.inMaintenanceMode"],
        nics=_nics(host),
        modules={m.name: ModuleLook(loaded=bool(m.loaded), enabled=bool(m.enabled)) for m in modules},
        services={service.key: service.running for service in host["config.service.service"]},
        nas=tuple(nas for ref, row in rows if isinstance(ref, vim.Datastore) for nas in _nas(row)),
        vms=tuple(_vm(ref, row) for ref, row in rows if isinstance(ref, vim.VirtualMachine)),
    )


def _retrieve(session: Session) -> list[tuple[Any, dict[str, Any]]]:
    collector = vmodl.query.PropertyCollector
    filter_spec = collector.FilterSpec(
        propSet=[
            collector.PropertySpec(type=vim.HostSystem, pathSet=HOST_PATHS),
            collector.PropertySpec(type=vim.Datastore, pathSet=DATASTORE_PATHS),
            collector.PropertySpec(type=vim.VirtualMachine, pathSet=VM_PATHS),
        ],
        objectSet=[
            collector.ObjectSpec(
                obj=session.host_system,
                selectSet=[
                    collector.TraversalSpec(name=path, type=vim.HostSystem, path=path) for path in ("datastore", "vm")
                ],
            )
        ],
    )
    property_collector = session.content.propertyCollector
    result = property_collector.RetrievePropertiesEx([filter_spec], collector.RetrieveOptions())
    objects = list(result.objects) if result else []
    while result and result.token:
        result = property_collector.ContinueRetrievePropertiesEx(result.token)
        objects += result.objects
    return [(item.obj, {p.name: p.val for p in item.propSet}) for item in objects]


def _nics(host: Mapping[str, Any]) -> tuple[NicLook, ...]:
    ids = {
        device.id: f"{device.vendorId & 0xFFFF:04x}:{device.deviceId & 0xFFFF:04x}"
        for device in host["hardware.pciDevice"]
    }
    return tuple(
        NicLook(nic.device, nic.driver or "", ids.get(nic.pci, ""), nic.mac) for nic in host["config.network.pnic"]
    )


def _nas(row: Mapping[str, Any]) -> list[NasLook]:
    info = row.get("info")
    if not isinstance(info, vim.host.NasDatastoreInfo) or info.nas is None:
        return []
    mounts = row.get("host") or []
    return [
        NasLook(
            name=row["name"],
            server=info.nas.remoteHost,
            share=info.nas.remotePath,
            version={"NFS": "3", "NFS41": "4.1"}.get(info.nas.type, info.nas.type),
            writable=all(mount.mountInfo.accessMode == "readWrite" for mount in mounts),
            accessible=row["summary.accessible"],
        )
    ]


def _vm(ref: Any, row: Mapping[str, Any]) -> VmLook:
    devices = row.get("config.hardware.device") or []
    seeds = [
        device.backing.fileName
        for device in devices
        if isinstance(device, vim.vm.device.VirtualCdrom)
        and isinstance(device.backing, vim.vm.device.VirtualCdrom.IsoBackingInfo)
    ]
    return VmLook(
        moid=ref._moId,
        name=row.get("name", ""),
        powered_on=row.get("runtime.powerState") == "poweredOn",
        path=row.get("config.files.vmPathName", ""),
        marks={o.key: o.value for o in row.get("config.extraConfig") or [] if o.key.startswith(MARK)},
        seed=seeds[0] if seeds else None,
        macs=tuple(d.macAddress or "" for d in devices if isinstance(d, vim.vm.device.VirtualEthernetCard)),
    )
