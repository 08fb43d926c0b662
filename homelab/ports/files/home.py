"""The folder `.homelab/`: pins, known host keys, a key of our own, and the logs of runs."""

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from homelab.errors import HomelabError, HostFault
from homelab.formats.boot.config_bundle import bundle_problem
from homelab.formats.trust.masks import Masks
from homelab.formats.visible import visible
from homelab.ports.files.home_folder import HOME, close_home, home_now, home_of, make_home
from homelab.ports.files.locks import run_lock
from homelab.ports.files.maintenance_note import MaintenanceNote
from homelab.ports.files.private import told, write_private
from homelab.ports.files.record import recorded
from homelab.ports.files.trust_files import TrustFiles

__all__ = ["HOME", "HomeFiles", "MaintenanceNote", "cache_folder", "home_now", "home_of", "write_private"]


def cache_folder() -> Path:
    """`${XDG_CACHE_HOME:-~/.cache}/homelab`, shared by all checkouts."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "homelab"


@dataclass
class HomeFiles:
    """Paths and small writes below one `.homelab/`; made with mode 0700 at the first write. Errors come in words.

    `trust` is what is pinned there, and our own key. `cannot_write` says why the logs of this run are not whole, None
    while they are; `warn` is told of it once. `records_reads` is False for who asks for days, and writes nothing.
    """

    home: Path
    secrets: tuple[str, ...] = ()
    run: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ"))
    cannot_write: str | None = None
    warn: Callable[[str], None] = lambda _: None
    records_reads: bool = True

    def __post_init__(self) -> None:
        self.masks = Masks(self.secrets)
        self._lock = threading.RLock()
        self.trust = TrustFiles(self.home, self._lock, self._write)
        self._said: set[str] = set()

    def once(self, sentence: str) -> bool:
        """Whether this run says a sentence for the first time."""
        with self._lock:
            new = sentence not in self._said
            self._said.add(sentence)
        return new

    def close_up(self) -> list[str]:
        """Make the folder, and close what in it is open to others; a sentence for a person when something was."""
        return close_home(self.home)

    @contextmanager
    def alone(self, command: str, warn: Callable[[str], None]) -> Iterator[None]:
        """The only run of this lab that writes, for as long as the context lasts. Raises UsageError with the other."""
        make_home(self.home)
        path = self.home / "lock"
        with ExitStack() as held:
            with told(path, "locked"):
                held.enter_context(run_lock(path, command, warn))
            yield

    def backups_of(self, host: str) -> list[Path]:
        """The kept configurations of a host, oldest first; a file of another host, or of none, is no backup."""
        name = re.compile(re.escape(host) + r"-\d{8}T\d{6}(\.\d+)?Z\.tgz")
        found = sorted((self.home / "backups").glob("*.tgz"))
        return [path for path in found if name.fullmatch(path.name) and not bundle_problem(path.read_bytes())]

    def keep_backup(self, host: str, content: bytes) -> Path:
        """Keep a host's configuration: it holds password hashes, so mode 0600. HostFault when it is none."""
        if problem := bundle_problem(content):
            raise HostFault(
                f"the copy of the configuration that the host gave is none: {problem}",
                where=host,
                advice="Nothing was changed, as there would be no way back. Fetch one by hand: `vim-cmd "
                "hostsvc/firmware/backup_config` at its shell prints where; see /var/log/hostd.log, and whether its "
                "boot stick is alive (`ls -l /`)",
            )
        path = self.home / "backups" / f"{host}-{self.run}.tgz"
        self._make_folder(path.parent)
        with recorded(self, "file", "laptop", f"write backups/{path.name}", writes=True), told(path, "written"):
            write_private(path, content)
        return path

    def keep_picture(self, name: str, content: bytes) -> Path:
        """Keep a picture beside the run's logs: what a console shows is nobody else's business, so mode 0600."""
        path = self.log_folder / name
        self._make_folder(path.parent)
        with recorded(self, "file", "laptop", f"write logs/{self.run}/{name}", writes=True), told(path, "written"):
            write_private(path, content)
        return path

    def maintenance_note(self, host: str) -> MaintenanceNote | None:
        """What a run of ours noted when it put this host into maintenance mode; None when there is none, or no such."""
        try:
            return MaintenanceNote.read(self._maintenance(host).read_text())
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def note_maintenance(self, host: str, note: MaintenanceNote | None) -> None:
        """Note, before it is done, that a host is put into maintenance mode by us; after it left, None forgets it."""
        path = self._maintenance(host)
        if note is not None:
            self._make_folder(path.parent)
            self._write(path, note.text())
        else:
            with told(path, "removed"):
                path.unlink(missing_ok=True)

    def note_phase(self, host: str, phase: str) -> None:
        """Note, where the maintenance mode is ours, how far the reboot is that it is for."""
        note = self.maintenance_note(host)
        if note is not None:
            self.note_maintenance(host, replace(note, phase=phase))

    def _make_folder(self, folder: Path) -> None:
        make_home(self.home)
        with told(folder, "made"):
            folder.mkdir(mode=0o700, exist_ok=True)

    def _maintenance(self, host: str) -> Path:
        return self.home / "maintenance" / host

    @property
    def log_folder(self) -> Path:
        """`logs/RUN/`, RUN being the UTC time the run began."""
        return self.home / "logs" / self.run

    @property
    def log(self) -> Path:
        """The full log of this run."""
        return self.log_folder / "run.log"

    def append(self, name: str, text: str) -> None:
        """Add text to a file of this run, secrets masked, mode 0600, flushed before the call returns.

        It raises nothing: a log must not stop a change half-way. What kept it from being written is told once, and is
        in `cannot_write` from then on: no new change should begin.
        """
        # In JSON, control characters are escaped already.
        masked = f"{self.masks.line(text.rstrip())}\n" if name.endswith(".jsonl") else visible(self.masks.text(text))
        path = self.log_folder / name
        with self._lock:
            try:
                make_home(self.home)
                self._append(path, masked)
            except HomelabError as error:
                self._told(error.what)
            except OSError as error:
                self._told(f"{path} cannot be written: {error.strerror or error}")

    def _append(self, path: Path, text: str) -> None:
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)

    def _told(self, what: str) -> None:
        if self.cannot_write is None:
            self.cannot_write = what
            self.warn(f"{what}; what is under way is brought to its end, and nothing new is begun")

    def _write(self, path: Path, text: str) -> None:
        with recorded(self, "file", "laptop", f"write {path.name}", writes=True), told(path, "written"):
            write_private(path, text)
