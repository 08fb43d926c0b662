"""Whether a disk is for machines of another kind than ESXi's x86-64, as far as its beginning tells. Pure.

A disk says so only by what starts it: an EFI system partition whose only boot program is another architecture's (UEFI
specification, 3.5.1.1), and nothing that a BIOS would start. Ubuntu's and Debian's images for arm64 are so: a GPT, the
EFI system partition with BOOTAA64.EFI, no BIOS boot partition, no code in the first sector (livecd-rootfs,
disk-image-uefi.binary). All else tells nothing, and is taken.
"""

import uuid

from homelab.formats.disk.partition_tables import NoGpt, either_gpt
from homelab.formats.fat.names import FatError
from homelab.formats.fat.volume import Read, Volume, open_volume

CODE = 440
ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b").bytes_le
BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649").bytes_le
OURS = ("BOOTX64.EFI", "BOOTIA32.EFI")
# By its short name, which is all that is looked at: BOOTRISCV64.EFI has a longer one.
OTHERS = {"BOOTAA64.EFI": "arm64", "BOOTARM.EFI": "32-bit Arm", "BOOTRI~1.EFI": "RISC-V"}


def other_architecture(read: Read, size: int) -> str:
    """The architecture that a disk of `size` bytes is for; empty when it is x86-64's, or nothing tells."""
    if any(read(0, CODE)):
        return ""
    try:
        gpt = either_gpt(read, size)
    except NoGpt:
        return ""
    if BIOS_BOOT in gpt.kinds.values():
        return ""
    found: set[str] = set()
    for number, kind in gpt.kinds.items():
        if kind == ESP:
            found |= _boot_programs(read, *gpt.partitions[number])
    if found & {*OURS}:
        return ""
    return next((OTHERS[name] for name in OTHERS if name in found), "")


def _boot_programs(read: Read, start: int, size: int) -> set[str]:
    """The known programs in EFI/BOOT of a volume; none of one that cannot be read."""
    try:
        volume: Volume = open_volume(read, start, size)
        return {name for name in (*OURS, *OTHERS) if volume.find("EFI", "BOOT", name)}
    except FatError:
        return set()
