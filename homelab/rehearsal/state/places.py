"""Where a VM's disks and drives hang: the keys that ESXi gives controllers and what hangs on them."""

# The key of the first controller of each kind.
IDE, SCSI, SATA = 200, 1000, 15000
# The same, by the names of a .vmx.
FIRST = {"ide": IDE, "scsi": SCSI, "sata": SATA}
# What a CD-ROM drive without an image is, by the name of vSphere's backing: its type in a .vmx, and whether it is a
# client's.
DRIVES = {
    "RemotePassthrough": ("atapi-cdrom", True),
    "RemoteAtapi": ("cdrom-raw", True),
    "Atapi": ("atapi-cdrom", False),
    "Passthrough": ("cdrom-raw", False),
}


def key_of(controller: int, unit: int) -> int:
    """The key of a disk or a drive."""
    if controller >= SATA:
        return 16000 + 30 * (controller - SATA) + unit
    return 2000 + 16 * (controller - SCSI) + unit if controller >= SCSI else 3000 + 2 * (controller - IDE) + unit
