"""OpenSSH's known_hosts, read and changed without losing a line that others wrote. Pure.

The form is sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT": `[@MARKER] NAMES TYPE BASE64 [COMMENT]`, NAMES parted by commas, or
one hashed name `|1|SALT|HASH` (HMAC-SHA1), which `HashKnownHosts yes` writes: the default of Debian and Ubuntu. OpenSSH
writes here whenever a person runs Ansible or ssh with this file. Lines are split at line feeds alone.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from homelab.formats.trust.ssh_key import is_whole

HASHED = "|1|"


class BrokenLine(ValueError):
    """A line names the machine, and its key is cut or damaged; the text says which line."""


def known_host_name(address: str, port: int) -> str:
    """An address as OpenSSH writes it into known_hosts: plain for port 22, else `[ADDRESS]:PORT`."""
    return address if port == 22 else f"[{address}]:{port}"


@dataclass(frozen=True)
class _Line:
    """One line that gives keys to names; `blob` is empty where the line ends before it."""

    names: tuple[str, ...]
    kind: str
    blob: str
    rest: str

    def is_of(self, wanted: Collection[str]) -> bool:
        return any(_is(name, wanted) for name in self.names)

    def without(self, wanted: Collection[str]) -> str | None:
        """The line without these names; None when no other is left."""
        left = [name for name in self.names if not _is(name, wanted)]
        return ",".join(left) + self.rest if left else None


def keys_of(text: str, names: Collection[str]) -> tuple[str, ...]:
    """The keys, each `TYPE BASE64`, of a machine's names. Raises BrokenLine rather than taking its key for missing."""
    keys = []
    for number, _, line in _lines(text):
        if line is None or not line.is_of(names):
            continue
        if not is_whole(line.kind, line.blob):
            raise BrokenLine(f"line {number} names {', '.join(sorted(names))}, and its key is cut or damaged")
        keys.append(f"{line.kind} {line.blob}")
    return tuple(dict.fromkeys(keys))


def names_at(text: str, address: str) -> frozenset[str]:
    """The names under which an address stands there in the clear, at whatever port."""
    own = re.compile(rf"{re.escape(address)}|\[{re.escape(address)}\]:\d+")
    return frozenset(name for _, _, line in _lines(text) if line for name in line.names if own.fullmatch(name))


def with_key(text: str, name: str, key: str) -> str:
    """The text with one more key."""
    whole = text if text.endswith("\n") or not text else text + "\n"
    return f"{whole}{name} {key}\n"


def without(text: str, names: Collection[str]) -> str:
    """The text without the keys of these names; other names of their lines, and every other line, stay as they are."""
    kept = []
    for _, raw, line in _lines(text):
        changed = line.without(names) if line and line.is_of(names) else raw
        if changed is not None:
            kept.append(changed)
    return "\n".join(kept) + "\n" if kept else ""


def _lines(text: str) -> Iterator[tuple[int, str, _Line | None]]:
    """Number, text and meaning of each line; comments, empty lines and those with a marker mean nothing to us."""
    for number, raw in enumerate(text.removesuffix("\n").split("\n") if text else (), 1):
        yield number, raw, _parsed(raw)


def _parsed(raw: str) -> _Line | None:
    found = re.match(r"[ \t]*([^ \t#@][^ \t\r]*)(.*)", raw)
    if found is None:
        return None
    kind, blob = (*found[2].split(), "", "")[:2]
    return _Line(tuple(found[1].split(",")), kind, blob, found[2])


def _is(name: str, wanted: Collection[str]) -> bool:
    if name.startswith(HASHED):
        return any(_hash_is(name, one) for one in wanted)
    # OpenSSH writes names in lower case, however they were typed.
    return any(name.lower() == one.lower() for one in wanted)


def _hash_is(name: str, wanted: str) -> bool:
    salt, _, digest = name.removeprefix(HASHED).partition("|")
    try:
        made = hmac.digest(base64.b64decode(salt), wanted.lower().encode(), hashlib.sha1)
        return hmac.compare_digest(made, base64.b64decode(digest))
    except (binascii.Error, ValueError):
        return False
