"""The esxcli commands about the machine, its settings, logs and network, each named after its path."""

import uuid as uuids
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import Any

from homelab.rehearsal.host import Host
from homelab.rehearsal.parts import SCRATCH
from homelab.rehearsal.shell.answers import Failure, table
from homelab.rehearsal.shell.layouts import Block, Blocks, Output, Value

PREFIX = 24
MIB = 1 << 20
# Family, model and stepping, and the last cache's size in bytes.
CPUS = {"i5-3337U": (6, 58, 9, 3 << 20), "i7-8550U": (6, 142, 10, 8 << 20)}
LOG_DIR, LOG_HOST, LOG_UNIQUE = "Syslog.global.logDir", "Syslog.global.logHost", "Syslog.global.logDirUnique"


@dataclass(frozen=True)
class Option:
    """An advanced setting that is a number."""

    default: int
    least: int
    most: int
    description: str


# The ones of Net as recorded.
OPTIONS = {
    "NFS.MaxVolumes": Option(8, 8, 256, "Maximum number of mounted NFS v3 volumes. Requires reboot"),
    "Net.FollowHardwareMac": Option(
        0,
        0,
        1,
        "If set to 1, the management interface MAC address will update whenever the hardware MAC address changes.",
    ),
    "Net.TcpipDefLROEnabled": Option(1, 0, 1, "LRO enabled for TCP/IP"),
    "Net.UseHwTSO": Option(1, 0, 1, "When non-zero, use pNIC HW TSO offload if available"),
    "UserVars.SuppressShellWarning": Option(0, 0, 1, "Don't show warning for enabled local and remote shell access"),
}


def system_settings_advanced_list(host: Host, option: str | None = None) -> Output:
    """Advanced settings, one or all that are numbers, a block each."""
    wanted = [_key(option)] if option else sorted(OPTIONS)
    return Blocks("SettingsAdvancedOption", tuple(Block(_setting(host, key)) for key in wanted))


def system_settings_advanced_set(
    host: Host, option: str, int_value: int | None = None, default: bool = False
) -> Output:
    """Set a number, or set it back to its default."""
    key = _key(option)
    value = OPTIONS[key].default if default else int_value
    if value is None:
        raise Failure(f"A value is wanted for the option {option}")
    if not OPTIONS[key].least <= value <= OPTIONS[key].most:
        raise Failure(f"The value {value} is out of the range of the option {option}")
    host.advanced[key] = value
    host.touch()
    return None


def _key(path: str) -> str:
    key = path.strip("/").replace("/", ".")
    if key not in OPTIONS or not path.startswith("/"):
        raise Failure(f"Unable to find branch or option {path} (or it is not simulated)")
    return key


def _setting(host: Host, key: str) -> Mapping[str, Value]:
    known = OPTIONS[key]
    return {
        "Path": "/" + key.replace(".", "/"),
        "Type": "integer",
        "Int Value": int(host.advanced.get(key, known.default)),
        "Default Int Value": known.default,
        "Min Value": known.least,
        "Max Value": known.most,
        "String Value": "",
        "Default String Value": "",
        "Valid Characters": "",
        "Description": known.description,
    }


def system_syslog_config_get(host: Host) -> Output:
    """Where logs go; the values are the advanced settings of the same meaning."""
    folder = str(_advanced(host, LOG_DIR, ""))
    configured = folder not in ("", "[] /scratch/log")
    persistent = configured or str(_advanced(host, SCRATCH, "")).startswith("/vmfs/volumes/")
    fields: dict[str, Value] = {
        "Default Network Retry Timeout": 180,
        "Dropped Log File Rotation Size": 100,
        "Dropped Log File Rotations": 10,
        "Enforce SSLCertificates": False,
        "Local Log Output": folder if configured else "/scratch/log",
        "Local Log Output Is Configured": configured,
        "Local Log Output Is Persistent": persistent,
        "Local Logging Default Rotation Size": 1024,
        "Local Logging Default Rotations": 8,
        "Log To Unique Subdirectory": str(_advanced(host, LOG_UNIQUE, False)).lower() == "true",
        "Message Queue Drop Mark": 90,
        "Remote Host": str(_advanced(host, LOG_HOST, "")) or "<none>",
    }
    return Blocks("SyslogConfig", (Block(fields),), single=True)


def system_syslog_config_set(
    host: Host, logdir: str | None = None, logdir_unique: bool | None = None, loghost: str | None = None
) -> Output:
    """Set where logs go."""
    for key, value in ((LOG_DIR, logdir), (LOG_UNIQUE, logdir_unique), (LOG_HOST, loghost)):
        if value is not None:
            host.advanced[key] = value
            host.touch()
    return None


def system_syslog_reload(host: Host) -> Output:
    """Let the log daemon read its configuration: it does so at once here."""
    return None


def _advanced(host: Host, key: str, default: Any) -> Any:
    value = host.advanced.get(key, default)
    return default if value is None else value


def system_coredump_file_get(host: Host) -> Output:
    """The dump file in use and the configured one: none."""
    return Blocks("DumpFile", (Block({"Active": "", "Configured": ""}),), single=True)


def system_coredump_partition_get(host: Host) -> Output:
    """The dump partition in use and the configured one: the last one of the boot stick."""
    stick = "mpx.vmhba32:C0:T0:L0:9"
    return Blocks("DumpPartition", (Block({"Active": stick, "Configured": stick}),), single=True)


