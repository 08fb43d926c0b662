"""The first and the last megabyte of a disk: commands that read them in the ESXi shell, and their answers. Pure.

`dd`, `md5sum` and `hexdump` are busybox's, which ESXi has; on its disks VMware itself reads with the last two
(KB 2046610). Nothing that ESXi or the vSphere API tells says of a disk that it is new: `partitionFormat` is `unknown`
for every disk without a partition table, whatever is on it.
"""

import hashlib
import math
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MIB = 1 << 20
# As far as the heads below reach; ZFS keeps its first label here, with the uberblocks from 128 KiB on.
HEAD = 256 << 10
SECTOR = 512
UNKNOWN = "data of an unknown kind"
AT_THE_END = "data at its end alone, as of a RAID or of a lost partition table"


@dataclass(frozen=True)
class Piece:
    """So many bytes of a disk, in whole blocks that end with the disk."""

    block: int
    skip: int
    count: int

    @property
    def blank_sum(self) -> str:
        """What `md5sum` says when all of it is zero: of fewer bytes it says something else."""
        return hashlib.md5(bytes(self.block * self.count), usedforsecurity=False).hexdigest()


def ends(size: int) -> tuple[Piece, Piece]:
    """The first and the last megabyte of a disk of `size` bytes."""
    block = math.gcd(size, MIB)
    count = MIB // block
    return Piece(block, 0, count), Piece(block, size // block - count, count)


def sum_command(path: str, piece: Piece) -> list[str]:
    """Print the checksum of a piece of a disk."""
    return _piped(_dd(path, piece), ["md5sum"])


def dump_command(path: str) -> list[str]:
    """Print the head of a disk in hexadecimal."""
    return _piped(_dd(path, Piece(HEAD, 0, 1)), ["hexdump", "-C"])


def _dd(path: str, piece: Piece) -> list[str]:
    return ["dd", f"if={path}", f"bs={piece.block}", f"skip={piece.skip}", f"count={piece.count}"]


def _piped(*commands: Sequence[str]) -> list[str]:
    return ["sh", "-c", " | ".join(map(shlex.join, commands))]


def parse_sum(text: str) -> str | None:
    """The checksum; None when nothing was read."""
    found = re.match(r"[0-9a-f]{32}", text)
    nothing = hashlib.md5(b"", usedforsecurity=False).hexdigest()
    return found[0] if found and found[0] != nothing else None


def parse_dump(text: str) -> bytes:
    """The bytes of `hexdump -C`, in which a star stands for lines like the one before; what is torn is left out."""
    data, line = bytearray(), b""
    for row in text.splitlines():
        place, _, rest = row.partition("  ")
        if not re.fullmatch(r"[0-9a-f]{8,}", place):
            continue
        offset = int(place, 16)
        while line and len(data) + len(line) <= offset:
            data += line
        line = bytes.fromhex("".join(re.findall(r"[0-9a-f]{2}(?= )", rest.partition("|")[0])))
        data += line
    return bytes(data)


@dataclass(frozen=True)
class _Magic:
    offset: int
    content: bytes
    words: str


# Places and values of libblkid (util-linux, libblkid/src/superblocks/ and partitions/), which follows the makers' own.
MAGICS = (
    _Magic(0, b"LUKS\xba\xbe", "LUKS encryption"),
    _Magic(3, b"-FVE-FS-", "BitLocker encryption"),
    _Magic(64 + (64 << 10), b"_BHRfS_M", "a btrfs file system"),
    _Magic(56 + 1024, b"\x53\xef", "an ext2, ext3 or ext4 file system"),
    _Magic(0, b"XFSB", "an XFS file system"),
    _Magic(3, b"NTFS    ", "an NTFS file system"),
    _Magic(3, b"EXFAT   ", "an exFAT file system"),
    _Magic(82, b"FAT32   ", "a FAT file system"),
    _Magic(54, b"FAT16   ", "a FAT file system"),
    _Magic(32, b"NXSB", "an APFS container"),
    _Magic(1024, b"H+", "an HFS+ file system"),
    _Magic(1024, b"\x10\x20\xf5\xf2", "an F2FS file system"),
    _Magic(4096, b"\xfc\x4e\x2b\xa9", "a part of a RAID (md)"),
    _Magic(0, b"\xfc\x4e\x2b\xa9", "a part of a RAID (md)"),
    _Magic(4086, b"SWAPSPACE2", "Linux swap"),
    _Magic(32769, b"CD001", "an ISO image"),
)
_Found = Callable[[bytes], bool]


def _lvm(head: bytes) -> bool:
    """The label lies in any of the first four sectors."""
    sectors = (head[at : at + SECTOR] for at in range(0, 4 * SECTOR, SECTOR))
    return any(sector[:8] == b"LABELONE" and sector[24:32] == b"LVM2 001" for sector in sectors)


def _zfs(head: bytes) -> bool:
    """An uberblock, in the byte order of the machine that wrote it."""
    return any(head[at : at + 8] in _UBERBLOCK for at in range(128 << 10, HEAD, 1024))


_UBERBLOCK = (0x00BAB10C.to_bytes(8, "little"), 0x00BAB10C.to_bytes(8, "big"))
_SEARCHED: tuple[tuple[_Found, str], ...] = (
    (_lvm, "a part of an LVM volume group"),
    (_zfs, "a part of a ZFS pool"),
    (lambda head: head[SECTOR : SECTOR + 8] == b"EFI PART", "a partition table (GPT) without partitions"),
)


def told(head: bytes) -> str:
    """What a disk that is not blank holds, by its first 256 KiB."""
    found = [magic.words for magic in MAGICS if head[magic.offset :].startswith(magic.content)]
    found += [words for has, words in _SEARCHED if has(head)]
    return ", ".join(dict.fromkeys(found)) or UNKNOWN
