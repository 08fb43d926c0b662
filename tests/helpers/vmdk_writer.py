"""A writer of streamOptimized VMDKs, after VMware's Virtual Disk Format 5.0: header, grains, tables, footer."""

import struct
import zlib

SECTOR, GRAIN = 512, 65536
AT_END = (1 << 64) - 1
MAGIC = b"KDMV"


def stream_vmdk(content: bytes, name: str = "disk.vmdk") -> bytes:
    """The stream of a disk; grains of zeros are left out. Grain tables hold 512 entries of 4 bytes."""
    sectors = len(content) // SECTOR
    text = '# Disk DescriptorFile\nversion=1\nCID=7b5f5c1d\nparentCID=ffffffff\ncreateType="streamOptimized"\n\n'
    text += f'RDONLY {sectors} SPARSE "{name}"\n\nddb.adapterType = "lsilogic"\n'
    stream = bytearray(_header(sectors, AT_END) + text.encode().ljust(127 * SECTOR, b"\0"))
    table = []
    for place in range(0, len(content), GRAIN):
        grain = content[place : place + GRAIN].ljust(GRAIN, b"\0")
        table.append(len(stream) // SECTOR if grain.strip(b"\0") else 0)
        if grain.strip(b"\0"):
            packed = zlib.compress(grain)
            _put(stream, struct.pack("<QI", place // SECTOR, len(packed)) + packed)
    directory = []
    for start in range(0, len(table), 512):
        _put(stream, _marker(4, 1))
        directory.append(len(stream) // SECTOR)
        _put(stream, struct.pack("<512I", *table[start : start + 512], *[0] * (512 - len(table[start : start + 512]))))
    packed_directory = struct.pack(f"<{len(directory)}I", *directory)
    _put(stream, _marker(-(-len(packed_directory) // SECTOR), 2))
    place = len(stream) // SECTOR
    _put(stream, packed_directory)
    _put(stream, _marker(1, 3))
    _put(stream, _header(sectors, place))
    _put(stream, _marker(0, 0))
    return bytes(stream)


def _header(sectors: int, directory: int) -> bytes:
    flags = 1 | 1 << 16 | 1 << 17
    fields = (MAGIC, 3, flags, sectors, GRAIN // SECTOR, 1, 127, 512, 0, directory, 128, 0, b"\n \r\n", 1)
    return struct.pack("<4sIIQQQQIQQQB4sH", *fields).ljust(SECTOR, b"\0")


def _marker(sectors: int, kind: int) -> bytes:
    return struct.pack("<QII", sectors, 0, kind).ljust(SECTOR, b"\0")


def _put(stream: bytearray, data: bytes) -> None:
    stream += data + bytes(-len(data) % SECTOR)
