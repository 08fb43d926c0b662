"""Which ISO suits which board, and what the stick of a host holds."""

from typing import Any

import pytest

from homelab.errors import HomelabError, Refused, UsageError
from homelab.formats.boot.boot_media import capitals, media, stick
from homelab.formats.boot.installer import BOOT_CFG, EFI_BOOT_CFG, Installer, installer
from homelab.lab import EsxiHost
from tests.helpers.esxi_iso import esxi_files
from tests.helpers.sample import sample_lab

OLD, NEW = "GB-XM11-3337", "GB-BRi7-8550"


def iso_of(files: dict[str, bytes]) -> Installer:
    names = {tuple(name.strip("/").split("/")): content for name, content in files.items()}
    contents = {capitals(path): content for path, content in names.items()}
    return installer("esxi.iso", contents.get, {capitals(path): path for path in names})


def host_of(board: str | None, **more: Any) -> EsxiHost:
    return EsxiHost.model_validate(
        {"name": "brix3", "address": "192.168.2.13", "password": "secret", "board": board} | more
    )


def media_of(version: str, board: str | None, *, r8168: bool = False, ks: bytes | None = None, **more: Any) -> Any:
    own = ("my.cfg", ks) if ks is not None else None
    return media(sample_lab(), host_of(board, **more), iso_of(esxi_files(version, r8168=r8168)), own)


OFF = {"disabled_modules": ["ne1000"]}
ON: dict[str, Any] = {"disabled_modules": []}


@pytest.mark.parametrize(
    ("version", "board", "r8168", "more", "said"),
    [
        ("6.7.0", OLD, True, {}, "does not support the CPU of brix3 .* nor does any ESXi from 6.7 on"),
        ("7.0.3", OLD, True, {}, "CPU"),
        ("6.5.0", OLD, False, {}, "no driver for the NIC .* community VIB net55-r8168"),
        ("5.5.0", OLD, False, {}, "no driver for the NIC"),
        ("7.0.0", NEW, False, {}, "no other driver than ne1000"),
        ("8.0.3", None, False, OFF, "no other driver than ne1000"),
    ],
)
def test_an_iso_that_does_not_suit_is_refused_with_the_reason(
    version: str, board: str | None, r8168: bool, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        media_of(version, board, r8168=r8168, **more)


def test_a_missing_vib_comes_with_the_way_to_a_custom_iso() -> None:
    with pytest.raises(Refused) as caught:
        media_of("6.5.0", OLD)
    assert "Add-EsxSoftwarePackage net55-r8168" in caught.value.advice
    assert "Export-EsxImageProfile -ExportToIso" in caught.value.advice


@pytest.mark.parametrize(
    ("version", "board", "r8168", "more", "fix"),
    [
        ("6.7.0", NEW, False, {}, True),
        ("6.5.0", NEW, False, {}, True),
        ("6.0.0", NEW, False, {}, False),
        ("6.7.0", NEW, False, ON, False),
        ("7.0.0", NEW, False, ON, False),
        ("6.5.0", OLD, True, {}, False),
        ("5.1.0", OLD, False, {}, False),
        ("6.7.0", None, False, {}, False),
        ("6.7.0", None, False, OFF, True),
        ("8.0.3", None, False, {}, False),
    ],
)
def test_only_a_host_that_needs_it_gets_the_driver_fix(
    version: str, board: str | None, r8168: bool, more: dict[str, Any], fix: bool
) -> None:
    made = media_of(version, board, r8168=r8168, **more)
    assert made.driver_fix == fix
    for path in (("BOOT.CFG",), ("EFI", "BOOT", "BOOT.CFG")):
        options = made.own[path].decode().split("kernelopt=")[1].split("\n")[0].split()
        assert options == ["runweasel", "cdromBoot", "ks=usb:/KS.CFG", *(["preferVmklinux=TRUE"] if fix else [])]
    assert (b"--module=ne1000" in made.own[("KS.CFG",)]) == fix


def test_without_a_board_the_build_says_that_it_was_not_checked() -> None:
    assert any("esxi_board" in warning for warning in media_of("6.7.0", None).warnings)
    assert not any("esxi_board" in warning for warning in media_of("6.7.0", NEW).warnings)


def test_a_kickstart_of_the_users_is_taken_as_it_is_or_refused_with_its_lines() -> None:
    with pytest.raises(UsageError, match=r"my\.cfg:2: rootpw holds the password in clear"):
        media_of("6.7.0", NEW, ks=b"vmaccepteula\nrootpw geheim\ninstall --disk=mpx\n")
    text = media_of("6.7.0", NEW).own[("KS.CFG",)]
    assert media_of("6.7.0", NEW, ks=text + b"# mine\n").own[("KS.CFG",)] == text + b"# mine\n"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("/BOOT.CFG", None, "no ESXi installer .* no /BOOT.CFG"),
        ("/EFI/BOOT/BOOTX64.EFI", None, "cannot start under UEFI"),
        ("/EFI/BOOT/BOOT.CFG", None, "cannot start under UEFI"),
        ("/BOOT.CFG", b"\xef\xbb\xbfkernel=a\r\nmodules=b\r\n", "byte-order mark"),
        ("/EFI/BOOT/BOOT.CFG", b"menu entry", "names no kernel"),
    ],
)
def test_an_iso_that_is_no_installer_is_told(name: str, content: bytes | None, said: str) -> None:
    files = {key: value for key, value in esxi_files().items() if key != name}
    with pytest.raises(HomelabError, match=said):
        iso_of(files if content is None else files | {name: content})


