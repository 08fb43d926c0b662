"""What one look at an ESXi host tells, as small frozen dataclasses. Sizes in bytes, times in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from homelab.ports.vsphere.vm_look import VmLook

CONFIGURED_SCRATCH = "ScratchConfig.ConfiguredScratchLocation"
CURRENT_SCRATCH = "ScratchConfig.CurrentScratchLocation"
PREFER_VMKLINUX = "VMkernel.Boot.preferVmklinux"


@dataclass(frozen=True)
class NicLook:
    """A physical NIC. `pci_id` is VENDOR:DEVICE in hex, empty for one on USB; `driver` the module that holds it.

    `subsystem` is SUBVENDOR:SUBDEVICE in hex.
    """

    name: str
    driver: str
    pci_id: str
    mac: str
    subsystem: str = ""

    @property
    def on_usb(self) -> bool:
        """Whether it hangs on USB: no PCI driver has to do with it."""
        return self.name.startswith("vusb")

    def __str__(self) -> str:
        return f"{self.name} ({self.pci_id})" if self.pci_id else self.name


@dataclass(frozen=True)
class ModuleLook:
    """A kernel module: `loaded` since the last boot, `enabled` for the next one."""

    loaded: bool
    enabled: bool


@dataclass(frozen=True)
class NasLook:
    """A mounted NFS datastore, with the strings that tell datastores apart; `directory` is below /vmfs/volumes.

    `vms` are the VMs with any file on it as the host itself counts them, those with snapshots there among them. `free`
    and `size` are 0 where they are not told.
    """

    name: str
    server: str
    share: str
    version: str
    writable: bool
    accessible: bool
    directory: str = ""
    vms: tuple[str, ...] = ()
    free: int = 0
    size: int = 0


@dataclass(frozen=True)
class VmfsLook:
    """A VMFS datastore; `disks` are the canonical names of the disks that it lies on."""

    name: str
    disks: tuple[str, ...]
    accessible: bool
    directory: str
    free: int = 0
    size: int = 0


@dataclass(frozen=True)
class DiskLook:
    """A disk: its canonical name, what it calls itself, its size, and whether ESXi takes it for an SSD.

    `usb` is told by what it hangs on, never by its name: any disk without an id of its own is `mpx.` and its path. A
    size of 0 is one that the host did not tell.
    """

    name: str
    model: str
    size: int
    ssd: bool
    path: str
    usb: bool = False


@dataclass(frozen=True)
class PortGroupLook:
    """A port group of a standard switch; `vmkernel` are the host's own NICs on it."""

    name: str
    vlan: int
    switch: str
    vmkernel: tuple[str, ...] = ()


@dataclass(frozen=True)
class NetworkLook:
    """Names, DNS and switches. `uplinks` is SWITCH -> its NICs, active, standby and unused alike.

    `missing` are NICs that a switch has for its uplinks and the host does not have: without a driver, or taken out.
    `management` is the switch of the vmkernel NIC that the host is managed by; empty when it is not known.
    `dns_by_dhcp` says that domain and name servers are what a DHCP server gave.
    """

    hostname: str = ""
    domain: str = ""
    nameservers: tuple[str, ...] = ()
    dns_by_dhcp: bool = False
    dhcp: bool = False
    address: str = ""
    netmask: str = ""
    gateway: str = ""
    port_groups: tuple[PortGroupLook, ...] = ()
    uplinks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    management: str = ""

    def port_group(self, name: str) -> PortGroupLook | None:
        """The port group of that name."""
        return next((group for group in self.port_groups if group.name == name), None)


@dataclass(frozen=True)
class StartLook:
    """A VM that takes part when its host starts and stops VMs. `path` is that of its .vmx, its id where none is told.

    `order` is its position from 1 on, -1 for any time. `starts` is False for one that only stops with the host, or
    whose entry somebody switched off.
    """

    path: str
    name: str
    order: int
    starts: bool


@dataclass(frozen=True)
class AutostartLook:
    """Whether the host starts VMs with itself, and which."""

    enabled: bool
    entries: tuple[StartLook, ...] = ()


@dataclass(frozen=True)
class HostLook:
    """What one look at an ESXi host tells.

    `clock_error` is how far its clock is ahead of ours, in seconds; `options` are its advanced settings; `cache_mib` is
    DATASTORE's directory -> host cache; `cpus` are its logical ones; `api_writes` is False under the free licence and
    after the evaluation; `most_cpus` is how many CPUs the licence allows a VM, None where it does not say; `autostart`
    is None where the host does not tell it.
    """

    version: str
    build: str
    boot_time: datetime
    in_maintenance: bool
    nics: tuple[NicLook, ...]
    modules: Mapping[str, ModuleLook]
    services: Mapping[str, bool]
    nas: tuple[NasLook, ...]
    vms: tuple[VmLook, ...]
    vmfs: tuple[VmfsLook, ...] = ()
    disks: tuple[DiskLook, ...] = ()
    network: NetworkLook = field(default_factory=NetworkLook)
    options: Mapping[str, Any] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)
    ntp_servers: tuple[str, ...] = ()
    cache_mib: Mapping[str, int] = field(default_factory=dict)
    memory: int = 0
    cpus: int = 0
    clock_error: float = 0.0
    licence: str = ""
    api_writes: bool = True
    most_cpus: int | None = None
    autostart: AutostartLook | None = None

    def nic(self, name: str) -> NicLook | None:
        """The physical NIC of that name."""
        return next((nic for nic in self.nics if nic.name == name), None)

    def nas_named(self, name: str) -> NasLook | None:
        """The NFS datastore of that name."""
        return next((nas for nas in self.nas if nas.name == name), None)

    def vmfs_named(self, name: str) -> VmfsLook | None:
        """The VMFS datastore of that name."""
        return next((vmfs for vmfs in self.vmfs if vmfs.name == name), None)

    def directory_of(self, datastore: str) -> str | None:
        """The directory below /vmfs/volumes of a datastore that answers; None when there is none."""
        stores: tuple[NasLook | VmfsLook, ...] = (*self.vmfs, *self.nas)
        return next((one.directory for one in stores if one.name == datastore and one.accessible), None)

    def vms_marked(self, lab: str, name: str) -> tuple[VmLook, ...]:
        """The VMs that carry our mark for this name: ours, and copies of it."""
        return tuple(vm for vm in self.vms if vm.carries(lab, name))

    @property
    def management_nics(self) -> tuple[NicLook, ...]:
        """The NICs that the management network needs: every uplink of its switch; every NIC where that is not known."""
        uplinks = self.network.uplinks.get(self.network.management)
        return tuple(nic for nic in self.nics if not uplinks or nic.name in uplinks)

    @property
    def used_nics(self) -> tuple[NicLook, ...]:
        """The NICs that are the uplink of any switch; every NIC where no switch is known."""
        used = {name for nics in self.network.uplinks.values() for name in nics}
        return tuple(nic for nic in self.nics if not used or nic.name in used)

    @property
    def running(self) -> tuple[str, ...]:
        """The names of the VMs that are on."""
        return tuple(vm.name for vm in self.vms if vm.powered_on)

    @property
    def prefers_vmklinux(self) -> bool:
        """Whether the next boot prefers legacy drivers for every device."""
        return bool(self.options.get(PREFER_VMKLINUX, False))
