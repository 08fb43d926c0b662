"""The folder `.homelab/`: pins, known host keys, a key of our own, and the logs of runs."""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from homelab.ports.record import recorded
from homelab.render.ssh_key import new_key

HOME = ".homelab"


def home_of(inventories: Sequence[Path], packaged: Path) -> Path:
    """Where `.homelab/` lies: beside the first inventory, in the working directory for the packaged sample.

    When the last inventory is a rehearsal's overlay (`.homelab/rehearsal/inventory`), its own folder takes the place.
    """
    last = inventories[-1].resolve()
    if last.name == "inventory" and last.parent.name == "rehearsal" and last.parent.parent.name == HOME:
        return last.parent
    if inventories[0].resolve() == packaged.resolve():
        return Path.cwd() / HOME
    return inventories[0].resolve().parent / HOME


def cache_folder() -> Path:
    """`${XDG_CACHE_HOME:-~/.cache}/homelab`, shared by all checkouts."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "homelab"


def write_private(path: Path, content: str | bytes) -> None:
    """Write a file of mode 0600 whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


@dataclass
class HomeFiles:
    """Paths and small writes below one `.homelab/`; made with mode 0700 on first use.

    `cannot_write` says why the logs of this run are not whole, None while they are; `warn` is told of it once.
    """

    home: Path
    secrets: tuple[str, ...] = ()
    run: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ"))
    _lock: threading.RLock = field(default_factory=threading.RLock)
    cannot_write: str | None = None
    warn: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def trust(self) -> Path:
        """Pinned certificates: {HOST: {"certificate": "SHA256:...", "since": RFC 3339}}."""
        return self.home / "trust.json"

    def backups_of(self, host: str) -> list[Path]:
        """The kept configurations of a host, oldest first."""
        return sorted((self.home / "backups").glob(f"{host}-*.tgz"))

    def keep_backup(self, host: str, content: bytes) -> Path:
        """Keep a host's configuration: it holds password hashes, so mode 0600."""
        path = self.home / "backups" / f"{host}-{self.run}.tgz"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with recorded(self, "file", "laptop", f"write backups/{path.name}", writes=True):
            write_private(path, content)
        return path

    def in_maintenance(self, host: str) -> bool:
        """Whether a run of ours put this host into maintenance mode and has not taken it out yet."""
        return self._maintenance(host).exists()

    def note_maintenance(self, host: str, ours: bool) -> None:
        """Note, before it is done, that a host is put into maintenance mode by us; after it left, forget it."""
        path = self._maintenance(host)
        if ours:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            self._write(path, "put into maintenance mode for its reboot\n")
        else:
            path.unlink(missing_ok=True)

    def _maintenance(self, host: str) -> Path:
        return self.home / "maintenance" / host

    @property
    def known_hosts(self) -> Path:
        """SSH host keys, in OpenSSH's format."""
        return self.home / "known_hosts"

    @property
    def key(self) -> Path:
        """The private key that guests are reached with."""
        return self.home / "id_ed25519"

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
        for secret in self.secrets:
            text = text.replace(secret, "********")
        with self._lock:
            try:
                self._append(name, text)
            except OSError as error:
                self._told(f"{self.log_folder / name} cannot be written: {error.strerror or error}")

    def _append(self, name: str, text: str) -> None:
        self.log_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.log_folder / name
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8", errors="replace"
        ) as file:
            file.write(text)

    def _told(self, what: str) -> None:
        if self.cannot_write is None:
            self.cannot_write = what
            self.warn(f"{what}; what is under way is brought to its end, and nothing new is begun")

    def _write(self, path: Path, text: str) -> None:
        with recorded(self, "file", "laptop", f"write {path.name}", writes=True):
            write_private(path, text)

    def pins(self) -> dict[str, dict[str, str]]:
        """What is trusted so far."""
        with self._lock:
            return json.loads(self.trust.read_text()) if self.trust.exists() else {}

    def set_pin(self, name: str, fingerprint: str | None) -> None:
        """Trust a certificate from now on; None forgets it."""
        with self._lock:
            pins = self.pins()
            pins.pop(name, None)
            if fingerprint is not None:
                pins[name] = {"certificate": fingerprint, "since": datetime.now(UTC).isoformat(timespec="seconds")}
            self._write(self.trust, json.dumps(pins, indent=2, sort_keys=True) + "\n")

    def host_keys(self) -> dict[str, str]:
        """Known SSH host keys: {address as OpenSSH writes it: "TYPE BASE64"}."""
        with self._lock:
            if not self.known_hosts.exists():
                return {}
            rows = (line.split(maxsplit=1) for line in self.known_hosts.read_text().splitlines() if line.strip())
            return {address: key.strip() for address, key in rows}

    def set_host_key(self, address: str, key: str | None) -> None:
        """Trust an SSH host key from now on; None forgets it. Nothing is written when nothing changes."""
        with self._lock:
            keys = self.host_keys()
            if keys.get(address) == key:
                return
            keys.pop(address, None)
            if key is not None:
                keys[address] = key
            self._write(self.known_hosts, "".join(f"{name} {value}\n" for name, value in sorted(keys.items())))

    def own_key(self) -> str:
        """The public half of our own key in OpenSSH's format, made when it is not there yet."""
        with self._lock:
            public = self.key.with_suffix(".pub")
            if not self.key.exists() or not public.exists():
                pair = new_key("homelab")
                self._write(self.key, pair.private)
                self._write(public, pair.public + "\n")
            return public.read_text().strip()


def known_host_name(address: str, port: int) -> str:
    """An address as OpenSSH writes it into known_hosts: plain for port 22, else `[ADDRESS]:PORT`."""
    return address if port == 22 else f"[{address}]:{port}"


def tree_digest(folder: Path) -> str:
    """The SHA-256 of a folder's files: their relative names and contents, in the order of names."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
