"""What is trusted, and our own key, in `.homelab/`: read, changed and written by one at a time."""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from homelab.errors import HomelabError, TrustError
from homelab.formats.trust import known_hosts as ssh_hosts
from homelab.formats.trust import pins as trusted
from homelab.formats.trust.ssh_key import BadKey, key_fingerprint, new_key, public_of
from homelab.ports.files.home_folder import make_home
from homelab.ports.files.locks import short_lock
from homelab.ports.files.private import told


@dataclass
class TrustFiles:
    """Pinned certificates, known host keys, and the key that guests are reached with.

    `write` writes a small file whole, and records it; `lock` is held while one is changed.
    """

    home: Path
    lock: threading.RLock
    write: Callable[[Path, str], None]

    @property
    def pin_file(self) -> Path:
        """Pinned certificates, in the form that homelab.formats.trust.pins tells."""
        return self.home / "trust.json"

    @property
    def known_hosts(self) -> Path:
        """SSH host keys, in OpenSSH's format."""
        return self.home / "known_hosts"

    @property
    def key(self) -> Path:
        """The private key that guests are reached with."""
        return self.home / "id_ed25519"

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Small files are read, changed and written by one thread of one process at a time: `plan` pins, too."""
        with self.lock, ExitStack() as held:
            make_home(self.home)
            path = self.home / "files.lock"
            with told(path, "locked"):
                held.enter_context(short_lock(path))
            yield

    def _read(self, path: Path) -> str | None:
        """A small file's text, bytes that are no UTF-8 kept; None when there is none."""
        with told(path, "read"):
            try:
                return path.read_bytes().decode(errors="surrogateescape")
            except (FileNotFoundError, NotADirectoryError):
                return None

    # -- certificates

    def pins(self) -> dict[str, trusted.Pin]:
        """What is trusted so far. Raises TrustError for a file that is damaged: that is not the same as none."""
        text = self._read(self.pin_file)
        try:
            return {} if text is None else trusted.read(text)
        except trusted.BadPins as error:
            raise TrustError(
                f"the file of pinned certificates {error}",
                where=str(self.pin_file),
                advice="Nothing is trusted anew before it is whole: put a copy of it back, or remove it; every machine "
                "is then met for the first time again, so compare what it shows with its console",
            ) from error

    def meet_certificate(self, name: str, address: str, port: int, seen: str) -> str | None:
        """Check a certificate that a machine shows; on first use it is pinned. A sentence where that is news.

        Raises TrustError when another one is pinned for the machine's name or its address.
        """
        before = self.pins()
        if self._met(before, name, f"{address}:{port}", seen).pins is before:
            return None
        with self._changing():
            before = self.pins()
            met = self._met(before, name, f"{address}:{port}", seen)
            if met.pins is not before:
                self.write(self.pin_file, trusted.write(met.pins))
        return met.sentence

    @staticmethod
    def _met(known: dict[str, trusted.Pin], name: str, place: str, seen: str) -> trusted.Met:
        try:
            return trusted.meet(known, name, place, seen, datetime.now(UTC).isoformat(timespec="seconds"))
        except trusted.OtherCertificate as error:
            met_as = "" if error.as_name == name else f", which was met there as {error.as_name}"
            raise TrustError(
                f"the certificate changed: {seen}, expected {error.pinned}{met_as}",
                where=f"{name} ({place})",
                advice=f"If you reinstalled this host, forget the old one with: homelab trust {name} --forget",
            ) from error

    def knows(self, name: str, address: str, port: int) -> bool:
        """Whether a machine was met under this name, or last at this address."""
        return bool(trusted.named(self.pins(), name, f"{address}:{port}"))

    def forget_pins(self, names: Collection[str]) -> None:
        """Forget the certificates of these names. Nothing is written when there are none."""
        if not names:
            return
        with self._changing():
            self.write(self.pin_file, trusted.write(trusted.without(self.pins(), names)))

    # -- SSH host keys

    def _known_hosts(self) -> str:
        return self._read(self.known_hosts) or ""

    def host_keys_of(self, names: Collection[str]) -> tuple[str, ...]:
        """The known keys, `TYPE BASE64`, of a machine's names as OpenSSH writes them. Raises TrustError."""
        try:
            return ssh_hosts.keys_of(self._known_hosts(), names)
        except ssh_hosts.BrokenLine as error:
            raise TrustError(
                f"a known host key is damaged: {error}",
                where=str(self.known_hosts),
                advice="Put the line right or remove it; without it the machine is met for the first time again",
            ) from error

    def mentions(self, names: Collection[str]) -> bool:
        """Whether something is known of these names, be it damaged."""
        text = self._known_hosts()
        return ssh_hosts.without(text, names) != text

    def host_key_names(self, address: str) -> frozenset[str]:
        """The names, at whatever port, under which keys of this address are known."""
        return ssh_hosts.names_at(self._known_hosts(), address)

    def meet_host_key(self, name: str, key: str, *, machine: str, where: str) -> bool:
        """Check a key, `TYPE BASE64`, that `machine` shows at `name`; on first use it is kept, and that is True.

        Raises TrustError when other keys are known for that name.
        """
        if key in self.host_keys_of({name}):
            return False
        with self._changing():
            known = self.host_keys_of({name})
            if not known:
                self.write(self.known_hosts, ssh_hosts.with_key(self._known_hosts(), name, key))
                return True
        if key in known:
            return False
        raise host_key_changed(machine, where, key_fingerprint(key), " or ".join(map(key_fingerprint, known)))

    def forget_host_keys(self, names: Collection[str]) -> None:
        """Forget what is known for these names; every other line stays. Nothing is written when nothing changes.

        For a guest that we make anew, too: its old key is no longer anybody's.
        """
        with self._changing():
            text = self._known_hosts()
            left = ssh_hosts.without(text, names)
            if left != text:
                self.write(self.known_hosts, left)

    # -- our own key

    def own_key(self) -> str:
        """The public half of our own key in OpenSSH's format, with a comment; the pair is made when there is none.

        The private half is the original: the other is derived from it. Raises HomelabError when it cannot be read.
        """
        public = self.key.with_suffix(".pub")
        if line := self._kept_public_half(public):
            return line
        with self._changing():
            private, line = self._read(self.key), self._kept_public_half(public)
            if line:
                return line
            if private is None:
                pair = new_key("homelab")
                self.write(self.key, pair.private)
                line = pair.public
            else:
                line = f"{self._derived(private)} homelab"
            self.write(public, line + "\n")
            return line

    def _kept_public_half(self, path: Path) -> str | None:
        """The line of the public half, when it is there and belongs to the private one."""
        private, public = self._read(self.key), self._read(path)
        if private is None and public is not None:
            raise HomelabError(
                "the private half of the guests' key is gone, its public half is still there",
                where=str(self.key),
                advice=f"Put {self.key.name} back from a copy: guests that were made with it open to no other. If it "
                f"is lost for good, remove {path.name}: a new pair is made, and those guests have to be made anew",
            )
        if private is None or public is None:
            return None
        return public.strip() if public.split()[:2] == self._derived(private).split() else None

    def _derived(self, private: str) -> str:
        try:
            return public_of(private.encode(errors="surrogateescape"))
        except BadKey as error:
            raise HomelabError(
                f"the guests' key {error}",
                where=str(self.key),
                advice="Put it back from a copy, in OpenSSH's format and without a passphrase; it is never replaced, "
                "because guests that were made with it open to no other",
            ) from error


def host_key_changed(machine: str, where: str, seen: str, expected: str) -> TrustError:
    """The one sentence for a host key, by fingerprints, that is not the known one."""
    return TrustError(
        f"the SSH host key changed: {seen}, expected {expected}",
        where=where,
        advice=f"If you reinstalled this machine, forget the old key with: homelab trust {machine} --forget",
    )
