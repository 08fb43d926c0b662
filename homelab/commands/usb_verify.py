"""The command `usb verify`: boot media compared with the ISO and the inventory; nothing is written."""

from collections.abc import Iterator
from pathlib import Path

from homelab.commands.options import Options
from homelab.commands.usb_build import kickstart_of
from homelab.commands.wanted_lab import lab_of, vault_of
from homelab.errors import DONE, FAILED
from homelab.formats.boot.boot_media import capitals
from homelab.formats.disk.stick_marker import SECTOR, read_marker
from homelab.formats.fat.names import is_litter
from homelab.formats.fat.read import Fat32, NoFat32
from homelab.ports.media.download import Progress
from homelab.ports.media.stick_file import open_medium
from homelab.steps.sticks.source import Request, Source, opened_source

SHOWN_DIFFERENCES = 20


def verify(options: Options, name: str, medium: Path, own_kickstart: Path | None) -> int:
    """Compare an image or a stick with the ISO and the inventory."""
    differences: list[str] = []
    litter: list[str] = []
    request = Request(name, options.inventories, kickstart_of(own_kickstart))
    lab = lab_of(options, vault_of(options))
    with opened_source(lab, request) as source, open_medium(medium) as (read, size):
        cut_off = read_marker(read(0, SECTOR))
        try:
            found = Fat32(read, size)
        except NoFat32 as error:
            differences.append(str(cut_off or error))
        else:
            with options.ui.progress(f"reading {medium}") as report:
                differences += found.problems
                differences += _files(source, found, litter, report)
    return _answer(
        options, f"{medium} is the stick of {source.host.name}, {source.installer.name}", differences, litter
    )


def _files(source: Source, found: Fat32, litter: list[str], report: Progress) -> Iterator[str]:
    there = {capitals(path): path for path in found.files}
    wanted = {capitals(path): path for path in source.sizes}
    total, done = sum(source.sizes.values()), 0
    for key, path in wanted.items():
        name = "/" + "/".join(path)
        if key not in there:
            yield f"{name} is missing"
            continue
        differs = _first_difference(source.content(path), found.content(there[key]))
        if differs is not None:
            kind = "what the inventory asks for" if path in source.media.own else "the ISO"
            yield f"{name} differs from {kind}, from byte {differs} on"
        done += source.sizes[path]
        report(done, total)
    for key in sorted(there.keys() - wanted.keys()):
        name = "/" + "/".join(there[key])
        if is_litter(key):
            litter.append(name)
        else:
            yield f"{name} is too much: neither the ISO nor we put it there"


def _first_difference(wanted: Iterator[bytes], found: Iterator[bytes]) -> int | None:
    """The offset of the first byte that differs, None when both are the same; pieces need not be of one size."""
    offset, left, right = 0, b"", b""
    while True:
        left = left or next(wanted, b"")
        right = right or next(found, b"")
        size = min(len(left), len(right))
        if left[:size] != right[:size]:
            return offset + next(index for index in range(size) if left[index] != right[index])
        if not size:
            return None if left == right else offset
        offset, left, right = offset + size, left[size:], right[size:]


def _answer(options: Options, sentence: str, differences: list[str], litter: list[str]) -> int:
    ok = not differences
    if options.ui.json:
        options.ui.document({"ok": ok, "differences": differences, "litter": litter})
        return DONE if ok else FAILED
    for one in differences[:SHOWN_DIFFERENCES]:
        options.ui.say(one)
    if len(differences) > SHOWN_DIFFERENCES:
        options.ui.say(f"and {len(differences) - SHOWN_DIFFERENCES} more")
    if litter:
        options.ui.note(
            f"{len(litter)} file(s) of the system that mounted it were passed over: {', '.join(litter[:5])}"
        )
    options.ui.say(f"{'ok' if ok else 'NOT ok'}: {sentence}")
    return DONE if ok else FAILED
