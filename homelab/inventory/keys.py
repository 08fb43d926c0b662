"""Who may log in to guests: the public keys that the inventory holds, and those in files that it names."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from homelab.formats.trust.ssh_key import BadKey, authorized_key
from homelab.lab import Guests

KEYS, FILES = "guest_authorized_keys", "guest_authorized_key_files"


@dataclass
class Keys:
    """Lines of authorized_keys, and what is wrong: (variable, index, what, what to do). No text quotes a key."""

    lines: list[str] = field(default_factory=list)
    wrong: list[tuple[str, int, str, str]] = field(default_factory=list)


def keys_of(guests: Guests, folder: Path) -> Keys:
    """All keys of the guests; a relative path starts at `folder`, the inventory's."""
    found = Keys()
    for index, text in enumerate(guests.authorized_keys):
        try:
            found.lines.append(authorized_key(text))
        except BadKey as error:
            found.wrong.append((KEYS, index, f"{error}", _instead(text)))
    for index, name in enumerate(guests.authorized_key_files):
        _add_file(found, index, name, folder)
    return found


def _instead(text: str) -> str:
    if "PRIVATE KEY" in text:
        return "write its public half, the line in the file that ends with .pub; the private one stays with you"
    words = text.strip()
    if words.startswith(("~", "/", "./")) or words.endswith(".pub"):
        return f"it looks like a file: write {FILES}: [{words}]"
    return "write the whole line of a file such as ~/.ssh/id_ed25519.pub, or name the file in " + FILES


def _add_file(found: Keys, index: int, name: str, folder: Path) -> None:
    path = folder / Path(name).expanduser()
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        found.wrong.append((FILES, index, f"{name} cannot be read: {error.strerror or error}", "correct the path"))
        return
    if "PRIVATE KEY" in text:
        found.wrong.append((FILES, index, f"{name} is a private key", f"name its public half, {name}.pub"))
        return
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in lines:
        try:
            found.lines.append(authorized_key(line))
        except BadKey as error:
            found.wrong.append((FILES, index, f"{name} holds a line that {error}", "name a file of public keys"))
            return
    if not lines:
        found.wrong.append((FILES, index, f"{name} holds no key", "name a file such as ~/.ssh/id_ed25519.pub"))


def shown(wrong: Sequence[tuple[str, int, str, str]]) -> list[tuple[str, str, str]]:
    """As (variable, what, fix), the item by its number from 1."""
    return [(variable, f"{variable}[{index + 1}] {what}", fix) for variable, index, what, fix in wrong]
