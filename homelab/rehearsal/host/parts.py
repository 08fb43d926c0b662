"""The parts of a simulated host and of its VMs: plain state, no behaviour."""

import hashlib
import uuid as uuids
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from homelab.rehearsal.host.hardware import INSTALLED, HardwareModel
from homelab.rehearsal.storage.storage import Volume

SCRATCH = "ScratchConfig.CurrentScratchLocation"
NO_SCRATCH = "/tmp/scratch"


@dataclass
class Nic:
    """A physical NIC; `driver` is the module that holds it since boot, or None; `usb_driver` what always holds it."""

    name: str
    pci_address: str
    pci_id: str
    driver: str | None
    mac: str
    description: str
    link_up: bool
    speed_mb: int
    usb_driver: str = ""


@dataclass
class Module:
    """A kernel module: `claims` are PCI ids it can drive, `enabled` is configured, `loaded` is what runs since boot."""

    name: str
    native: bool
    claims: tuple[str, ...]
    enabled: bool
    loaded: bool
    options: str = ""
    version: str = ""


@dataclass(frozen=True)
class Vib:
    """An installed package."""

    name: str
    version: str
    vendor: str
    acceptance: str
    installed: date


@dataclass
class Service:
    """A service of the host; `policy` is on, off or automatic."""

    key: str
    label: str
    running: bool
    policy: str


@dataclass
class KernelSetting:
    """A VMkernel boot setting: `configured` acts at the next boot, `runtime` is in force."""

    name: str
    kind: str
    description: str
    configured: str
    runtime: str
    default: str


@dataclass
class Mount:
    """A mounted datastore; `access_mode` is readWrite or readOnly, `kind` NFS, NFS41 or VMFS."""

    name: str
    volume: Volume
    access_mode: str
    kind: str

    @property
    def moref(self) -> str:
        """The datastore's managed object id on a standalone host."""
        return self.volume.directory

    @property
    def file_system(self) -> str:
        """What the shell calls its kind."""
        return self.kind


@dataclass
class NasMount(Mount):
    """A mounted NFS datastore."""

    server: str
    share: str

    @property
    def moref(self) -> str:
        """Server and share."""
        return f"{self.server}:{self.share}"


@dataclass
class VmfsMount(Mount):
    """A VMFS on a local disk: the disk's canonical name, the partition's number, and the VMFS's major version."""

    disk: str
    partition: int
    version: int

    @property
    def file_system(self) -> str:
        """With the version, as `esxcli storage filesystem list` has it."""
        return f"VMFS-{self.version}"


@dataclass(frozen=True)
class Timing:
    """How long things take, in seconds: the host is gone, its services answer later than sshd, it shuts down."""

    boot_seconds: float = 1.0
    api_delay_seconds: float = 0.5
    shut_down_seconds: float = 0.2


@dataclass
class Account:
    """Failed logins in a row, and until when the account is locked, on the host's clock."""

    failures: int = 0
    locked_until: float = field(default=float("-inf"))


@dataclass
class VmDisk:
    """A virtual disk: `path` is the descriptor's datastore path, `capacity` in bytes, `parents` nearest first."""

    key: int
    path: str
    capacity: int
    unit: int = 0
    thin: bool = True
    controller: int = 1000
    parents: tuple[str, ...] = ()


@dataclass
class VmNic:
    """A virtual NIC. `address_type` is `generated` or `manual`; `kind` is vSphere's class without its prefix."""

    key: int
    mac: str
    network: str
    address_type: str = "generated"
    kind: str = "Vmxnet3"
    start_connected: bool = True


@dataclass
class VmCdRom:
    """A CD-ROM drive: `iso` is a datastore path, or None for an empty drive."""

    key: int
    iso: str | None = None
    start_connected: bool = True
    connected: bool = False
    unit: int = 0
    controller: int = 15000


@dataclass
class Question:
    """What a VM asks before it goes on: `choices` are key, label and summary; `answer` is the key that was chosen."""

    id: str
    text: str
    choices: tuple[tuple[str, str, str], ...]
    default: int
    answer: str | None = None


