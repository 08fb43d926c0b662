"""Builds the stand-in for ESXi's installer: an EFI program, and a stick's image that installs a stick."""

import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from tests.helpers.stick_tools import PARTITIONS, SECTOR, Partition, boot_cfg, installed, put_fat

SOURCE = Path(__file__).parent / "standin_efi" / "program.c"
# Behind the installer's partition, where nothing of the installed stick comes to lie.
PAYLOAD = 200_000
FLAGS = ("-ffreestanding", "-fno-stack-protector", "-fshort-wchar", "-mno-red-zone", "-fpie", "-O1", "-Wall", "-Werror")
CODE_AT = 0x1000


def program(folder: Path, says: str, *, installs: bool) -> bytes:
    """The EFI program, compiled: prints a line, and installs when told to."""
    text, flat = folder / "program.o", folder / "program.bin"
    defines = [f'-DSAYS=u"{says}\\r\\n"', f"-DPAYLOAD={PAYLOAD}", *(["-DINSTALL"] if installs else [])]
    subprocess.run(["gcc", *FLAGS, *defines, "-c", SOURCE, "-o", text], check=True)
    link = ["-nostdlib", "-e", "start", "--oformat", "binary", "-Ttext", hex(CODE_AT), "-N"]
    script = folder / "link.ld"
    script.write_text(
        "SECTIONS { . = 0x1000; .all : { *(.text) *(.text.*) *(.rodata*) *(.data*) *(.bss*) } "
        "/DISCARD/ : { *(.comment) *(.note*) *(.eh_frame*) } }\n"
    )
    subprocess.run(["ld", *link, "-T", script, text, "-o", flat], check=True)
    symbols = subprocess.run(["nm", text], check=True, capture_output=True, text=True).stdout
    entry = next(int(line.split()[0], 16) for line in symbols.splitlines() if line.endswith(" T start"))
    return portable_executable(flat.read_bytes(), CODE_AT + entry)


def portable_executable(code: bytes, entry: int) -> bytes:
    """One section of code as a PE32+ file for UEFI (Microsoft's PE format; subsystem 10), loadable at any address."""
    raw = code.ljust(-(-len(code) // 512) * 512, b"\0")
    size = CODE_AT + -(-len(code) // 4096) * 4096
    head = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x22)
    optional = struct.pack("<HBBIIIIIQII", 0x20B, 0, 0, len(raw), 0, 0, entry, CODE_AT, 0, 4096, 512)
    optional += struct.pack("<6HIIIIHH4QII", 0, 0, 0, 0, 0, 0, 0, size, 512, 0, 10, 0, 0, 0, 0, 0, 0, 16) + bytes(128)
    section = struct.pack("<8sIIIIIIHHI", b".text", len(code), CODE_AT, len(raw), 512, 0, 0, 0, 0, 0xE0000020)
    return (head + coff + optional + section).ljust(512, b"\0") + raw


INSTALLER = "Stand-in installer, started from the stick"
INSTALLED = "Stand-in ESXi, started from the installed stick"
BANKS = {5: boot_cfg(options="a logPort=com1 gdbPort=none"), 6: None}


def starting(
    path: Path, banks: Mapping[int, bytes | None], size: int, partitions: Mapping[int, Partition] = PARTITIONS
) -> Path:
    """An installed stick that firmware can start; it says so and switches off."""
    installed(path, banks, size, partitions)
    _, first, last = partitions[1]
    loader = program(path.parent, INSTALLED, installs=False)
    with path.open("r+b") as file:
        put_fat(file, first * SECTOR, last - first + 1, {"/EFI/BOOT/BOOTX64.EFI": loader}, per_cluster=1)
    return path


def standin(
    path: Path, size: int, *, banks: Mapping[int, bytes | None] = BANKS, says: str = INSTALLER, idle: bool = False
) -> Path:
    """An installer's image that lays an installed stick of `size` bytes over itself; an idle one writes nothing."""
    loader = program(path.parent, says, installs=True)
    whole = starting(path.with_suffix(".whole"), banks, size)
    cfg = boot_cfg("6.7.0-8169922", options="runweasel ks=usb:/KS.CFG")
    files = {"/BOOT.CFG": cfg, "/EFI/BOOT/BOOT.CFG": cfg, "/EFI/BOOT/BOOTX64.EFI": loader}
    sectors = 48 * 2048
    with path.open("wb") as file:
        file.write(bytes(446) + struct.pack("<B3sB3sII", 0, b"\0\2\0", 0x0C, b"\xff" * 3, 2048, sectors))
        file.seek(510)
        file.write(b"\x55\xaa")
        put_fat(file, 2048 * SECTOR, sectors, files, wide=True, per_cluster=1, oem=b"HOMELAB ")
        pieces = [] if idle else _pieces(whole)
        source, rows = PAYLOAD + 1, b""
        for to, content in pieces:
            rows += struct.pack("<QQQ", source, to, len(content) // SECTOR)
            file.seek(source * SECTOR)
            file.write(content)
            source += len(content) // SECTOR
        assert len(rows) + 24 <= SECTOR
        file.seek(PAYLOAD * SECTOR)
        file.write(rows.ljust(SECTOR, b"\0"))
        file.truncate(source * SECTOR)
    whole.unlink()
    return path


def _pieces(whole: Path) -> list[tuple[int, bytes]]:
    """What of an installed stick has to be written: (first sector, bytes)."""
    size = whole.stat().st_size // SECTOR
    places = [(0, 64), (64, 200), (8224, 900), (520224, 900), (size - 33, 33)]
    with whole.open("rb") as file:
        return [(first, _read(file, first * SECTOR, count * SECTOR)) for first, count in places]


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)
