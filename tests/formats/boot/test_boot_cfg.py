"""VMware's boot.cfg: read, and given options, without another byte changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab.formats.boot.boot_cfg import BootCfgError, parse, values_of, with_installer_options, without_options
from tests.helpers.esxi_iso import MODULES, boot_cfg


def test_modules_are_read() -> None:
    assert parse(boot_cfg()).modules == MODULES


def test_only_the_line_with_the_options_changes() -> None:
    before = boot_cfg()
    after = with_installer_options(parse(before), "ks=usb:/KS.CFG", "preferVmklinux=TRUE")
    changed = [(old, new) for old, new in zip(before.split(b"\n"), after.split(b"\n"), strict=True) if old != new]
    assert changed == [
        (b"kernelopt=runweasel cdromBoot", b"kernelopt=runweasel cdromBoot ks=usb:/KS.CFG preferVmklinux=TRUE")
    ]


def test_keys_are_the_same_in_capitals_and_comments_stay() -> None:
    text = b"# kernelopt=old\nKernel=/b.b00\nMODULES=/k.b00\n  KernelOpt= runweasel\n"
    assert with_installer_options(parse(text), "a=b") == text.replace(
        b"KernelOpt= runweasel", b"KernelOpt= runweasel a=b"
    )


def test_options_go_before_a_cr_and_every_line_end_stays() -> None:
    before = boot_cfg().replace(b"\n", b"\r\n")
    after = with_installer_options(parse(before), "ks=usb:/KS.CFG")
    assert after == before.replace(b"cdromBoot\r\n", b"cdromBoot ks=usb:/KS.CFG\r\n")
    assert parse(after).modules == MODULES
    assert without_options(after, "ks") == before
    without = before.replace(b"kernelopt=runweasel cdromBoot\r\n", b"")
    assert with_installer_options(parse(without), "a=b").endswith(b"\r\nkernelopt=runweasel a=b\r\n")


# What VMware's loader makes of it: its parse_config_file, compiled and run on these very bytes.
READ = [
    (b"Kernel=b.b00\r\nKERNELOPT=a\tb  c\r\n", {"kernel": "b.b00", "kernelopt": "a b c"}),
    (b"kernelopt =a\n", {}),
    (b"kernelopt= a = b \n", {"kernelopt": "a = b"}),
    (b"\xa0kernelopt=a\xa0b\x08c\x0bd\x0c\n", {"kernelopt": "a b c d"}),
    (b"kernelopt=a\x1cb\x85c\n", {"kernelopt": "a\x1cb\x85c"}),
    (b" \t# kernelopt=a\n", {}),
    (b"kernelopt=a\nkernelopt=\n", {"kernelopt": ""}),
    (b"kernelopt=a\rkernel=b\n", {"kernelopt": "a kernel=b"}),
]


@pytest.mark.parametrize(("text", "values"), READ)
def test_a_file_is_read_as_the_boot_loader_reads_it(text: bytes, values: dict[str, str]) -> None:
    found = values_of(text)
    assert {key: found[key] for key in ("kernel", "kernelopt") if key in found} == values


def test_options_between_tabs_are_found_and_taken_out() -> None:
    text = b"kernel=b.b00\nkernelopt=a\tpreferVmklinux=FALSE\tb\r\nmodules=k.b00\t---\ts.v00 opt---/u.z\n"
    assert without_options(text, "preferVmklinux") == text.replace(b"\tpreferVmklinux=FALSE", b"")
    assert parse(text).modules == ("k.b00", "s.v00", "u.z")


def test_an_option_takes_the_place_of_one_with_its_name() -> None:
    text = boot_cfg(options=" ks=file://etc/vmware/weasel/ks.cfg")
    assert b"kernelopt=runweasel cdromBoot ks=usb:/KS.CFG\n" in with_installer_options(parse(text), "ks=usb:/KS.CFG")


def test_the_kernel_reads_4096_characters_and_no_more() -> None:
    room = 4096 - len("/b.b00 runweasel cdromBoot x= a=b")
    assert with_installer_options(parse(boot_cfg(options=" x=" + "y" * room)), "a=b")
    with pytest.raises(BootCfgError, match="command line of 4097 characters; the kernel reads 4096"):
        with_installer_options(parse(boot_cfg(options=" x=" + "y" * (room + 1))), "a=b")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (boot_cfg().replace(b"\n", b"\r"), "names no kernel"),
        (boot_cfg().replace(b"kernel=", b"kernel ="), "names no kernel"),
        (b"hello\n", "names no kernel"),
        (boot_cfg(modules=("k.b00",)).replace(b"runweasel", b""), "starts no installer"),
        (b"\xef\xbb\xbf" + boot_cfg(), "begins with a byte-order mark"),
    ],
)
def test_what_cannot_be_used_is_said(text: bytes, said: str) -> None:
    with pytest.raises(BootCfgError, match=said):
        with_installer_options(parse(text), "a=b")


@pytest.mark.parametrize("option", ["two words", "line\nend", "carriage\r", "ümlaut"])
def test_an_option_is_one_word_on_one_line(option: str) -> None:
    with pytest.raises(BootCfgError, match="cannot hold the boot option"):
        with_installer_options(parse(boot_cfg()), option)


@given(st.binary(max_size=300))
def test_any_file_is_read_or_refused_in_words(text: bytes) -> None:
    try:
        cfg = parse(text)
    except BootCfgError:
        return
    assert "kernel" in cfg.values


@pytest.mark.parametrize(
    ("line", "made"),
    [
        # VMware's own PXE examples.
        ("kernelopt=ks=usb:/KS.CFG", "kernelopt=runweasel ks=usb:/KS.CFG"),
        ("# kernelopt=cdromBoot runweasel\nkernelopt=", "kernelopt=runweasel ks=usb:/KS.CFG"),
        ("kernelopt=cdromBoot runweasel", "kernelopt=cdromBoot runweasel ks=usb:/KS.CFG"),
        ("", "kernelopt=runweasel ks=usb:/KS.CFG"),
    ],
)
def test_an_installer_is_known_by_its_module_and_is_asked_for(line: str, made: str) -> None:
    text = boot_cfg().replace(b"kernelopt=runweasel cdromBoot", line.encode())
    after = with_installer_options(parse(text), "ks=usb:/KS.CFG").decode()
    assert [row for row in after.splitlines() if row.startswith("kernelopt")] == [made]
