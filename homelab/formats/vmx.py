"""A .vmx, the file that a VM is configured by: lines `key = "value"`, written, read and changed. Pure.

Quotes, pipes and control characters stand in a value as `|` and two hexadecimal digits (libvirt, src/vmx/vmx.c); keys
are the same in capitals and without.
"""

import re
from collections.abc import Mapping

LINE = re.compile(r'\s*([^\s=#"]+)\s*=\s*"([^"]*)"\s*')
PLAIN = re.compile(r"\s*([^\s=#\"]+)\s*=\s*([^\s\"]*)\s*")
ESCAPED = re.compile(r"\|([0-9A-Fa-f]{2})")
KEY = re.compile(r"[A-Za-z0-9_.:-]+")


def render_vmx(values: Mapping[str, str]) -> str:
    """The text, in the order of the values; ValueError for a key that would be read as something else."""
    return '.encoding = "UTF-8"\n' + "".join(_line(key, value) for key, value in values.items())


def changed_vmx(text: str, changes: Mapping[str, str | None]) -> str:
    """The text with other values, None for none; a key that is not there is added, all else stays letter by letter."""
    left = {key.lower(): (key, value) for key, value in changes.items()}
    lines = []
    for line in _lines(text):
        found = _read(line)
        key = found[0].lower() if found else ""
        if key in left:
            lines.append(_changed(*left.pop(key)))
        elif not any(key == name.lower() for name in changes):
            lines.append(line if line.endswith("\n") else f"{line}\n")
    return "".join([*lines, *(_changed(key, value) for key, value in left.values())])


def vmx_values(text: str) -> dict[str, str]:
    """The values by their keys, which are told in small letters; lines that are none are passed over."""
    found = (_read(line) for line in _lines(text))
    return {one[0].lower(): one[1] for one in found if one}


def spaced_uuid(uuid: str) -> str:
    """A UUID as it stands in a .vmx: sixteen octets, a hyphen in the middle."""
    plain = re.sub(r"[^0-9a-f]", "", uuid.lower())
    octets = [plain[place : place + 2] for place in range(0, len(plain), 2)]
    return f"{' '.join(octets[:8])}-{' '.join(octets[8:])}"


def _lines(text: str) -> list[str]:
    """The lines with their ends: a value may hold what Python takes for one too, such as U+2028."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def _changed(key: str, value: str | None) -> str:
    return "" if value is None else _line(key, value)


def _line(key: str, value: str) -> str:
    if not KEY.fullmatch(key):
        raise ValueError(f"no key of a .vmx: {key!r}")
    return f'{key} = "{_escaped(value)}"\n'


def _escaped(value: str) -> str:
    return "".join(f"|{ord(sign):02X}" if sign in '"|\x7f' or sign < " " else sign for sign in value)


def _read(line: str) -> tuple[str, str] | None:
    found = LINE.fullmatch(line) or PLAIN.fullmatch(line)
    return (found[1], ESCAPED.sub(lambda sign: chr(int(sign[1], 16)), found[2])) if found else None
