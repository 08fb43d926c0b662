"""The disks of a simulated host: what is soldered or plugged in, and the partitions on it. Plain state and arithmetic.

What lies on a disk outlives every boot and every power cut; none of it is configuration. Sizes in bytes, places in
sectors of 512 bytes. Partition tables of the stick and types are those of recorded `partedUtil getptbl`.
"""

import hashlib
import uuid as uuids
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from homelab.rehearsal.state.hardware import STICK, DiskModel, HardwareModel

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


@dataclass
class FirstClassDisk:
    """A virtual disk of no VM: its name, its datastore path, and when it was made."""

    name: str
    path: str
    made: datetime


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
    """One disk; `format` is gpt, mbr or unknown (no table at all). `adapter` is its vmhba.

    `content` are bytes by their offset, all else is zero; what lies in partitions is not simulated. `boot`: the host
    starts from it.
    """

    model: DiskModel
    serial: str
    adapter: str
    canonical_name: str
    ssd: bool
    format: str = "unknown"
    partitions: list[Partition] = field(default_factory=list)
    boot: bool = False
    content: dict[int, bytes] = field(default_factory=dict)

    @property
    def driver(self) -> str:
        """The module that drives its adapter."""
        return "vmkusb" if self.model.usb else "vmw_ahci"

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
        if self.canonical_name.startswith("mpx."):
            return "0000000000" + self.canonical_name.split(".")[1].replace("C0:T0:L0", "0:0").encode().hex()
        return "0100000000" + (self.serial.rjust(20) + self.model.name[:6].ljust(6)).encode().hex()

    def read(self, offset: int, length: int) -> bytes:
        """Its bytes; none beyond its end."""
        data = bytearray(max(0, min(length, self.model.size - offset)))
        for start, content in (*self._table(), *self.content.items()):
            begin, end = max(start, offset), min(start + len(content), offset + len(data))
            if begin < end:
                data[begin - offset : end - offset] = content[begin - start : end - start]
        return bytes(data)

    def _table(self) -> list[tuple[int, bytes]]:
        """The marks of a partition table: of an MBR alone, or of a GPT at both ends (UEFI specification, 5)."""
        if self.format == "unknown":
            return []
        mbr = [(446 + 4, b"\xee" if self.format == "gpt" else b"\x83"), (510, b"\x55\xaa")]
        gpt = [(SECTOR, b"EFI PART"), (self.model.size - SECTOR, b"EFI PART")]
        return mbr + (gpt if self.format == "gpt" else [])

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
    stick = usb_disk("vmhba32")
    stick.format, stick.partitions, stick.boot = "gpt", [Partition(*row) for row in STICK_LAYOUT], True
    return {disk.canonical_name: disk for disk in (*disks, stick)}


def usb_disk(adapter: str, model: DiskModel = STICK) -> Disk:
    """An empty disk on USB: it has no id, so ESXi calls it by its path."""
    return Disk(model, "", adapter, f"mpx.{adapter}:C0:T0:L0", model.ssd)


def nameless_disk(adapter: str, model: DiskModel) -> Disk:
    """An empty internal disk that tells no serial number: ESXi calls it by its path, as it does a stick."""
    return Disk(model, "", adapter, f"mpx.{adapter}:C0:T0:L0", model.ssd)


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
