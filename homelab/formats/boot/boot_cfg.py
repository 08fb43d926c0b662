"""VMware's boot.cfg: read as its boot loader reads it, and given other kernel options. Pure.

Only LF ends a line; each run of blanks, CR and TAB among them, is one blank, and none at an end of a line. Keys are
case-insensitive and end right before `=`; modules are parted by `---`; the kernel's command line ends at 4096
characters. All but the line `kernelopt=` stays byte for byte: VMware's order of modules matters.
Source: VMware's esx-boot (bootlib/parse.c, bootlib/string.c, libc/ctypes.c, mboot/config.c), the same since 6.7 U1.
"""

import re
from dataclasses import dataclass

COMMAND_LINE = 4096
INSTALLER = "runweasel"
# weaselin.t00, weaselin.i00 or weaselin.v00, by release.
INSTALLER_MODULE = "weaselin"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SEPARATOR = "---"
# What the loader's isspace() knows besides LF: it takes text for ISO 8859-1.
BLANKS = " \t\b\v\f\r\xa0"
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
        rows = (words(row) for row in self.values.get("modules", "").split(SEPARATOR))
        return tuple(row[0].rpartition("/")[2].lower() for row in rows if row)

    @property
    def starts_installer(self) -> bool:
        """Whether the installer is among its modules, or asked for: VMware's own PXE examples leave the option out."""
        asked = INSTALLER in words(self.values.get("kernelopt", ""))
        return asked or any(name.startswith(INSTALLER_MODULE) for name in self.modules)


def words(text: str) -> list[str]:
    """The words between blanks, as the loader parts them."""
    return [word for word in re.split(f"[{BLANKS}]+", text) if word]


def values_of(text: bytes) -> dict[str, str]:
    """The values by lower-case key; of a key that stands twice the last counts."""
    lines = (" ".join(words(line)) for line in text.decode(ENCODING).split("\n"))
    rows = (line.partition("=") for line in lines if not line.startswith("#"))
    return {key.lower(): value.lstrip(" ") for key, equals, value in rows if equals}


def parse(text: bytes) -> BootCfg:
    """Read the file; BootCfgError when it has a byte-order mark, or is no boot.cfg."""
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
    missing = () if INSTALLER in words(cfg.values.get("kernelopt", "")) else (INSTALLER,)
    end = b"\r\n" if b"\r\n" in cfg.text else b"\n"
    whole = cfg.text if "kernelopt" in cfg.values else cfg.text.rstrip(b"\r\n") + end + b"kernelopt=" + end
    text = without_options(whole, *(option.partition("=")[0] for option in options))
    return with_options(text, *missing, *options)


def with_options(text: bytes, *options: str) -> bytes:
    """Append options to the last kernelopt=, before the CR at its end where there is one.

    BootCfgError when there is none, an option holds a line end or a blank, or the kernel's command line would be longer
    than 4096 characters.
    """
    for option in options:
        if not option.isascii() or not option.isprintable() or " " in option:
            raise BootCfgError(f"cannot hold the boot option {option!r}: it has a blank, a line end or no ASCII")
    lines, at = _kernelopt(text)
    line = lines[at].rstrip("\r")
    head, _, value = line.partition("=")
    value = " ".join((value, *options) if words(value) else options)
    length = len(values_of(text).get("kernel", "")) + 1 + len(" ".join(words(value)))
    if length > COMMAND_LINE:
        raise BootCfgError(f"would have a kernel command line of {length} characters; the kernel reads {COMMAND_LINE}")
    lines[at] = f"{head}={value}{lines[at][len(line) :]}"
    return "\n".join(lines).encode(ENCODING)


def without_options(text: bytes, *names: str) -> bytes:
    """Take options of these names (`preferVmklinux`), whatever their value, out of the last kernelopt=."""
    lines, at = _kernelopt(text)
    head, _, value = lines[at].partition("=")
    for name in names:
        value = re.sub(rf"(?i)(?:^|[{BLANKS}]){re.escape(name)}(?:=[^{BLANKS}]*)?(?=[{BLANKS}]|$)", "", value)
    lines[at] = f"{head}={value}"
    return "\n".join(lines).encode(ENCODING)


def _kernelopt(text: bytes) -> tuple[list[str], int]:
    lines = text.decode(ENCODING).split("\n")
    found = [at for at, line in enumerate(lines) if "kernelopt" in values_of(line.encode(ENCODING))]
    if not found:
        raise BootCfgError("has no kernelopt=")
    return lines, found[-1]


def refuse_mark(text: bytes) -> None:
    """BootCfgError for a byte-order mark, as an editor leaves it: to the boot loader it is part of the first key."""
    if text.startswith(BYTE_ORDER_MARK):
        raise BootCfgError("begins with a byte-order mark, which the boot loader takes for part of its first line")