@dataclass
class Vm:
    """One VM. `moid` is a decimal, and vim-cmd's vmid; `vmx_path` is a datastore path; memory in MiB.

    `controllers` are vSphere's classes by key; a disk's or drive's `controller` is such a key. `location` is a hash of
    the place that the .vmx was written for.
    """

    moid: str
    name: str
    datastore: str
    vmx_path: str
    cpus: int = 1
    memory_mib: int = 1024
    guest_id: str = "otherLinux64Guest"
    uuid: str = field(default_factory=lambda: str(uuids.uuid4()))
    extra_config: dict[str, str] = field(default_factory=dict)
    powered_on: bool = False
    boot_time: datetime | None = None
    disks: list[VmDisk] = field(default_factory=list)
    nics: list[VmNic] = field(default_factory=list)
    cdroms: list[VmCdRom] = field(default_factory=list)
    controllers: dict[int, str] = field(default_factory=dict)
    annotation: str = ""
    hardware_version: str = "vmx-13"
    firmware: str = "bios"
    instance_uuid: str = field(default_factory=lambda: str(uuids.uuid4()))
    location: str = ""
    question: Question | None = None

    @property
    def folder(self) -> str:
        """The datastore path of the VM's folder."""
        return self.vmx_path.rpartition("/")[0]

    @property
    def seed(self) -> str | None:
        """The ISO that the guest sees when it boots."""
        return next((drive.iso for drive in self.cdroms if drive.iso and drive.start_connected), None)


def fresh_nics(host: str, model: HardwareModel) -> list[Nic]:
    """The NICs of a new machine; their MACs are Gigabyte's and differ from host to host."""
    nics = []
    for index, item in enumerate(model.nics):
        tail = hashlib.sha256(f"{host} {index}".encode()).digest()[:3]
        mac = ":".join(f"{part:02x}" for part in (0x1C, 0x1B, 0x0D, *tail))
        seen = (item.name, item.pci_address, item.pci_id, None, mac, item.description, False, 1000, item.usb_driver)
        nics.append(Nic(*seen))
    return nics


def fresh_modules(model: HardwareModel) -> dict[str, Module]:
    """Every module of the release, enabled."""
    return {
        item.name: Module(item.name, item.native, item.claims, enabled=True, loaded=False, version=item.version)
        for item in model.modules
    }


def fresh_vibs(model: HardwareModel) -> tuple[Vib, ...]:
    """The packages of a new installation."""
    return tuple(Vib(vib.name, vib.version, vib.vendor, vib.acceptance, INSTALLED) for vib in model.vibs)


def fresh_services() -> dict[str, Service]:
    """A new host answers on its API only: SSH and the shell are off."""
    rows = (
        ("DCUI", "Direct Console UI", True, "on"),
        ("TSM", "ESXi Shell", False, "off"),
        ("TSM-SSH", "SSH", False, "off"),
        ("lbtd", "Load-Based Teaming Daemon", True, "on"),
        ("ntpd", "NTP Daemon", False, "off"),
        ("vpxa", "VMware vCenter Agent", False, "on"),
    )
    return {key: Service(key, label, running, policy) for key, label, running, policy in rows}


def fresh_advanced() -> dict[str, Any]:
    """The advanced settings that matter here; a host on a stick has no scratch of its own."""
    return {
        "NFS.MaxVolumes": 8,
        "Net.FollowHardwareMac": 0,
        "Net.TcpipDefLROEnabled": 1,
        "Net.UseHwTSO": 1,
        "ScratchConfig.ConfiguredScratchLocation": "",
        SCRATCH: NO_SCRATCH,
        "Syslog.global.logDir": "[] /scratch/log",
        "Syslog.global.logDirUnique": False,
        "Syslog.global.logHost": "",
        "UserVars.SuppressShellWarning": 0,
    }


def fresh_rulesets() -> dict[str, bool]:
    """The firewall's rulesets of a new host that matter here, and whether they are open."""
    shut = dict.fromkeys(("httpClient", "nfsClient", "ntpClient", "sshClient", "syslog"), False)
    return {"sshServer": True, "dhcp": True, "dns": True, "vSphereClient": True, "webAccess": True} | shut


def fresh_kernel_settings() -> dict[str, KernelSetting]:
    """The boot settings that matter here."""
    rows = (
        ("preferVmklinux", "Prefer VMKlinux device drivers"),
        ("iovDisableIR", "Disable Interrrupt Routing in the IOMMU"),
    )
    return {name: KernelSetting(name, "Bool", text, "FALSE", "FALSE", "FALSE") for name, text in rows}
