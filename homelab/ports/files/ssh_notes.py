"""Notes in `.homelab/ssh/`: SSH of a host is on because a run of ours switched it on, and not its owner."""

import json
from datetime import UTC, datetime
from pathlib import Path

from homelab.ports.files.home import HomeFiles
from homelab.ports.files.home_folder import make_home
from homelab.ports.files.private import told, write_private
from homelab.ports.files.record import recorded

# A host tells its boot time by its clock of now, which may be set meanwhile.
SAME_BOOT_SECONDS = 30.0


def note_ssh(files: HomeFiles, host: str, boot_time: datetime) -> None:
    """Note, before it is done, that SSH is switched on by us on a host that booted then. Raises HomelabError."""
    path = _path(files, host)
    since = datetime.now(UTC).isoformat(timespec="seconds")
    note = {"host": host, "since": since, "run": files.run, "boot": boot_time.isoformat()}
    make_home(files.home)
    with told(path, "written, so SSH was not switched on"):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with recorded(files, "file", "laptop", f"write ssh/{host}", writes=True):
            write_private(path, json.dumps(note) + "\n")


def ssh_left_on(files: HomeFiles, host: str, boot_time: datetime) -> bool:
    """Whether SSH that is on was left on by an earlier run of ours, in this boot: a host's own start undoes it."""
    note = _note(files, host)
    try:
        noted = datetime.fromisoformat(note["boot"])
        return note["run"] != files.run and abs((noted - boot_time).total_seconds()) < SAME_BOOT_SECONDS
    except (ValueError, LookupError, TypeError):
        return False


def forget_ssh(files: HomeFiles, host: str) -> None:
    """SSH was switched off: the note has had its day. One that cannot be removed is of no use once the host boots."""
    try:
        _path(files, host).unlink(missing_ok=True)
    except OSError as error:
        files.warn(f"{host}: the note about SSH cannot be removed ({error.strerror}): {_path(files, host)}")


def ssh_seen_off(files: HomeFiles, host: str) -> None:
    """Whoever switches SSH on after this is somebody else; but a shell of this run may just be about to do it."""
    if _note(files, host).get("run", files.run) != files.run:
        forget_ssh(files, host)


def _note(files: HomeFiles, host: str) -> dict[str, str]:
    try:
        note = json.loads(_path(files, host).read_text())
        return note if isinstance(note, dict) else {}
    except (OSError, ValueError):
        return {}


def _path(files: HomeFiles, host: str) -> Path:
    return files.home / "ssh" / host
