"""VMware's installer as an ISO holds it, and whether it suits a host. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from homelab.errors import HomelabError, Refused
from homelab.formats.boot import boot_cfg, release
from homelab.formats.boot.boot_cfg import BootCfg, BootCfgError
from homelab.formats.boot.release import Reader, Release
from homelab.lab import EsxiHost

Path = tuple[str, ...]

BOOT_CFG: Path = ("BOOT.CFG",)
EFI_BOOT_CFG: Path = ("EFI", "BOOT", "BOOT.CFG")
LOADER: Path = ("EFI", "BOOT", "BOOTX64.EFI")
WRONG_DRIVER = "ne1000"

CUSTOM_ISO = (
    "Make a custom ISO, with VMware PowerCLI: Add-EsxSoftwareDepot for VMware's offline bundle and for the driver's; "
    "New-EsxImageProfile -CloneProfile PROFILE -AcceptanceLevel CommunitySupported; Add-EsxSoftwarePackage {package}; "
    "Export-EsxImageProfile -ExportToIso. Then name that ISO in esxi_iso"
)


@dataclass(frozen=True)
class Board:
    """What is true of a mainboard. `cpu_until` is the first release without its CPU, None when none is known.

    `package` is the VIB that its NIC needs from `package_from` on; `module` is how that VIB's file begins on an ISO.
    """

    cpu: str
    nic: str
    cpu_until: tuple[int, int] | None = None
    wrong_driver: bool = False
    package: str = ""
    package_from: tuple[int, int] = (0, 0)
    modules: tuple[str, ...] = ()


# Facts about the seed's machines: docs/hardware.md. VIBs r8168 are on the 5.0 and 5.1 ISOs, and on none from 5.5 on.
BOARDS = {
    "GB-XM11-3337": Board(
        cpu="i5-3337U",
        nic="Realtek RTL8111E",
        cpu_until=(6, 7),
        package="net55-r8168",
        package_from=(5, 5),
        modules=("net55_r8", "net51_r8", "net_r816", "r8168"),
    ),
    "GB-BRi7-8550": Board(cpu="i7-8550U", nic="Intel I219-V", wrong_driver=True),
}


@dataclass(frozen=True)
class Installer:
    """One ISO. `where` is its path, for people; `paths` maps a path in capitals to the one that the ISO has."""

    where: str
    boot: BootCfg
    efi_boot: BootCfg
    paths: Mapping[Path, Path]
    found: Release

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor version."""
        return self.found.version[:2]

    @property
    def build(self) -> str:
        """The build number; empty when nothing tells it."""
        return self.found.build

    @property
    def name(self) -> str:
        """Such as `ESXi 6.7.0 build 8169922`."""
        numbers = ".".join(map(str, self.found.version))
        return f"ESXi {numbers} build {self.build}" if self.build else f"ESXi {numbers} of an unknown build"


def installer(where: str, read: Reader, paths: Mapping[Path, Path], label: str = "") -> Installer:
    """Make sense of an ISO; HomelabError if it is no ESXi, or nothing tells which.

    `read` gives a file by its path in capitals; `label` is the volume's.
    """
    missing = [path for path in (BOOT_CFG, EFI_BOOT_CFG, LOADER) if path not in paths]
    if BOOT_CFG in missing:
        raise _no_esxi(where, "it has no /BOOT.CFG")
    if missing:
        raise HomelabError(
            f"the ISO cannot start under UEFI: it has no /{'/'.join(missing[0])}",
            where=where,
            advice="Sticks are made for UEFI only: use an ISO of ESXi 5.1 or later, as VMware made it",
        )
    parsed = {}
    for path in (BOOT_CFG, EFI_BOOT_CFG):
        try:
            parsed[path] = boot_cfg.parse(read(path) or b"")
        except BootCfgError as error:
            raise _no_esxi(where, f"its /{'/'.join(path)} {error}") from None
    cfg = parsed[BOOT_CFG]
    found = release.find(read, cfg.values.get("build", ""), label, where.rpartition("/")[2])
    if found is None:
        raise HomelabError(
            "nothing tells which release of ESXi this is: boot.cfg, the image profile, the label and the file's name "
            "were asked",
            where=where,
            advice="Give the file the name that VMware gave it, as VMware-VMvisor-Installer-6.7.0-8169922.x86_64.iso",
        )
    return Installer(where, cfg, parsed[EFI_BOOT_CFG], paths, found)


def _no_esxi(where: str, why: str) -> HomelabError:
    return HomelabError(
        f"the ISO is no ESXi installer that can be used: {why}",
        where=where,
        advice="Name VMware's own installer ISO in esxi_iso (VMware-VMvisor-Installer-....iso), or one made from it",
    )


def needs_driver_fix(host: EsxiHost, release: tuple[int, int]) -> bool:
    """Whether ne1000 has to go on this host: only 6.5 and 6.7 ship another driver for the same NIC."""
    return release in ((6, 5), (6, 7)) and _wants_it_off(host)


def _wants_it_off(host: EsxiHost) -> bool:
    if host.disabled_modules is not None:
        return WRONG_DRIVER in host.disabled_modules
    return host.board is not None and BOARDS[host.board].wrong_driver


def check_suits(iso: Installer, host: EsxiHost) -> None:
    """Refused when this release would not run on the host's board, or would have no network there."""
    if iso.release >= (7, 0) and _wants_it_off(host):
        raise Refused(
            f"{iso.name} has no other driver than {WRONG_DRIVER} for the NIC of {host.name}, and {WRONG_DRIVER} is not "
            "to be used there",
            where=iso.where,
            advice="Name a 6.5 or 6.7 ISO in esxi_iso. Where ne1000 is known to work on this very machine under 7.0 or "
            "later, write esxi_disabled_modules: [] for it",
        )
    if host.board is None:
        return
    board = BOARDS[host.board]
    if board.cpu_until and iso.release >= board.cpu_until:
        release = ".".join(map(str, board.cpu_until))
        raise Refused(
            f"{iso.name} does not support the CPU of {host.name} ({host.board}: {board.cpu}), nor does any ESXi from "
            f"{release} on",
            where=iso.where,
            advice=f"Name an older ISO in the host's esxi_iso: 6.5 is the last one for the {host.board}",
        )
    found = any(name.startswith(board.modules) for name in iso.boot.modules)
    if board.package and iso.release >= board.package_from and not found:
        raise Refused(
            f"{iso.name} has no driver for the NIC of {host.name} ({host.board}: {board.nic}); the host would have no "
            f"network, and the installer stops. The community VIB {board.package} has it, and is not on this ISO",
            where=iso.where,
            advice=CUSTOM_ISO.format(package=board.package),
        )
