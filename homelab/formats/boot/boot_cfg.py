"""VMware's boot.cfg: read as its boot loader reads it, and given other kernel options. Pure.

Keys are case-insensitive, modules are parted by ` --- `, only LF ends a line, and the kernel's command line ends at
4096 characters. All but the line `kernelopt=` stays byte for byte: VMware's order of modules matters.
"""

import re
from dataclasses import dataclass

COMMAND_LINE = 4096
INSTALLER = "runweasel"
# weaselin.t00, weaselin.i00 or weaselin.v00, by release.
INSTALLER_MODULE = "weaselin"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Latin-1 maps every byte to one character and back.
ENCODING = "latin-1"


class BootCfgError(ValueError):
    """The file cannot be used; the text says why, as the end of a sentence about it."""


@dataclass(frozen=True)
class BootCfg:
    """`values` by lower-case key; of a key that stands twice the last counts."""

    text: bytes
    values: dict[str, str]

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules' file names in order, lower case, without folders."""
        names = (name.strip().rpartition("/")[2].lower() for name in self.values.get("modules", "").split(" --- "))
        return tuple(name for name in names if name)

    @property
    def starts_installer(self) -> bool:
        """Whether the installer is among its modules, or asked for: VMware's own PXE examples leave the option out."""
        asked = INSTALLER in self.values.get("kernelopt", "").split()
        return asked or any(name.startswith(INSTALLER_MODULE) for name in self.modules)


def values_of(text: bytes) -> dict[str, str]:
    """The values by lower-case key; of a key that stands twice the last counts."""
    lines = [line for line in text.decode(ENCODING).split("\n") if not line.lstrip().startswith("#")]
    rows = (line.partition("=") for line in lines)
    return {key.strip().lower(): value.strip() for key, equals, value in rows if equals}


def parse(text: bytes) -> BootCfg:
    """Read the file; BootCfgError when it has CR line ends, a byte-order mark, or is no boot.cfg."""
    _refuse_cr(text)
    refuse_mark(text)
    values = values_of(text)
    if "kernel" not in values or "modules" not in values:
        raise BootCfgError("names no kernel and modules")
    return BootCfg(text, values)


def with_installer_options(cfg: BootCfg, *options: str) -> bytes:
    """Return the installer's file with these boot options added; one of the same name (`ks=...`) is replaced.

    BootCfgError when the file starts no installer, and as `with_options`.
    """
    if not cfg.starts_installer:
        raise BootCfgError(f"starts no installer: it has no module {INSTALLER_MODULE}, and kernelopt= no {INSTALLER}")
    missing = () if INSTALLER in cfg.values.get("kernelopt", "").split() else (INSTALLER,)
    whole = cfg.text if "kernelopt" in cfg.values else cfg.text.rstrip(b"\n") + b"\nkernelopt=\n"
    text = without_options(whole, *(option.partition("=")[0] for option in options))
    return with_options(text, *missing, *options)


def with_options(text: bytes, *options: str) -> bytes:
    """Append options to the last kernelopt=.

    BootCfgError when there is none, an option holds a line end or a blank, or the kernel's command line would be longer
    than 4096 characters.
    """
    for option in options:
        if not option.isascii() or not option.isprintable() or " " in option:
            raise BootCfgError(f"cannot hold the boot option {option!r}: it has a blank, a line end or no ASCII")
    lines, at = _kernelopt(text)
    head, _, value = lines[at].partition("=")
    value = " ".join((value, *options) if value.strip() else options)
    length = len(values_of(text).get("kernel", "")) + 1 + len(value.strip())
    if length > COMMAND_LINE:
        raise BootCfgError(f"would have a kernel command line of {length} characters; the kernel reads {COMMAND_LINE}")
    lines[at] = f"{head}={value}"
    return "\n".join(lines).encode(ENCODING)


def without_options(text: bytes, *names: str) -> bytes:
    """Take options of these names (`preferVmklinux`), whatever their value, out of the last kernelopt=."""
    lines, at = _kernelopt(text)
    head, _, value = lines[at].partition("=")
    for name in names:
        value = re.sub(rf"(?i)(?:^| )(?:{re.escape(name)})(?:=\S*)?(?= |$)", "", value)
    lines[at] = f"{head}={value}"
    return "\n".join(lines).encode(ENCODING)


def _kernelopt(text: bytes) -> tuple[list[str], int]:
    _refuse_cr(text)
    lines = text.decode(ENCODING).split("\n")
    found = [at for at, line in enumerate(lines) if line.partition("=")[0].strip().lower() == "kernelopt"]
    if not found:
        raise BootCfgError("has no kernelopt=")
    return lines, found[-1]


def refuse_mark(text: bytes) -> None:
    """BootCfgError for a byte-order mark, as an editor leaves it: to the boot loader it is part of the first key."""
    if text.startswith(BYTE_ORDER_MARK):
        raise BootCfgError("begins with a byte-order mark, which the boot loader takes for part of its first line")


def _refuse_cr(text: bytes) -> None:
    if b"\r" in text:
        raise BootCfgError("has CR at line ends, which the boot loader takes for part of the values")
