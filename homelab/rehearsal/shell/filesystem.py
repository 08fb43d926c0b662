"""The programs of the ESXi shell that make and remove files, each a function named after it; on datastores only."""

from collections.abc import Callable
from pathlib import Path

from homelab.rehearsal.shell import files
from homelab.rehearsal.shell.call import Answer, Call
from homelab.rehearsal.shell.options import flags_of, usage
from homelab.rehearsal.state.refusals import NoDiskSpace, ReadOnly, Refusal, RootSquashed
from homelab.rehearsal.storage.datastores import VOLUMES

TEXTS: tuple[tuple[type[Refusal], str], ...] = (
    (RootSquashed, "Permission denied"),
    (ReadOnly, "Read-only file system"),
    (NoDiskSpace, "No space left on device"),
)


class _No(Exception):
    """What stands behind the program's name and the path."""


Action = Callable[[Path, str], None]


def mkdir(call: Call) -> Answer:
    """Make folders; -p makes those above as well, and takes one that is there."""
    flags, paths = flags_of(call.arguments)
    if set(flags) - set("p") or not paths:
        return usage("mkdir", flags, "p")

    def make(file: Path, label: str) -> None:
        if file.is_dir() and "p" in flags:
            return
        if file.exists():
            raise _No("File exists")
        if not file.parent.is_dir() and "p" not in flags:
            raise _No("No such file or directory")
        call.host.datastores.volumes.make_directory(file, parents=True, label=label)

    return _each(call, paths, make, "mkdir: can't create directory '{}': {}")


def touch(call: Call) -> Answer:
    """Make empty files; one that is there gets today's date."""
    flags, paths = flags_of(call.arguments)
    if flags or not paths:
        return usage("touch", flags, "")

    def make(file: Path, label: str) -> None:
        call.host.datastores.volumes.check_space(file, label=label)
        if not file.parent.is_dir():
            raise _No("No such file or directory")
        file.touch()

    return _each(call, paths, make, "touch: {}: {}")


def rm(call: Call) -> Answer:
    """Remove files; -r folders with all in them, -f takes what is not there."""
    flags, paths = flags_of(call.arguments)
    if set(flags) - set("rRf") or not paths:
        return usage("rm", flags, "rRf")

    def remove(file: Path, label: str) -> None:
        if not file.exists():
            if "f" in flags:
                return
            raise _No("No such file or directory")
        if file.is_dir() and not set(flags) & set("rR"):
            raise _No("Is a directory")
        call.host.datastores.volumes.delete(file, label=label)

    return _each(call, paths, remove, "rm: can't remove '{}': {}")


def rmdir(call: Call) -> Answer:
    """Remove empty folders."""
    flags, paths = flags_of(call.arguments)
    if flags or not paths:
        return usage("rmdir", flags, "")

    def remove(file: Path, label: str) -> None:
        if not file.is_dir():
            raise _No("Not a directory" if file.exists() else "No such file or directory")
        if any(file.iterdir()):
            raise _No("Directory not empty")
        call.host.datastores.volumes.delete(file, label=label)

    return _each(call, paths, remove, "rmdir: '{}': {}")


def df(call: Call) -> Answer:
    """The volumes, sizes in bytes."""
    rows = [("Filesystem", "Bytes", "Used", "Available", "Use%")]
    mounts = [mount for mount in call.host.datastores.mounts.values() if call.host.datastores.accessible(mount)]
    for mount in mounts:
        size, free = call.host.datastores.volumes.space(mount.volume)
        percent = f"{100 * (size - free) // (size or 1)}%"
        rows.append((mount.file_system, str(size), str(size - free), str(free), percent))
    widths = [max(len(row[index]) for row in rows) for index in range(5)]
    ends = ["Mounted on", *(f"{VOLUMES}/{mount.name}" for mount in mounts)]
    out = ""
    for row, end in zip(rows, ends, strict=True):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        out += f"{' '.join(cells)} {end}\n"
    return Answer(out)


def _each(call: Call, paths: list[str], action: Action, sentence: str) -> Answer:
    """Do it to each path; what fails is told, and the others are done all the same."""
    err = ""
    for path in paths:
        try:
            file, label = files.real(call.host, path), files.datastore_path(call.host, path)
            if file is None or label is None:
                raise _No("not below a datastore (all else is not simulated)")
            action(file, label)
        except _No as no:
            err += sentence.format(path, no) + "\n"
        except FileNotFoundError:
            err += sentence.format(path, "No such file or directory") + "\n"
        except Refusal as refusal:
            text = next((text for kind, text in TEXTS if isinstance(refusal, kind)), "Device or resource busy")
            err += sentence.format(path, text) + "\n"
    return Answer(err=err, status=1 if err else 0)
