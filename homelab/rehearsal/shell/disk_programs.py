"""The programs of the ESXi shell that read the bytes of disks: busybox's dd, hexdump and md5sum.

Bytes that are no text go through pipes as surrogates.
"""

import hashlib

from homelab.rehearsal.shell import files
from homelab.rehearsal.shell.call import Answer, Call
from homelab.rehearsal.shell.options import flags_of, usage
from homelab.rehearsal.state.disks import Disk

# /dev/disks is a link to the other folder.
FOLDERS = (files.DEVICES, "/dev/disks")
BLOCK = 512
ROW = 16


def dd(call: Call) -> Answer:
    """Copy blocks of a disk to standard output; `of` is not simulated, for a disk that somebody overwrites is lost."""
    words = dict(word.partition("=")[::2] for word in call.arguments)
    numbers = {name: words.pop(name, default) for name, default in (("bs", str(BLOCK)), ("skip", "0"), ("count", ""))}
    path = words.pop("if", "")
    if words or not path or not all(number.isdigit() for number in numbers.values()) or numbers["bs"] == "0":
        return usage("dd", " ".join(call.arguments), "if= bs= skip= count=")
    disk = _disk(call, path)
    if disk is None:
        return Answer(err=f"dd: can't open '{path}': No such file or directory\n", status=1)
    block, skip, count = (int(numbers[name]) for name in ("bs", "skip", "count"))
    data = disk.read(skip * block, count * block)
    records = f"{len(data) // block}+{int(len(data) % block > 0)}"
    return Answer(_text(data), f"{records} records in\n{records} records out\n")


def md5sum(call: Call) -> Answer:
    """The checksum of standard input."""
    if call.arguments:
        return usage("md5sum", " ".join(call.arguments), "(standard input)")
    return Answer(f"{hashlib.md5(_bytes(call.stdin), usedforsecurity=False).hexdigest()}  -\n")


def hexdump(call: Call) -> Answer:
    """Standard input with -C: sixteen bytes a row, a star for rows like the one before, the length at the end."""
    flags, words = flags_of(call.arguments)
    if flags != "C" or words:
        return usage("hexdump", flags, "C (standard input)")
    data = _bytes(call.stdin)
    rows, last, starred = [], b"", False
    for place in range(0, len(data), ROW):
        row = data[place : place + ROW]
        if row == last:
            rows += [] if starred else ["*"]
            starred = True
            continue
        rows.append(_row(place, row))
        last, starred = row, False
    return Answer("".join(f"{row}\n" for row in [*rows, *([f"{len(data):08x}"] if data else [])]))


def _row(place: int, row: bytes) -> str:
    words = [f"{byte:02x}" for byte in row] + ["  "] * (ROW - len(row))
    shown = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
    return f"{place:08x}  {' '.join(words[:8])}  {' '.join(words[8:])}  |{shown}|"


def _disk(call: Call, path: str) -> Disk | None:
    folder, _, name = path.rpartition("/")
    return call.host.disks.get(name) if folder in FOLDERS else None


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
