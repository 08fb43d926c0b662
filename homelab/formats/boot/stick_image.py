"""What an image of a stick is: an installer's or an installed ESXi's, whole or cut. Pure."""

import struct
from dataclasses import dataclass

from homelab.formats.boot import release
from homelab.formats.boot.boot_bank import NoEsxi, active, partitions
from homelab.formats.boot.boot_cfg import values_of
from homelab.formats.fat.layout import OEM
from homelab.formats.fat.names import FatError
from homelab.formats.fat.volume import Read, open_volume

SECTOR = 512
GPT_PARTITION = 0xEE
BOOT_CFGS = (("BOOT.CFG",), ("EFI", "BOOT", "BOOT.CFG"))


class NotOurs(ValueError):
    """No image that a stick should be made of; the text is a clause about the file."""


@dataclass(frozen=True)
class StickImage:
    """`kind` is "installer" or "installed"; `build` as in boot.cfg; an installer's volume begins at `volume`."""

    kind: str
    build: str
    size: int
    volume: tuple[int, int] = (0, 0)

    @property
    def name(self) -> str:
        """Such as `ESXi 6.7.0-8169922`."""
        return f"ESXi {self.build}" if self.build else "ESXi of an unknown release"


def recognise(read: Read, size: int) -> StickImage:
    """Make sense of an image of `size` bytes; NotOurs when it is cut or something else."""
    if size < 64 * SECTOR or size % SECTOR:
        raise NotOurs("it is cut: its size is no whole number of sectors" if size % SECTOR else "it is cut, or empty")
    head = read(0, 2 * SECTOR)
    if head[510:512] != b"\x55\xaa":
        raise NotOurs("it is no image of a stick: it has no partition table")
    if head[SECTOR : SECTOR + 8] == b"EFI PART":
        return _installed(read, size)
    return _installer(read, size, head)


def _installed(read: Read, size: int) -> StickImage:
    try:
        end = max((start + length for start, length in partitions(read).values()), default=0)
        if end > size:
            raise NotOurs(f"it is cut: its partitions end at {end} bytes, and it has {size}")
        return StickImage("installed", active(read).build, size)
    except (NoEsxi, FatError) as error:
        raise NotOurs(f"it is no image of ours: {error}") from None


def _installer(read: Read, size: int, head: bytes) -> StickImage:
    first, sectors = struct.unpack_from("<II", head, 446 + 8)
    start, length = first * SECTOR, sectors * SECTOR
    if not length or read(start + 3, len(OEM)) != OEM:
        raise NotOurs("it is no image of ours: `homelab usb build` made no such partition")
    if start + length > size:
        raise NotOurs(f"it is cut: its partition ends at {start + length} bytes, and it has {size}")
    try:
        volume = open_volume(read, start, length)

        def content(path: tuple[str, ...]) -> bytes | None:
            entry = volume.find(*path)
            return volume.content(entry) if entry and not entry.is_folder else None

        text = content(BOOT_CFGS[0])
        if not text:
            raise NotOurs("it is no image of ours: it has no BOOT.CFG")
        line = values_of(text).get("build", "")
        found = release.find(content, line, label="", file_name="")
    except FatError as error:
        raise NotOurs(f"it is damaged: {error}") from None
    return StickImage("installer", line or str(found or ""), size, (start, length))


def lone_partition(first: bytes) -> bool:
    """Whether an MBR names one partition and no other, and is not that of a GPT."""
    return any(first[446:462]) and first[450] != GPT_PARTITION and not any(first[462:510])