def system_shutdown_reboot(host: Host, reason: str, delay: int = 10) -> Output:
    """Reboot; unlike /bin/reboot it wants maintenance mode."""
    if not host.in_maintenance:
        raise Failure("The host must be in maintenance mode")
    host.reboot()
    return None


def hardware_cpu_list(host: Host) -> Output:
    """Every thread of the processor, a block each."""
    blocks = (Block(_cpu(host, number), f"CPU:{number}") for number in range(host.model.threads))
    return Blocks("CPU", tuple(blocks))


def _cpu(host: Host, number: int) -> Mapping[str, Value]:
    """The recorded fields of 6.5; ids and caches are those of the model."""
    known = next((facts for name, facts in CPUS.items() if name in host.model.cpu), (6, 0, 0, 0))
    family, model, stepping, cache = known
    return {
        "Id": number,
        "Package Id": 0,
        "Family": family,
        "Model": model,
        "Type": 0,
        "Stepping": stepping,
        "Brand": "GenuineIntel",
        "Core Speed": host.model.cpu_mhz * 1_000_000,
        "Bus Speed": 100_000_000,
        "APIC ID": f"0x{number:x}",
        "Node": 0,
        "L2 Cache Size": 256 << 10,
        "L2 Cache Associativity": 4,
        "L2 Cache Line Size": 64,
        "L2 Cache CPU Count": 2,
        "L3 Cache Size": cache,
        "L3 Cache Associativity": 16,
        "L3 Cache Line Size": 64,
        "L3 Cache CPU Count": 2,
    }


def hardware_memory_get(host: Host) -> Output:
    """The memory's size."""
    fields: dict[str, Value] = {
        "Physical Memory": f"{host.model.memory_mib * MIB} Bytes",
        "Reliable Memory": "0 Bytes",
        "NUMA Node Count": 1,
    }
    return Blocks("MemoryGet", (Block(fields),), single=True)


def hardware_platform_get(host: Host) -> Output:
    """Which machine it is."""
    identity = uuids.uuid5(uuids.NAMESPACE_DNS, host.nics[0].mac).bytes
    fields: dict[str, Value] = {
        "UUID": " ".join(f"0x{part:x}" for part in identity),
        "Product Name": host.model.name,
        "Vendor Name": host.model.vendor,
        "Serial Number": "To be filled by O.E.M.",
        "IPMI Supported": False,
    }
    return Blocks("PlatformGet", (Block(fields, "Platform Information"),), single=True)


def network_ip_interface_list(host: Host) -> Output:
    """The VMkernel interfaces: the one of the management network."""
    fields: dict[str, Value] = {
        "Name": "vmk0",
        "MAC Address": host.nics[0].mac,
        "Enabled": True,
        "Portset": "vSwitch0",
        "Portgroup": "Management Network",
        "Netstack Instance": "defaultTcpipStack",
        "VDS Name": "N/A",
        "VDS UUID": "N/A",
        "VDS Port": "N/A",
        "VDS Connection": -1,
        "Opaque Network ID": "N/A",
        "Opaque Network Type": "N/A",
        "External ID": "N/A",
        "MTU": 1500,
        "TSO MSS": 65535,
        "Port ID": 33554434,
    }
    return Blocks("NetworkInterface", (Block(fields, "vmk0"),))


def network_ip_interface_ipv4_get(host: Host, interface_name: str | None = None) -> Output:
    """The management address; the simulated LAN is taken for a /24 with the gateway at its first address."""
    if interface_name not in (None, "vmk0"):
        raise Failure(f"Unable to find vmknic {interface_name}")
    address = IPv4Interface(f"{host.address}/{PREFIX}")
    lan = address.network
    columns = ("Name", "IPv4 Address", "IPv4 Netmask", "IPv4 Broadcast", "Address Type", "Gateway", "DHCP DNS")
    row = ("vmk0", str(address.ip), str(lan.netmask), str(lan.broadcast_address), "STATIC", str(lan[1]), False)
    return table("IPv4Interface", columns, (row,))


def network_firewall_ruleset_list(host: Host, ruleset_id: str | None = None) -> Output:
    """Which rulesets are open; nfsClient opens by itself with the first NFS datastore."""
    rows = tuple((name, is_open) for name, is_open in _rulesets(host).items() if ruleset_id in (None, name))
    if not rows:
        raise Failure(f"Unable to find a firewall ruleset with the id {ruleset_id}")
    return table("FirewallRuleset", ("Name", "Enabled"), rows)


def network_firewall_ruleset_set(host: Host, ruleset_id: str, enabled: bool) -> Output:
    """Open or close a ruleset."""
    if ruleset_id not in _rulesets(host):
        raise Failure(f"Unable to find a firewall ruleset with the id {ruleset_id}")
    host.rulesets[ruleset_id] = enabled
    host.touch()
    return None


def network_firewall_refresh(host: Host) -> Output:
    """Let the firewall read its rules again: it has them at once here."""
    return None


def _rulesets(host: Host) -> dict[str, bool]:
    nfs = any(mount.kind == "NFS" for mount in host.mounts.values())
    return {name: is_open or (name == "nfsClient" and nfs) for name, is_open in host.rulesets.items()}