def test_an_iso_whose_boot_cfg_has_cr_at_line_ends_is_an_installer() -> None:
    """VMware's boot loader takes CR for a blank (esx-boot, libc/ctypes.c)."""
    files = esxi_files()
    files |= {name: files[name].replace(b"\n", b"\r\n") for name in ("/BOOT.CFG", "/EFI/BOOT/BOOT.CFG")}
    assert str(iso_of(files).found) == str(iso_of(esxi_files()).found)
    made, plain = (media(sample_lab(), host_of(NEW), iso_of(each)).own for each in (files, esxi_files()))
    for path in (BOOT_CFG, EFI_BOOT_CFG):
        assert made[path] == plain[path].replace(b"\n", b"\r\n")


def test_boot_options_beyond_what_the_kernel_reads_are_refused() -> None:
    files = esxi_files(options=" x=" + "y" * 4100)
    with pytest.raises(HomelabError, match=r"/BOOT\.CFG of the ISO would have a kernel command line of"):
        media(sample_lab(), host_of(NEW), iso_of(files))


def test_a_custom_iso_may_write_its_names_small() -> None:
    files = {name.lower(): content for name, content in esxi_files().items()}
    made = media(sample_lab(), host_of(NEW), iso_of(files))
    assert set(made.own) == {("boot.cfg",), ("efi", "boot", "boot.cfg"), ("KS.CFG",)}


def test_a_kickstart_that_the_iso_brings_is_replaced_and_that_is_said() -> None:
    made = media(sample_lab(), host_of(NEW), iso_of(esxi_files() | {"/ks.cfg": b"theirs"}))
    assert made.own[("ks.cfg",)].startswith(b"# brix3")
    assert any("KS.CFG of its own" in warning for warning in made.warnings)


def test_two_names_that_fat_cannot_tell_apart_are_refused() -> None:
    files = {("BOOT.CFG",): 1, ("drivers", "A.V00"): 1, ("drivers", "a.v00"): 1}
    with pytest.raises(HomelabError, match=r"cannot stand on a FAT32 stick: A\.V00 and a\.v00 are the same name"):
        stick(files, host_of(NEW), iso_of(esxi_files()))


def test_an_iso_of_which_nothing_tells_the_release_is_asked_for_by_its_name() -> None:
    files = {name: content for name, content in esxi_files().items() if not name.startswith("/UPGRADE")}
    with pytest.raises(HomelabError) as told:
        iso_of(files)
    assert "nothing tells which release" in told.value.what
    names = {capitals(tuple(name.strip("/").split("/"))): content for name, content in files.items()}
    # What the advice says, done.
    renamed = installer("VMware-VMvisor-Installer-6.7.0-8169922.x86_64.iso", names.get, {path: path for path in names})
    assert renamed.name == "ESXi 6.7.0 build 8169922"
