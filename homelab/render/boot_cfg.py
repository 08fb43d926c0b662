"""VMware's boot.cfg: read as its boot loader reads it, and given other kernel options. Pure.

Keys are case-insensitive, modules are parted by ` --- `, only LF ends a line, and the kernel's command line ends at
4096 characters. All but the line `kernelopt=` stays byte for byte: VMware's order of modules matters.
"""

import re
from dataclasses import dataclass

COMMAND_LINE = 4096
INSTALLER = "runweasel"
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
    def version(self) -> tuple[int, int, int] | None:
        """The release of `build=6.7.0-8169922`."""
        found = re.match(r"(\d+)\.(\d+)\.(\d+)", self.values.get("build", ""))
        return (int(found[1]), int(found[2]), int(found[3])) if found else None

    @property
    def build(self) -> str | None:
        """The build number: the last part of `build=`."""
        found = re.search(r"[-.](\d+)$", self.values.get("build", ""))
        return found[1] if found and self.version else None


def parse(text: bytes) -> BootCfg:
    """Read the file; BootCfgError when it has CR line ends or is no boot.cfg."""
    if b"\r" in text:
        raise BootCfgError("has CR at line ends, which the boot loader takes for part of the values")
    values = {}
    for line in text.decode(ENCODING).split("\n"):
        key, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith("#"):
            values[key.strip().lower()] = value.strip()
    if "kernel" not in values or "modules" not in values:
        raise BootCfgError("names no kernel and modules")
    return BootCfg(text, values)


def with_options(cfg: BootCfg, *options: str) -> bytes:
    """Return the file with these boot options added; one of the same name (`ks=...`) is replaced.

    BootCfgError when the file starts no installer, an option holds a line end or a blank, or the kernel's command line
    would be longer than 4096 characters.
    """
    old = cfg.values.get("kernelopt", "").split()
    if INSTALLER not in old:
        raise BootCfgError(f"starts no installer: kernelopt= lacks {INSTALLER}")
    for option in options:
        if not option.isascii() or not option.isprintable() or " " in option:
            raise BootCfgError(f"cannot hold the boot option {option!r}: it has a blank, a line end or no ASCII")
    names = {option.partition("=")[0].lower() for option in options}
    kept = [option for option in old if option.partition("=")[0].lower() not in names]
    line = " ".join((*kept, *options))
    length = len(cfg.values["kernel"]) + 1 + len(line)
    if length > COMMAND_LINE:
        raise BootCfgError(f"would have a kernel command line of {length} characters; the kernel reads {COMMAND_LINE}")
    lines = cfg.text.decode(ENCODING).split("\n")
    last = max(index for index, text in enumerate(lines) if text.partition("=")[0].strip().lower() == "kernelopt")
    lines[last] = f"{lines[last].partition('=')[0]}={line}"
    return "\n".join(lines).encode(ENCODING)
