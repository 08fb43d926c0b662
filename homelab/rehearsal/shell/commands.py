"""The esxcli commands that a simulated host knows, each named after its path; parameters are its options.

Layouts agree with recorded outputs of real hosts; what is assumed is listed in docs/reference/assumed.md.
"""

from datetime import UTC, datetime

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell.answers import Failure, table
from homelab.rehearsal.shell.facts import containing_vib, module_version
from homelab.rehearsal.shell.layouts import Block, Blocks, Output, Scalar, Value
from homelab.rehearsal.shell.pci import pci_blocks
from homelab.rehearsal.state.parts import KernelSetting, Module, Vib

LINK_MODES = "Auto, 10BaseT/Half, 10BaseT/Full, 100BaseT/Half, 100BaseT/Full, 1000BaseT/Full"
UPDATES = {"GA": "0"}


def system_module_list(host: Host, enabled: bool | None = None, loaded: bool | None = None) -> Output:
    """All modules, or those that are enabled or loaded as asked."""
    rows = tuple(
        (module.name, module.loaded, module.enabled)
        for module in host.drivers.modules.values()
        if enabled in (None, module.enabled) and loaded in (None, module.loaded)
    )
    return table("Module", ("Name", "Is Loaded", "Is Enabled"), rows)


def system_module_get(host: Host, module: str) -> Output:
    """One module in full."""
    found = _module(host, module)
    vib = containing_vib(host, found)
    fields = {
        "Module": found.name,
        "Module File": f"/usr/lib/vmware/vmkmod/{found.name}",
        "License": "GPL" if not found.native else "BSD",
        "Version": module_version(host, found.name),
        "Build Type": "release",
        "Provided Namespaces": "",
        "Required Namespaces": "com.vmware.vmkapi@v2_2_0_0" if not found.native else "com.vmware.vmkapi@v2_4_0_0",
        "Containing VIB": vib.name if vib else "esx-base",
        "VIB Acceptance Level": "community" if vib and vib.acceptance == "CommunitySupported" else "certified",
    }
    return Blocks("Module", (Block(fields),), single=True)


def system_module_set(host: Host, module: str, enabled: bool) -> Output:
    """Enable or disable a module; acts at the next boot."""
    _module(host, module)
    host.drivers.set_enabled(module, enabled)
    return None


def system_version_get(host: Host) -> Output:
    """Product, version, build, update and patch."""
    fields = {
        "Product": "VMware ESXi",
        "Version": host.version,
        "Build": f"Releasebuild-{host.build}",
        "Update": UPDATES.get(host.model.update, host.model.update.removeprefix("Update ")),
        "Patch": "0",
    }
    return Blocks("VersionGet", (Block(fields),), single=True)


def system_stats_uptime_get(host: Host) -> Output:
    """Microseconds since the boot."""
    return str(int((datetime.now(UTC) - host.boot_time).total_seconds() * 1_000_000))


def system_maintenanceMode_get(host: Host) -> Output:
    """Enabled or Disabled."""
    return "Enabled" if host.in_maintenance else "Disabled"


def system_maintenanceMode_set(host: Host, enable: bool, timeout: str = "0") -> Output:
    """Enter or leave maintenance mode; fails when the host is there already or VMs run."""
    if not timeout.isdigit():
        raise Failure(f"Invalid timeout '{timeout}': a number of seconds is wanted")
    if host.in_maintenance == enable:
        raise Failure("Maintenance mode is already " + ("enabled." if enable else "disabled."))
    if enable:
        host.maintenance.enter(float(timeout))
    else:
        host.maintenance.exit()
    return None


def system_settings_kernel_list(host: Host, option: str | None = None) -> Output:
    """The kernel's settings: configured is for the next boot, runtime is now."""
    if option is not None and option not in host.kernel_settings:
        raise Failure(f"Invalid option '{option}': no such kernel setting")
    rows = tuple(_kernel_row(name, setting) for name, setting in host.kernel_settings.items() if option in (None, name))
    return table("KernelSetting", ("Name", "Type", "Description", "Configured", "Runtime", "Default"), rows)


def system_settings_kernel_set(host: Host, setting: str, value: str) -> Output:
    """Set a kernel setting for the next boot."""
    if setting not in host.kernel_settings:
        raise Failure(f"Invalid setting '{setting}': no such kernel setting")
    if value.upper() not in ("TRUE", "FALSE"):
        raise Failure(f"Invalid value '{value}' for the setting '{setting}'")
    host.options.set_kernel_setting(setting, value)
    return None


