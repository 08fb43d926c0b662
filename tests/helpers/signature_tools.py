"""The heads of file systems, encryption, LVM, RAID and ZFS, where no program is at hand that makes real ones.

Magic numbers and places are those of libblkid's own table (util-linux, libblkid/src/superblocks/), which follows each
maker's published format; `wipefs` judges them in the tests.
"""

import struct
from pathlib import Path

MIB = 1 << 20


def put(path: Path, offset: int, content: bytes) -> None:
    """Bytes at an offset of a file or a device; negative offsets count from the end."""
    with path.open("r+b") as file:
        file.seek(offset, 0 if offset >= 0 else 2)
        file.write(content)


def luks(path: Path) -> None:
    """A LUKS2 head (cryptsetup, LUKS2 on-disk format, 1.1): magic, version, size, label, and the UUID at 168."""
    head = struct.pack(">6sHQQ48s", b"LUKS\xba\xbe", 2, 16384, 1, b"backup")
    put(path, 0, head.ljust(168, b"\0") + b"0f5c8f28-8c1d-4d3a-9f60-5a1f5f1f2a11")


def lvm(path: Path) -> None:
    """An LVM2 label in the second sector (lvm2, lib/format_text/layout.h): id, sector, checksum, offset, type, UUID."""
    head = struct.pack("<8sQII8s32s", b"LABELONE", 1, 0, 32, b"LVM2 001", b"0" * 32)
    put(path, 512, head.ljust(512, b"\0"))


def md(path: Path) -> None:
    """An md superblock 1.2 at 4 KiB (Linux, include/uapi/linux/raid/md_p.h)."""
    head = struct.pack("<IIII16s32s", 0xA92B4EFC, 1, 0, 0, b"u" * 16, b"nas:0").ljust(144, b"\0")
    place = struct.pack("<Q", 8)
    put(path, 4096, (head[:144] + place).ljust(256, b"\0"))


def zfs(path: Path) -> None:
    """Uberblocks of all four labels (OpenZFS, module/zfs/vdev_label.c): each 1 KiB from 128 KiB into its label."""
    size = path.stat().st_size // (256 << 10) * (256 << 10)
    for label in (0, 256 << 10, size - (512 << 10), size - (256 << 10)):
        for number in range(8):
            put(path, label + (128 << 10) + number * 1024, struct.pack("<QQQ", 0x00BAB10C, 5000, 1))


def btrfs(path: Path) -> None:
    """A btrfs superblock at 64 KiB (Linux, fs/btrfs/fs.h)."""
    put(path, (64 << 10) + 64, b"_BHRfS_M" + bytes(8))
    put(path, (64 << 10) + 144, struct.pack("<II", 4096, 16384))


def vmfs(path: Path) -> None:
    """The head of a VMFS volume at 1 MiB (vmfs-tools)."""
    put(path, MIB, struct.pack("<I", 0xC001D00D) + bytes(508))


def unknown(path: Path) -> None:
    """What VeraCrypt and plain dm-crypt leave: bytes without any head."""
    put(path, 0, bytes(range(1, 256)) * 64)
