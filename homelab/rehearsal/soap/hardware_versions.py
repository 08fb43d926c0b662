"""Versions of virtual hardware: which a host knows, and what a VM of each can have.

By VMware's KB 1003746 (version and release) and "Hardware Features Available with Virtual Machine Compatibility
Settings" (the most CPUs and memory). A 6.7 host with a later update told somebody its list, up to vmx-15
(bitnami/vms#1555).
"""

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap.managed import ref
from homelab.rehearsal.soap.wire import fault

# The newest of a release, and all that the rehearsal names.
NEWEST = {"6.5": 13, "6.7": 14, "7.0.0": 17, "7.0.1": 18, "7.0": 19, "8.0.0": 20, "8.0.1": 20, "8.0": 21}
VERSIONS = (8, 9, 10, 11, 13, 14, 15, 17, 18, 19, 20, 21)
# Those that a host still runs, and offers no more. No host has 12 or 16: they are of VMware's programs for desktops.
OLD = (4, 7)
MIB_OF_GIB = 1024
# From a version on: the most CPUs, the most memory in MiB.
MOST = {
    4: (4, 65532),
    7: (8, 255 * MIB_OF_GIB),
    8: (32, 1011 * MIB_OF_GIB),
    9: (64, 1011 * MIB_OF_GIB),
    11: (128, 4080 * MIB_OF_GIB),
    13: (128, 6128 * MIB_OF_GIB),
    17: (256, 6128 * MIB_OF_GIB),
    18: (768, 24560 * MIB_OF_GIB),
}


def newest_hardware(host: Host) -> int:
    """The newest version of virtual hardware that a host knows."""
    return NEWEST.get(host.version) or NEWEST[".".join(host.version.split(".")[:2])]


def chosen(host: Host, wanted: str | None) -> str:
    """The version of a new VM: the newest unless another is wanted; a fault for one that the host does not know."""
    if not wanted:
        return f"vmx-{newest_hardware(host):02}"
    number = number_of(wanted)
    if number not in (*OLD, *VERSIONS) or number > newest_hardware(host):
        text = f"Virtual machine hardware version '{wanted}' is not supported by the host '{host.name}'."
        where = ref("HostSystem", "ha-host")
        raise fault("VirtualHardwareVersionNotSupported", text, hostName=host.name, host=where)
    return wanted


def number_of(version: str) -> int | None:
    """14 of `vmx-14`, None of what is no version."""
    name, _, number = version.partition("-")
    return int(number) if name == "vmx" and number.isdecimal() and len(number) == 2 else None


def most(version: str) -> tuple[int, int]:
    """The most CPUs and memory (MiB) of a VM."""
    number = number_of(version) or min(MOST)
    return MOST[max(one for one in MOST if one <= max(number, min(MOST)))]