def network_nic_list(host: Host) -> Output:
    """The NICs that a driver holds."""
    columns = (
        "Name",
        "PCI Device",
        "Driver",
        "Admin Status",
        "Link Status",
        "Speed",
        "Duplex",
        "MAC Address",
        "MTU",
        "Description",
    )
    rows = tuple(
        (
            nic.name,
            nic.pci_address,
            nic.driver,
            "Up",
            "Up" if nic.link_up else "Down",
            nic.speed_mb if nic.link_up else 0,
            "Full" if nic.link_up else "Half",
            nic.mac,
            1500,
            nic.description,
        )
        for nic in host.nics
        if nic.driver
    )
    return table("Nic", columns, rows, last_full=int(host.version.split(".")[0]) < 8)


def network_nic_get(host: Host, nic_name: str) -> Output:
    """One NIC in full."""
    nic = next((one for one in host.nics if one.name == nic_name and one.driver), None)
    if nic is None:
        raise Failure(f"Unable to find NIC {nic_name}")
    fields: dict[str, Value] = {
        "Advertised Auto Negotiation": True,
        "Advertised Link Modes": LINK_MODES,
        "Auto Negotiation": False,
        "Cable Type": "Twisted Pair",
        "Current Message Level": -1,
        "Driver Info": {
            "Bus Info": nic.pci_address.replace(".", ":"),
            "Driver": nic.driver or "",
            "Firmware Version": "0.8-4",
            "Version": module_version(host, nic.driver or ""),
        },
        "Link Detected": nic.link_up,
        "Link Status": "Up" if nic.link_up else "Down",
        "Name": nic.name,
        "PHYAddress": 0,
        "Pause Autonegotiate": False,
        "Pause RX": False,
        "Pause TX": False,
        "Supported Ports": "TP",
        "Supports Auto Negotiation": True,
        "Supports Pause": False,
        "Supports Wakeon": True,
        "Transceiver": "",
        "Virtual Address": f"00:50:56:5{nic.mac[-7:]}",
        "Wakeon": "MagicPacket(tm)",
    }
    return Blocks("Nic", (Block(fields),), single=True)


def software_vib_list(host: Host) -> Output:
    """The installed packages."""
    columns = ("Name", "Version", "Vendor", "Acceptance Level", "Install Date")
    rows = tuple((vib.name, vib.version, vib.vendor, vib.acceptance, vib.installed.isoformat()) for vib in host.vibs)
    return table("VIBExt", columns, rows)


def software_vib_get(host: Host, vibname: str | None = None) -> Output:
    """One package in full, or all."""
    vibs = [vib for vib in host.vibs if vibname in (None, vib.name)]
    if not vibs:
        raise Failure(
            f" [NoMatchError]\n No VIB matching VIB search specification '{vibname}'.\n"
            " Please refer to the log file for more details."
        )
    blocks = (Block(_vib(vib), f"{vib.vendor}_bootbank_{vib.name}_{vib.version}") for vib in vibs)
    return Blocks("VIBExt", tuple(blocks))


def hardware_pci_list(host: Host) -> Output:
    """Every PCI device, a block each."""
    return Blocks("PciDevice", pci_blocks(host))


def _module(host: Host, name: str) -> Module:
    if name not in host.drivers.modules:
        raise Failure(f"Invalid module name {name}: no such module")
    return host.drivers.modules[name]


def _kernel_row(name: str, setting: KernelSetting) -> tuple[Scalar, ...]:
    """Recorded: `true` as configured, `TRUE` at runtime, `FALSE` by default."""
    return name, setting.kind, setting.description, setting.configured, setting.runtime, setting.default


def _vib(vib: Vib) -> dict[str, str | bool]:
    return {
        "Name": vib.name,
        "Version": vib.version,
        "Type": "bootbank",
        "Vendor": vib.vendor,
        "Acceptance Level": vib.acceptance,
        "Summary": vib.name,
        "Description": vib.name,
        "ReferenceURLs": "",
        "Creation Date": vib.installed.isoformat(),
        "Depends": "",
        "Conflicts": "",
        "Replaces": "",
        "Provides": "",
        "Maintenance Mode Required": "True",
        "Hardware Platforms Required": "",
        "Live Install Allowed": "False",
        "Live Remove Allowed": "False",
        "Stateless Ready": "True",
        "Overlay": "False",
        "Tags": "",
        "Payloads": vib.name,
    }
