"""The parts of a simulated host: plain state, no behaviour, and what of it a new installation has."""

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Any

from homelab.rehearsal.state.hardware import INSTALLED, HardwareModel

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


@dataclass(frozen=True)
class Timing:
    """How long things take, in seconds: the host is gone, its services answer later than sshd, it shuts down.

    So does a VM's power-on.
    """

    boot_seconds: float = 1.0
    api_delay_seconds: float = 0.5
    shut_down_seconds: float = 0.2
    power_on_seconds: float = 0.0


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
