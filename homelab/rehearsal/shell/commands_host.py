"""The esxcli commands about the machine, each named after its path."""

import uuid as uuids
from collections.abc import Mapping

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell.answers import Failure
from homelab.rehearsal.shell.layouts import Block, Blocks, Output, Value

MIB = 1 << 20
# Family, model and stepping, and the last cache's size in bytes.
CPUS = {"i5-3337U": (6, 58, 9, 3 << 20), "i7-8550U": (6, 142, 10, 8 << 20)}


def system_shutdown_reboot(host: Host, reason: str, delay: int = 10) -> Output:
    """Reboot; unlike /bin/reboot it wants maintenance mode."""
    if not host.in_maintenance:
        raise Failure("The host must be in maintenance mode")
    host.power.reboot()
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
    identity = uuids.UUID(host.system_uuid).bytes
    fields: dict[str, Value] = {
        "UUID": " ".join(f"0x{part:x}" for part in identity),
        "Product Name": host.model.name,
        "Vendor Name": host.model.vendor,
        "Serial Number": "To be filled by O.E.M.",
        "IPMI Supported": False,
    }
    return Blocks("PlatformGet", (Block(fields, "Platform Information"),), single=True)


def system_uuid_get(host: Host) -> Output:
    """The id of the installation, made when the stick was; a copy of the stick has the same."""
    return host.stick_uuid
