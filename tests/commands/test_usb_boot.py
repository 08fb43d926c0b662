"""A machine starts from the image: UEFI firmware under QEMU, and a loader that shows what it finds on the stick."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers import fat32_tools as tools
from tests.helpers.stick_bench import Bench

FIRMWARE = Path("/usr/share/OVMF/OVMF_CODE.fd")
SECONDS = 120
LOADER = """
serial --unit=0 --speed=115200
terminal_output serial
search --no-floppy --set=root --file /KS.CFG
echo "the stick has started"
cat /KS.CFG
cat /efi/boot/boot.cfg
echo "end of the files"
halt
"""
MODULES = "serial part_msdos fat search search_fs_file cat echo halt terminal"


def loader(folder: Path) -> bytes:
    """A GRUB that shows KS.CFG and boot.cfg on the serial port, as VMware's loader would read them."""
    (folder / "grub.cfg").write_text(LOADER)
    modules = [f"--modules={MODULES}", f"--install-modules={MODULES} normal", "--locales=", "--fonts=", "--themes="]
    argv = ["grub-mkstandalone", "-O", "x86_64-efi", "-o", "loader.efi", *modules, "boot/grub/grub.cfg=grub.cfg"]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    return (folder / "loader.efi").read_bytes()


def started(image: Path, *firmware: str) -> str:
    """What the serial port of a machine without any other disk said; the machine must end by itself."""
    argv = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-m", "256", "-display", "none", "-nic", "none"]
    argv += ["-device", "qemu-xhci", "-drive", f"if=none,id=stick,format=raw,readonly=on,file={image}"]
    argv += ["-device", "usb-storage,drive=stick,removable=on", "-serial", "stdio", "-no-reboot", *firmware]
    done = subprocess.run(argv, capture_output=True, check=False, timeout=SECONDS, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8", "replace").replace("\r", "")


@pytest.mark.thorough
@pytest.mark.timeout(SECONDS + 30)
@pytest.mark.skipif(
    not shutil.which("qemu-system-x86_64") or not shutil.which("grub-mkstandalone") or not FIRMWARE.exists(),
    reason="needs QEMU, OVMF and GRUB (scripts/packages thorough)",
)
def test_uefi_firmware_starts_the_stick_and_the_loader_finds_its_files(tmp_path: Path) -> None:
    bench = Bench(tmp_path, loader(tmp_path))
    assert bench.run("usb", "build", "brix3").returncode == 0
    image = tmp_path / "brix3.img"
    said = started(image, "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={FIRMWARE}")
    shown = said.partition("the stick has started\n")[2].partition("end of the files")[0]
    files = tools.files_of(image)
    wanted = (files["KS.CFG",] + files["EFI", "BOOT", "BOOT.CFG"]).decode()
    # GRUB breaks lines at the width of its terminal.
    assert shown.replace("\n", "") == wanted.replace("\n", "")
    assert "--ip=192.168.2.13" in wanted
