"""Writes an ISO of the same shape as VMware's installer: upper-case 8.3 names of ISO level 1, and its boot.cfg."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from random import Random

from pycdlib import PyCdlib

# In VMware's order, shortened; the names are those of the 6.7 ISO.
MODULES = (
    *("jumpstrt.gz", "useropts.gz", "features.gz", "k.b00", "chardevs.b00", "user.b00", "procfs.b00", "uc_intel.b00"),
    *(
        "vmx.v00",
        "sb.v00",
        "s.v00",
        "ne1000.v00",
        "net_e100.v00",
        "net_e100.v01",
        "vmkusb.v00",
        "weaselin.t00",
        "imgdb.tgz",
    ),
)
R8168 = "net55_r8.v00"


LABEL = "ESXI-6.7.0-8169922-STANDARD"
# Builds of VMware's own ISOs (KB 2143832).
BUILDS = {"5.1.0": "799733", "5.5.0": "1331820", "6.0.0": "2494585", "6.5.0": "4564106", "6.7.0": "8169922"}
BUILDS |= {"7.0.0": "15843807", "7.0.3": "20328353", "8.0.3": "24022510"}


def build_line(version: str) -> str:
    """Empty on VMware's ISOs up to 6.7, filled from 7.0 on (docs/reference/fixtures.md)."""
    return "" if version[0] in "56" else f"{version}-0.0.{BUILDS[version]}"


def profile(version: str) -> bytes:
    """UPGRADE/PROFILE.XML, shortened: the shape that Image Builder writes, with two of its packages."""
    build, short = BUILDS[version], version.replace(".", "")
    vibs = (f"VMW_bootbank_ne1000_0.8.3-4vmw.{short}.0.0.{build}", f"VMware_bootbank_esx-base_{version}-0.0.{build}")
    rows = "".join(f"<vib><vib-id>{vib}</vib-id></vib>" for vib in vibs)
    name = f"ESXi-{version}-{build}-standard"
    return (
        f'<?xml version="1.0" ?><imageprofile><name>{name}</name><creator>VMware, Inc.</creator>'
        f"<viblist>{rows}</viblist></imageprofile>"
    ).encode()


def boot_cfg(version: str = "6.7.0", modules: tuple[str, ...] = MODULES, options: str = "") -> bytes:
    """A boot.cfg as the ISO of a release has it; `options` are further ones of its kernelopt."""
    lines = {
        "bootstate": "0",
        "title": "Loading ESXi installer",
        "timeout": "5",
        "prefix": "",
        "kernel": "/b.b00",
        "kernelopt": f"runweasel cdromBoot{options}",
        "modules": " --- ".join(f"/{module}" for module in modules),
        "build": build_line(version),
        "updated": "0",
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items()).encode()


def esxi_files(
    version: str = "6.7.0", *, r8168: bool = False, loader: bytes = b"MZ", options: str = ""
) -> dict[str, bytes]:
    """The files of an installer ISO by their path; modules have a few random bytes each."""
    modules = (*MODULES, R8168) if r8168 else MODULES
    cfg = boot_cfg(version, modules=modules, options=options)
    dice = Random(1)
    files = {
        "/BOOT.CFG": cfg,
        "/EFI/BOOT/BOOT.CFG": cfg,
        "/EFI/BOOT/BOOTX64.EFI": loader,
        "/ISOLINUX.BIN": dice.randbytes(9000),
    }
    files |= {f"/{name.upper()}": dice.randbytes(dice.randrange(1, 20_000)) for name in ("b.b00", *modules)}
    return files | {
        "/UPGRADE/PROFILE.XML": profile(version),
        "/UPGRADE/METADATA.ZIP": dice.randbytes(5000),
        "/EMPTY.TXT": b"",
    }


def write_iso(path: Path, files: Mapping[str, bytes], *, zeros: Mapping[str, int] = {}, **options: object) -> Path:
    """Write an ISO 9660 image of level 1; `zeros` are names of large files with their sizes in bytes."""
    iso = PyCdlib()
    iso.new(**({"interchange_level": 1, "vol_ident": LABEL} | options))
    for folder in sorted({str(parent) for name in files for parent in Path(name).parents} - {"/"}):
        iso.add_directory(folder)
    for name, content in files.items():
        iso.add_fp(BytesIO(content), len(content), _versioned(name))
    for name, size in zeros.items():
        iso.add_fp(_Zeros(size), size, _versioned(name))
    iso.write(str(path))
    iso.close()
    return path


def _versioned(name: str) -> str:
    return f"{name}{'' if '.' in name else '.'};1"


class _Zeros(BytesIO):
    """A large file that takes no memory."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size, self._place = size, 0

    def read(self, size: int | None = -1) -> bytes:
        left = self._size - self._place
        count = left if size is None or size < 0 else min(size, left)
        self._place += count
        return bytes(count)

    def seek(self, place: int, whence: int = 0) -> int:
        self._place = (0, self._place, self._size)[whence] + place
        return self._place

    def tell(self) -> int:
        return self._place
