"""What an installer stick for one host holds besides, or instead of, the files of the ISO. Pure."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from homelab.errors import HomelabError, UsageError
from homelab.formats.boot.boot_cfg import BootCfg, BootCfgError, with_installer_options
from homelab.formats.boot.installer import BOOT_CFG, EFI_BOOT_CFG, Installer, Path, check_suits, needs_driver_fix
from homelab.formats.boot.kickstart import kickstart
from homelab.formats.boot.kickstart_lint import errors, lint
from homelab.formats.fat.layout import Layout, layout
from homelab.formats.fat.names import FatError, folded
from homelab.lab import EsxiHost, Lab

KICKSTART: Path = ("KS.CFG",)
OPTION = "ks=usb:/KS.CFG"
LEGACY_DRIVERS = "preferVmklinux=TRUE"


@dataclass(frozen=True)
class Media:
    """`own` are the files that we make, by their path on the stick; `warnings` are sentences for people."""

    own: Mapping[Path, bytes]
    warnings: tuple[str, ...]
    driver_fix: bool


def media(lab: Lab, host: EsxiHost, iso: Installer, own_kickstart: tuple[str, bytes] | None = None) -> Media:
    """Decide what the stick of a host holds; `own_kickstart` is a user's file and its content, used as it is.

    Refused when the ISO does not suit the host; UsageError for a kickstart file that the installer would stop at;
    HomelabError for boot options that the kernel would not read whole.
    """
    check_suits(iso, host)
    fix = needs_driver_fix(host, iso.release)
    options = (OPTION, *([LEGACY_DRIVERS] if fix else []))
    where, text = own_kickstart or ("KS.CFG", kickstart(lab, host, iso.release, driver_fix=fix).encode())
    findings = lint(text)
    wrong = errors(findings)
    if wrong:
        raise UsageError(
            "; ".join(_place(where, one.line) + one.text for one in wrong),
            where=where,
            advice="Correct it; `homelab usb lint FILE` checks it alone",
        )
    own = {
        iso.paths[BOOT_CFG]: _with_options(iso, "BOOT.CFG", iso.boot, options),
        iso.paths[EFI_BOOT_CFG]: _with_options(iso, "EFI/BOOT/BOOT.CFG", iso.efi_boot, options),
        iso.paths.get(KICKSTART, KICKSTART): text,
    }
    warnings = [f"{_place(where, one.line)}{one.text}" for one in findings]
    return Media(own, (*warnings, *_warnings(iso, host)), fix)


def _place(where: str, line: int) -> str:
    return f"{where}:{line}: " if line else f"{where} "


def _with_options(iso: Installer, name: str, cfg: BootCfg, options: tuple[str, ...]) -> bytes:
    try:
        return with_installer_options(cfg, *options)
    except BootCfgError as error:
        raise HomelabError(
            f"/{name} of the ISO {error}",
            where=iso.where,
            advice="Take the ISO as VMware made it, or give this one fewer boot options",
        ) from None


def _warnings(iso: Installer, host: EsxiHost) -> list[str]:
    found = []
    if KICKSTART in iso.paths:
        found.append(f"{iso.where} has a KS.CFG of its own; ours takes its place")
    if iso.release >= (7, 0):
        found.append(f"{iso.name} keeps its data partition on the stick, which wears it out; 7.0 deprecates USB boot")
    if host.board is None:
        found.append(f"{host.name} has no esxi_board: whether its CPU and NIC suit {iso.name} was not checked")
    return found


def stick(files: Mapping[Path, int], host: EsxiHost, iso: Installer) -> Layout:
    """Lay out the stick: PATH -> bytes; HomelabError when FAT32 cannot hold the names."""
    label = host.name.upper()[:11]
    try:
        return layout(files, label, zlib.crc32(f"{host.name} {iso.build}".encode()))
    except FatError as error:
        raise HomelabError(
            f"the ISO's files cannot stand on a FAT32 stick: {error}",
            where=iso.where,
            advice="Take the ISO as VMware made it; its names are 8.3 in capitals",
        ) from None


def capitals(path: Path) -> Path:
    """Return a path as it is compared on FAT."""
    return tuple(map(folded, path))
