"""What other systems leave on a whole disk, without a partition table: heads with their published magic numbers.

Each is what a prober needs to know it by; `blkid` and `file` judge them in the tests.
"""

import struct
from collections.abc import Callable, Mapping

from homelab.rehearsal.state.disks import Disk

KIB = 1 << 10
LABEL = 256 * KIB
Image = Mapping[int, bytes]


def luks(size: int) -> Image:
    """LUKS2 (cryptsetup, LUKS2 On-Disk Format 1.1): magic, version, header size, sequence, label; the UUID at 168."""
    head = struct.pack(">6sHQQ48s", b"LUKS\xba\xbe", 2, 16 * KIB, 1, b"backup")
    return {0: head.ljust(168, b"\0") + b"0f5c8f28-8c1d-4d3a-9f60-5a1f5f1f2a11"}


def lvm(size: int) -> Image:
    """An LVM2 label in the second sector (lvm2, lib/label/label.h): id, sector, checksum, offset, type, UUID."""
    rest = struct.pack("<I8s32sQ", 32, b"LVM2 001", b"0" * 32, size).ljust(512 - 20, b"\0")
    return {512: struct.pack("<8sQI", b"LABELONE", 1, _lvm_checksum(rest)) + rest}


def _lvm_checksum(data: bytes) -> int:
    """CRC-32 without the last inversion, from a start of LVM's own (lvm2, lib/misc/crc.c)."""
    crc = 0xF597A6CF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
    return crc


def btrfs(size: int) -> Image:
    """A superblock at 64 KiB (Linux, include/uapi/linux/btrfs_tree.h), with its CRC-32C."""
    body = bytearray(4 * KIB - 32)
    body[0:16] = b"homelab rehearsal"[:16]
    struct.pack_into("<QQ8sQ", body, 16, 64 * KIB, 1, b"_BHRfS_M", 8)
    struct.pack_into("<QQQQ", body, 80, size, 147456, 6, 1)
    struct.pack_into("<IIII", body, 112, 4096, 16 * KIB, 16 * KIB, 4096)
    return {64 * KIB: struct.pack("<I", _crc32c(bytes(body))).ljust(32, b"\0") + bytes(body)}


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def zfs(size: int) -> Image:
    """Uberblocks of all four labels (OpenZFS, include/sys/vdev_impl.h): 1 KiB each, 128 KiB into the label."""
    end = size // LABEL * LABEL
    uberblock = struct.pack("<QQQQQ", 0x00BAB10C, 5000, 7, 1, 1_700_000_000)
    labels = (0, LABEL, end - 2 * LABEL, end - LABEL)
    return {start + 128 * KIB + number * KIB: uberblock for start in labels for number in range(8)}


def ext4(size: int) -> Image:
    """A superblock at 1 KiB (Linux, Documentation/filesystems/ext4/super.rst)."""
    head = bytearray(KIB)
    blocks = size // (4 * KIB)
    struct.pack_into("<IIIIII", head, 0, 8192, blocks & 0xFFFFFFFF, 0, blocks // 2, 8181, 0)
    struct.pack_into("<III", head, 24, 2, 2, 32768)
    struct.pack_into("<HH", head, 56, 0xEF53, 1)
    # Journal; file types, extents, 64 bit; sparse and large files.
    struct.pack_into("<IHHIHHIII", head, 76, 1, 0, 0, 11, 256, 0, 0x4, 0x2C2, 0x3)
    head[104:120] = b"homelab rehearsal"[:16]
    return {KIB: bytes(head)}


def ntfs(size: int) -> Image:
    """A boot sector (Linux, fs/ntfs3/ntfs.h): OEM id, sizes, places of the file tables; the mark at its end."""
    head = bytearray(512)
    head[0:11] = b"\xeb\x52\x90NTFS    "
    struct.pack_into("<HB", head, 11, 512, 8)
    head[21] = 0xF8
    struct.pack_into("<QQQ", head, 40, size // 512 - 1, 786432, 2)
    head[64], head[68] = 0xF6, 1
    head[510:512] = b"\x55\xaa"
    # The file table's first four records; the fourth is $Volume, whose list of attributes ends at once.
    record = struct.pack("<4sHHQHHHHII", b"FILE", 48, 3, 0, 1, 1, 56, 1, 64, KIB).ljust(56, b"\0") + b"\xff" * 4
    return {0: bytes(head), 786432 * 4096: record.ljust(KIB, b"\0") * 4}


def unknown(size: int) -> Image:
    """What VeraCrypt and plain dm-crypt leave: bytes without any head."""
    return {0: bytes(range(1, 256)) * 64}


def at_the_end(size: int) -> Image:
    """An md superblock 1.0 (Linux, include/uapi/linux/raid/md_p.h), 8 KiB before the end: the beginning is zero."""
    place = (size // 512 - 16) // 8 * 8
    head = struct.pack("<IIII16s32s", 0xA92B4EFC, 1, 0, 0, b"homelab", b"nas:0").ljust(144, b"\0")
    return {place * 512: (head + struct.pack("<Q", place)).ljust(256, b"\0")}


IMAGES: Mapping[str, Callable[[int], Image]] = {
    "luks": luks,
    "lvm": lvm,
    "btrfs": btrfs,
    "zfs": zfs,
    "ext4": ext4,
    "ntfs": ntfs,
    "unknown": unknown,
    "md-1.0": at_the_end,
}


def lay_whole(disk: Disk, name: str) -> None:
    """Have another system's data on all of a disk, without a partition table."""
    disk.format, disk.partitions, disk.content = "unknown", [], dict(IMAGES[name](disk.model.size))
