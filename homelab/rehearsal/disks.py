"""The disks of a simulated host: what is soldered or plugged in, and the partitions on it. Plain state and arithmetic.

What lies on a disk outlives every boot and every power cut; none of it is configuration. Sizes in bytes, places in
sectors of 512 bytes. Partition tables of the stick and types are those of recorded `partedUtil getptbl`.
"""

import hashlib
import uuid as uuids
from dataclasses import dataclass, field
from itertools import pairwise

from homelab.rehearsal.hardware import STICK, DiskModel, HardwareModel

SECTOR = 512
FIRST_SECTOR = 2048
# The second partition table lies in a disk's last 33 sectors.
GPT_TAIL = 34
GPT_GUIDS = {
    "systemPartition": "C12A7328F81F11D2BA4B00A0C93EC93B",
    "linuxNative": "EBD0A0A2B9E5443387C068B6B72699C7",
    "ntfs": "EBD0A0A2B9E5443387C068B6B72699C7",
    "vmkDiagnostic": "9D27538040AD11DBBF97000C2911D1B8",
    "vmfs": "AA31E02A400F11DB9590000C2911D1B8",
}
STICK_LAYOUT = (
    (1, 64, 8191, "systemPartition"),
    (5, 8224, 520191, "linuxNative"),
    (6, 520224, 1032191, "linuxNative"),
    (7, 1032224, 1257471, "vmkDiagnostic"),
    (8, 1257504, 1843199, "linuxNative"),
    (9, 1843200, 7086079, "vmkDiagnostic"),
)
LEFTOVER = "datastore1"


@dataclass(frozen=True)
class Partition:
    """One partition; `kind` is vSphere's type, the sectors are the first and the last one."""

    number: int
    start: int
    end: int
    kind: str

    @property
    def guid(self) -> str:
        """The type in a GPT."""
        return GPT_GUIDS.get(self.kind, "")

    @property
    def size(self) -> int:
        """Bytes."""
        return (self.end - self.start + 1) * SECTOR


@dataclass
class Disk:
    """One disk; `format` is gpt, mbr or unknown (no table at all). `adapter` is its vmhba."""

    model: DiskModel
    serial: str
    adapter: str
    canonical_name: str
    ssd: bool
    format: str = "unknown"
    partitions: list[Partition] = field(default_factory=list)

    @property
    def sectors(self) -> int:
        """Its size."""
        return self.model.sectors

    @property
    def device_path(self) -> str:
        """Where it lies in the host's file system."""
        return f"/vmfs/devices/disks/{self.canonical_name}"

    @property
    def display_name(self) -> str:
        """As clients show it, where nobody gave it another name."""
        return f"Local {self.model.vendor} {'Direct-Access' if self.model.usb else 'Disk'} ({self.canonical_name})"

    @property
    def uuid(self) -> str:
        """The id without the `vml.` in front: of serial and model, or of the place where a stick is plugged in."""
        if self.model.usb:
            return "0000000000" + self.canonical_name.split(".")[1].replace("C0:T0:L0", "0:0").encode().hex()
        return "0100000000" + (self.serial.rjust(20) + self.model.name[:6].ljust(6)).encode().hex()

    @property
    def vmfs(self) -> Partition | None:
        """The partition with a VMFS, if there is one."""
        return next((one for one in self.partitions if one.kind == "vmfs"), None)

    @property
    def whole(self) -> Partition:
        """One VMFS over the whole disk."""
        return Partition(1, FIRST_SECTOR, self.sectors - GPT_TAIL, "vmfs")

    def free(self) -> Partition | None:
        """One VMFS over the longest gap between the partitions; None below 2 GiB, where no VMFS fits."""
        best: tuple[int, int] | None = None
        start = FIRST_SECTOR
        for one in [*sorted(self.partitions, key=lambda item: item.start), None]:
            end = one.start - 1 if one else self.sectors - GPT_TAIL
            if end - start > (best[1] - best[0] if best else (2 << 30) // SECTOR):
                best = (start, end)
            start = max(start, -(-(one.end + 1) // FIRST_SECTOR) * FIRST_SECTOR) if one else start
        number = max((one.number for one in self.partitions), default=0) + 1
        return Partition(number, *best, "vmfs") if best else None

    def fits(self, wanted: list[Partition]) -> bool:
        """Whether a new table may be laid down: what is there stays as it is, or all of it goes for one VMFS."""
        ordered = sorted(wanted, key=lambda one: one.start)
        if ordered == [self.whole]:
            return True
        if not ordered or ordered[0].start < 1 or ordered[-1].end > self.sectors - GPT_TAIL:
            return False
        apart = all(before.end < after.start for before, after in pairwise(ordered))
        numbers = len({one.number for one in ordered}) == len(ordered)
        return (
            apart and numbers and all(one.start <= one.end for one in ordered) and set(self.partitions) <= set(wanted)
        )


def fresh_disks(host: str, model: HardwareModel) -> dict[str, Disk]:
    """The disks of a new machine by their canonical names: internal ones empty, the stick with ESXi on it."""
    disks = [_internal(host, index, one) for index, one in enumerate(model.disks)]
    stick = Disk(STICK, "", "vmhba32", "mpx.vmhba32:C0:T0:L0", False, "gpt", [Partition(*row) for row in STICK_LAYOUT])
    return {disk.canonical_name: disk for disk in (*disks, stick)}


def _internal(host: str, index: int, model: DiskModel) -> Disk:
    serial = "S" + hashlib.sha256(f"{host} disk {index}".encode()).hexdigest()[:13].upper()
    # Model in 40 places, serial in 20; a hyphen is written as its code.
    name = (model.name.ljust(40) + serial.ljust(20)).replace("-", "2D").replace(" ", "_")
    return Disk(model, serial, f"vmhba{index}", f"t10.ATA_____{name}", model.ssd)


def lay_foreign(disk: Disk) -> None:
    """What a used disk has on it: another system's partitions over all of it."""
    disk.format = "gpt"
    disk.partitions = [
        Partition(1, 2048, 1050623, "systemPartition"),
        Partition(2, 1050624, disk.sectors - GPT_TAIL, "ntfs"),
    ]


def esxi_uuid(*parts: object) -> str:
    """An id in the shape that ESXi gives volumes and installations, always the same for the same words."""
    text = uuids.uuid5(uuids.NAMESPACE_OID, " ".join(map(str, parts))).hex
    return f"5{text[1:8]}-{text[8:16]}-{text[16:20]}-{text[20:32]}"
