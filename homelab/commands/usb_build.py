"""The commands `usb build`, `usb verify` and `usb lint`: boot media from the user's own ISO and the inventory."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from homelab.commands.options import Options
from homelab.errors import DONE, FAILED, UsageError
from homelab.formats.boot.boot_media import Media, capitals, media, stick
from homelab.formats.boot.installer import Installer, installer
from homelab.formats.boot.kickstart_lint import errors, lint
from homelab.formats.disk.stick_marker import SECTOR, read_marker
from homelab.formats.fat.read import Fat32, NoFat32
from homelab.inventory import read_lab
from homelab.lab import EsxiHost, Lab
from homelab.ports.ansible.inventory import Vault
from homelab.ports.media.download import Progress
from homelab.ports.media.iso import Iso, open_iso
from homelab.ports.media.stick_image import check_target, open_medium, write_image

Names = tuple[str, ...]
# What macOS and Windows lay on every stick that they mount; the installer never looks at it.
LITTER = {".TRASHES", ".FSEVENTSD", ".SPOTLIGHT-V100", ".TEMPORARYITEMS", "SYSTEM VOLUME INFORMATION", "$RECYCLE.BIN"}
SHOWN_DIFFERENCES = 20


@dataclass(frozen=True)
class Source:
    """What a stick is made from: one host of a lab, its open ISO, and the files that we make."""

    host: EsxiHost
    iso: Iso
    installer: Installer
    media: Media

    @property
    def sizes(self) -> dict[Names, int]:
        """Every file of the stick with its size in bytes: the ISO's in its order, ours in their place or at the end."""
        return {**self.iso.files, **{path: len(content) for path, content in self.media.own.items()}}

    def content(self, path: Names) -> Iterator[bytes]:
        """The bytes of a file of the stick."""
        own = self.media.own.get(path)
        return iter([own]) if own is not None else self.iso.chunks(path)


@contextmanager
def _source(options: Options, name: str, own_kickstart: Path | None) -> Iterator[Source]:
    kickstart = (str(own_kickstart), _text(own_kickstart)) if own_kickstart else None
    vault = Vault(options.ui.ask_secret if sys.stdin.isatty() else None)
    reading = read_lab(options.inventories, vault)
    for warning in reading.warnings:
        options.ui.warn(str(warning))
    host = host_of(reading.lab, name)
    with open_iso(iso_path(host, options.inventories)) as iso:
        found = read_installer(str(iso_path(host, options.inventories)), iso)
        yield Source(host, iso, found, media(reading.lab, host, found, kickstart))


def host_of(lab: Lab, name: str) -> EsxiHost:
    """The ESXi host of that name; UsageError with the names there are."""
    known = {host.name: host for host in lab.esxi}
    if name in known:
        return known[name]
    raise UsageError(
        f"no ESXi host of the inventory is called {name}",
        where="command line",
        advice=f"Known hosts: {', '.join(known) or 'none'}",
    )


def iso_path(host: EsxiHost, inventories: tuple[Path, ...]) -> Path:
    """The host's ISO; a relative path starts at the folder of the first inventory. UsageError when none is set."""
    if host.iso is None:
        raise UsageError(
            f"{host.name} has no esxi_iso",
            where="inventory",
            advice="Write esxi_iso: and the path of VMware's installer ISO; each release has its own",
        )
    first = inventories[0]
    return (first if first.is_dir() else first.parent) / Path(host.iso).expanduser()


def read_installer(where: str, iso: Iso) -> Installer:
    """Make sense of an open ISO; HomelabError when it is no ESXi installer."""
    paths = {capitals(path): path for path in iso.files}

    def read(path: Names) -> bytes | None:
        return iso.read(paths[path]) if path in paths else None

    return installer(where, read, paths, iso.label)


def build(options: Options, name: str, output: Path | None, own_kickstart: Path | None) -> int:
    """Make the image of a host's installer stick."""
    target = output or Path(f"{name}.img")
    check_target(target)
    with _source(options, name, own_kickstart) as source:
        plan = stick(source.sizes, source.host, source.installer)
        if iso_path(source.host, options.inventories).resolve() == target.resolve():
            raise UsageError("this is the ISO itself", where=str(target), advice="Name another file with -O")
        for warning in source.media.warnings:
            options.ui.warn(warning)
        with options.ui.progress(f"writing {target}") as report:
            write_image(target, plan, source.content, report)
        version, fix = source.installer.name, source.media.driver_fix
    if options.ui.json:
        fields = {"host": name, "image": str(target), "bytes": plan.size, "version": version, "driver_fix": fix}
        options.ui.document(fields)
        return DONE
    options.ui.say(f"{target}: {version} for {name}, {plan.size / 1e6:.0f} MB")
    if fix:
        options.ui.say("it starts with preferVmklinux=TRUE; at its first boot the host disables ne1000 and reboots")
    options.ui.note(f"it holds a password hash; write it to a stick: homelab usb write {name} DEVICE")
    return DONE


def verify(options: Options, name: str, medium: Path, own_kickstart: Path | None) -> int:
    """Compare an image or a stick with the ISO and the inventory."""
    differences: list[str] = []
    litter: list[str] = []
    with _source(options, name, own_kickstart) as source, open_medium(medium) as (read, size):
        cut_off = read_marker(read(0, SECTOR))
        try:
            found = Fat32(read, size)
        except NoFat32 as error:
            differences.append(str(cut_off or error))
        else:
            with options.ui.progress(f"reading {medium}") as report:
                differences += found.problems
                differences += _files(source, found, litter, report)
    return _answer(options, f"{medium} is the stick of {name}, {source.installer.name}", differences, litter)


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
        if key[0] in LITTER or key[-1].startswith("._"):
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


def lint_file(options: Options, path: Path) -> int:
    """Check a kickstart file alone; needs no inventory."""
    findings = lint(_text(path))
    wrong = errors(findings)
    if options.ui.json:
        rows = [{"line": one.line, "level": one.level, "text": one.text} for one in findings]
        options.ui.document({"ok": not wrong, "findings": rows})
    else:
        for one in findings:
            options.ui.say(f"{path}:{one.line}: {one.level}: {one.text}")
        options.ui.say(f"{len(wrong)} errors, {len(findings) - len(wrong)} warnings")
    return FAILED if wrong else DONE


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{error.strerror}", where=str(path), advice="Name a kickstart file that can be read"
        ) from None
