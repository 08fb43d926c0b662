"""An image for machines of another kind is refused; one that nothing tells of is taken.

The disks are as livecd-rootfs (disk-image-uefi.binary, for Ubuntu) and FAI (for Debian) make them: partition 15 is the
EFI system partition, 14 of amd64's the BIOS boot partition. mkfs.fat and mtools lay them out.
"""

import hashlib
import os
import shutil
import struct
import subprocess
import uuid
from pathlib import Path

import pytest

from homelab.errors import HomelabError
from homelab.lab import Image
from homelab.ports.media.images import prepare_image
from tests.helpers.disk_writers import bootable, ova
from tests.helpers.stick_tools import BASIC, ESP, put_gpt
from tests.helpers.vmdk_writer import stream_vmdk

PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
MKFS, MMD, MCOPY = (shutil.which(name, path=PATH) for name in ("mkfs.fat", "mmd", "mcopy"))
BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
SIZE, FIRST, LAST = 120 << 20, 12288, 204799
needs_tools = pytest.mark.skipif(not (MKFS and MMD and MCOPY), reason="needs dosfstools and mtools")


def disk(path: Path, *names: str, width: int = 32, bios: bool = False, folder: str = "EFI/BOOT") -> Path:
    """A disk with boot programs of these names."""
    assert MKFS and MMD and MCOPY
    parts = {15: (ESP, FIRST, LAST), 1: (BASIC, LAST + 1, SIZE // 512 - 100)}
    with path.open("w+b") as file:
        file.truncate(SIZE)
        put_gpt(file, SIZE, parts | ({14: (BIOS_BOOT, 2048, 10239)} if bios else {}))
    size = str((LAST + 1 - FIRST) // 2)
    run(MKFS, "-F", str(width), "-n", "UEFI", f"--offset={FIRST}", str(path), size)
    inside = f"{path}@@{FIRST * 512}"
    parents = [folder[:at] for at, sign in enumerate(f"{folder}/") if sign == "/"]
    run(MMD, "-i", inside, *(f"::/{parent}" for parent in parents))
    for name in names:
        (path.parent / name).write_bytes(b"MZ")
        run(MCOPY, "-i", inside, str(path.parent / name), f"::/{folder}/{name}")
    return path


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


def prepare(path: Path) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    prepare_image(Image(source=str(path), sha256=digest), path.parent / "cache", lambda done, total: None)


@needs_tools
@pytest.mark.parametrize(
    ("names", "width", "told"),
    [
        (("BOOTAA64.EFI", "GRUBAA64.EFI"), 32, "arm64"),
        (("bootaa64.efi", "mmaa64.efi"), 16, "arm64"),
        (("bootarm.efi",), 16, "32-bit Arm"),
        (("bootriscv64.efi",), 32, "RISC-V"),
    ],
)
def test_a_disk_that_only_others_can_start_is_refused(
    names: tuple[str, ...], width: int, told: str, tmp_path: Path
) -> None:
    path = disk(tmp_path / "noble-server-cloudimg-arm64.raw", *names, width=width)
    with pytest.raises(HomelabError) as refused:
        prepare(path)
    assert refused.value.what == f"the image cannot be used: its system is for {told}, and ESXi hosts are x86-64"
    assert "amd64" in refused.value.advice
    assert not list((tmp_path / "cache/images").glob("*.vmdk"))


@needs_tools
@pytest.mark.parametrize(
    ("names", "bios", "folder"),
    [
        (("BOOTX64.EFI", "GRUBX64.EFI"), True, "EFI/BOOT"),
        (("BOOTX64.EFI", "BOOTAA64.EFI"), False, "EFI/BOOT"),
        # A BIOS starts it, whatever else lies there.
        (("BOOTAA64.EFI",), True, "EFI/BOOT"),
        # Nothing tells what it is for.
        (("SHIM.EFI",), False, "EFI/DEBIAN"),
    ],
)
def test_a_disk_that_ours_start_or_that_tells_nothing_is_taken(
    names: tuple[str, ...], bios: bool, folder: str, tmp_path: Path
) -> None:
    prepare(disk(tmp_path / "disk.raw", *names, bios=bios, folder=folder))


@needs_tools
def test_a_disk_with_code_in_its_first_sector_is_taken(tmp_path: Path) -> None:
    path = disk(tmp_path / "disk.raw", "BOOTAA64.EFI")
    with path.open("r+b") as file:
        file.write(struct.pack("<H", 0x63EB))  # as GRUB's boot.img begins
    prepare(path)


OVF = """<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:vmw="http://www.vmware.com/schema/ovf">
<References><File ovf:id="file0" ovf:href="a.vmdk"/></References>
<DiskSection><Disk ovf:diskId="vmdisk0" ovf:fileRef="file0" ovf:capacity="1"/></DiskSection>
<VirtualSystem ovf:id="vm"><OperatingSystemSection ovf:id="96" vmw:osType="{guest}"><Info/></OperatingSystemSection>
</VirtualSystem></Envelope>"""


def described(folder: Path, guest: str) -> Path:
    (folder / "vm.ova").write_bytes(ova({"a.vmdk": stream_vmdk(bootable(b"x", 1 << 20))}, ovf=OVF.format(guest=guest)))
    return folder / "vm.ova"


@pytest.mark.parametrize("guest", ["arm-debian-64", "armUbuntu64Guest", "arm-other5xlinux-64"])
def test_an_ova_for_arm_is_refused(guest: str, tmp_path: Path) -> None:
    """As ovftool of VMware Fusion and people's own scripts write it."""
    with pytest.raises(HomelabError, match=f"is of a guest for Arm \\({guest}\\)") as refused:
        prepare(described(tmp_path, guest))
    assert "amd64" in refused.value.advice


@pytest.mark.parametrize("guest", ["ubuntu64Guest", "otherLinux64Guest", "debian12_64Guest", ""])
def test_an_ova_of_any_other_guest_is_taken(guest: str, tmp_path: Path) -> None:
    prepare(described(tmp_path, guest))
