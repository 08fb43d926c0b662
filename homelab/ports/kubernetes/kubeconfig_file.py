"""A person's kubeconfig as a file: read, kept as a copy beside itself, and written whole for that person alone."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from homelab.errors import HomelabError, UsageError
from homelab.formats.kubernetes.kubeconfig import Entry, Merged, NoKubeconfig, Taken, current_context, merged
from homelab.ports.files.private import told, write_private
from homelab.ports.files.whole import whole_file

VARIABLE = "KUBECONFIG"


@dataclass(frozen=True)
class Written:
    """What became of a file. `backup` is the copy of what it was, None where it is new or unchanged."""

    file: Path
    changed: bool
    backup: Path | None
    current: str


def usual_files(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """The files that kubectl reads, the one that is written to first: those of KUBECONFIG, else ~/.kube/config."""
    named = [Path(name).expanduser() for name in environment.get(VARIABLE, "").split(os.pathsep) if name]
    return named or [Path.home() / ".kube" / "config"]


def merge_into(file: Path, entry: Entry, others: Sequence[Path] = ()) -> Written:
    """Put a lab's cluster into a kubeconfig, which is made where it is missing; a link is followed, and stays.

    `others` may name the current context as well. Raises UsageError for what is no kubeconfig, or has the name for
    somebody else, and leaves it as it was; HomelabError when it cannot be read or written.
    """
    with told(file, "read"):
        # Mode and name are those of what a link leads to.
        target = Path(os.path.realpath(file))
        before = _bytes(target)
        elsewhere = next(filter(None, (_current(other) for other in others)), "")
    new = _merged(file, before or b"", entry, elsewhere)
    if new.text is None:
        return Written(file, False, None, new.current)
    with told(file, "written"):
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        backup = _keep(target, before) if before else None
        part = target.with_name(f".{target.name}.homelab-{os.getpid()}")
        with whole_file(target, part, last=_unchanged(file, target, before)) as whole:
            whole.write(new.text.encode())
    return Written(file, True, backup, new.current)


def _bytes(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _current(file: Path) -> str:
    return current_context((_bytes(file) or b"").decode(errors="replace"))


def _merged(file: Path, before: bytes, entry: Entry, elsewhere: str) -> Merged:
    try:
        return merged(before.decode(), entry, elsewhere)
    except (NoKubeconfig, UnicodeDecodeError) as error:
        said = error if isinstance(error, NoKubeconfig) else "it is no text"
        advice = "Name another file with -O FILE, or move this one away; it was left as it was"
        raise UsageError(f"this is no kubeconfig: {said}", where=str(file), advice=advice) from None
    except Taken as error:
        advice = (
            f"If it is not needed any more: kubectl config delete-cluster {entry.name}, delete-user {entry.name} and "
            f"delete-context {entry.name}; else name another file with -O FILE. This one was left as it was"
        )
        raise UsageError(f"{error}", where=str(file), advice=advice) from None


def _keep(target: Path, before: bytes) -> Path:
    """A copy beside the file, for the owner's eyes only: it holds keys."""
    copy = target.with_name(f"{target.name}.homelab-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z")
    write_private(copy, before)
    return copy


def _unchanged(file: Path, target: Path, before: bytes | None) -> Callable[[], None]:
    def look() -> None:
        if _bytes(target) != before:
            advice = "Run again; nothing of it was lost"
            raise HomelabError("somebody wrote to it at the same moment", where=str(file), advice=advice)

    return look
